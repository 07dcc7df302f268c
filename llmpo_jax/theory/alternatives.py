"""The nearest alternatives of an instance, one for each rival, and what is certain of their costs; pure JAX.

In the notation of `llmpo_jax.theory.structured`, with x_p = z_p . theta and the shift `s = lambda - theta`,

    f_k(w) = min over c_k . s = -g_k of sum_p w_p D(x_p, z_p . s)

where D(x, v) is what it costs to shift the logit x by v: `kl(sigmoid(x), sigmoid(x + v))` in the exact form, its second
order in v in Fisher's. Shifts and not alternatives are computed with, since a small gap would be lost in theta.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.models.preference import Array, array_namespace, sigmoid
from llmpo_jax.theory.divergence import shift_kl, shift_slope

STEPS = 60
"""Newton's, at most."""
_DECREMENT = 1e-20
"""Newton's method stops where it promises less than this share of the value: the costs of single pairs are then known
to 1e-10, being of first order in what is left."""
_NEAR = 1e-9
"""And where, below this share, it no longer converges as it must: rounding is reached."""
_LONGEST = 0.5
"""Of the slopes in `least`, whose conjugate is infinite beyond 1."""
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
COSTS = {"exact": EXACT, "fisher": FISHER}


class Pairs(NamedTuple):
    """Some pairs.

    Attributes:
        z: [P, d]. products: [P, d d], `z z^T`. logits: [P], x_p.
        worth: [P], decided comparisons that a unit of cost buys, `(1 - t_p) / c_p`; 1 without ties and costs. Nothing
            here looks at it: weights are decided comparisons, whoever turns shares of the cost into them.
    """

    z: jax.Array
    products: jax.Array
    logits: jax.Array
    worth: jax.Array


class Rivals(NamedTuple):
    """The planes of the alternatives.

    Attributes:
        contrasts: [R, d], c_k. gaps: [R], g_k > 0. planes: [R, d, d - 1], orthonormal bases of `c_k . v = 0`.
    """

    contrasts: jax.Array
    gaps: jax.Array
    planes: jax.Array

    def feasible(self, shifts: jax.Array) -> jax.Array:
        """[R, d], the shifts moved along c_k to `c_k . s = -g_k`."""
        off = (shifts * self.contrasts).sum(axis=1) + self.gaps
        return shifts - self.contrasts * (off / (self.contrasts**2).sum(axis=1))[:, None]

    def roots(self, pairs: Pairs, curvature: jax.Array) -> jax.Array:
        """[R, d, d - 1], S with `S S^T` the inverse within the plane of `sum_p curvature_kp z_p z_p^T`.

        Never singular: the flattest directions get a ridge. Roots, as the steep directions of an inverse are lost in
        the rounding of its flat ones.
        """
        size = self.contrasts.shape[1]
        matrix = (curvature @ pairs.products).reshape(-1, size, size)
        within = self.planes.mT @ matrix @ self.planes
        ridge = jnp.maximum(_RIDGE * jnp.trace(matrix, axis1=1, axis2=2), 1e-150)
        root = jnp.linalg.cholesky(within + ridge[:, None, None] * jnp.eye(size - 1))
        identity = jnp.broadcast_to(jnp.eye(size - 1), root.shape)
        return self.planes @ jax.scipy.linalg.solve_triangular(root, identity, lower=True).mT


class Nearest(NamedTuple):
    """The search for the nearest alternatives, and where it ended.

    Attributes:
        shifts: [R, d], on the planes. costs: [R, P], of the single pairs there. value: [R], of all together.
        roots: [R, d, d - 1], of the last step (`Rivals.roots`).
        step: [R, d], Newton's from there. furthest: [R], how far it moves a logit. reach: [R], how far it may.
        promised: [R], what it gains, as a share of the value. arrived: [R]. steps: int32, so far.
    """

    shifts: jax.Array
    costs: jax.Array
    value: jax.Array
    roots: jax.Array
    step: jax.Array
    furthest: jax.Array
    reach: jax.Array
    promised: jax.Array
    arrived: jax.Array
    steps: jax.Array


