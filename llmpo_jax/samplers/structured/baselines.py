"""The baselines of the paper in the structured space. RoundRobin and RandomPair are those of the unstructured one.

All use the estimate and posterior of the last refresh.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import LinearStatistics, Problem, Sampler, State
from llmpo_jax.samplers.baselines import RUCB_ALPHA, epsilon_greedy_draw
from llmpo_jax.theory import linear

Choice = tuple[jax.Array, jax.Array, State]


def _no_state(problem: Problem) -> State:
    return ()


def _epsilon_greedy(
    problem: Problem, drawn: Any, statistics: LinearStatistics, evidence: jax.Array, state: State
) -> Choice:
    explore, pair = drawn
    first, second = linear.pairs(problem.num_policies)
    best = statistics.leader
    runner_up = vectors.argmin_except(-statistics.scores, best)
    return (
        jnp.where(explore, jnp.asarray(first)[pair], best),
        jnp.where(explore, jnp.asarray(second)[pair], runner_up),
        state,
    )


def _root(problem: Problem, statistics: LinearStatistics, state: State) -> State:
    """A lower triangular root of the posterior covariance [d, d], for draws."""
    return jnp.linalg.cholesky(statistics.covariance)


def _prior_root(problem: Problem) -> State:
    return jnp.eye(problem.dimension, dtype=problem.dtype) / jnp.sqrt(jnp.asarray(linear.PRECISION, problem.dtype))


def _thompson_draw(problem: Problem, key: jax.Array) -> jax.Array:
    return jax.random.normal(key, (2, problem.dimension or 0), jnp.float32).astype(problem.dtype)


def _thompson(
    problem: Problem, noise: jax.Array, statistics: LinearStatistics, evidence: jax.Array, state: State
) -> Choice:
    drawn = statistics.scores[None] + noise @ state.T @ linear.of(problem).features.T
    first = vectors.argmin(-drawn[0])
    return first, vectors.argmin_except(-drawn[1], first), state


def _rucb_draw(problem: Problem, key: jax.Array) -> jax.Array:
    return jax.random.uniform(key, (problem.num_policies,), jnp.float32).astype(problem.dtype)


def _rucb(problem: Problem, lots: jax.Array, statistics: LinearStatistics, evidence: jax.Array, state: State) -> Choice:
    k, dtype = problem.num_policies, problem.dtype
    features = linear.of(problem).features
    inner = features @ statistics.covariance @ features.T
    own = jnp.diagonal(inner)
    deviation = jnp.sqrt(jnp.maximum(own[:, None] + own[None] - 2 * inner, 0))
    width = jnp.sqrt(2 * RUCB_ALPHA * jnp.log(statistics.t.astype(dtype) + 1))
    upper = statistics.scores[:, None] - statistics.scores[None] + width * deviation
    upper = jnp.where(jnp.eye(k, dtype=bool), 0, upper)
    champion = jnp.all(upper >= 0, axis=1)
    first = vectors.argmin(jnp.where(champion, lots, 2.0))
    return first, vectors.argmin_except(-upper[:, first], first), state


EPSILON_GREEDY = Sampler(_no_state, _epsilon_greedy, draw=epsilon_greedy_draw)
"""A uniform pair with probability `EPSILON`, otherwise the two best estimated scores."""

THOMPSON = Sampler(_prior_root, _thompson, _root, draw=_thompson_draw)
"""Double Thompson sampling (Wu and Liu 2016) with the posterior by Laplace's approximation: the best policy under one
draw of the parameter against the best other one under a second draw. For regret; here the stopping rule recommends."""

RUCB = Sampler(_no_state, _rucb, draw=_rucb_draw)
"""Relative UCB (Zoghi et al. 2014) with linear confidence bounds, as in MaxInP (Saha 2021): a random policy among those
that may still beat every other against the one most likely to beat it. Bound: score difference plus
sqrt(2 `RUCB_ALPHA` log t) posterior standard deviations. For regret; here the stopping rule recommends."""
