"""The test of independence: its e-values against their definition, their mean under the null, and what sets it off."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from llmpo_jax.models import Battles
from llmpo_jax.theory.independence import FALSE_ALARMS, JUDGES, SORTED, VERDICTS, independence
from tests.samplers import trajectory

Row = tuple[int, int, float]


def log(rows: list[Row], num_policies: int = 8) -> Battles:
    first, second, outcome = (np.array(column) for column in zip(*rows, strict=True))
    return Battles(tuple("abcdefgh"[:num_policies]), first, second, outcome.astype(float))


class Chance:
    """Krichevsky and Trofimov's prediction, outcome by outcome."""

    def __init__(self) -> None:
        self.seen = [0, 0]

    def log(self, outcome: bool) -> float:
        value = math.log((self.seen[int(outcome)] + 0.5) / (sum(self.seen) + 1))
        self.seen[int(outcome)] += 1
        return value


def literal(rows: list[Row]) -> tuple[float, float]:
    """Log e-values "repeats" and "shared", prediction by prediction, and the greatest likelihood pair by pair."""
    repeats = shared = 0.0
    again, kept, own = Chance(), Chance(), defaultdict(Chance)
    outcomes: dict[tuple[int, int], list[bool]] = defaultdict(list)
    before: tuple[int, int] | None = None
    for first, second, outcome in rows:
        if outcome == 0.5:
            continue
        winner, loser = (first, second) if outcome == 1 else (second, first)
        pair, won = (min(first, second), max(first, second)), winner < loser
        past = outcomes[pair]
        repeats += again.log(won == past[-1]) if past else -math.log(2)
        common = {winner, loser} & set(before or ())
        if before is not None and len(common) == 1:
            (policy,) = common
            shared += kept.log((policy == winner) == (policy == before[0]))
        else:
            shared += own[pair].log(won)
        past.append(won)
        before = winner, loser
    greatest = sum(
        count * math.log(count / len(past))
        for past in outcomes.values()
        for count in (sum(past), len(past) - sum(past))
        if count
    )
    return repeats - greatest, shared - greatest


def adaptive(rows: list[Row], num_policies: int) -> tuple[int, int]:
    """The winner stays and meets the next policy: as much as a rule can do to look like either predictor."""
    if not rows:
        return 0, 1
    first, second, outcome = rows[-1]
    stays, leaves = (first, second) if outcome == 1 else (second, first)
    return stays, next(k % num_policies for k in itertools.count(leaves + 1) if k % num_policies != stays)


def play(
    rule: Callable[[list[Row], int], tuple[int, int]], mu: np.ndarray, n: int, rng: np.random.Generator
) -> list[Row]:
    rows: list[Row] = []
    for _ in range(n):
        first, second = rule(rows, len(mu))
        rows.append((first, second, float(rng.random() < mu[first, second])))
    return rows


def test_e_values_are_those_of_the_predictions() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 40, 400):
        rows = [(*rng.choice(5, 2, replace=False), rng.choice([0, 0.5, 1])) for _ in range(n)]
        found = independence(log(rows, 5))
        np.testing.assert_allclose((found.repeats, found.shared), literal(rows), rtol=0, atol=1e-9)


def test_nothing_is_found_in_nothing() -> None:
    found = independence(log([(0, 1, 0.5), (1, 2, 0.5)]))
    np.testing.assert_allclose((found.repeats, found.shared, found.sorting), 0, atol=1e-12)


@pytest.mark.parametrize("chances", [(0.5, 0.5, 0.5), (0.9, 0.6, 0.2), (0.99, 0.01, 0.5)])
def test_the_mean_is_at_most_one(chances: tuple[float, float, float]) -> None:
    """Exactly, over all 2^11 logs of an adaptive rule that also stops early; no prediction looks ahead."""
    mu = np.full((3, 3), 0.5)
    mu[[0, 0, 1], [1, 2, 2]] = chances
    mu[[1, 2, 2], [0, 0, 1]] = 1 - np.array(chances)
    mean = np.zeros(2)
    for outcomes in itertools.product([0.0, 1.0], repeat=11):
        rows: list[Row] = []
        probability = 1.0
        for outcome in outcomes:
            if len(rows) > 5 and len({row[2] for row in rows[-5:]}) == 1:
                # Stopped: the rest of the outcomes is not drawn, so each of them stands for one of 2^m equal logs.
                probability /= 2
                continue
            first, second = adaptive(rows, 3)
            probability *= mu[first, second] if outcome else 1 - mu[first, second]
            rows.append((first, second, outcome))
        found = independence(log(rows, 3))
        mean += probability * np.exp([found.repeats, found.shared])
    assert np.all(mean <= 1) and np.all(mean > 0.01)


def fixed(pairs: list[tuple[int, int]]) -> Callable[[list[Row], int], tuple[int, int]]:
    return lambda rows, num_policies: pairs[len(rows) % len(pairs)]


