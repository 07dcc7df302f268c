"""What is said of a log is what is known of it."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from scipy.stats import binom

from llmpo_jax.engine.audit import Audit, audit
from llmpo_jax.engine.identification import Identification
from llmpo_jax.models import Battles
from llmpo_jax.report import identify_words as words
from llmpo_jax.report.as_json import as_json
from llmpo_jax.report.words import at_least, at_least_cost
from llmpo_jax.theory.ranking import ranking

DELTA = 0.05


def log(mu: np.ndarray, times: int, rng: np.random.Generator) -> Battles:
    """Every pair of three policies, `times` times."""
    first, second = np.array(list(itertools.combinations(range(3), 2)) * times).T
    return Battles(("a", "b", "c"), first, second, (rng.random(len(first)) < mu[first, second]).astype(float))


def said(battles: Battles) -> str:
    return " ".join(words.audit_in_words(Identification(battles, DELTA, audit(battles))))


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
    assert words.audit_in_words(Identification(battles, DELTA, found))[0].startswith(expected)


@pytest.mark.parametrize(
    ("nats", "expected"),
    [
        (0.0, "1"),
        (3.0, "0.05"),
        (2.995, "0.051"),
        (7.0, "0.00092"),
        (10.0, "4.6e-5"),
        (2 * np.log(10), "0.01"),
        (2842.0, "5.5e-1235"),
    ],
)
def test_levels_are_rounded_up_and_never_underflow(nats: float, expected: str) -> None:
    shown = words.level(nats)
    assert shown == expected
    digits, _, exponent = shown.partition("e")
    assert np.log(float(digits)) + int(exponent or 0) * np.log(10) >= -nats - 1e-12


def test_a_batch_counts_its_pairs() -> None:
    assert words.batch(((3, 1), (0, 2), (1, 3), (0, 2), (0, 2))) == [(3, 1, 2), (0, 2, 3)]


@pytest.mark.parametrize(("comparisons", "expected"), [(0.2, "1"), (7.6, "8"), (612.3, "610"), (9961.0, "10,000")])
def test_estimates_have_two_digits(comparisons: float, expected: str) -> None:
    assert words.rounded(comparisons) == expected


def test_a_lower_bound_is_rounded_down() -> None:
    assert [at_least(value) for value in (7.65, 32.0, 1234.9, np.inf)] == ["7", "32", "1,234", "infinitely many"]
    costs = (0.0123456, 7.6599, 32.0, 1234567.9, 0.0, np.inf)
    shown = ["0.01234", "7.659", "32.00", "1,234,567", "0", "infinitely much"]
    assert [at_least_cost(value) for value in costs] == shown


def test_ranks_and_parts() -> None:
    """a and b may both be first; c and d are a part of their own, where c is."""
    wins = np.array([[0, 6, 0, 0], [5, 0, 0, 0], [0, 0, 0, 30], [0, 0, 0, 0]])
    found = ranking(wins + wins.T, wins)
    assert [words.rank(found, k) for k in range(4)] == [*["1 to 2, tied for first"] * 2, "1", "2"]
    assert "each part has ranks" in words.ranking_in_words(found, False)[1]


def test_json_has_no_infinite_numbers() -> None:
    shown = as_json({"a": [np.inf, float("nan"), 1.5], "b": (True, None)})
    assert json.loads(shown, parse_constant=pytest.fail) == {"a": [None, None, 1.5], "b": [True, None]}
