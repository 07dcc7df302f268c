"""The tests of shares keep their levels at the edge of what they refute, and a bet on the wrong side does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llmpo_jax.live.shares import ORDER_LEVEL, ORDER_SHARE, Below, Equivalence, OrderFollowing

RUNS = 1500
LEVEL = 0.05
MOST = int(stats.binom.isf(1e-6, RUNS, LEVEL))
"""Errors that a test of level `LEVEL` exceeds with probability at most 1e-6."""


def errors(test: type[Below], q: float, trials: int = 300) -> int:
    """Of `RUNS` runs of trials with chance q, how many find it to be below q at `LEVEL`."""
    successes = np.random.default_rng(0).random((RUNS, trials)) < q
    wrong = 0
    for run in successes:
        found = test(q, 0.5, 25.0)
        for success in run:
            found.observe(bool(success))
        wrong += found.peak >= -math.log(LEVEL)
    return wrong


@pytest.mark.parametrize("q", [0.55, 0.7, 0.95])
def test_the_level_is_kept(q: float):
    assert 0 < errors(Below, q) <= MOST


class Greedy(Below):
    """The defect: the bet is chosen after the outcome is seen."""

    def observe(self, success: bool) -> None:
        before = self._successes
        if success:
            self._successes = self._q * self._trials
        super().observe(success)
        self._successes = before + success


def test_a_defect_is_found():
    assert errors(Greedy, 0.7) > MOST


@pytest.mark.parametrize(("mu", "equal"), [(0.5, True), (0.55, True), (0.62, False), (0.38, False)])
def test_equality_within_a_tenth(mu: float, equal: bool):
    rng, found = np.random.default_rng(1), Equivalence(4, 0.1, 0.05)
    for won in rng.random(4000) < mu:
        found.observe(2, 1, bool(won))
    assert found.proven(1, 2) is found.proven(2, 1) is equal
    assert not found.proven(0, 1)


@pytest.mark.parametrize(("share", "proven"), [(1.0, True), (0.97, True), (0.03, True), (0.65, False), (0.5, False)])
def test_following_the_order(share: float, proven: bool):
    rng, found = np.random.default_rng(2), OrderFollowing()
    for first in rng.random(200) < share:
        found.observe(bool(first))
    assert found.proven is proven


def test_a_leaning_judge_is_rarely_called_unusable():
    """At the edge of what is allowed, in at most a share `ORDER_LEVEL` of the runs; the bound is exceeded with
    probability at most 1e-6."""
    verdicts = np.random.default_rng(3).random((RUNS, 200)) < ORDER_SHARE
    wrong = 0
    for run in verdicts:
        found = OrderFollowing()
        for first in run:
            found.observe(bool(first))
        wrong += found.proven
    assert wrong <= int(stats.binom.isf(1e-6, RUNS, ORDER_LEVEL))
