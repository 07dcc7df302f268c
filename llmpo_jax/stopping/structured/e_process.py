"""Stopping on an e-process in the structured space: `e-process`, delta-PAC at any stopping time, any adaptive sampling.

Against each hypothesis H_k = "k is the best policy" we bet on the outcomes, at the odds that a parameter theta of H_k
sets (`wealth`): for every theta the wealth is a non-negative martingale under theta, started at 1. The evidence is the
least wealth over all theta for which k is at least as good as the present leader,

    E_k(t) = inf { W_t^k(theta) : (x_leader - x_k) . theta <= 0 }.

If k is best, the true theta is among these whoever leads, so E_k(t) <= W_t^k(true theta) at all times at once, and by
Ville's inequality E_k ever reaches 1 / delta with probability at most delta. Only the refutation of the true winner is
an error: neither the number of policies nor the number of looks enters, and what is refuted stays so (the peak counts).
The shares may be any function of the past; that they are good is no part of the proof, and neither is the precision
in which they are computed.

Why it is cheap. The usual e-process for a composite null divides a predictive likelihood by the greatest likelihood
under the null, and pays about (d / 2) log t nats for what it must learn of all d coordinates. Here the odds are set by
the null parameter itself, whatever its d - 1 nuisance coordinates are: betting the SHIFT from the null to the estimate
wins against all of them alike, since the sampler's information makes `sum_p n_p a_p (z_p . shift) z_p` parallel to
the contrast (to first order, the derivative of the log wealth along the boundary of the null vanishes). What is paid is
the price of learning one number, the gap, and a share of the rest that is quadratic in the stakes.

The shares. Epochs start at d * 8 comparisons and at times growing by `GROWTH`, for as long as a run may need them:
after the last one, shares on a gap that was taken for twice what it is, or on a wrong leader, would never win again. In
each epoch the shares are fixed from the posterior at its start, N(theta_hat, S). With c = x_leader - x_k then,
g = c . theta_hat > 0 and v = c . S c,

    null    lambda = theta_hat - (g / v) S c                       the nearest parameter for which k ties the leader
    belief  theta_hat shrunk towards lambda by `CAUTION` / (g^2 / v + CAUTION): overbetting costs more than its opposite
    p, q    chances that i beats j by null and belief
    shares  of Kelly for the truth q at odds p: (q - p) / (1 - p) on i if q > p, (p - q) / p on j otherwise, and a
            `HEDGE` of the rest with p : 1 - p on the two: no bet in the eyes of lambda, but one against all theta
            far from it, which keeps the program curved. From epoch `LATE` on `LATE_HEDGE` of it: where the posterior
            was wrong about a pair hardly compared before, and the sampler turns to it, the hedge loses in every
            comparison of a long epoch

Nothing is bet against the leader of an epoch's start.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax import vectors
from llmpo_jax.protocol import LinearComparison, LinearStatistics, Problem, StoppingRule, Verdict
from llmpo_jax.stopping.structured import common, wealth
from llmpo_jax.theory import linear

EPOCHS = 48
"""The last one starts at d * 5.9e7 comparisons."""

GROWTH = 1.4
CAUTION = 3.0
HEDGE = 0.05
LATE, LATE_HEDGE = 24, 0.01
EDGE = 2.0**-20
"""Chances are kept this far from 0 and 1, so that something of the wealth is always held."""

LOOKS = 30

_NOT_YET = np.iinfo(np.int32).max


class EProcess(NamedTuple):
    """State.

    Attributes:
        peak: [K], the largest log wealth so far, nats.
        null: [K, d], where the least wealth against each policy was found, to start from next time.
        epoch: int32, epochs begun.
        estimates: [E, d], theta_hat at the start of each epoch.
        covariances: [E, d d], S, flattened: a TPU pads the last axis of an array to 128.
        leaders: int32 [E], the leaders.
        counts, wins: int32 [E, P], the statistics at the start of each epoch; `_NOT_YET` for those to come.
    """

    peak: jax.Array
    null: jax.Array
    epoch: jax.Array
    estimates: jax.Array
    covariances: jax.Array
    leaders: jax.Array
    counts: jax.Array
    wins: jax.Array


def epoch_starts(dimension: int) -> np.ndarray:
    """int32 [E], comparisons after which the epochs start (at the next refresh)."""
    return np.minimum(np.ceil(8 * dimension * GROWTH ** np.arange(EPOCHS)), 2.0**30).astype(np.int32)


def _init(problem: Problem) -> EProcess:
    k, d, dtype = problem.num_policies, problem.dimension or 0, problem.dtype
    number = k * (k - 1) // 2
    return EProcess(
        peak=jnp.zeros(k, dtype),
        null=jnp.zeros((k, d), dtype),
        epoch=jnp.zeros((), jnp.int32),
        estimates=jnp.zeros((EPOCHS, d), dtype),
        covariances=jnp.zeros((EPOCHS, d * d), dtype),
        leaders=jnp.zeros(EPOCHS, jnp.int32),
        counts=jnp.full((EPOCHS, number), _NOT_YET, jnp.int32),
        wins=jnp.full((EPOCHS, number), _NOT_YET, jnp.int32),
    )


def _update(problem: Problem, state: EProcess, comparison: LinearComparison) -> EProcess:
    return state  # outcomes are read off the statistics


def shares(q: jax.Array, p: jax.Array, hedge: jax.Array | float = HEDGE) -> tuple[jax.Array, jax.Array]:
    """The shares on "i wins" and "j wins" for a belief q and odds of p; non-negative, sum at most 1.

    `hedge` in [0, 1] is the part of what is not bet on q that goes to both sides at the odds of p.
    """
    kelly = jnp.maximum((q - p) / (1 - p), (p - q) / p)
    hedge = hedge * (1 - kelly)
    on_win, on_loss = (jnp.where(sign, kelly, 0) for sign in (q > p, q < p))
    return on_win + hedge * p, on_loss + hedge * (1 - p)


def _bets(problem: Problem, state: EProcess, statistics: LinearStatistics, rival: jax.Array) -> wealth.Bets:
    """All bets against `rival` so far."""

    def stakes(epoch: jax.Array) -> wealth.Stakes:
        def during(starts: jax.Array, now: jax.Array) -> jax.Array:
            end = jnp.where(epoch + 1 < EPOCHS, starts[jnp.minimum(epoch + 1, EPOCHS - 1)], now)
            return jnp.minimum(end, now) - jnp.minimum(starts[epoch], now)

        wins, counts = during(state.wins, statistics.wins), during(state.counts, statistics.counts)
        return wealth.Stakes(wins, counts - wins, *_epoch_shares(problem, state, epoch, rival))

    return wealth.Bets(stakes, vectors.shared_maximum(state.epoch), statistics.t)


def _epoch_shares(problem: Problem, state: EProcess, epoch: jax.Array, rival: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The shares [P] of an epoch against `rival`; none where the rival led."""
    design = linear.of(problem)
    estimate = state.estimates[epoch]
    covariance = state.covariances[epoch].reshape(estimate.shape * 2)
    contrast = design.features[state.leaders[epoch]] - design.features[rival]
    gap, direction = contrast @ estimate, covariance @ contrast
    spread = contrast @ direction
    bold = (gap > 0) & (spread > 0)
    spread = jnp.where(bold, spread, 1)
    shift, strength = direction * (gap / spread), gap**2 / spread
    null = estimate - shift
    belief = null + shift * (strength / (strength + CAUTION))
    p, q = (jnp.clip(jax.nn.sigmoid(theta @ design.differences.T), EDGE, 1 - EDGE) for theta in (null, belief))
    hedge = jnp.where(epoch < LATE, HEDGE, LATE_HEDGE).astype(p.dtype)
    on_win, on_loss = (jnp.where(bold, share, 0) for share in shares(q, p, hedge))
    return on_win, on_loss


