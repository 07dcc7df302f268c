"""The nearest alternatives of an instance, one for each rival, and what is certain of their costs.

In the notation of `llmpo_jax.theory.structured`, with x_p = z_p . theta and the shift `s = lambda - theta`,

    f_k(w) = min over c_k . s = -g_k of sum_p w_p D(x_p, z_p . s)

where D(x, v) is what it costs to shift the logit x by v: `kl(sigmoid(x), sigmoid(x + v))` in the exact form, its second
order in v in Fisher's. Shifts and not alternatives are computed with, since a small gap would be lost in theta.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from llmpo_jax.models.preference import Array, array_namespace, sigmoid
from llmpo_jax.theory.divergence import shift_kl, shift_slope

_STEPS = 60
_DECREMENT = 1e-20
"""Newton's method stops where it promises less than this share of the value: the costs of single pairs are then known
to 1e-10, being of first order in what is left."""
_NEAR = 1e-9
"""And where, below this share, it no longer converges as it must: rounding is reached."""
_RIDGE = 1e-14
"""Curvature below this share of the mean one is rounding."""


class Cost(NamedTuple):
    """What shifts of logits cost, elementwise on arrays of logits and shifts.

    Attributes:
        value: D(x, v). slope, curvature: its first and second derivative in v.
        conjugate: omega*, with omega the slowest growth: `D(x, v + u) >= D + D' u + D'' omega(u)`.
    """

    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
    curvature: Callable[[Array, Array], Array]
    conjugate: Callable[[Array], Array]


def logistic_conjugate(slope: Array) -> Array:
    """`omega*(y) = (1 - |y|) log(1 - |y|) + |y|` of `omega(u) = exp(-|u|) + |u| - 1`, infinite beyond |y| = 1.

    The logistic function is self-concordant in a general sense (Bach 2010): its third derivative is at most its second,
    which therefore falls at most like exp(-|u|). Near 0 `y^2 / (2 - 2 |y|)`, which is no less and does not cancel.
    """
    xp = array_namespace(slope)
    y = xp.abs(slope)
    inside = xp.where(y < 1, y, 0)
    value = xp.where(y < 1e-4, inside**2 / (2 - 2 * inside), (1 - inside) * xp.log1p(-inside) + inside)
    return xp.where(y < 1, value, xp.where(y > 1, np.inf, 1.0))


def _spread(x: Array, shift: Array) -> Array:
    return sigmoid(x + shift) * sigmoid(-x - shift)


EXACT = Cost(shift_kl, shift_slope, _spread, logistic_conjugate)
FISHER = Cost(
    value=lambda x, v: _spread(x, 0 * v) * v**2 / 2,
    slope=lambda x, v: _spread(x, 0 * v) * v,
    curvature=lambda x, v: _spread(x, 0 * v),
    conjugate=lambda y: y**2 / 2,
)


class Pairs(NamedTuple):
    """Some pairs, and how much each is compared.

    Attributes:
        z: [P, d]. products: [P, d d], `z z^T`. logits: [P], x_p. weights: [P].
    """

    z: np.ndarray
    products: np.ndarray
    logits: np.ndarray
    weights: np.ndarray


class Rivals(NamedTuple):
    """The planes of the alternatives.

    Attributes:
        contrasts: [R, d], c_k. gaps: [R], g_k > 0. planes: [R, d, d - 1], orthonormal bases of `c_k . v = 0`.
    """

    contrasts: np.ndarray
    gaps: np.ndarray
    planes: np.ndarray

    @staticmethod
    def of(contrasts: np.ndarray, gaps: np.ndarray) -> Rivals:
        """The planes by a QR decomposition of each c_k."""
        return Rivals(contrasts, gaps, np.linalg.qr(contrasts[:, :, None], mode="complete")[0][:, :, 1:])

    def feasible(self, shifts: np.ndarray) -> np.ndarray:
        """[R, d], the shifts moved along c_k to `c_k . s = -g_k`."""
        off = (shifts * self.contrasts).sum(axis=1) + self.gaps
        return shifts - self.contrasts * (off / (self.contrasts**2).sum(axis=1))[:, None]

    def roots(self, pairs: Pairs, curvature: np.ndarray) -> np.ndarray:
        """[R, d, d - 1], S with `S S^T` the inverse within the plane of `sum_p w_p curvature_kp z_p z_p^T`.

        Never singular: the flattest directions get a ridge.
        """
        size = self.contrasts.shape[1]
        matrix = ((curvature * pairs.weights) @ pairs.products).reshape(-1, size, size)
        within = self.planes.mT @ matrix @ self.planes
        ridge = np.maximum(_RIDGE * np.trace(matrix, axis1=1, axis2=2), 1e-150)
        within += ridge[:, None, None] * np.eye(size - 1)
        return self.planes @ np.linalg.inv(np.linalg.cholesky(within)).mT


def nearest(cost: Cost, pairs: Pairs, rivals: Rivals, shifts: np.ndarray) -> np.ndarray:
    """[R, d], for each rival the shift of least cost, by Newton's method within a trust region, from `shifts`.

    A step that moves no logit by more than 1 always descends (self-concordance). Further ones are tried, since theta
    may be hundreds of logits from the alternatives, and undone where the cost rises.
    """
    shifts = rivals.feasible(shifts)
    along = shifts @ pairs.z.T
    value, reach = cost.value(pairs.logits, along) @ pairs.weights, np.ones(len(shifts))
    promised = np.full(len(shifts), np.inf)
    for _ in range(_STEPS):
        curvature = cost.curvature(pairs.logits, along)
        gradient = (cost.slope(pairs.logits, along) * pairs.weights) @ pairs.z
        step = _step(rivals.roots(pairs, curvature), gradient)
        change = step @ pairs.z.T
        last, promised = promised, (curvature * change**2) @ pairs.weights / np.maximum(value, 1e-300)
        if ((promised <= _DECREMENT) | ((promised <= _NEAR) & (promised > last / 4))).all():
            break
        furthest = np.abs(change).max(axis=1)
        trial = rivals.feasible(shifts + step * (reach / np.maximum(furthest, reach))[:, None])
        trial_along = trial @ pairs.z.T
        found = cost.value(pairs.logits, trial_along) @ pairs.weights
        # Rounding may hide the descent of a short step.
        better = (found <= value) | (furthest <= 1)
        shifts, along = np.where(better[:, None], trial, shifts), np.where(better[:, None], trial_along, along)
        value = np.where(better, found, value)
        reach = np.where(better, 2 * reach, np.maximum(1, reach / 8))
    return shifts


def _step(roots: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """[R, d], the Newton step within the plane from square roots of the inverse Hessians."""
    return -(roots @ (roots.mT @ gradient[:, :, None]))[:, :, 0]


def least(cost: Cost, pairs: Pairs, rivals: Rivals, shifts: np.ndarray) -> np.ndarray:
    """[R], certified lower ends of f_k(w), whatever the shifts on the planes; the nearer they are, the higher.

    For kappa_p = w_p D''_p and any slopes y_p with `sum_p (w_p D'_p + kappa_p y_p) z_p` orthogonal to the plane,
    Fenchel's inequality `omega(u) >= y_p u - omega*(y_p)` over all steps within the plane gives

        f_k(w) >= sum_p w_p D_p - kappa_p omega*(y_p)

    The slopes `y_p = z_p . v`, v the Newton step, do so but for rounding. What that leaves of the sum is charged over
    the length of the shift: to first order, what it costs to move the slopes until nothing is left.
    """
    along = shifts @ pairs.z.T
    weighted = pairs.weights * cost.curvature(pairs.logits, along)
    slope = pairs.weights * cost.slope(pairs.logits, along)
    roots = rivals.roots(pairs, cost.curvature(pairs.logits, along))
    step, left = np.zeros_like(shifts), slope @ pairs.z
    for _ in range(2):  # the second time for the ridge
        step = step + _step(roots, left)
        left = (slope + weighted * (step @ pairs.z.T)) @ pairs.z
    left = np.linalg.norm((left[:, None] @ rivals.planes)[:, 0], axis=1)
    promised = (weighted * np.where(weighted > 0, cost.conjugate(step @ pairs.z.T), 0)).sum(axis=1)
    value = cost.value(pairs.logits, along) @ pairs.weights
    return value - promised - left * np.linalg.norm(shifts, axis=1)
