"""The baselines of the paper: RoundRobin, RandomPair, EpsGreedy, Thompson sampling, RUCB.

Each follows its published definition. None recommends anything itself: the stopping rule does, as for LLM-PO.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax import vectors
from llmpo_jax.protocol import Problem, Sampler, State, Statistics
from llmpo_jax.samplers import posterior
from llmpo_jax.samplers.tracking import counts

EPSILON = 0.1
RUCB_ALPHA = 0.51

Choice = tuple[jax.Array, jax.Array, State]


def _no_state(problem: Problem) -> State:
    return ()


def pair_of(problem: Problem, index: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The pair with number `index` in the order (0, 1), (0, 2), ..., (K - 2, K - 1)."""
    first, second = np.triu_indices(problem.num_policies, 1)
    return jnp.asarray(first, jnp.int32)[index], jnp.asarray(second, jnp.int32)[index]


def num_pairs(problem: Problem) -> int:
    return problem.num_policies * (problem.num_policies - 1) // 2


def _round_robin(problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: State) -> Choice:
    return *pair_of(problem, statistics.t % num_pairs(problem)), state


def _random_pair_draw(problem: Problem, key: jax.Array) -> jax.Array:
    return jax.random.randint(key, (), 0, num_pairs(problem), jnp.int32)


def _random_pair(
    problem: Problem, pair: jax.Array, statistics: Statistics, evidence: jax.Array, state: State
) -> Choice:
    return *pair_of(problem, pair), state


def epsilon_greedy_draw(problem: Problem, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Whether to explore, and the number of the pair to explore."""
    explore_key, pair_key = jax.random.split(key)
    return jax.random.uniform(explore_key, (), jnp.float32) < EPSILON, _random_pair_draw(problem, pair_key)


def _epsilon_greedy(problem: Problem, drawn: Any, statistics: Statistics, evidence: jax.Array, state: State) -> Choice:
    explore, pair = drawn
    wins, losses = statistics.wins.astype(problem.dtype), statistics.losses.astype(problem.dtype)
    rate = (wins + 1) / (wins + losses + 2)
    best = vectors.argmin(-rate)
    runner_up = vectors.argmin_except(-rate, best)
    first, second = pair_of(problem, pair)
    return jnp.where(explore, first, best), jnp.where(explore, second, runner_up), state


def _thompson_draw(problem: Problem, key: jax.Array) -> posterior.Proposals:
    return posterior.proposals(key, 2 * problem.num_policies, problem.dtype)


def _thompson(
    problem: Problem, given: posterior.Proposals, statistics: Statistics, evidence: jax.Array, state: State
) -> Choice:
    leader = statistics.leader
    row = statistics.record[leader].astype(problem.dtype)
    chances = posterior.beta_draws(given, row[:, 0] + 1, row[:, 1] + 1)
    return leader, vectors.argmin_except(chances, leader), state


def _rucb_init(problem: Problem) -> State:
    return jnp.asarray(-1, jnp.int32)


def _rucb_draw(problem: Problem, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Whether the champion keeps its place, and a lot [K] for each policy."""
    keep_key, lots_key = jax.random.split(key)
    lots = jax.random.uniform(lots_key, (problem.num_policies,), problem.dtype)
    return jax.random.uniform(keep_key, (), jnp.float32) < 0.5, lots


def upper_bounds(problem: Problem, statistics: Statistics) -> jax.Array:
    """[K, K], optimistic values of `mu[i, j]`: `rate + sqrt(RUCB_ALPHA log t / n)`, 2 for pairs never compared and 1/2
    on the diagonal. One less `upper_bounds[j, i]` is the pessimistic value."""
    dtype = problem.dtype
    n = counts(statistics).astype(dtype)
    safe = jnp.maximum(n, 1)
    bonus = jnp.sqrt(RUCB_ALPHA * jnp.log(jnp.maximum(statistics.t.astype(dtype), 1)) / safe)
    upper = jnp.where(n > 0, statistics.record[..., 0].astype(dtype) / safe + bonus, 2.0)
    return jnp.where(jnp.eye(problem.num_policies, dtype=bool), 0.5, upper)


def _rucb(problem: Problem, drawn: Any, statistics: Statistics, evidence: jax.Array, state: State) -> Choice:
    k, dtype = problem.num_policies, problem.dtype
    upper = upper_bounds(problem, statistics)
    candidates = jnp.all(upper >= 0.5, axis=1)
    size = jnp.sum(candidates)
    kept = (state >= 0) & candidates[jnp.maximum(state, 0)]
    champion = jnp.where(kept, state, -1)
    champion = jnp.where(size == 1, vectors.argmin(-candidates.astype(dtype)), champion)

    keeps, lots = drawn
    is_champion = vectors.one_hot(champion, k)
    pool = jnp.where(size > 0, candidates & ~is_champion, True)
    challenger = vectors.argmin(jnp.where(pool, lots, 2.0))
    first = jnp.where((champion >= 0) & ((size == 1) | keeps), champion, challenger)
    return first, vectors.argmin_except(-upper[:, first], first), champion


ROUND_ROBIN = Sampler(_no_state, _round_robin)
"""All pairs in turn."""

RANDOM_PAIR = Sampler(_no_state, _random_pair, draw=_random_pair_draw)
"""A pair drawn uniformly each time."""

EPSILON_GREEDY = Sampler(_no_state, _epsilon_greedy, draw=epsilon_greedy_draw)
"""With probability EPSILON a random pair, otherwise the two policies with the best records: the highest shares of
comparisons won, (wins + 1) / (comparisons + 2). (Sutton and Barto 2018, section 2.2, on pairs.)"""

THOMPSON = Sampler(_no_state, _thompson, draw=_thompson_draw)
"""The least refuted policy against the one most likely to beat it: the smallest of K draws from the Beta(1 + wins,
1 + losses) posteriors of its chances. This is the second step of Double Thompson Sampling (Wu and Liu 2016, arXiv
1604.07101); its first step, a Copeland winner of K^2 draws, serves regret and gives way to the policy that
identification would name now."""

RUCB = Sampler(_rucb_init, _rucb, draw=_rucb_draw)
"""Relative Upper Confidence Bound (Zoghi et al. 2014, arXiv 1312.3393, algorithm 1) with alpha = 0.51 as there.
For identification a policy is never compared with itself (for regret that is the aim); ties go to the lowest number,
in the order that the engine shuffles for each replication."""
