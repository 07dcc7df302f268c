"""Hostile samplers: legal, since none looks at an outcome still to come, and made to bring out what a rule overlooks.

Each works in both policy spaces. What a sampler has to choose beforehand it draws anew for each replication, so that
one compiled program covers the whole range.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax import vectors
from llmpo_jax.protocol import LinearStatistics, Problem, Sampler, State, Statistics

SHORTEST, LONGEST = 8, 2000
"""Comparisons of the first pair alone, for `opening`."""
BLOCK = 128
"""Comparisons of a pair before the next one's turn, for `sorted`."""
EXPLORED = 0.25
"""Share of uniform pairs of the prosecutors, who otherwise never name anybody."""

Choice = tuple[jax.Array, jax.Array, State]
Known = Statistics | LinearStatistics


def _pairs(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The two policies of each pair, int32 [P] each, in the order (0, 1), (0, 2), ..."""
    first, second = np.triu_indices(problem.num_policies, 1)
    return first.astype(np.int32), second.astype(np.int32)


def _number(problem: Problem) -> int:
    return problem.num_policies * (problem.num_policies - 1) // 2


def _compare(problem: Problem, pair: jax.Array, state: State) -> Choice:
    first, second = (jnp.asarray(of) for of in _pairs(problem))
    return first[pair], second[pair], state


def _uniform(problem: Problem, key: jax.Array, least: int = 0) -> jax.Array:
    return jax.random.randint(key, (), least, _number(problem), jnp.int32)


def _lead(problem: Problem, statistics: Known, policy: jax.Array) -> jax.Array:
    """int32 [K], wins less losses of `policy` against each opponent."""
    if isinstance(statistics, Statistics):
        record = statistics.record[policy]
        return record[:, 0] - record[:, 1]
    k = problem.num_policies
    table = np.zeros((k, k), np.int32)
    table[_pairs(problem)] = np.arange(_number(problem))
    pair = jnp.asarray(table + table.T)[policy]
    lead = 2 * statistics.wins[pair] - statistics.counts[pair]
    others = jnp.arange(k, dtype=jnp.int32)
    return jnp.where(others == policy, 0, jnp.where(policy < others, lead, -lead))


def _nothing(problem: Problem) -> State:
    return ()


def _opening(problem: Problem, key: jax.Array, statistics: Known, evidence: jax.Array, length: State) -> Choice:
    length_key, pair_key = jax.random.split(key)
    share = jax.random.uniform(length_key, (), jnp.float32)
    drawn = (SHORTEST * jnp.exp(share * math.log(LONGEST / SHORTEST))).astype(jnp.int32)
    length = jnp.where(statistics.t == 0, drawn, length)
    return _compare(problem, jnp.where(statistics.t < length, 0, _uniform(problem, pair_key)), length)


def _shunning(problem: Problem, key: jax.Array, statistics: Known, evidence: jax.Array, state: State) -> Choice:
    return _compare(problem, _uniform(problem, key, least=problem.num_policies - 1), state)


def _prosecute(problem: Problem, key: jax.Array, statistics: Known, accused: jax.Array) -> Choice:
    """The accused against the opponent who leads it most, ties at random; a uniform pair now and then."""
    choose, tie, pair = jax.random.split(key, 3)
    noise = jax.random.uniform(tie, (problem.num_policies,), jnp.float32)
    opponent = vectors.argmin_except(_lead(problem, statistics, accused).astype(jnp.float32) + noise, accused)
    first, second, _ = _compare(problem, _uniform(problem, pair), ())
    explore = jax.random.uniform(choose, (), jnp.float32) < EXPLORED
    return jnp.where(explore, first, accused), jnp.where(explore, second, opponent), ()


def _against_leader(problem: Problem, key: jax.Array, statistics: Known, evidence: jax.Array, state: State) -> Choice:
    return _prosecute(problem, key, statistics, statistics.leader)


def _against_one(problem: Problem, key: jax.Array, statistics: Known, evidence: jax.Array, state: State) -> Choice:
    return _prosecute(problem, key, statistics, jnp.zeros((), jnp.int32))


def _stop_and_go(problem: Problem, key: jax.Array, statistics: Known, evidence: jax.Array, state: State) -> Choice:
    pair, before = state
    first, second = (jnp.asarray(of) for of in _pairs(problem))
    won = _lead(problem, statistics, first[pair])[second[pair]] > before
    pair = jnp.where(won, pair, _uniform(problem, key))
    return _compare(problem, pair, (pair, _lead(problem, statistics, first[pair])[second[pair]]))


def _sorted(problem: Problem, key: jax.Array, statistics: Known, evidence: jax.Array, state: State) -> Choice:
    return _compare(problem, (statistics.t // BLOCK) % _number(problem), state)


HOSTILE = {
    "opening": Sampler(lambda problem: jnp.zeros((), jnp.int32), _opening),
    "shunning": Sampler(_nothing, _shunning),
    "against-leader": Sampler(_nothing, _against_leader),
    "against-one": Sampler(_nothing, _against_one),
    "stop-and-go": Sampler(lambda problem: (jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)), _stop_and_go),
    "sorted": Sampler(_nothing, _sorted),
}
"""opening: the first pair alone for 8 to 2,000 comparisons (log-uniform), then uniform pairs.
shunning: uniform pairs without the first policy. K >= 3.
against-leader, against-one: whoever leads, or the first policy, against the opponent with the best record against it.
stop-and-go: stays with a pair while its first policy wins.
sorted: pair after pair, `BLOCK` comparisons each, as in a sorted log."""
