"""The bets of the structured e-process: fair odds, a convex logarithm, and a certified least wealth."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from llmpo_jax import models
from llmpo_jax.protocol import Problem
from llmpo_jax.stopping.structured import e_process, wealth
from llmpo_jax.theory import linear

K, D = 6, 3
COORDINATES = models.identified(np.random.default_rng(3).normal(size=(K, D))).coordinates
PROBLEM = Problem(K, dtype=jnp.float64, dimension=D, design=linear.make_design(COORDINATES, dtype=jnp.float64))
Z = np.asarray(linear.of(PROBLEM).differences)

chances = st.floats(1e-4, 1 - 1e-4)
share_pairs = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda s: (s[0] * (1 - s[1]), s[1] * 0.999))


def factors(logit, on_win, on_loss):
    """The wealth's factors if the first policy wins, if it loses."""
    return 1 - on_loss + on_win * np.exp(-logit), 1 - on_win + on_loss * np.exp(logit)


@settings(deadline=None, derandomize=True)
@given(chances, chances)
def test_the_shares_are_shares(q: float, p: float) -> None:
    on_win, on_loss = (float(x) for x in e_process.shares(jnp.asarray(q), jnp.asarray(p)))
    assert on_win >= 0
    assert on_loss >= 0
    assert on_win + on_loss <= 1 + 1e-12
    # At the odds of p the bet predicts q: the factors are q / p and (1 - q) / (1 - p).
    won, lost = factors(np.log(p / (1 - p)), on_win, on_loss)
    assert won == pytest.approx(q / p, rel=1e-9)
    assert lost == pytest.approx((1 - q) / (1 - p), rel=1e-9)


@settings(deadline=None, derandomize=True)
@given(chances, share_pairs)
def test_the_odds_are_fair(p: float, shares: tuple[float, float]) -> None:
    """Whatever the shares, the mean factor is 1 for the parameter that sets the odds: a martingale."""
    won, lost = factors(np.log(p / (1 - p)), *shares)
    assert p * won + (1 - p) * lost == pytest.approx(1, rel=1e-9)


@functools.cache
def some_bets(seed: int) -> wealth.Bets:
    """Random bets of 3 epochs with outcomes drawn from a parameter."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=D)
    counts = rng.integers(0, 40, size=(3, len(Z)))
    wins = rng.binomial(counts, 1 / (1 + np.exp(-Z @ theta)))
    shift = rng.normal(size=(3, D)) * 0.5
    p = 1 / (1 + np.exp(-(theta - shift) @ Z.T))
    q = 1 / (1 + np.exp(-theta @ Z.T))[None]
    on_win, on_loss = e_process.shares(jnp.asarray(q), jnp.asarray(p))
    return wealth.Bets(*(jnp.asarray(x, jnp.float64) for x in (wins, counts - wins, on_win, on_loss)))


def log_wealth(bets: wealth.Bets, theta: np.ndarray) -> float:
    won, lost = factors((Z @ theta)[None], np.asarray(bets.on_win), np.asarray(bets.on_loss))
    return float((np.asarray(bets.wins) * np.log(won) + np.asarray(bets.losses) * np.log(lost)).sum())


@pytest.mark.parametrize("seed", range(8))
def test_log_wealth_is_convex_in_theta(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bets = some_bets(seed)
    for _ in range(20):
        one, two = rng.normal(size=(2, D)) * 5
        middle = log_wealth(bets, (one + two) / 2)
        assert middle <= (log_wealth(bets, one) + log_wealth(bets, two)) / 2 + 1e-9


@pytest.mark.parametrize("seed", range(8))
def test_the_least_wealth_is_certified(seed: int) -> None:
    """From any start the bound is below the true minimum over the half space, and soon within 1e-6 of it."""
    bets = some_bets(seed)
    rng = np.random.default_rng(100 + seed)
    constraint = rng.normal(size=D)
    exact = minimize(
        lambda theta: log_wealth(bets, theta),
        np.zeros(D),
        bounds=[(-5, 5)] * D,
        constraints={"type": "ineq", "fun": lambda theta: -constraint @ theta},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 1000},
    ).fun
    least = jax.jit(lambda theta: wealth.least(PROBLEM, bets, jnp.asarray(constraint), theta))
    theta = jnp.asarray(rng.normal(size=D) * 3)
    found = []
    for _ in range(40):
        bound, theta = least(theta)
        assert float(bound) <= exact + 1e-6
        found.append(float(bound))
    assert found[-1] == pytest.approx(exact, abs=1e-6)
    assert found[0] == -np.inf or found[0] < exact, "the first bound from afar is loose or none at all"


def test_nothing_is_claimed_where_the_wealth_has_no_minimum() -> None:
    """Without bets in some direction the program is not bounded by its curvature, so there is no certificate."""
    bets = some_bets(0)
    silent = bets._replace(wins=jnp.zeros_like(bets.wins), losses=jnp.zeros_like(bets.losses))
    silent = silent._replace(wins=silent.wins.at[0, 0].set(5.0))
    bound, theta = wealth.least(PROBLEM, silent, jnp.asarray([1.0, 0.0, 0.0]), jnp.zeros(D))
    assert float(bound) == -np.inf
    assert np.isfinite(theta).all()


def test_half_shares_give_the_likelihood_ratio() -> None:
    """With shares 1/2, 1/2 the log wealth is -l(theta) - n log 2."""
    bets = some_bets(1)
    half = jnp.full_like(bets.on_win, 0.5)
    theta = np.array([0.3, -1.0, 0.5])
    mu = 1 / (1 + np.exp(-Z @ theta))
    likelihood = np.asarray(bets.wins) @ np.log(mu) + np.asarray(bets.losses) @ np.log(1 - mu)
    total = float(np.asarray(bets.wins + bets.losses).sum())
    value = log_wealth(bets._replace(on_win=half, on_loss=half), theta)
    assert value == pytest.approx(-likelihood.sum() - total * np.log(2), rel=1e-12)
