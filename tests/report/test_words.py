"""What is said of a log is what is known of it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from llmpo_jax.engine.audit import Audit, audit
from llmpo_jax.models import Battles
from llmpo_jax.report import words

DELTA = 0.05


def log(mu: np.ndarray, times: int, rng: np.random.Generator) -> Battles:
    """Every pair of three policies, `times` times."""
    first, second = np.array(list(itertools.combinations(range(3), 2)) * times).T
    return Battles(("a", "b", "c"), first, second, (rng.random(len(first)) < mu[first, second]).astype(float))


def said(battles: Battles) -> str:
    return " ".join(words.audit_in_words(battles, audit(battles), DELTA))


def test_a_cycle_has_no_best_policy() -> None:
    """60 logs of rock, paper, scissors: X is named under its condition only, and that without it X beats all others
    is said at most 17 times, but for a probability of 1e-6."""
    mu = np.array([[0.5, 0.7, 0.3], [0.3, 0.5, 0.7], [0.7, 0.3, 0.5]])
    rng = np.random.default_rng(0)
    found = [said(log(mu, 66, rng)) for _ in range(60)]
    named = [text for text in found if " it is " in text]
    assert named and all(
        text.startswith("If one policy beats all others (a Condorcet winner), it is ") for text in named
    )
    assert not any("best policy" in text for text in found)
    proven = sum("Proven without" in text for text in found)
    assert binom.sf(17, 60, DELTA) <= 2e-6 and proven <= 17
    assert all("Not proven without that assumption" in text for text in named if "Proven without" not in text)
    assert any(text.startswith("No policy beats all others") for text in found)


def test_one_log_for_each_answer() -> None:
    """Proven without the assumption; not proven, where a has hardly met c, which b always beats; and no winner."""
    rng = np.random.default_rng(1)
    better = np.array([[0.5, 0.9, 0.9], [0.1, 0.5, 0.6], [0.1, 0.4, 0.5]])
    cycle = np.array([[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]])
    first = log(better, 60, rng)
    assert "Proven without that assumption, too, at error level 0.05: a beats every other policy." in said(first)
    part = (first.first + first.second != 2) | (np.arange(180) < 6)
    fewer = Battles(
        first.names, first.first[part], first.second[part], np.where(first.first == 1, 1, first.outcome)[part]
    )
    assert "Not proven without that assumption: a is not yet proven to beat c." in said(fewer)
    assert said(log(cycle, 60, rng)).startswith("No policy beats all others (no Condorcet winner), at error level 0.05")


@pytest.mark.parametrize(
    ("refutation", "expected"),
    [
        (
            [9.0, 0.0],
            "If the linear model holds, the best policy is b, at error level 0.05: every other one",
        ),
        (
            [9.0, 3.0],
            "The linear model does not fit, at error level 0.05: it always has a best policy, and",
        ),
        ([0.0, 0.0], "Undecided at error level 0.05: 2 of 2 policies are not refuted (a, b)."),
    ],
)
def test_with_features(refutation: list[float], expected: str) -> None:
    """Delta = 0.05 asks for 2.996 nats."""
    battles = Battles(("a", "b"), np.array([0]), np.array([1]), np.array([0.0]))
    found = Audit("log", None, np.array(refutation), np.array([1, 0]), None, ((0, 1),), ())
    assert words.audit_in_words(battles, found, DELTA)[0].startswith(expected)
