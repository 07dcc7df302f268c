"""Results depend on the arguments alone: not on lanes, segments, threads, neighbours, or JAX's settings."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from llmpo_jax import models
from llmpo_jax.engine import lanes, simulate, workers
from llmpo_jax.engine.result import Result

MODEL = models.instances.make("random-condorcet", num_policies=5, seed=4, gap=0.02)
DELTAS, BUDGETS = (0.1, 0.01), (10, 100)
REPLICATIONS = 24


def run(
    sampler: str,
    deltas: Sequence[float] = DELTAS,
    budgets: Sequence[int] = BUDGETS,
    replications: int = REPLICATIONS,
    first_replication: int = 0,
) -> Result:
    return simulate.simulate(
        MODEL,
        sampler,
        deltas=deltas,
        budgets=budgets,
        replications=replications,
        first_replication=first_replication,
        max_comparisons=1000,
        seed=11,
    )


plain = functools.cache(run)


def assert_same(one: Result, other: Result) -> None:
    np.testing.assert_array_equal(one.stopping_time, other.stopping_time)
    np.testing.assert_array_equal(one.recommendation, other.recommendation)
    np.testing.assert_array_equal(one.budget_recommendation, other.budget_recommendation)
    np.testing.assert_array_equal(one.group_counts, other.group_counts)


def test_the_example_is_worth_comparing() -> None:
    """The runs below differ from each other, and some are censored: equality of constants would prove nothing."""
    for sampler in ("llm-po", "epsilon-greedy"):
        times = plain(sampler).stopping_time
        assert len(np.unique(times)) > REPLICATIONS
    assert (plain("epsilon-greedy").stopping_time < 0).any()


@pytest.mark.parametrize(("threads", "width"), [(1, 5), (3, 5), (1, 16)])
@pytest.mark.parametrize("sampler", ["llm-po", "epsilon-greedy"])
def test_lanes_and_threads(monkeypatch: pytest.MonkeyPatch, sampler: str, threads: int, width: int) -> None:
    """A key or a state that belonged to the lane and not to the replication would show."""
    expected = plain(sampler)
    monkeypatch.setattr(workers, "layout", lambda *_: (threads, width))
    assert_same(run(sampler), expected)


@pytest.mark.parametrize("segment", [32, 480])
def test_segments(monkeypatch: pytest.MonkeyPatch, segment: int) -> None:
    """Where a segment ends must not matter, though lanes go on to its end after their replication is decided."""
    expected = plain("epsilon-greedy")
    monkeypatch.setattr(lanes, "SEGMENT", segment)
    monkeypatch.setattr(lanes, "_compiled", {})
    assert_same(run("epsilon-greedy"), expected)


def test_first_replication_extends_a_run() -> None:
    """Replications 0 to 23 are replications 0 to 9 and 10 to 23."""
    parts = run("epsilon-greedy", replications=10), run("epsilon-greedy", replications=14, first_replication=10)
    whole = plain("epsilon-greedy")
    for name in ("stopping_time", "recommendation", "budget_recommendation"):
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))
    np.testing.assert_allclose(10 * parts[0].counts + 14 * parts[1].counts, 24 * whole.counts, rtol=1e-12)


def test_deltas_and_budgets_do_not_disturb_each_other() -> None:
    """A delta alone, or no budget, gives the same as all of them in one run."""
    whole = plain("epsilon-greedy")
    for index, delta in enumerate(DELTAS):
        alone = run("epsilon-greedy", deltas=(delta,))
        np.testing.assert_array_equal(alone.stopping_time[:, 0], whole.stopping_time[:, index])
        np.testing.assert_array_equal(alone.recommendation[:, 0], whole.recommendation[:, index])
        np.testing.assert_array_equal(alone.budget_recommendation, whole.budget_recommendation)
    without = run("epsilon-greedy", budgets=())
    np.testing.assert_array_equal(without.stopping_time, whole.stopping_time)
    np.testing.assert_array_equal(without.counts, whole.counts)


def test_costs_of_one_are_comparisons() -> None:
    """The information per cost is then the information, so LLM-PO takes the same decisions."""
    whole = plain("llm-po")
    asked = {"deltas": DELTAS, "budgets": BUDGETS, "replications": REPLICATIONS, "max_comparisons": 1000, "seed": 11}
    priced = simulate.simulate(MODEL, costs=np.full(5, 0.5), **asked)
    assert_same(priced, whole)
    np.testing.assert_array_equal(priced.stopping_cost, np.where(whole.stopping_time < 0, 1000, whole.stopping_time))


SCRIPT = """
import json, jax
from llmpo_jax import models
from llmpo_jax.engine import simulate
model = models.instances.make("random-condorcet", num_policies=5, seed=4, gap=0.02)
result = simulate.simulate(model, "llm-po", deltas=(0.1, 0.01), budgets=(10, 100), replications=24,
                           max_comparisons=1000, seed=11)
print(json.dumps([bool(jax.config.jax_enable_x64), result.stopping_time.tolist(), result.recommendation.tolist(),
                  result.budget_recommendation.tolist(), result.counts.tolist()]))
"""


def test_x64_changes_no_decision() -> None:
    """A user's JAX_ENABLE_X64 (off in this other process, on here) must not change published numbers."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "JAX_ENABLE_X64": "0", "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    x64, *arrays = json.loads(done.stdout)
    assert not x64
    here = plain("llm-po")
    expected = (here.stopping_time, here.recommendation, here.budget_recommendation, here.counts)
    for one, other in zip(arrays, expected, strict=True):
        np.testing.assert_array_equal(one, other)
