"""A planted defect: the structured `e-process` as it once was, certified in float32.

The bets are sound. The defect is in `_least`, which claims a lower bound on the log wealth over a half space: where the
information is singular to float32 the trace of its inverse comes out too small or negative, and "certified" is then
said at any theta. Self-contained, so that it stays as it is when the rule changes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.protocol import LinearStatistics, Problem, StoppingRule, Thresholds, Verdict

EPOCHS, GROWTH, CAUTION, HEDGE = 24, 1.4, 3.0, 0.05
_RIDGE, _CURVATURE = 1e-6, 0.36
_NOT_YET = np.iinfo(np.int32).max


class _State(NamedTuple):
    """Peaks [K], nulls [K, d], epochs begun, and what was known at the start of each epoch [E, ...]."""

    peak: jax.Array
    null: jax.Array
    epoch: jax.Array
    estimates: jax.Array
    covariances: jax.Array
    leaders: jax.Array
    counts: jax.Array
    wins: jax.Array


class _Known(NamedTuple):
    """Design and statistics in float32."""

    features: jax.Array
    differences: jax.Array
    estimate: jax.Array
    covariance: jax.Array


def _known(problem: Problem, statistics: LinearStatistics) -> _Known:
    assert problem.design is not None
    design = problem.design
    arrays = (design.features, design.differences, statistics.estimate, statistics.covariance)
    return _Known(*(x.astype(jnp.float32) for x in arrays))


def _inverse(matrix: jax.Array) -> jax.Array:
    """By Gauss and Jordan, without pivots."""
    d = matrix.shape[0]
    for k in range(d):
        at = jnp.arange(d) == k
        row = jnp.where(at, 1, matrix[k]) / matrix[k, k]
        others = jnp.where(at[:, None] | at[None, :], 0, matrix) - jnp.where(at, 0, matrix[:, k])[:, None] * row[None]
        matrix = jnp.where(at[:, None], row[None], others)
    return matrix


def _around(bets: tuple[jax.Array, ...], differences: jax.Array, theta: jax.Array) -> tuple[jax.Array, ...]:
    """Log wealth at theta, its rounding error, gradient [d] and inverse Hessian [d, d]."""
    wins, losses, on_win, on_loss = bets
    logits = differences @ theta
    won, lost = on_win * jnp.exp(-logits)[None], on_loss * jnp.exp(logits)[None]
    win_factor, loss_factor = won + (1 - on_loss), lost + (1 - on_win)
    gain, cost = wins * jnp.log(win_factor), losses * jnp.log(loss_factor)
    won, lost = won / win_factor, lost / loss_factor
    slope = (losses * lost - wins * won).sum(axis=0)
    curvature = (wins * won * (1 - won) + losses * lost * (1 - lost)).sum(axis=0)
    hessian = (differences * curvature[:, None]).T @ differences + _RIDGE * jnp.eye(len(theta), dtype=jnp.float32)
    rounding = jnp.finfo(jnp.float32).eps * (jnp.abs(gain) + jnp.abs(cost)).sum()
    return (gain + cost).sum(), rounding, slope @ differences, _inverse(hessian)


def _newton(
    gradient: jax.Array, inverse: jax.Array, constraint: jax.Array, theta: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The step [d] to the least of the quadratic model over the half space, and the decrease there."""
    free, normal = -inverse @ gradient, inverse @ constraint
    multiplier = jnp.maximum(constraint @ (theta + free), 0) / (constraint @ normal)
    step = free - normal * multiplier
    return step, (multiplier * (constraint @ step) - gradient @ step) / 2


