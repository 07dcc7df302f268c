"""The generalised likelihood ratio, its thresholds, and its verdicts, from their definitions."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special

from llmpo_jax.protocol import Problem, Statistics
from llmpo_jax.stopping import STOPPING_RULES
from llmpo_jax.stopping.likelihood_ratio import KAUFMANN_KOOLEN, STYLISED, deviation_threshold
from llmpo_jax.theory.statistics import judged, nothing_yet, observe
from tests import reference

K = 4
LENGTH = 900
"""Comparisons of a log, of which a part may be looked at: another length would be compiled anew."""


@functools.partial(jax.jit, static_argnums=(0, 1))
def _fed(problem: Problem, stopping: str, log: tuple[jax.Array, ...]) -> tuple[Statistics, Any]:
    rule = STOPPING_RULES.get(stopping)

    def step(carry: Any, entry: tuple[jax.Array, ...]) -> tuple[Any, Any]:
        comparison = judged(carry[0], *entry)
        moved = observe(problem, carry[0], comparison), rule.update(problem, carry[1], comparison)
        return moved, moved

    return jax.lax.scan(step, (nothing_yet(problem), rule.init(problem)), log)[1]


def fed(problem: Problem, stopping: str, log: tuple[np.ndarray, ...], n: int) -> tuple[Statistics, Any]:
    """The statistics and the stopping rule's state after the first `n` comparisons of a log."""
    passed = _fed(problem, stopping, tuple(jnp.asarray(column) for column in log))
    return jax.tree.map(lambda x: np.asarray(x)[n - 1], passed)


def random_log(n: int, seed: int, slope: float = 0.1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = rng.integers(K, size=n, dtype=np.int32)
    second = (first + 1 + rng.integers(K - 1, size=n, dtype=np.int32)) % K
    return first, second, rng.random(n) < 0.5 + slope * (second - first)


def as_record(log: tuple[np.ndarray, ...], existence: str = "assumed") -> reference.Record:
    record = reference.Record(K, existence)
    for first, second, won in zip(*log, strict=True):
        record.observe(int(first), int(second), bool(won))
    return record


def brute_force(wins: np.ndarray, policy: int) -> float:
    """sup of the log-likelihood less its sup where `policy` beats or equals everybody, by numerical maximisation."""
    total = 0.0
    for j in range(len(wins)):
        if j != policy:
            won, lost = int(wins[policy, j]), int(wins[j, policy])
            total += best(won, lost, 0.0) - best(won, lost, 0.5)
    return total


def best(won: int, lost: int, least: float) -> float:
    """The largest log-likelihood of `won` wins and `lost` losses over chances from `least` to 1."""
    found = optimize.minimize_scalar(
        lambda mu: -float(special.xlogy(won, mu) + special.xlogy(lost, 1 - mu)),
        bounds=(least, 1.0),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return -float(found.fun)


@pytest.mark.parametrize("seed", range(4))
def test_refutation_is_the_generalised_likelihood_ratio(seed: int) -> None:
    """Z_k = sup l - sup over {mu[k, .] >= 1/2} of l, maximised numerically (other pairs cancel); to 1e-5 nats."""
    log, n = random_log(LENGTH, seed), 120 + 30 * seed
    statistics, _ = fed(Problem(K), "stylised", log, n)
    wins = as_record(tuple(column[:n] for column in log)).wins
    np.testing.assert_array_equal(statistics.record[..., 0], wins)
    np.testing.assert_array_equal(statistics.record[..., 1], wins.T)
    np.testing.assert_allclose(statistics.refutation, [brute_force(wins, k) for k in range(K)], atol=2e-5, rtol=0)


def test_refutation_keeps_its_digits() -> None:
    """After 200,000 comparisons the running float32 sum equals Z from scratch to 1e-3 nats: increments telescope."""
    log = random_log(200_000, 9, slope=0.004)
    statistics, _ = fed(Problem(K), "stylised", log, 200_000)
    record = reference.Record(K)
    record.wins = np.asarray(statistics.record[..., 0], int)
    np.testing.assert_allclose(statistics.refutation, record.refutation(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("existence", ["assumed", "certify"])
@pytest.mark.parametrize("name", ["stylised", "kaufmann-koolen"])
def test_verdicts(name: str, existence: str) -> None:
    """Winner, score and absence from the plain record; with float64 evidence equal to 1e-9 nats."""
    problem = Problem(K, existence, jnp.float64)
    for seed, n in ((1, 40), (2, 300), (3, LENGTH)):
        log = random_log(LENGTH, seed)
        statistics, state = fed(problem, name, log, n)
        found = STOPPING_RULES.get(name).verdict(problem, state, statistics)
        wanted = reference.STOPPING[name].statement(as_record(tuple(column[:n] for column in log), existence))
        assert float(found.score) == pytest.approx(wanted.score, abs=1e-9)
        assert float(found.absence) == pytest.approx(wanted.absence, abs=1e-9)
        if wanted.score > 0:
            assert int(found.winner) == wanted.winner
        if state is not None:
            np.testing.assert_array_equal(state.weakest, np.asarray(state.pairs).min(axis=1))


@pytest.mark.parametrize("x", [1e-3, 0.02, 0.1, 0.5, 1.0, 2.3, 5.0, 20.0, 115.0, 700.0])
def test_deviation_threshold(x: float) -> None:
    """T of Kaufmann and Koolen (eq. 13): the minimum over 1 < z <= 3/2 is taken numerically, with 40 digits."""
    assert deviation_threshold(x) == pytest.approx(reference.deviation_threshold(x), rel=1e-10)


def test_deviation_threshold_is_where_both_branches_count() -> None:
    """The cases above are on either side of the point where the minimum leaves the end z = 3/2."""

    def inside(x: float) -> bool:
        cut = 1 / math.log(1.5)
        inverse = float(-np.real(special.lambertw(-np.exp(-(1 + x)), -1)))
        return (inverse + math.log(2 * special.zeta(2))) / 2 >= cut - math.log(cut)

    assert not inside(0.1) and inside(2.3)


def test_thresholds() -> None:
    """`stylised` pays for no union at all; `kaufmann-koolen` for K - 1 arms jointly, and K statements in `certify`."""
    for existence in ("assumed", "certify"):
        assert STYLISED.thresholds(Problem(5, existence), 1e-3) == pytest.approx((math.log(1e3), math.log(1e3)))
        found = KAUFMANN_KOOLEN.thresholds(Problem(5, existence), 1e-3)
        assert found == pytest.approx(reference.kaufmann_koolen_thresholds(1e-3, 5, existence), rel=1e-10)
    level = math.log(5 / 1e-3)
    certify = KAUFMANN_KOOLEN.thresholds(Problem(5, "certify"), 1e-3)
    assert certify == pytest.approx((deviation_threshold(level), 4 * deviation_threshold(level / 4)), rel=2e-4)


def test_which_rules_are_proven() -> None:
    """The product says of each rule whether it is delta-PAC; `stylised` is not."""
    assert {name: STOPPING_RULES.get(name).proven for name in STOPPING_RULES.names()} == {
        "e-process": True,
        "stylised": False,
        "kaufmann-koolen": True,
        "dkwt": True,
    }
