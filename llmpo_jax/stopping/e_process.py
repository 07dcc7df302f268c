"""Stopping on an e-process: `e-process`, delta-PAC at any stopping time, under any adaptive sampling.

Against each hypothesis H_k = "k is the Condorcet winner" (mu[k, j] >= 1/2 for all j) we bet. Before every comparison
of k with some j a number p <= 1/2 is fixed from the past; the wealth is multiplied by 2 p if k wins, by 2 (1 - p) if
k loses. Under H_k the factor has mean 2 p mu + 2 (1 - p)(1 - mu) = 1 - (2 mu - 1)(1 - 2 p) <= 1, so the wealth is a
non-negative supermartingale started at 1. By Ville's inequality it ever reaches 1 / delta with probability at most
delta. Only the refutation of the true winner i* is an error, so neither the number of policies nor the number of
looks enters.

The bet. p is the smaller of 1/2 and a forecast of the next outcome (`forecast`): the mean of several experts, who take
the pair's empirical rate with pseudo-comparisons added, weighted by how well they have done so far. The textbook bet
(one pseudo-comparison at 1/2) loses wealth on every new pair while it learns, and most near 1/2, where comparisons are
many; where all rates are near 1/2, or follow from the policies' strengths, this is found out, and little is left to
learn of a pair. Weights, strengths and records are functions of the past, so the bet is predictable and the proof
above stands whatever the instance. Every expert converges to the pair's rate at speed 1 / n, so on an opponent that is
compared n times the log wealth is n d - (1/2) log n + O(1): nothing is lost to first order, which is what makes the
stopping time asymptotically optimal with a sampler whose proportions converge to w*.

Rounding. However it was computed, a bet p is a float with 0 < p <= 1/2 that was fixed before the outcome. The two
factors F (k wins) and G (it loses) that a bet stands for are what floats make of 2 p and 2 (1 - p); the mean is at
most 1 for all mu >= 1/2 if F <= 1 and F + G <= 2. Let eps be the spacing of floats at 1 and logarithms be right to 4
units in the last place. 2 p is exact and its logarithm not above 0, so F <= 1; F exceeds 2 p by at most 4 eps 2 p |log
2 p| <= 1.5 eps, G exceeds 2 (1 - p) by eps / 2 for the difference and by 2 * 2 eps for its logarithm, which is at most
log 2. So the mean is at most 1 + 3 eps, and with `ROUNDING` = 4 eps taken off for every comparison of the run the
wealth is a supermartingale with eps to spare. As no gain exceeds log 2, this eps is more than the eps / 2 of the sum
that the two floats of the wealth are rounded to. The wealth on single pairs is kept in one float and rounded down.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import Comparison, Problem, Statistics, StoppingRule, Thresholds, Verdict
from llmpo_jax.stopping import common, forecast

ROUNDING = 4
"""Taken off the log wealth for every comparison, in units of the spacing of floats at 1."""


class EProcess(NamedTuple):
    """State, in nats of log wealth.

    Attributes:
        table: [3 + 2 F, K], the log wealth in two floats, the largest it has been, then the policies' strengths and
            their variances in F filters: together, so that one write changes all. Ville's inequality bounds the peak,
            so what is refuted stays so.
        weights: [E], those of the forecast's experts.
        proofs: the wealth on single pairs, in the `certify` form.
    """

    table: jax.Array
    weights: jax.Array
    proofs: common.Proofs | None

    @property
    def wealth(self) -> jax.Array:
        """[K], the log wealth."""
        return self.table[0] + self.table[1]

    @property
    def peak(self) -> jax.Array:
        """[K], the largest that the log wealth has been."""
        return self.table[2]


def bets(chance: jax.Array) -> jax.Array:
    """The bets p [2] on (first, second), at most 1/2, from the chance in (0, 1) that `first` wins."""
    return jnp.minimum(jnp.stack([chance, 1 - chance]), 0.5)


def gains(bet: jax.Array, won: jax.Array) -> jax.Array:
    """Log of the wealth's factor for (first, second): 2 p on the side that won, 2 (1 - p) on the side that lost."""
    return jnp.log(2 * jnp.where(jnp.stack([won, ~won]), bet, 1 - bet))


def _init(problem: Problem) -> EProcess:
    k = problem.num_policies
    table = [jnp.zeros((3, k), problem.dtype), forecast.even_strengths(k, problem.dtype)]
    return EProcess(jnp.concatenate(table), forecast.even_weights(problem.dtype), common.no_proofs(problem))


def _update(problem: Problem, state: EProcess, comparison: Comparison) -> EProcess:
    first, second, won = comparison.first, comparison.second, comparison.won
    entries = vectors.take_two(state.table, first, second)
    (high, low, peak), strengths = entries[:3], entries[3:]
    experts = forecast.experts(comparison, strengths)
    gain = gains(bets(forecast.chance(state.weights, experts)), won)
    high, low = vectors.accumulate(high, low, gain)
    wealth = jnp.stack([high, low, jnp.maximum(peak, high + low)])
    entries = jnp.concatenate([wealth, forecast.moved(strengths, won)])
    proofs = state.proofs
    if proofs is not None:
        before = jnp.stack([proofs.pairs[first, second], proofs.pairs[second, first]])
        proofs = common.put_proofs(proofs, comparison, vectors.add_down(before, gain[::-1]))
    weights = forecast.reweighed(state.weights, experts, won)
    return EProcess(vectors.put_two(state.table, first, second, entries), weights, proofs)


def _evidence(problem: Problem, state: EProcess, statistics: Statistics) -> jax.Array:
    return state.wealth


def rounding(problem: Problem, statistics: Statistics) -> jax.Array:
    """Nats to be taken off any log wealth before something is concluded from it."""
    return ROUNDING * jnp.finfo(problem.dtype).eps * statistics.t.astype(problem.dtype)


def _refutation(problem: Problem, state: EProcess, statistics: Statistics) -> jax.Array:
    return state.peak - rounding(problem, statistics)


def _verdict(problem: Problem, state: EProcess, statistics: Statistics) -> Verdict:
    return common.verdict(_refutation(problem, state, statistics), state.proofs, rounding(problem, statistics))


def _thresholds(problem: Problem, delta: float) -> Thresholds:
    level = common.required_nats(problem, delta)
    return Thresholds(level, level)


E_PROCESS = StoppingRule(_init, _update, _evidence, _verdict, _thresholds, proven=True, refutation=_refutation)
"""Stop when every policy but one has been refuted: its log wealth once reached log(1 / delta).

delta-PAC on every instance with a Condorcet winner, by the argument at the top of this module.
Certify: i is named when, for every j, the wealth against "mu[j, i] >= 1/2" reaches K / delta; absence is found when
all K policies are refuted at K / delta. A wrong statement needs one of at most K events of probability delta / K each.
"""
