"""The structured program on a few pairs to high accuracy, by Newton's method.

The f_k are concave, positively homogeneous of degree 1 and smooth, so at the optimum some prices q of theirs price the
pairs: `sum_k q_k grad f_k(w)` is the same on the support of w and nowhere larger. With a penalty rho the method follows

    sum_k q_k grad f_k(w) - rho w + s = eta,   sum q = 1,   sum w = 1,   q_k (f_k(w) - z) = nu,   s_p w_p = nu

to nu = 0 (Boyd and Vandenberghe 2004, section 11.7). To predict and correct in each step (Mehrotra 1992) does not pay:
it is the f_k that bend, more than the products.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax.theory import alternatives, linear
from llmpo_jax.theory.alternatives import Cost
from llmpo_jax.theory.program import Program

MAX_STEPS = 150
_PATIENCE = 15
"""Steps without a better point after which none is expected."""
_LEAST_GAP = 1e-4
"""Of the path, as a share of the tolerance: where prices still miss it there, the path will not mend them."""
_INSIDE = 0.98
"""Of the way to the boundary, at most."""
_SLACK = 0.02
"""Of the slack of each f_k that a step must leave."""
_SHORTEST = 1e-6
"""Share of a step that is taken whatever it leaves."""


class Point(NamedTuple):
    """w [P], z, s [P], q [R] and eta, or a step in them."""

    weights: jax.Array
    level: jax.Array
    shadow: jax.Array
    prices: jax.Array
    balance: jax.Array

    def plus(self, share: jax.Array, move: Point) -> Point:
        """The point after this share of a step."""
        return Point(*(x + share * dx for x, dx in zip(self, move, strict=True)))

    def room(self, move: Point) -> jax.Array:
        """The largest share of a step, at most 1, that keeps w, s and q positive."""
        inside = ((self.weights, move.weights), (self.shadow, move.shadow), (self.prices, move.prices))
        shares = [jnp.min(jnp.where(dx < 0, -x / jnp.where(dx < 0, dx, -1), jnp.inf)) for x, dx in inside]
        return jnp.minimum(1, _INSIDE * jnp.stack(shares).min())


class Polished(NamedTuple):
    """The best point that was met.

    Attributes:
        weights: [P], on the simplex. prices: [R], likewise. shifts: [R, d], the nearest ones.
        gap: of the penalised program on these pairs, relative to its value.
    """

    weights: jax.Array
    prices: jax.Array
    shifts: jax.Array
    gap: jax.Array


class _Path(NamedTuple):
    """The state: a point, the step from it that is tried next, how much of it, and the slack [R] it must keep.

    The f_k are computed in one place, as compiling them takes a second: once in an iteration, at the end of a trial.
    """

    point: Point
    move: Point
    share: jax.Array
    floor: jax.Array
    scale: jax.Array
    shifts: jax.Array
    drift: jax.Array
    best: Polished
    since: jax.Array
    steps: jax.Array
    over: jax.Array


def polish(
    cost: Cost, instance: Program, start: jax.Array, shifts: jax.Array, penalty: jax.Array, tolerance: jax.Array
) -> Polished:
    """Maximise `min_k f_k(w) - penalty |w|^2 / 2` over the simplex on the pairs of `instance`.

    Args:
        start: [P], inside the simplex. shifts: [R, d], where searches for alternatives begin.
        tolerance: relative gap at which to stop.
    """
    pairs, rivals = instance.pairs, instance.rivals
    worthwhile = pairs.z * pairs.worth[:, None]
    count = len(start) + len(rivals.gaps)

    def improve(at: _Path) -> _Path:
        trial = at.point.plus(at.share, at.move)
        decided = trial.weights * pairs.worth
        near = alternatives.nearest(cost, pairs, decided, rivals, at.shifts + at.share * at.drift)
        slopes, values = near.costs * pairs.worth, near.value
        first = at.steps == 0
        scale = jnp.where(first, values.min(), at.scale)
        slopes, values, rho = slopes / scale, values / scale, penalty / scale
        begun = _begin(trial.weights, values, slopes, rho)
        trial = Point(*(jnp.where(first, x, y) for x, y in zip(begun, trial, strict=True)))
        slack = values - trial.level
        kept = jnp.all(slack > at.floor) | (at.share < _SHORTEST)
        best = _better(at.best, kept, trial, values, slopes, near.shifts, rho)
        since = jnp.where(best.gap < at.best.gap, 0, at.since + 1)
        gap = trial.prices @ slack + trial.shadow @ trial.weights
        arrived = (best.gap <= tolerance) & (gap < tolerance)
        stuck = (since > _PATIENCE) | ~(slack.min() > 0) | ~(gap > _LEAST_GAP * tolerance * jnp.abs(values.min()))
        rows = cost.slope(pairs.logits, near.shifts @ pairs.z.T)[:, :, None] * worthwhile
        bend = _curvature(rows @ near.roots, trial.prices) / scale
        # After a short step the path comes first, then progress along it.
        target = jnp.where(at.share > 0.5, 0.1, 0.7) * gap / count
        move = _step(trial, slack, slopes, bend, rho, target)
        share = trial.room(move)
        choose = jax.tree.map(lambda x, y: jnp.where(kept, x, y), (trial, move), (at.point, at.move))
        return _Path(
            point=choose[0],
            move=choose[1],
            share=jnp.where(kept, share, 0.6 * at.share),
            floor=jnp.where(kept, _SLACK * slack, at.floor),
            scale=scale,
            shifts=jnp.where(kept, near.shifts, at.shifts),
            # How the alternatives will move, to first order.
            drift=jnp.where(kept, alternatives.newton(near.roots, move.weights @ rows), at.drift),
            best=best,
            since=since,
            steps=at.steps + 1,
            over=kept & (arrived | stuck | ~jnp.isfinite(share)),
        )

    prices = jnp.full(len(rivals.gaps), 1 / len(rivals.gaps))
    nothing = Point(start, jnp.zeros(()), start, prices, jnp.zeros(()))
    zero, no, none = jnp.zeros(()), jnp.zeros((), bool), jnp.zeros((), jnp.int32)
    best = Polished(start, prices, shifts, jnp.inf * jnp.ones(()))
    begin = _Path(nothing, nothing, zero, -jnp.inf * prices, zero, shifts, 0 * shifts, best, none, none, no)
    return jax.lax.while_loop(lambda at: ~at.over & (at.steps < MAX_STEPS), improve, begin).best


def _begin(weights: jax.Array, values: jax.Array, slopes: jax.Array, penalty: jax.Array) -> Point:
    """Inside, with a balance above all prices of pairs: dual feasible."""
    level = 0.5 * values.min()
    prices = 1 / (values - level)
    prices = prices / prices.sum()
    price = prices @ slopes - penalty * weights
    balance = 2 * price.max()
    return Point(weights, level, balance - price, prices, balance)


def _better(
    best: Polished,
    kept: jax.Array,
    point: Point,
    values: jax.Array,
    slopes: jax.Array,
    shifts: jax.Array,
    penalty: jax.Array,
) -> Polished:
    """The point instead of the best one so far, where its true gap, with prices on the simplex, is smaller."""
    prices = point.prices / point.prices.sum()
    upper = (prices @ slopes - penalty * point.weights).max()
    lower = values.min() - penalty * point.weights @ point.weights
    gap = (upper - lower) / jnp.abs(lower)
    found = Polished(point.weights / point.weights.sum(), prices, shifts, gap)
    better = kept & (gap < best.gap)
    return Polished(*(jnp.where(better, x, y) for x, y in zip(found, best, strict=True)))


def _curvature(rows: jax.Array, prices: jax.Array) -> jax.Array:
    """`-sum_k q_k` Hessians of the f_k, [P, P].

    Each is `(J_k S_k) (J_k S_k)^T` with S a square root of the inverse Hessian in s within the plane and J_k the rows
    `slope_kp z_p` (times the worth of p), the gradients of the costs in s: `rows` [R, P, d - 1] are J_k S_k.
    """
    flat = (rows * jnp.sqrt(prices)[:, None, None]).transpose(1, 0, 2).reshape(rows.shape[1], -1)
    return flat @ flat.T


def _step(
    at: Point, slack: jax.Array, slopes: jax.Array, bend: jax.Array, penalty: jax.Array, target: jax.Array
) -> Point:
    """Newton's step to the point of the path where all products are `target`.

    Args:
        slopes: [R, P], the gradients of the f_k. bend: [P, P], as `_curvature`.
    """
    size, ratio = len(at.weights), at.prices / slack
    system = bend + (slopes.T * ratio) @ slopes + jnp.diag(penalty + at.shadow / at.weights)
    unit = 1 / jnp.sqrt(jnp.diagonal(system))
    inverse, _ = linear.inverse(system * unit[:, None] * unit)
    missing = target / slack - at.prices
    dual = at.prices @ slopes - penalty * at.weights + at.shadow - at.balance
    own = dual + missing @ slopes + target / at.weights - at.shadow
    right = jnp.stack([-ratio @ slopes, jnp.ones(size), own], axis=1)
    solved = jnp.zeros_like(right)
    for _ in range(2):  # the second time for what rounding left
        solved = solved + unit[:, None] * (inverse @ (unit[:, None] * (right - system @ solved)))
    # Two equations are left, for the level and the balance.
    corner = jnp.diag(jnp.stack([ratio.sum(), jnp.zeros(())])) - right[:, :2].T @ solved[:, :2]
    rest = jnp.stack([1 - at.prices.sum() - missing.sum(), 1 - at.weights.sum()]) - right[:, :2].T @ solved[:, 2]
    determinant = corner[0, 0] * corner[1, 1] - corner[0, 1] * corner[1, 0]
    level = (corner[1, 1] * rest[0] - corner[0, 1] * rest[1]) / determinant
    balance = (corner[0, 0] * rest[1] - corner[1, 0] * rest[0]) / determinant
    weights = solved @ jnp.stack([-level, -balance, jnp.ones(())])
    shadow = target / at.weights - at.shadow - at.shadow / at.weights * weights
    return Point(weights, level, shadow, missing - ratio * (slopes @ weights - level), balance)
