"""The fit of linear Bradley-Terry against scipy and choix, and where the data alone say nothing."""

from __future__ import annotations

import choix
import mpmath
import numpy as np
import pytest
from scipy import optimize
from scipy.special import log_expit

from llmpo_jax import fit_linear_bradley_terry


def battles(features: np.ndarray, theta: np.ndarray, each: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts and wins [K, K] of `each` comparisons per pair."""
    rng = np.random.default_rng(seed)
    size = len(features)
    scores = features @ theta
    won = np.triu(rng.binomial(each, 1 / (1 + np.exp(scores[None] - scores[:, None]))), 1)
    counts = each * (1 - np.eye(size))
    return counts, won + np.tril((counts - won).T, -1)


def negative_posterior(features: np.ndarray, wins: np.ndarray, scale: float):
    def value(theta: np.ndarray) -> float:
        scores = features @ theta
        return -(wins * log_expit(scores[:, None] - scores[None])).sum() + theta @ theta / (2 * scale**2)

    return value


@pytest.mark.parametrize("scale", [0.3, 2.0, 50.0])
def test_against_scipy(scale: float) -> None:
    """The maximum by a method without derivatives' help, and the covariance as the inverse numerical Hessian."""
    rng = np.random.default_rng(0)
    features, theta = rng.normal(size=(9, 3)), np.array([0.5, -1.0, 0.2])
    counts, wins = battles(features, theta, 12, 1)
    fit = fit_linear_bradley_terry(features, counts, wins, scale)
    value = negative_posterior(features, wins, scale)
    found = optimize.minimize(value, np.zeros(3), method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(fit.theta, found.x, atol=1e-6)
    assert fit.status == "converged" and fit.steps < 20
    step = 1e-4
    basis = np.eye(3) * step
    hessian = [
        [
            (value(fit.theta + a + b) - value(fit.theta + a - b) - value(fit.theta - a + b) + value(fit.theta - a - b))
            / (4 * step**2)
            for b in basis
        ]
        for a in basis
    ]
    np.testing.assert_allclose(np.linalg.inv(fit.covariance), hessian, rtol=1e-4, atol=1e-4)


def test_against_choix() -> None:
    """One-hot features are plain Bradley-Terry: choix finds the same scores from the same comparisons."""
    rng = np.random.default_rng(3)
    features = np.eye(6)
    counts, wins = battles(features, rng.normal(size=6), 20, 4)
    pairs = [(i, j) for i in range(6) for j in range(6) for _ in range(int(wins[i, j]))]
    # choix's penalty is alpha |theta|^2, ours |theta|^2 / (2 s^2).
    expected = choix.opt_pairwise(6, pairs, alpha=1 / (2 * 2.0**2), tol=1e-10)
    np.testing.assert_allclose(fit_linear_bradley_terry(features, counts, wins).theta, expected, atol=1e-6)


def test_separable_data_are_finite() -> None:
    """All battles won by the policy with the larger feature: no maximum likelihood, but a posterior."""
    features = np.linspace(-1, 1, 5)[:, None]
    counts = 50 * (1 - np.eye(5))
    fit = fit_linear_bradley_terry(features, counts, np.tril(counts))
    assert fit.status == "converged" and np.isfinite(fit.theta).all() and fit.theta[0] > 3
    assert 0.01 < fit.covariance[0, 0] < 2.0**2


def exact_maximum(features: np.ndarray, wins: np.ndarray, scale: float, start: np.ndarray) -> np.ndarray:
    """The maximum a posteriori by Newton's method with 80 digits, until a step falls below 1e-30."""
    pairs = [(i, j) for i, j in np.argwhere(wins > 0)]
    with mpmath.workdps(80):
        exact = [[mpmath.mpf(x) for x in row] for row in features]
        rows = [[a - b for a, b in zip(exact[i], exact[j], strict=True)] for i, j in pairs]
        theta = mpmath.matrix([mpmath.mpf(x) for x in start])
        size, precision = len(start), mpmath.mpf(scale) ** -2
        for _ in range(200):
            gradient, hessian = -precision * theta, precision * mpmath.eye(size)
            for (i, j), row in zip(pairs, rows, strict=True):
                z = mpmath.matrix(row)
                against = 1 / (1 + mpmath.exp((z.T * theta)[0]))
                gradient += float(wins[i, j]) * against * z
                hessian += float(wins[i, j]) * against * (1 - against) * (z * z.T)
            move = mpmath.lu_solve(hessian, gradient)
            theta += move
            if mpmath.norm(move) < 1e-30:
                return np.array([float(x) for x in theta])
    raise AssertionError("the reference did not converge")


def separable(dimension: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The policy with the better score always wins."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(6, dimension))
    scores = features @ rng.normal(size=dimension)
    counts = 20 * (1 - np.eye(6))
    return features, counts, np.where(scores[:, None] > scores, counts, 0)


def never_won() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Plain Bradley-Terry, one policy of which lost everything: separable in one direction, and in no other."""
    counts, wins = battles(np.eye(5), np.zeros(5), 40, 6)
    wins[:, 4], wins[4, :] = counts[:, 4], 0
    return np.eye(5), counts, wins


@pytest.mark.parametrize("scale", [1e3, 1e8, 1e12])
@pytest.mark.parametrize("data", [separable(1, 0), separable(3, 1), separable(5, 0), never_won()])
def test_a_prior_that_says_almost_nothing(data, scale: float) -> None:
    """The maximum is where exp(-margin) meets 1 / scale^2, many digits below the chances of the other pairs."""
    features, counts, wins = data
    fit = fit_linear_bradley_terry(features, counts, wins, scale)
    assert fit.status == "converged" and fit.steps < 100
    np.testing.assert_allclose(fit.theta, exact_maximum(features, wins, scale, fit.theta), rtol=1e-6, atol=1e-6)
    # Small variances cannot be told beside scale^2 in the entries of one matrix.
    variances = np.linalg.eigvalsh(fit.covariance)
    assert (variances > -1e-12 * variances.max()).all() and variances.max() <= scale**2 * (1 + 1e-6)
    assert (np.diagonal(fit.covariance) > 0).all()


def test_disconnected_graph_keeps_the_prior() -> None:
    """Two groups that never met: within them scores are learnt, between them the covariance is that of the prior."""
    counts, wins = np.zeros((4, 4)), np.zeros((4, 4))
    for i, j in ((0, 1), (2, 3)):
        counts[i, j] = counts[j, i] = 1000
        wins[i, j], wins[j, i] = 600, 400
    fit = fit_linear_bradley_terry(np.eye(4), counts, wins)
    assert fit.status == "converged"
    between, within = np.array([1, 1, -1, -1]) / 2, np.array([1, -1, 0, 0]) / np.sqrt(2)
    assert between @ fit.covariance @ between == pytest.approx(2.0**2, rel=1e-9)
    assert within @ fit.covariance @ within < 0.01
    assert fit.theta[0] - fit.theta[1] == pytest.approx(np.log(1.5), abs=0.01)


def test_a_policy_that_never_won() -> None:
    """Its score is low but finite, and its variance between the others' and the prior's."""
    counts, wins = battles(np.eye(5), np.zeros(5), 40, 6)
    wins[:, 4], wins[4, :] = counts[:, 4], 0
    fit = fit_linear_bradley_terry(np.eye(5), counts, wins)
    assert fit.status == "converged" and np.isfinite(fit.theta).all()
    assert fit.theta[4] < fit.theta[:4].min() - 2
    assert fit.covariance[0, 0] < fit.covariance[4, 4] < 2.0**2


def test_no_comparisons() -> None:
    """The posterior is the prior."""
    fit = fit_linear_bradley_terry(np.eye(3), np.zeros((3, 3)), np.zeros((3, 3)), 0.5)
    np.testing.assert_array_equal(fit.theta, np.zeros(3))
    np.testing.assert_allclose(fit.covariance, np.eye(3) / 4)


def test_honest_covariance() -> None:
    """Over 400 data sets from the prior, 90 % posterior ellipsoids cover theta: within 6 binomial standard deviations
    of 90 % (false alarm below 1e-8; Laplace's approximation is exact to less than that here)."""
    rng = np.random.default_rng(7)
    features = rng.normal(size=(6, 2))
    covered = 0
    for seed in range(400):
        theta = rng.normal(size=2)
        counts, wins = battles(features, theta, 20, seed + 1000)
        fit = fit_linear_bradley_terry(features, counts, wins, 1.0)
        off = fit.theta - theta
        covered += off @ np.linalg.solve(fit.covariance, off) < -2 * np.log(0.1)
    assert abs(covered - 360) <= 6 * 6


GOOD = [np.eye(2), [[0, 3], [3, 0]], [[0, 1], [2, 0]], 2.0]
BAD = [
    (0, [1.0, 2.0], r"features has shape \(2,\), expected one row of features per policy"),
    (0, [[np.nan], [1.0]], r"features\[0, 0\] = nan, expected a finite number"),
    (1, [[0, 3]], r"counts has shape \(1, 2\), expected \[2, 2\] as features has 2 rows"),
    (1, [[0, -3], [3, 0]], r"counts\[0, 1\] = -3, expected a finite number >= 0"),
    (1, [[1, 3], [3, 0]], r"wins\[0, 0\] \+ wins\[0, 0\] = 0, expected counts\[0, 0\] = 1"),
    (2, [[0, 1], [1, 0]], r"wins\[0, 1\] \+ wins\[1, 0\] = 2, expected counts\[0, 1\] = 3"),
    (2, [[0, np.inf], [1, 0]], r"wins\[0, 1\] = inf, expected a finite number >= 0"),
    (3, 1e160, "prior_scale = 1e\\+160, expected a finite number from 1e-20 to 1e\\+20"),
    (3, 0.0, r"prior_scale = 0.0, expected a finite number from 1e-20 to 1e\+20"),
]


@pytest.mark.parametrize(("position", "value", "message"), BAD)
def test_bad_arguments(position: int, value: object, message: str) -> None:
    arguments = list(GOOD)
    arguments[position] = value
    with pytest.raises(ValueError, match=message):
        fit_linear_bradley_terry(*arguments)
