"""The parts of `benchmarks/live.py` that need no model: the judge, and what is concluded from a table of counts."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.living import judging, outcomes

TABLE = Path(__file__).parents[1] / "benchmarks" / "results" / "live_table.json"
FACTORS = [[i, shots, t] for i in range(4) for shots in (0, 1) for t in (0.0, 1.0)]


def table(right: np.ndarray) -> dict:
    names = [f"policy {k}" for k in range(len(right))]
    return {"samples": 1, "tasks": {"task": {"right": right.tolist(), "policies": names, "factors": FACTORS}}}


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        (" Wolves.", "wolves", True),
        ("ninety-four\nInput: 5", "ninety four", True),
        ("wolf", "wolves", False),
        ("", "wolves", False),
    ],
)
def test_answers_are_compared_after_normalising(answer: str, expected: str, right: bool) -> None:
    assert judging.is_right(answer, expected) == right


def test_the_judge_decides_where_exactly_one_is_right() -> None:
    given = {"input": "wolf", "right": "wolves"}
    verdicts = [judging.judge(given, *two).verdict for two in (("wolves", "w"), ("w", "Wolves"), ("w", "v"))]
    assert verdicts == ["first", "second", "tie"]


def test_decided_comparisons_by_hand() -> None:
    tabular, decided = outcomes.model(np.array([[1.0, 0.5], [0.0, 1.0], [0.0, 1.0]]))
    mu = np.asarray(tabular.mu)
    assert mu[0, 1] == pytest.approx(2 / 3)
    assert decided[0, 1] == pytest.approx(0.75)
    assert (mu[1, 2], decided[1, 2]) == (0.5, 0)  # always alike: never decided


def test_a_linear_model_fits_what_is_linear_and_no_other() -> None:
    """Where an answer is right with the same chance on every input, scores are the logits of the accuracies."""
    features = outcomes.design(FACTORS)["factors"]
    chance = 1 / (1 + np.exp(-features @ np.array([0.5, -0.5, 0.2, 1.0, -0.7])))
    (plain, _) = outcomes.misfit(table(np.tile(chance[:, None], (1, 5))))
    assert plain["largest"] < 1e-5
    chance[3] = 0.999
    (plain, _) = outcomes.misfit(table(np.tile(chance[:, None], (1, 5))))
    assert plain["largest"] > 0.1


def test_the_table_under_version_control_is_whole() -> None:
    kept = json.loads(TABLE.read_text())
    assert len(kept["tasks"]) >= 3
    for part in kept["tasks"].values():
        right, held_out = np.array(part["right"]), np.array(part["held out"])
        assert (right.shape, held_out.shape) == ((16, 40), (16, 60))
        assert right.min() >= 0
        assert right.max() <= kept["samples"] == 3
        assert part["licence"] == "Apache-2.0"
