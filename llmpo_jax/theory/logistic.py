"""The maximum a posteriori fit of a linear Bradley-Terry model to comparisons, in float64 on the host."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import qr, solve_triangular
from scipy.special import expit

from llmpo_jax.arguments import Number, real
from llmpo_jax.brief import brief
from llmpo_jax.models.preference import floating

MAX_STEPS = 500
"""Separable data take one for each logit of the answer's least margin, about `2 log(prior_scale)`."""
LARGEST_SCALE = 1e20
_MOVE = 1e-7
"""Of the last Newton step, in logits and as a share of theta: the error left is about its square."""


@dataclass(frozen=True, eq=False)
class LinearFit:
    """A fitted parameter.

    Attributes:
        theta: [d], the maximum a posteriori.
        covariance: [d, d], the inverse Hessian there (Laplace's approximation of the posterior). In directions of which
            the comparisons say nothing it is the prior's.
        status: "converged" or "not converged" (where the prior is so wide that rounding hides what it says).
        steps: Newton steps taken.
    """

    theta: np.ndarray
    covariance: np.ndarray
    status: str
    steps: int

    __repr__ = brief


def fit_linear_bradley_terry(
    features: ArrayLike, counts: ArrayLike, wins: ArrayLike, prior_scale: Number = 2.0
) -> LinearFit:
    """Maximise `l(theta) - |theta|^2 / (2 prior_scale^2)` by damped Newton, l the logistic log-likelihood.

    Thanks to the prior the answer is finite for separable data, a disconnected comparison graph, and a policy that
    never won (theory, section 4). Steps that move no logit by more than 1 ascend (self-concordance), and further ones
    as long as the slope is upwards at their end.

    Args:
        features: [K, d].
        counts: [K, K], comparisons of i with j, symmetric, zero diagonal.
        wins: [K, K], those that i won; ties count half, `wins + wins^T = counts`.
        prior_scale: standard deviation s of the prior N(0, s^2 I), 1e-20 to 1e20.

    Raises:
        ValueError: shapes that do not fit, entries that are not finite or negative, or `wins + wins^T` is not `counts`.

    Example:
        >>> fit = fit_linear_bradley_terry([[1.0], [0.0]], [[0, 10], [10, 0]], [[0, 7], [3, 0]])
        >>> fit.theta.round(3).tolist(), fit.status
        ([0.762], 'converged')
    """
    prior_scale = real("prior_scale", prior_scale, 1 / LARGEST_SCALE, LARGEST_SCALE)
    features, counts, wins = _checked(features, counts, wins)
    first, second = np.nonzero(np.triu(counts, 1))
    z, n, won = features[first] - features[second], counts[first, second], wins[first, second]
    silent = _silent(z)

    def residual(logits: np.ndarray) -> np.ndarray:
        # Not `won - n chance`, which loses the digits of a chance near 1.
        return won * expit(-logits) - (n - won) * expit(logits)

    theta, status, steps, root = np.zeros(z.shape[1]), "not converged", 0, np.eye(z.shape[1]) * prior_scale
    for steps in range(MAX_STEPS + 1):  # noqa: B007
        logits = z @ theta
        root = _root(z, n * expit(logits) * expit(-logits), prior_scale)
        # Summed exactly: a policy that never won leaves e^-40 of a sum whose other terms cancel.
        gradient = np.array([math.fsum(column) for column in (residual(logits)[:, None] * z).T])
        move = root @ (root.T @ (gradient - theta / prior_scale**2))
        # Where the comparisons say nothing theta is 0: what rounding makes them say there must not be heard.
        move -= silent @ (silent.T @ move)
        change = z @ move
        furthest, share = np.abs(change).max(initial=0), 1.0
        while share * furthest > 1:
            end = theta + share * move
            if residual(z @ end) @ change >= end @ move / prior_scale**2:
                break
            share /= 2
        theta = theta + share * move
        if furthest <= _MOVE and np.linalg.norm(move) <= _MOVE * (1 + np.linalg.norm(theta)):
            status = "converged"
            break
    return LinearFit(theta, root @ root.T, status, steps)


def _silent(z: np.ndarray) -> np.ndarray:
    """[d, d - r], an orthonormal basis of the directions that no row of z touches."""
    _, scale, right = np.linalg.svd(np.linalg.qr(np.concatenate([z, np.zeros((1, z.shape[1]))]), mode="r"))
    return right[int((scale > 1e-12 * scale[0]).sum()) :].T


def _root(z: np.ndarray, curvature: np.ndarray, prior_scale: float) -> np.ndarray:
    """[d, d], a square root of the inverse Hessian.

    Pairs whose outcome is all but certain have curvatures of e^-40 beside 1/4, which the sum of `curvature z z^T` would
    lose. A QR decomposition of its square root with pivoted columns keeps every row to its own digits where the rows
    come in falling order (Higham 2002, section 19.4).
    """
    size = z.shape[1]
    rows = np.concatenate([np.sqrt(curvature)[:, None] * z, np.eye(size) / prior_scale])
    order = np.argsort(-np.abs(rows).max(axis=1), kind="stable")
    found = qr(rows[order], mode="r", pivoting=True)
    root = np.empty((size, size))
    root[np.asarray(found[-1])] = solve_triangular(np.asarray(found[0])[:size], np.eye(size))
    return root


def _checked(features: ArrayLike, counts: ArrayLike, wins: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    given = {"features": features, "counts": counts, "wins": wins}
    features, counts, wins = (np.asarray(floating(*each), np.float64) for each in given.items())
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
    return features, counts, wins
