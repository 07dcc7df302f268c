"""A small sample of the kept results, computed anew: what is kept must be what the code of today finds.

With other seeds than the benchmarks', so the two are independent; each test fails with probability 1e-6 at most where
nothing has changed (normal intervals, 5 standard errors).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import llmpo_jax as lp

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
SEED = 12345
STANDARD_ERRORS = 5.0


def kept(name: str, **where: Any) -> dict[str, Any]:
    rows = json.loads((RESULTS / f"{name}.json").read_text())["rows"]
    (row,) = (row for row in rows if all(row[column] == value for column, value in where.items()))
    return row


def agree(now: float, error: float, row: dict[str, Any], value: str) -> None:
    kept_error = (row["high"] - row["low"]) / (2 * 1.96)
    assert abs(now - row[value]) <= STANDARD_ERRORS * math.hypot(error, kept_error), (now, row[value])


@pytest.mark.parametrize("stopping", ["e-process", "stylised"])
def test_sample_complexity(stopping: str) -> None:
    result = lp.simulate("bradley-terry-line:5", stopping=stopping, deltas=(0.1, 0.01), replications=200, seed=SEED)
    for level in result.summary():
        row = kept("sample_complexity", instance="bradley-terry-line-5", stopping=stopping, delta=level.delta)
        assert level.ratio is not None
        error = (level.mean_high - level.mean) / 1.96 * level.ratio / level.mean
        agree(level.ratio, error, row, "ratio")


def test_selection_at_a_budget() -> None:
    right = lp.simulate(
        "hidden-winner:10", deltas=(), budgets=(64, 200), replications=400, seed=SEED
    ).correct_selection()
    for index, budget in enumerate((64, 200)):
        row = kept("budget_selection", instance="hidden-winner-10", comparisons=budget)
        row |= {"low": row["llm-po low"], "high": row["llm-po high"]}
        share = right[:, index].mean()
        agree(100 * share, 100 * math.sqrt(share * (1 - share) / len(right)), row, "llm-po")


def test_errors_of_the_stylised_threshold() -> None:
    (level,) = lp.simulate("cyclic:17", stopping="stylised", deltas=(0.1,), replications=200, seed=SEED).summary()
    row = kept("delta_pac", instance="cyclic-17", sampler="llm-po", stopping="stylised", delta=0.1)
    share = row["errors"] / row["replications"]
    error = math.sqrt(share * (1 - share) * (1 / row["replications"] + 1 / level.replications))
    assert abs(level.error_rate - share) <= STANDARD_ERRORS * error, (level.error_rate, share)
