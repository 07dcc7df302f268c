"""The maximum a posteriori fit of a linear Bradley-Terry model to comparisons, in float64 on the host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit

MAX_STEPS = 100
_DECREMENT = 1e-14


@dataclass(frozen=True, eq=False)
class LinearFit:
    """A fitted parameter.

    Attributes:
        theta: [d], the maximum a posteriori.
        covariance: [d, d], the inverse Hessian there (Laplace's approximation of the posterior). In directions of which
            the comparisons say nothing it is the prior's.
        status: "converged" or "not converged".
        steps: Newton steps taken.
    """

    theta: np.ndarray
    covariance: np.ndarray
    status: str
    steps: int


def fit_linear_bradley_terry(
    features: np.ndarray, counts: np.ndarray, wins: np.ndarray, prior_scale: float = 2.0
) -> LinearFit:
    """Maximise `l(theta) - |theta|^2 / (2 prior_scale^2)` by damped Newton, l the logistic log-likelihood.

    Thanks to the prior the answer is finite for separable data, a disconnected comparison graph, and a policy that
    never won (theory, section 4).

    Args:
        features: [K, d].
        counts: [K, K], comparisons of i with j, symmetric, zero diagonal.
        wins: [K, K], those that i won; ties count half, `wins + wins^T = counts`.
        prior_scale: standard deviation s > 0 of the prior N(0, s^2 I).

    Raises:
        ValueError: shapes that do not fit, entries that are not finite or negative, or `wins + wins^T` is not `counts`.

    Example:
        >>> fit = fit_linear_bradley_terry([[1.0], [0.0]], [[0, 10], [10, 0]], [[0, 7], [3, 0]])
        >>> fit.theta.round(3).tolist(), fit.status
        ([0.762], 'converged')
    """
    features, counts, wins = _checked(features, counts, wins, prior_scale)
    first, second = np.nonzero(np.triu(counts, 1))
    z, n, won = features[first] - features[second], counts[first, second], wins[first, second]
    precision = np.eye(features.shape[1]) / prior_scale**2

    def objective(theta: np.ndarray) -> float:
        logits = z @ theta
        return won @ log_expit(logits) + (n - won) @ log_expit(-logits) - theta @ precision @ theta / 2

    theta, status, steps = np.zeros(features.shape[1]), "not converged", 0
    for steps in range(MAX_STEPS + 1):  # noqa: B007
        chance = expit(z @ theta)
        gradient = (won - n * chance) @ z - precision @ theta
        covariance = np.linalg.inv((z.T * (n * chance * (1 - chance))) @ z + precision)
        move = covariance @ gradient
        if gradient @ move <= _DECREMENT * max(1.0, n.sum()):
            status = "converged"
            break
        share, before = 1.0, objective(theta)
        while objective(theta + share * move) < before + 0.1 * share * (gradient @ move) and share > 1e-10:
            share /= 2
        theta = theta + share * move
    return LinearFit(theta, covariance, status, steps)


def _checked(
    features: np.ndarray, counts: np.ndarray, wins: np.ndarray, prior_scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    features, counts, wins = (np.asarray(x, np.float64) for x in (features, counts, wins))
    if features.ndim != 2 or features.shape[1] < 1:
        raise ValueError(f"features has shape {features.shape}, expected one row of features per policy [K, d]")
    size = len(features)
    for name, matrix in (("counts", counts), ("wins", wins)):
        if matrix.shape != (size, size):
            raise ValueError(f"{name} has shape {matrix.shape}, expected [{size}, {size}] as features has {size} rows")
        if not np.all(np.isfinite(matrix) & (matrix >= 0)):
            i, j = np.argwhere(~(np.isfinite(matrix) & (matrix >= 0)))[0]
            raise ValueError(f"{name}[{i}, {j}] = {matrix[i, j]:g}, expected a finite number >= 0")
    if not np.isfinite(features).all():
        i, j = np.argwhere(~np.isfinite(features))[0]
        raise ValueError(f"features[{i}, {j}] = {features[i, j]:g}, expected a finite number")
    off = np.argwhere(np.abs(wins + wins.T - counts) > 1e-9 * (1 + counts))
    if len(off):
        i, j = off[0]
        raise ValueError(
            f"wins[{i}, {j}] + wins[{j}, {i}] = {wins[i, j] + wins[j, i]:g}, "
            f"expected counts[{i}, {j}] = {counts[i, j]:g}"
        )
    if np.diagonal(counts).any():
        raise ValueError("counts has entries on its diagonal, expected no policy compared with itself")
    if not (prior_scale > 0 and np.isfinite(prior_scale)):
        raise ValueError(f"prior_scale = {prior_scale!r}, expected a finite number > 0")
    return features, counts, wins
