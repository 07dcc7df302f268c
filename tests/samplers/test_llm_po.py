"""LLM-PO's preference for the leader, at rivals tested more often than the runs of test_reference.py test them."""

from __future__ import annotations

import jax.numpy as jnp
import pytest

from llmpo_jax.protocol import Problem
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.theory.statistics import nothing_yet

LEADER, RIVAL, TOUGHEST = range(3)
N = 50_000
"""Comparisons of each pair: so many that the optimism is worth 0.004 of a chance, and nothing is forced."""


@pytest.mark.parametrize(
    ("tested", "leader_tested", "pooling", "first", "second"),
    [
        (1600, 10_000, 0.0, RIVAL, LEADER),  # preferred by 0.05
        (6400, 10_000, 0.0, RIVAL, TOUGHEST),  # by 2 / sqrt(6400) = 0.025
        (1600, 10_000, -1.0, RIVAL, TOUGHEST),  # strengths do not decide: by nothing
        (1600, 0, 0.0, LEADER, TOUGHEST),  # the leader's own test does not prefer the rival, whom it beats by more
    ],
)
def test_the_leader_is_preferred_by_a_margin_that_shrinks(
    tested: int, leader_tested: int, pooling: float, first: int, second: int
) -> None:
    """The rival wins 0.48 of the comparisons with the leader, and 0.44 of those with its toughest opponent."""
    problem = Problem(3)
    rates = {(RIVAL, LEADER): 0.48, (RIVAL, TOUGHEST): 0.44, (TOUGHEST, LEADER): 0.49}
    statistics = nothing_yet(problem)
    record = statistics.record
    for (i, j), rate in rates.items():
        won = round(rate * N)
        record = record.at[[i, j], [j, i]].set(jnp.asarray([[won, N - won], [N - won, won]], jnp.int32))
    totals = jnp.sum(record, axis=1, dtype=jnp.int32).T
    statistics = statistics._replace(
        t=jnp.asarray(3 * N, jnp.int32),
        record=record,
        totals=totals,
        sums=jnp.zeros((2, 3), jnp.float32).at[0].set(jnp.asarray([0, 90, 10], jnp.float32)),
        pooling=jnp.asarray(pooling, jnp.float32),
    )
    state = jnp.asarray([leader_tested, tested - 1, 10_000], jnp.float32)
    evidence = jnp.asarray([0, 1, 2], jnp.float32)
    found = SAMPLERS.get("llm-po").select(problem, None, statistics, evidence, state)
    assert (int(found[0]), int(found[1])) == (first, second)