def _least(
    bets: tuple[jax.Array, ...], differences: jax.Array, constraint: jax.Array, theta: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """What is claimed to be a lower bound on the log wealth where `constraint . theta <= 0`, and the last theta [d]."""
    theta = theta - constraint * (jnp.maximum(constraint @ theta, 0) / (constraint @ constraint))
    _, _, gradient, inverse = _around(bets, differences, theta)
    step, _ = _newton(gradient, inverse, constraint, theta)
    theta = theta + step / jnp.maximum(jnp.max(jnp.abs(differences @ step)), 1)
    value, rounding, gradient, inverse = _around(bets, differences, theta)
    decrease = jnp.maximum(_newton(gradient, inverse, constraint, theta)[1], 0)
    reach = jnp.max(jnp.sum(differences**2, axis=1)) * jnp.trace(inverse)
    certified = decrease * reach <= _CURVATURE**2 / 2
    return jnp.where(certified, value - decrease / (2 * _CURVATURE) - rounding, -jnp.inf), theta


def _bets(state: _State, statistics: LinearStatistics, known: _Known, rival: jax.Array) -> tuple[jax.Array, ...]:
    """Wins, losses and the shares on either, all [E, P]."""
    contrasts = known.features[state.leaders] - known.features[rival][None]
    gaps = jnp.sum(contrasts * state.estimates, axis=1)
    direction = jnp.einsum("eij,ej->ei", state.covariances, contrasts)
    spread = jnp.sum(contrasts * direction, axis=1)
    bold = (gaps > 0) & (spread > 0)
    shift = direction * jnp.where(bold, gaps / jnp.where(bold, spread, 1), 0)[:, None]
    strength = jnp.where(bold, gaps**2 / jnp.where(bold, spread, 1), 0)
    null = state.estimates - shift
    p = jax.nn.sigmoid(null @ known.differences.T)
    q = jax.nn.sigmoid((null + shift * (strength / (strength + CAUTION))[:, None]) @ known.differences.T)
    kelly = jnp.maximum((q - p) / (1 - p), (p - q) / p)
    hedge = HEDGE * (1 - kelly)
    shares = (jnp.where(q > p, kelly, 0) + hedge * p, jnp.where(q < p, kelly, 0) + hedge * (1 - p))

    def by_epoch(start: jax.Array, now: jax.Array) -> jax.Array:
        edges = jnp.minimum(jnp.concatenate([start, now[None]]), now[None])
        return (edges[1:] - edges[:-1]).astype(jnp.float32)

    wins, counts = by_epoch(state.wins, statistics.wins), by_epoch(state.counts, statistics.counts)
    return wins, counts - wins, *(jnp.where(bold[:, None], share, 0) for share in shares)


def _init(problem: Problem) -> _State:
    k, d, number = problem.num_policies, problem.dimension or 0, problem.num_policies * (problem.num_policies - 1) // 2
    record = jnp.full((EPOCHS, number), _NOT_YET, jnp.int32)
    return _State(
        peak=jnp.zeros(k, jnp.float32),
        null=jnp.zeros((k, d), jnp.float32),
        epoch=jnp.zeros((), jnp.int32),
        estimates=jnp.zeros((EPOCHS, d), jnp.float32),
        covariances=jnp.zeros((EPOCHS, d, d), jnp.float32),
        leaders=jnp.zeros(EPOCHS, jnp.int32),
        counts=record,
        wins=record,
    )


def _refresh(problem: Problem, state: _State, statistics: LinearStatistics) -> _State:
    """Weigh the least refuted rival, then start a new epoch where one is due."""
    known, policies = _known(problem, statistics), jnp.arange(problem.num_policies, dtype=jnp.int32)
    leads = policies == statistics.leader
    contrasts = known.features[statistics.leader][None] - known.features
    spread = jnp.sum((contrasts @ known.covariance) * contrasts, axis=1)
    looks = (contrasts @ known.estimate) ** 2 / (2 * jnp.where(leads, 1, spread))
    rival = jnp.argmin(jnp.where(leads, jnp.inf, jnp.where(state.peak > 0, state.peak, -looks))).astype(jnp.int32)
    bets = _bets(state, statistics, known, rival)
    value, null = _least(bets, known.differences, contrasts[rival], state.null[rival])
    null = jnp.where(jnp.all(jnp.isfinite(null)), null, known.estimate)
    this = policies == rival
    state = state._replace(
        peak=jnp.where(this, jnp.maximum(state.peak, value), state.peak),
        null=jnp.where(this[:, None], null[None], state.null),
    )
    starts = np.minimum(np.ceil(8 * (problem.dimension or 0) * GROWTH ** np.arange(EPOCHS)), 2.0**30).astype(np.int32)
    slot = jnp.minimum(state.epoch, EPOCHS - 1)
    due = (statistics.t >= jnp.asarray(starts)[slot]) & (state.epoch < EPOCHS)
    now = (known.estimate, known.covariance, statistics.leader, statistics.counts, statistics.wins)
    put = tuple(old.at[slot].set(jnp.where(due, new, old[slot])) for old, new in zip(state[3:], now, strict=True))
    return _State(*state[:2], state.epoch + due.astype(jnp.int32), *put)


def _verdict(problem: Problem, state: _State, statistics: LinearStatistics) -> Verdict:
    leads = jnp.arange(problem.num_policies, dtype=jnp.int32) == statistics.leader
    score = jnp.min(jnp.where(leads, jnp.inf, state.peak))
    return Verdict(statistics.leader, score, jnp.full_like(score, -jnp.inf))


FLOAT32_CERTIFICATE = StoppingRule(
    init=_init,
    update=lambda problem, state, comparison: state,
    evidence=lambda problem, state, statistics: state.peak,
    verdict=_verdict,
    thresholds=lambda problem, delta: Thresholds(-math.log(delta), math.inf),
    proven=False,
    refresh=_refresh,
)
"""Erred on `instances.KILLERS` at every level from 0.1 to 1e-6."""