def nearest(cost: Cost, pairs: Pairs, weights: jax.Array, rivals: Rivals, shifts: jax.Array) -> Nearest:
    """For each rival the shift of least cost, by Newton's method within a trust region, from `shifts` [R, d].

    A step that moves no logit by more than 1 always descends (self-concordance). Further ones are tried, since theta
    may be hundreds of logits from the alternatives, and undone where the cost rises. Costs are computed in one place,
    at the end of a step, as compiling them takes long; the first step is none.
    """

    def improve(at: Nearest) -> Nearest:
        trial = rivals.feasible(at.shifts + at.step * (at.reach / jnp.maximum(at.furthest, at.reach))[:, None])
        along = trial @ pairs.z.T
        costs = cost.value(pairs.logits, along)
        value = costs @ weights
        # Rounding may hide the descent of a short step.
        better = (value <= at.value) | (at.furthest <= 1)
        curvature = cost.curvature(pairs.logits, along) * weights
        roots = rivals.roots(pairs, curvature)
        step = newton(roots, (cost.slope(pairs.logits, along) * weights) @ pairs.z)
        change = step @ pairs.z.T
        promised = (curvature * change**2).sum(axis=1) / jnp.maximum(value, 1e-300)
        arrived = (promised <= _DECREMENT) | ((promised <= _NEAR) & (promised > at.promised / 4))
        new = Nearest(
            trial, costs, value, roots, step, jnp.abs(change).max(axis=1), 2 * at.reach, promised, arrived, at.steps
        )
        old = at._replace(reach=jnp.maximum(1, at.reach / 8))
        kept = (
            jnp.where(better.reshape(-1, *[1] * (x.ndim - 1)), x, y) for x, y in zip(new[:-1], old[:-1], strict=True)
        )
        return Nearest(*kept, steps=at.steps + 1)

    rows, none = jnp.zeros(len(shifts)), jnp.zeros_like(shifts)
    start = Nearest(
        shifts=shifts,
        costs=jnp.zeros((len(shifts), len(weights))),
        value=rows,
        roots=jnp.zeros_like(rivals.planes),
        step=none,
        furthest=rows,
        reach=rows + 0.5,
        promised=rows + jnp.inf,
        arrived=rows > 0,
        steps=jnp.zeros((), jnp.int32),
    )
    return jax.lax.while_loop(lambda at: (at.steps < STEPS) & ~at.arrived.all(), improve, start)


def newton(roots: jax.Array, gradient: jax.Array) -> jax.Array:
    """[R, d], the Newton step within the plane from square roots of the inverse Hessians."""
    return -(roots @ (roots.mT @ gradient[:, :, None]))[:, :, 0]


def least(cost: Cost, pairs: Pairs, weights: jax.Array, rivals: Rivals, shifts: jax.Array) -> jax.Array:
    """[R], certified lower ends of f_k(w), whatever the shifts on the planes; the nearer they are, the higher.

    For kappa_p = w_p D''_p and any slopes y_p with `sum_p (w_p D'_p + kappa_p y_p) z_p` orthogonal to the plane,
    Fenchel's inequality `omega(u) >= y_p u - omega*(y_p)` over all steps within the plane gives

        f_k(w) >= sum_p w_p D_p - kappa_p omega*(y_p)

    The slopes `y_p = z_p . v`, v the Newton step, do so but for rounding; in directions that are all but flat v may be
    of any length, and is cut short. What is left of the sum is charged over the length of the shift: to first order,
    what it costs to move the slopes until nothing is left.
    """
    along = shifts @ pairs.z.T
    weighted = weights * cost.curvature(pairs.logits, along)
    slope = weights * cost.slope(pairs.logits, along)
    roots = rivals.roots(pairs, weighted)
    step, left = jnp.zeros_like(shifts), slope @ pairs.z
    for _ in range(2):  # the second time for the ridge
        step = step + newton(roots, left)
        furthest = jnp.abs(step @ pairs.z.T).max(axis=1)
        step = step * (_LONGEST / jnp.maximum(furthest, _LONGEST))[:, None]
        left = (slope + weighted * (step @ pairs.z.T)) @ pairs.z
    left = jnp.linalg.norm((left[:, None] @ rivals.planes)[:, 0], axis=1)
    promised = (weighted * jnp.where(weighted > 0, cost.conjugate(step @ pairs.z.T), 0)).sum(axis=1)
    value = cost.value(pairs.logits, along) @ weights
    return value - promised - left * jnp.linalg.norm(shifts, axis=1)