RULES = {
    "winner stays": adaptive,
    "gauntlet": fixed([(0, k) for k in range(1, 6)]),
    "gauntlet in blocks": lambda rows, k: (0, 1 + len(rows) // 60),
    "round robin": fixed(list(itertools.combinations(range(6), 2))),
    "one pair": fixed([(0, 1)]),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("spread", [0.0, 1.0, 6.0])
def test_independent_rows_raise_no_alarm(name: str, spread: float) -> None:
    """The mean of the e-values of 40 logs is one, too: it reaches 1e6 with probability 1e-6 at most."""
    rng = np.random.default_rng(1)
    scores = spread * rng.normal(size=6)
    mu = 1 / (1 + np.exp(scores[None] - scores[:, None]))
    found = [independence(log(play(RULES[name], mu, 300, rng), 6)) for _ in range(40)]
    assert np.mean([np.exp(x.repeats) + np.exp(x.shared) for x in found]) / 2 < 1 / FALSE_ALARMS
    assert all(x.alarm(order) is None for x in found for order in ("log", "any"))


def test_llm_po_raises_no_alarm() -> None:
    """Logs of 2,000 comparisons that LLM-PO chose; false alarm at most 1e-6 each."""
    scores = np.linspace(1, -1, 5)
    chosen = trajectory.procedure("llm-po", 5)
    plan = trajectory.plan_for(chosen, 1 / (1 + np.exp(scores[None] - scores[:, None])))
    for replication in range(5):
        ran = trajectory.follow(chosen, plan, replication)
        found = independence(Battles(tuple("abcde"), ran.first, ran.second, ran.won.astype(float)))
        assert found.alarm("log") is None and found.alarm("any") is None


def verdicts(answers: int, number: int, rng: np.random.Generator) -> list[Row]:
    """One winner among all answers, all alike, written as a row for each of the others."""
    winners = rng.integers(answers, size=number)
    return [(int(w), k, 1.0) for w in winners for k in range(answers) if k != w]


def shuffled(rows: list[Row], rng: np.random.Generator) -> list[Row]:
    return [rows[index] for index in rng.permutation(len(rows))]


PAIRS = list(itertools.combinations(range(4), 2))
EVEN = [(i, j, won) for i, j in PAIRS for won in [1.0] * 22 + [0.0] * 18]
"""The four policies of 55 : 45, each pair sorted."""


@pytest.mark.parametrize(
    "rows",
    [
        [(0, 1, 1.0)] * 55 + [(0, 1, 0.0)] * 45,
        EVEN,
        sorted(EVEN, key=lambda row: row[2]),
        sorted(EVEN, key=lambda row: (row[0] if row[2] else row[1], row)),
        sorted(EVEN, key=lambda row: (row[1] if row[2] else row[0], row[::-1])),
    ],
    ids=["one pair", "within pairs", "by outcome", "by winner", "by loser"],
)
def test_sorted_rows_raise_the_alarm(rows: list[Row]) -> None:
    """And none where the order does not matter, nor once they are shuffled."""
    found = independence(log(rows))
    assert found.alarm("log") == SORTED and found.alarm("any") is None
    mixed = independence(log(shuffled(rows, np.random.default_rng(0))))
    assert mixed.alarm("log") is None and mixed.alarm("any") is None


@pytest.mark.parametrize(("answers", "number"), [(3, 200), (4, 100), (8, 60)])
def test_rows_of_one_verdict_raise_the_alarm_in_any_order(answers: int, number: int) -> None:
    """One row of each verdict, chosen at random, raises none."""
    rng = np.random.default_rng(answers)
    rows = verdicts(answers, number, rng)
    found = independence(log(rows))
    assert found.alarm("log") == VERDICTS and found.alarm("any") == VERDICTS
    size = answers - 1
    kept = [rows[start + rng.integers(size)] for start in range(0, len(rows), size)]
    assert independence(log(kept)).alarm("log") is None


def test_several_judges_of_the_same_answers_raise_the_alarm_in_any_order() -> None:
    """Three judges, each of whom agrees with the truth of the matter nine times in ten."""
    rng = np.random.default_rng(5)
    rows: list[Row] = []
    for first, second in 20 * PAIRS:
        truth = rng.random() < 0.5
        rows += [(first, second, float(truth == (rng.random() < 0.9))) for _ in range(3)]
    found = independence(log(rows))
    assert found.alarm("log") == JUDGES and found.alarm("any") == JUDGES
    assert independence(log(rows[::3])).alarm("log") is None


def test_alternating_blocks_raise_the_alarm() -> None:
    """Rows that come in blocks of one outcome, several of them: no single sorting explains these."""
    rows = ([(0, 1, 1.0)] * 11 + [(0, 1, 0.0)] * 9) * 5
    assert independence(log(rows)).alarm("log") == JUDGES
