"""The Bradley-Terry table: its estimate, its intervals and places, and what it does not claim."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from llmpo_jax.theory import ranking as module
from llmpo_jax.theory.logistic import fit_linear_bradley_terry
from llmpo_jax.theory.ranking import ranking


def tally(wins: Sequence[tuple[Any, Any, float]], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts and wins of (winner, loser, times)."""
    won = np.zeros((size, size))
    for winner, loser, times in wins:
        won[winner, loser] += times
    return won + won.T, won


def drawn(scores: np.ndarray, total: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`total` comparisons of random pairs."""
    first, second = np.triu_indices(len(scores), 1)
    n = rng.multinomial(total, np.full(len(first), 1 / len(first)))
    won = rng.binomial(n, expit(scores[first] - scores[second]))
    pairs = zip(first, second, strict=True)
    return tally(
        [row for (i, j), w, m in zip(pairs, won, n, strict=True) for row in ((i, j, w), (j, i, m - w))], len(scores)
    )


def test_two_policies() -> None:
    """3 : 7 is log(3 / 7) logits."""
    found = ranking(*tally([(0, 1, 3), (1, 0, 7)], 2))
    assert found.strength[0] - found.strength[1] == pytest.approx(np.log(3 / 7))
    np.testing.assert_allclose(found.rate, [0.3, 0.7])
    np.testing.assert_allclose(found.low + found.high[::-1], 1)
    assert found.best.tolist() == [1, 1] and found.worst.tolist() == [2, 2] and found.fit is None


def test_maximum_likelihood_and_its_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate and, pair by pair, twice the log of the likelihood ratio, by the fit with features: those of two
    policies that are equal are the same."""
    counts, wins = drawn(np.linspace(0, 1.5, 5), 120, np.random.default_rng(0))
    found = ranking(counts, wins)
    fit = fit_linear_bradley_terry(np.eye(5), counts, wins, 1e3)
    np.testing.assert_allclose(found.strength, fit.theta, atol=1e-4)

    def most(features: np.ndarray) -> float:
        scores = features @ fit_linear_bradley_terry(features, counts, wins, 1e3).theta
        return float(-(wins * np.logaddexp(0, scores - scores[:, None])).sum())

    part = np.zeros(5, int)
    for i, j in itertools.combinations(range(5), 2):
        features = np.delete(np.eye(5), j, axis=1)
        features[j, i] = 1
        assert module._equal(counts, wins, found.strength, part, i, j) == pytest.approx(most(features), abs=1e-4)
    ratios = 2 * (most(np.eye(5)) - module._equal(counts, wins, found.strength, part, 0, 4))
    for critical, ahead in ((0.99 * ratios**0.5, True), (1.01 * ratios**0.5, False)):
        monkeypatch.setattr(module, "_ahead_by_wald", lambda strength, *_: np.zeros((5, 5), bool))
        monkeypatch.setattr(module, "_critical", lambda *_, critical=critical: critical)
        assert (ranking(counts, wins).best[0] > 1) == ahead


def test_who_never_lost_and_who_never_met() -> None:
    """Finite entries, no bound where there is none, the place that 30 : 0 deserves, and no place across parts."""
    found = ranking(*tally([(0, 1, 30), (1, 2, 6), (2, 1, 4), (3, 4, 1)], 5))
    assert found.part.tolist() == [0, 0, 0, 1, 1] and np.isfinite(found.strength).all()
    assert found.high[0] == 1 and found.low[0] > 0 and found.low[1] < found.rate[1] < found.high[1] < 1
    assert found.best.tolist() == [1, 2, 2, 1, 1] and found.worst.tolist() == [1, 3, 3, 2, 2]
    assert 0 < found.low[3] < found.high[3] == 1 and found.low[4] == 0
    np.testing.assert_allclose([found.strength[:3].sum(), found.strength[3:].sum()], 0, atol=1e-9)


def test_cyclic_wins_do_not_fit() -> None:
    cycle = ranking(*tally([(k, (k + 1) % 3, 70) for k in range(3)] + [((k + 1) % 3, k, 30) for k in range(3)], 3))
    assert cycle.fit is not None and cycle.fit.freedom == 1 and cycle.fit.p_value < 1e-6
    straight = ranking(*drawn(np.linspace(0, 1, 5), 1000, np.random.default_rng(2)))
    assert straight.fit is not None and straight.fit.freedom == 6 and straight.fit.p_value > 1e-3


def test_features_share_what_is_known() -> None:
    """Two pairs that never met have places against each other, for their features tell."""
    counts, wins = tally([(0, 1, 180), (1, 0, 20), (2, 3, 180), (3, 2, 20)], 4)
    found = ranking(counts, wins, np.array([[2.0], [0.0], [1.0], [-1.0]]))
    assert found.part.tolist() == [0] * 4 and found.best.tolist() == [1, 3, 2, 4] == found.worst.tolist()


@pytest.mark.parametrize(("scale", "total"), [(0.0, 60), (0.0, 400), (1.5, 60)])
def test_coverage(monkeypatch: pytest.MonkeyPatch, scale: float, total: int) -> None:
    """400 logs of 5 policies: some place is wrong in at most 44 of them, and the first policy's interval misses its
    rate in as many at most, but for a probability of 1e-6 each, were the levels exact. Pair by pair, at 95 % each,
    equal policies would be told apart in more."""
    number, rng = 400, np.random.default_rng(1)
    limit = int(binom.isf(1e-6, number, 0.05))
    logs = [(scores, *drawn(scores, total, rng)) for scores in scale * rng.normal(size=(number, 5))]

    def errors() -> tuple[int, int]:
        places = rates = 0
        for scores, counts, wins in logs:
            found = ranking(counts, wins)
            best, worst = (scores[:, None] > scores).sum(axis=0) + 1, 5 - (scores[:, None] < scores).sum(axis=0)
            places += bool(((found.best > best) | (found.worst < worst)).any()) and np.ptp(found.part) == 0
            rate = (expit(scores[0] - scores).sum() - 0.5) / 4
            rates += not found.low[0] <= rate <= found.high[0]
        return places, rates

    assert limit == 44 and max(errors()) <= limit
    if scale == 0:
        monkeypatch.setattr(module, "_critical", lambda *_: 1.96)
        assert errors()[0] > limit
