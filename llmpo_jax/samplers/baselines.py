"""The baselines of the paper: RoundRobin, RandomPair, EpsGreedy, Thompson sampling, RUCB.

Each follows its published definition. None recommends anything itself: the stopping rule does, as for LLM-PO.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax import vectors
from llmpo_jax.protocol import Problem, Sampler, State, Statistics
from llmpo_jax.samplers.posterior import beta_draws
from llmpo_jax.samplers.tracking import counts

EPSILON = 0.1
RUCB_ALPHA = 0.51

Choice = tuple[jax.Array, jax.Array, State]


def _no_state(problem: Problem) -> State:
    return ()


def _pair(problem: Problem, index: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The pair with number `index` in the order (0, 1), (0, 2), ..., (K - 2, K - 1)."""
    first, second = np.triu_indices(problem.num_policies, 1)
    return jnp.asarray(first, jnp.int32)[index], jnp.asarray(second, jnp.int32)[index]


def _num_pairs(problem: Problem) -> int:
    return problem.num_policies * (problem.num_policies - 1) // 2


def _round_robin(problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: State) -> Choice:
    return *_pair(problem, statistics.t % _num_pairs(problem)), state


def _random_pair(problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: State) -> Choice:
    return *_pair(problem, jax.random.randint(key, (), 0, _num_pairs(problem), jnp.int32)), state


def _epsilon_greedy(
    problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: State
) -> Choice:
    explore_key, pair_key = jax.random.split(key)
    wins, losses = statistics.wins.astype(problem.dtype), statistics.losses.astype(problem.dtype)
    rate = (wins + 1) / (wins + losses + 2)
    best = vectors.argmin(-rate)
    runner_up = vectors.argmin_except(-rate, best)
    first, second = _pair(problem, jax.random.randint(pair_key, (), 0, _num_pairs(problem), jnp.int32))
    explore = jax.random.uniform(explore_key, (), jnp.float32) < EPSILON
    return jnp.where(explore, first, best), jnp.where(explore, second, runner_up), state


def _thompson(problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: State) -> Choice:
    leader = statistics.leader
    row = statistics.record[leader].astype(problem.dtype)
    draw = beta_draws(key, row[:, 0] + 1, row[:, 1] + 1)
    return leader, vectors.argmin_except(draw, leader), state


def _rucb_init(problem: Problem) -> State:
    return jnp.asarray(-1, jnp.int32)


def _rucb(problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: State) -> Choice:
    k, dtype = problem.num_policies, problem.dtype
    n = counts(statistics).astype(dtype)
    safe = jnp.maximum(n, 1)
    bonus = jnp.sqrt(RUCB_ALPHA * jnp.log(jnp.maximum(statistics.t.astype(dtype), 1)) / safe)
    upper = jnp.where(n > 0, statistics.record[..., 0].astype(dtype) / safe + bonus, 2.0)
    upper = jnp.where(jnp.eye(k, dtype=bool), 0.5, upper)
    candidates = jnp.all(upper >= 0.5, axis=1)
    size = jnp.sum(candidates)
    kept = (state >= 0) & candidates[jnp.maximum(state, 0)]
    champion = jnp.where(kept, state, -1)
    champion = jnp.where(size == 1, vectors.argmin(-candidates.astype(dtype)), champion)

    keep_key, draw_key = jax.random.split(key)
    is_champion = vectors.one_hot(champion, k)
    pool = jnp.where(size > 0, candidates & ~is_champion, True)
    drawn = vectors.argmin(jnp.where(pool, jax.random.uniform(draw_key, (k,), dtype), 2.0))
    keep = (size == 1) | (jax.random.uniform(keep_key, (), jnp.float32) < 0.5)
    first = jnp.where((champion >= 0) & keep, champion, drawn)
    return first, vectors.argmin_except(-upper[:, first], first), champion


ROUND_ROBIN = Sampler(_no_state, _round_robin)
"""All pairs in turn."""

RANDOM_PAIR = Sampler(_no_state, _random_pair)
"""A pair drawn uniformly each time."""

EPSILON_GREEDY = Sampler(_no_state, _epsilon_greedy)
"""With probability EPSILON a random pair, otherwise the two policies with the best records: the highest shares of
comparisons won, (wins + 1) / (comparisons + 2). (Sutton and Barto 2018, section 2.2, on pairs.)"""

THOMPSON = Sampler(_no_state, _thompson)
"""The least refuted policy against the one most likely to beat it: the smallest of K draws from the Beta(1 + wins,
1 + losses) posteriors of its chances. This is the second step of Double Thompson Sampling (Wu and Liu 2016, arXiv
1604.07101); its first step, a Copeland winner of K^2 draws, serves regret and gives way to the policy that
identification would name now."""

RUCB = Sampler(_rucb_init, _rucb)
"""Relative Upper Confidence Bound (Zoghi et al. 2014, arXiv 1312.3393, algorithm 1) with alpha = 0.51 as there.
For identification a policy is never compared with itself (for regret that is the aim); ties go to the lowest number,
in the order that the engine shuffles for each replication."""
