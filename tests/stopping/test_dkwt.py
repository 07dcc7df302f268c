"""The noisy tournament DKWT: against a literal one, against the published numbers, and what it refuses."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Generator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from llmpo_jax import models, simulate
from llmpo_jax.protocol import Problem, Sampler
from llmpo_jax.samplers.dkwt import DKWT
from llmpo_jax.stopping import dkwt
from tests import reference

PUBLISHED = json.loads((Path(__file__).parents[2] / "benchmarks" / "published.json").read_text())
K, DELTA, SEED = 5, 0.05, 3
LIMIT = 20_000
INSTANCE = models.BradleyTerry([0.0, 1.6, 1.2, 0.8, 0.4])
"""Neighbours need a second stage, other pairs do not."""


def length(num_policies: int, delta: float, stage: int) -> int:
    """The comparisons of a stage, with gamma = delta / K shared among the stages as 6 / (pi s)^2."""
    gamma, h = 6 * delta / num_policies / (math.pi * stage) ** 2, 2.0 ** -(stage + 1)
    return math.ceil(8 * math.log(4 / gamma) / h**2)


def nats(delta: float) -> jnp.ndarray:
    """log(1 / delta) as the engine tells it, rounded up."""
    return jnp.nextafter(jnp.asarray(-math.log(delta), jnp.float32), jnp.float32(jnp.inf))


def duel(one: int, other: int, num_policies: int, delta: float) -> Generator[tuple[int, int], bool, int]:
    """Yields the pair, is sent whether `one` won, returns the winner (algorithms 2 and 3 of the paper)."""
    for stage in itertools.count(1):
        n = length(num_policies, delta, stage)
        won = 0
        for _ in range(n):
            won += yield one, other
        share, h = won / n, 2.0 ** -(stage + 1)
        if share > 1 - share + h:
            return one
        if 1 - share > share + h:
            return other
    raise AssertionError


def tournament(num_policies: int, delta: float) -> Generator[tuple[int, int], bool, int]:
    """K duels: the first policy meets the others in turn, whoever wins goes on, and the last pair meets twice."""
    champion = 0
    for challenger in range(1, num_policies - 1):
        champion = yield from duel(champion, challenger, num_policies, delta)
    first = yield from duel(champion, num_policies - 1, num_policies, delta)
    other = champion if first != champion else num_policies - 1
    return (yield from duel(first, other, num_policies, delta))


def disturbed(problem: Problem, key: Any, statistics: Any, evidence: Any, state: Any) -> tuple[Any, Any, Any]:
    """Two comparisons of the contestants, in reverse order, then one of the last policy and the first."""
    first, second, state = DKWT.select(problem, key, statistics, evidence, state)
    other = statistics.t % 3 == 2
    return jnp.where(other, K - 1, second), jnp.where(other, 0, first), state


SAMPLERS = {"dkwt": "dkwt", "disturbed": Sampler(DKWT.init, disturbed)}


def literal(sampler: str, replication: int) -> tuple[int, int]:
    """Stopping time and recommendation (a policy of the model) of one replication; -1 where it was cut."""
    random = reference.randomness(SEED, replication, K, LIMIT)
    chances = np.floor(models.host_probabilities(INSTANCE) * 2.0**32)
    games = tournament(K, DELTA)
    contest = next(games)
    for t in range(LIMIT):
        low, high = sorted(contest)
        first, second = (low, high) if sampler == "dkwt" else (high, low) if t % 3 < 2 else (K - 1, 0)
        won = bool(random.bits[t] < chances[random.shuffled[first], random.shuffled[second]])
        if {first, second} == set(contest):
            try:
                contest = games.send(won == (first == contest[0]))
            except StopIteration as over:
                return t + 1, int(random.shuffled[over.value])
    return -1, -1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_literal_tournament_gives_the_same(sampler: str) -> None:
    """Duels, stages, replaced champions and the end; of other comparisons only the contestants' count."""
    options: dict[str, Any] = {"deltas": (DELTA,), "replications": 16, "max_comparisons": LIMIT, "seed": SEED}
    result = simulate(INSTANCE, SAMPLERS[sampler], "dkwt", **options)
    wanted = np.array([literal(sampler, replication) for replication in range(4)])
    np.testing.assert_array_equal(result.stopping_time[:4, 0], wanted[:, 0])
    np.testing.assert_array_equal(result.recommendation[:4, 0], wanted[:, 1])
    # The best policy would lose a stage only where shares differ by 0.44 from their mean, 12 standard deviations.
    assert set(wanted[:, 1]) <= {1, -1}
    assert len(set(wanted[:, 0]) - {-1}) > 1


def test_the_published_lattice() -> None:
    """Every number that the authors' code needed is a sum of K duels, each of which ends after some stage."""
    for group in PUBLISHED["tournaments"]["groups"]:
        k = group["policies"]
        problem = Problem(k, nats=nats(PUBLISHED["delta"]))
        stages = np.cumsum(dkwt.lengths(problem)[:5]).tolist()
        sums = {0}
        for _ in range(k):
            sums = {total + duel for total in sums for duel in stages}
        assert set(group["dkwt"]) <= sums
        assert min(group["dkwt"]) == k * stages[0]
        assert k != 5 or (5 * stages[0], stages[1] - stages[0]) == (4155, 4033)


@pytest.mark.parametrize("num_policies", [2, 5, 64])
@pytest.mark.parametrize("delta", [0.99, 0.05, 1e-10, 1e-30])
def test_lengths(num_policies: int, delta: float) -> None:
    """Never shorter than the proof asks, and longer by two millionths at most; the last stage is longer than a run."""
    found = np.asarray(dkwt.lengths(Problem(num_policies, nats=nats(delta))), np.int64)
    wanted = np.array([length(num_policies, delta, stage) for stage in range(1, dkwt.STAGES + 1)])
    inside = wanted < 2**30
    assert (found[inside] >= wanted[inside]).all()
    assert (found[inside] <= wanted[inside] * (1 + 2e-6) + 1).all()
    assert (found[~inside] > 2**30).all() and not inside[-1]


def test_a_winner_is_assumed() -> None:
    with pytest.raises(ValueError, match="existence = 'certify', expected 'assumed' with the stopping rule dkwt"):
        simulate(INSTANCE, "dkwt", "dkwt", existence="certify", replications=1)
