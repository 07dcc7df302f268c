"""Guarantees where information is all but singular: a direction that nothing was compared along since bets began."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom

from llmpo_jax import LinearBradleyTerry, simulate
from llmpo_jax.hunting.instances import KILLERS
from llmpo_jax.protocol import Sampler
from llmpo_jax.theory import linear

DELTAS = (0.1, 1e-2, 1e-4, 1e-6)
RUNS = 2000

KILLER = KILLERS["killer"]
"""Two policies 0.02 logits apart and an outlier. A certificate that trusted the trace of a float32 inverse let llm-po
err in 147, 53, 14 and 4 of 2,000 runs at the levels above."""


def near_tie(seed: int) -> LinearBradleyTerry:
    """Three policies, the best two 0.005 to 0.05 logits apart, the third one up to 6 away."""
    rng = np.random.default_rng(seed)
    outlier, runner_up = rng.normal(size=(2, 2)) * [[4.0], [1.0]]
    theta = rng.normal(size=2)
    outlier *= -np.sign(outlier @ theta)
    gap = rng.uniform(0.005, 0.05)
    runner_up -= theta * (runner_up @ theta + gap) / (theta @ theta)
    return LinearBradleyTerry([[0, 0], outlier.tolist(), runner_up.tolist()], theta)


def first_pair_first(problem, key, statistics, evidence, state):
    """The first pair a thousand times, then uniform pairs: legal."""
    first, second = (jnp.asarray(side) for side in linear.pairs(problem.num_policies))
    pair = jax.random.randint(key, (), 0, len(first), jnp.int32)
    pair = jnp.where(statistics.t < 1000, 0, pair)
    return first[pair], second[pair], state


OPENING = Sampler(lambda problem: (), first_pair_first)


def check(model: LinearBradleyTerry, sampler: str | Sampler, stopping: str) -> None:
    """Errors within their levels; a rule that keeps them fails with a probability of at most 4e-8."""
    errors = (
        simulate(model, sampler, stopping, deltas=DELTAS, replications=RUNS, max_comparisons=3000).errors().sum(axis=0)
    )
    assert np.all(binom.sf(errors - 1, RUNS, DELTAS) > 1e-8), errors


@pytest.mark.parametrize(
    ("sampler", "stopping"),
    [
        ("llm-po", "e-process"),
        ("llm-po", "mixture"),
        (OPENING, "e-process"),
        (OPENING, "mixture"),
        ("llm-po-oracle", "e-process"),
    ],
    ids=["llm-po-e-process", "llm-po-mixture", "opening-e-process", "opening-mixture", "oracle-e-process"],
)
def test_the_guarantee_holds_where_information_is_singular(sampler: str | Sampler, stopping: str) -> None:
    """Measured at delta = 0.1: at most 86 errors of 2,000. False alarms 2e-7 at most, all five together."""
    check(KILLER, sampler, stopping)


@pytest.mark.parametrize("seed", range(10))
def test_the_guarantee_holds_on_near_ties(seed: int) -> None:
    """False alarms 4e-7 at most, all ten together."""
    check(near_tie(seed), "llm-po", "e-process")
