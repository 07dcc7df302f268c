"""Beat-the-Mean (Yue and Joachims 2011, ICML, algorithm 1)."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import EVIDENCE_TIE, Problem, Sampler, Statistics

LEVEL = 0.1
"""Of the confidence radius of a mean."""


class Working(NamedTuple):
    """The working set, and the comparisons that count for its means.

    Attributes:
        active: bool [K], W.
        own: int32 [K, K, 2], wins and losses of b against each opponent, of the comparisons that were b's turn.
        last: int32 [2], b and its opponent in the last comparison.
        before: int32 [2], wins and losses of b against it before that comparison.
    """

    active: jax.Array
    own: jax.Array
    last: jax.Array
    before: jax.Array


def _init(problem: Problem) -> Working:
    k = problem.num_policies
    return Working(
        active=jnp.ones(k, bool),
        own=jnp.zeros((k, k, 2), jnp.int32),
        last=jnp.asarray([0, 1], jnp.int32),
        before=jnp.zeros(2, jnp.int32),
    )


def _draw(problem: Problem, key: jax.Array) -> jax.Array:
    """Lots [2, K]: for ties between those whose turn it is, and for the opponent."""
    return jax.random.uniform(key, (2, problem.num_policies), problem.dtype)


def _means(active: jax.Array, own: jax.Array, dtype: jnp.dtype) -> tuple[jax.Array, jax.Array]:
    """[K] each: comparisons of each active policy against active ones that count, and the share it won of them."""
    sums = jnp.sum(jnp.where((active[:, None] & active[None])[..., None], own, 0), axis=1).astype(dtype)
    n = sums[:, 0] + sums[:, 1]
    return n, jnp.where(n > 0, sums[:, 0] / jnp.maximum(n, 1), 0.5)


def _select(
    problem: Problem, lots: jax.Array, statistics: Statistics, evidence: jax.Array, state: Working
) -> tuple[jax.Array, jax.Array, Working]:
    k, dtype = problem.num_policies, problem.dtype
    b, other = state.last[0], state.last[1]
    gained = jnp.maximum(vectors.take(statistics.record, b, other) - state.before, 0)
    own = state.own.at[b, other].add(gained)

    n, mean = _means(state.active, own, dtype)
    fewest = vectors.minimum(jnp.where(state.active, n, jnp.inf))
    radius = jnp.where(fewest > 0, jnp.sqrt(math.log(1 / LEVEL) / 2 / jnp.maximum(fewest, 1)), 1)
    worst = vectors.argmin(jnp.where(state.active, mean, jnp.inf))
    gap = vectors.minimum(jnp.where(state.active, -mean, jnp.inf))
    beaten = vectors.take(mean, worst) + radius <= -gap - radius
    active = state.active & ~(beaten & vectors.one_hot(worst, k))

    n, _ = _means(active, own, dtype)
    fewest = vectors.minimum(jnp.where(active, n, jnp.inf))
    first = vectors.argmin(jnp.where(active & (n == fewest), lots[0], jnp.inf))
    second = vectors.argmin_except(jnp.where(active, lots[1], jnp.inf), first)
    alone = jnp.sum(active, dtype=jnp.int32) == 1
    first = jnp.where(alone, statistics.leader, first)
    second = jnp.where(alone, vectors.argmin_except(evidence, first, EVIDENCE_TIE), second)
    return (
        first,
        second,
        Working(active, own, jnp.stack([first, second]), vectors.take(statistics.record, first, second)),
    )


BEAT_THE_MEAN = Sampler(_init, _select, draw=_draw)
"""Beat-the-Mean (Yue and Joachims 2011, algorithm 1): who had the fewest turns meets a random policy of the working
set; the worst mean leaves the set once it is two confidence radii below the best one, and all comparisons with it are
forgotten.

The paper's radius `3 sqrt(log(2 K T) / n)` is made for a horizon T and for proofs of regret. Within what other samplers
need in all it eliminates nobody, and a horizon or a delta is not known here, where errors are the stopping rule's
concern. So the radius is Hoeffding's, `sqrt(log(1 / LEVEL) / (2 n))`, at a fixed level of 0.1. For identification a
policy never meets itself, and once one is left, where the paper exploits it, the leader meets the least refuted other:
the set may have lost the best policy, whose mean need not be the best."""