def weigh(
    problem: Problem, state: EProcess, statistics: LinearStatistics, rival: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """A lower bound on the log wealth against `rival` now, nats, and the null parameter [d] to look at next time."""
    return common.look(problem, statistics, _bets(problem, state, statistics, rival), rival, state.null[rival])


def settle(problem: Problem, state: EProcess, statistics: LinearStatistics, rival: jax.Array) -> jax.Array:
    """The best bound that `weigh` comes to in `LOOKS` looks, nats, where a run takes one look at every refresh."""

    def look(_: int, best: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        value, null = weigh(problem, state._replace(null=state.null.at[rival].set(best[1])), statistics, rival)
        return jnp.maximum(best[0], vectors.rounded_down(value, problem.dtype)), null

    nothing = jnp.asarray(-jnp.inf, problem.dtype)
    return jax.lax.fori_loop(0, LOOKS, look, (nothing, state.null[rival]))[0]


def _refresh(problem: Problem, state: EProcess, statistics: LinearStatistics) -> EProcess:
    """Start a new epoch where one is due, then weigh the least refuted rival.

    In this order, since nothing is bet in an epoch that starts now, and what is only read after its write need not be
    copied.
    """
    state = _begin_epoch(problem, state, statistics)
    approximate = common.approximate_evidence(problem, statistics)
    rival = common.least_proven(statistics, state.peak, approximate)
    value, null = weigh(problem, state, statistics, rival)
    this = vectors.one_hot(rival, problem.num_policies)
    return state._replace(
        peak=jnp.where(this, jnp.maximum(state.peak, vectors.rounded_down(value, problem.dtype)), state.peak),
        null=jnp.where(this[:, None], null[None], state.null),
    )


def _begin_epoch(problem: Problem, state: EProcess, statistics: LinearStatistics) -> EProcess:
    """A new epoch, where one is due."""
    slot = jnp.minimum(state.epoch, EPOCHS - 1)
    due = (statistics.t >= jnp.asarray(epoch_starts(problem.dimension or 0))[slot]) & (state.epoch < EPOCHS)

    def put(values: jax.Array, value: jax.Array) -> jax.Array:
        return values.at[slot].set(jnp.where(due, value, values[slot]))

    return state._replace(
        epoch=state.epoch + due.astype(jnp.int32),
        estimates=put(state.estimates, statistics.estimate),
        covariances=put(state.covariances, statistics.covariance.ravel()),
        leaders=put(state.leaders, statistics.leader),
        counts=put(state.counts, statistics.counts),
        wins=put(state.wins, statistics.wins),
    )


def _evidence(problem: Problem, state: EProcess, statistics: LinearStatistics) -> jax.Array:
    return state.peak


def _verdict(problem: Problem, state: EProcess, statistics: LinearStatistics) -> Verdict:
    return common.verdict(statistics, state.peak)


E_PROCESS = StoppingRule(_init, _update, _evidence, _verdict, common.thresholds, proven=True, refresh=_refresh)
"""Stop when every policy but the leader has been refuted: its least log wealth once reached log(1 / delta).

delta-PAC on every linear Bradley-Terry instance with a unique winner and no two scores more than 10^4 logits apart,
by the argument at the top of this module. At every refresh one rival is weighed, the least refuted one; looking less
often, or at a bound on the least wealth in place of the least wealth itself, only delays the stop.
"""
