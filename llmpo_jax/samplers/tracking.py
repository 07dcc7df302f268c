"""LLM-PO with the tracking rules of Garivier and Kaufmann (2016, arXiv 1602.04589, section 3).

Both follow the optimal proportions of the current estimate, with forced exploration. O(K^2) work per comparison.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from llmpo_jax.protocol import Problem, Sampler, State, Statistics
from llmpo_jax.samplers.llm_po import decided_share
from llmpo_jax.theory.unstructured import closed_form


def counts(statistics: Statistics) -> jax.Array:
    """int32 [K, K], decided comparisons of each pair (symmetric)."""
    return statistics.record[..., 0] + statistics.record[..., 1]


def _made(statistics: Statistics) -> jax.Array:
    """int32 [K, K], the same with ties."""
    return counts(statistics) if statistics.ties is None else counts(statistics) + statistics.ties


def plug_in_proportions(problem: Problem, statistics: Statistics) -> jax.Array:
    """[K, K] upper triangle, the optimal proportions (theory, sections 2 and 10) of the Beta(1/2, 1/2) posterior means.

    The leader is the least refuted policy even where it is no Condorcet winner of the estimate; rivals that no
    opponent beats in the estimate get all the effort, against the leader.
    """
    wins = statistics.record[..., 0].astype(problem.dtype)
    mean, ties = (wins + 0.5) / (counts(statistics).astype(problem.dtype) + 1), statistics.ties
    if ties is not None:
        decided = counts(statistics), ties, jnp.sum(statistics.wins), statistics.t
        ties = 1 - decided_share(*decided, problem.dtype)
    costs = None if problem.costs is None else problem.costs.astype(problem.dtype)
    _, proportions = closed_form(mean, statistics.leader, problem.existence, ties, costs)
    return proportions


def _best_pair(problem: Problem, value: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The pair above the diagonal with the largest `value` [K, K]."""
    k = problem.num_policies
    upper = jnp.triu(jnp.ones((k, k), bool), 1)
    index = jnp.argmax(jnp.where(upper, value, -jnp.inf)).astype(jnp.int32)
    return index // k, index % k


def _no_state(problem: Problem) -> State:
    return ()


def _d_tracking(
    problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    n = _made(statistics).astype(problem.dtype)
    t = statistics.t.astype(problem.dtype)
    pairs = problem.num_policies * (problem.num_policies - 1) / 2
    behind = t * plug_in_proportions(problem, statistics) - n
    smallest = jnp.min(jnp.where(jnp.eye(problem.num_policies, dtype=bool), jnp.inf, n))
    starved = smallest < jnp.sqrt(t) - pairs / 2
    first, second = _best_pair(problem, jnp.where(starved, -n, behind))
    return first, second, state


def _c_init(problem: Problem) -> State:
    k = problem.num_policies
    return jnp.zeros((k, k), problem.dtype)


def _c_tracking(
    problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    k = problem.num_policies
    pairs = k * (k - 1) / 2
    floor = 0.5 / jnp.sqrt(pairs**2 + statistics.t.astype(problem.dtype))
    upper = jnp.triu(jnp.ones((k, k), problem.dtype), 1)
    owed = state + (1 - pairs * floor) * plug_in_proportions(problem, statistics) + floor * upper
    first, second = _best_pair(problem, owed - _made(statistics).astype(problem.dtype))
    return first, second, owed


D_TRACKING = Sampler(_no_state, _d_tracking)
"""Pull the pair furthest behind t w*(estimate); a pair with fewer than sqrt(t) - P / 2 comparisons comes first."""

C_TRACKING = Sampler(_c_init, _c_tracking)
"""Pull the pair furthest behind the sum of all past w*(estimate), each mixed with the uniform proportions so that no
pair gets less than eps_t = (P^2 + t)^(-1/2) / 2 (the mixture in place of the paper's max-norm projection)."""
