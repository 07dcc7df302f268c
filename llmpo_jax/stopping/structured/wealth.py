"""Bets on the outcomes of a structured run, and the least that they have won over a whole null hypothesis.

For a parameter theta, in whose eyes i beats j with probability `p = sigmoid(z . theta)`, z = x_i - x_j, put a share
alpha of the wealth on "i wins", a share beta on "j wins", hold the rest, and let theta set the odds: the wealth is
multiplied by

    1 - beta + alpha exp(-z . theta)   if i wins,        1 - alpha + beta exp(z . theta)   if j wins.

If theta is true the factor has mean `p (1 - beta) + alpha (1 - p) + (1 - p)(1 - alpha) + beta p = 1`, so the wealth is
a non-negative martingale for all shares chosen from the past. Its logarithm is CONVEX in theta (each factor is a
constant plus an exponential of a linear function, with non-negative coefficients). So the least wealth over the half
space "k is at least as good as the leader", `c . theta <= 0`, is a convex program with d unknowns.

With shares 1/2, 1/2 the factors are `1 / (2 p)` and `1 / (2 (1 - p))`: the log wealth is then
`-l(theta) - n log 2`, and the same program yields the likelihood ratio of the two other rules.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax.protocol import Problem
from llmpo_jax.theory import linear

NEWTON_STEPS = 1
_RIDGE = 1e-6
_CURVATURE = 0.36
"""The logarithm f of a factor is a constant plus a softplus of the logit x = z . theta, so for |h| <= 1
`f(x + h) >= f(x) + f'(x) h + (1 / e) f''(x) h^2`, 1 / e = 0.367 (Sun and Tran-Dinh 2019, generalised
self-concordance with nu = 2, M = 1)."""


class Bets(NamedTuple):
    """What was staked and how it came out, by epoch e and pair p; all [E, P].

    Attributes:
        wins, losses: comparisons that the pair's first policy won and lost.
        on_win, on_loss: the shares alpha and beta.
    """

    wins: jax.Array
    losses: jax.Array
    on_win: jax.Array
    on_loss: jax.Array


class _Local(NamedTuple):
    """Log wealth around one theta: its value with its rounding error, and a quadratic model."""

    value: jax.Array
    rounding: jax.Array
    gradient: jax.Array
    inverse: jax.Array


def _around(problem: Problem, bets: Bets, logits: jax.Array) -> _Local:
    """Log wealth and its derivatives at the theta with these logits [P]."""
    decay = jnp.exp(-logits)
    growth = 1 / decay
    value = size = slope = curvature = jnp.zeros_like(logits)
    # Unrolled sums over epochs and products with ones over pairs: XLA's own reductions are several times slower on CPU.
    for wins, losses, on_win, on_loss in zip(*bets, strict=True):
        won, lost = on_win * decay, on_loss * growth
        win_factor, loss_factor = won + (1 - on_loss), lost + (1 - on_win)
        gain, cost = wins * jnp.log(win_factor), losses * jnp.log(loss_factor)
        value, size = value + (gain + cost), size + (jnp.abs(gain) + jnp.abs(cost))
        won, lost = won / win_factor, lost / loss_factor
        slope = slope + (losses * lost - wins * won)
        curvature = curvature + (wins * won * (1 - won) + losses * lost * (1 - lost))
    ones, ridge = jnp.ones_like(value), _RIDGE * jnp.eye(problem.dimension, dtype=problem.dtype)
    return _Local(
        value=value @ ones,
        rounding=jnp.finfo(problem.dtype).eps * (size @ ones),
        gradient=slope @ linear.of(problem).differences,
        inverse=linear.inverse(linear.information(problem, curvature) + ridge)[0],
    )


def _newton(local: _Local, constraint: jax.Array, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The step [d] to the minimum of the quadratic model over `constraint . theta <= 0`, and the decrease there."""
    free = -local.inverse @ local.gradient
    normal = local.inverse @ constraint
    excess = jnp.maximum(constraint @ (theta + free), 0)
    multiplier = excess / (constraint @ normal)
    step = free - normal * multiplier
    # -(g . step + step . H step / 2), where H step = -(g + multiplier * constraint).
    decrease = (multiplier * (constraint @ step) - local.gradient @ step) / 2
    return step, decrease


def least(problem: Problem, bets: Bets, constraint: jax.Array, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A lower bound on the log wealth over all theta with `constraint . theta <= 0`.

    Newton's method from `theta`, steps shortened so that no logit moves by more than 1. The bound is certified: let m
    be the decrease that the quadratic model at the last theta still promises, a = `_CURVATURE`, and
    `v = max |z|^2 tr(H^-1)`. While no logit moves by more than 1, the log wealth exceeds the model with H / 2 replaced
    by a H, so it falls by at most m / (2 a). On the border of that region some |z . h| = 1, hence h . H h >= 1 / v, and
    for `m v <= a^2 / 2` that model is positive there; by convexity nothing lower lies beyond. Otherwise nothing is
    claimed: -inf.

    Args:
        constraint: [d], `c = x_leader - x_k` for "k is at least as good as the leader".
        theta: [d], where to start; best near the minimum.

    Returns:
        The bound, nats, with the rounding error taken off, and the last theta [d] (to start from next time).
    """
    design = linear.of(problem)
    theta = theta - constraint * (jnp.maximum(constraint @ theta, 0) / (constraint @ constraint))
    logits = design.differences @ theta
    for _ in range(NEWTON_STEPS):
        local = _around(problem, bets, logits)
        step, _ = _newton(local, constraint, theta)
        move = design.differences @ step
        shorten = 1 / jnp.maximum(jnp.max(jnp.abs(move)), 1)
        theta, logits = theta + shorten * step, logits + shorten * move
    local = _around(problem, bets, logits)
    _, decrease = _newton(local, constraint, theta)
    decrease = jnp.maximum(decrease, 0)
    reach = jnp.max(jnp.sum(design.differences**2, axis=1)) * jnp.trace(local.inverse)
    certified = decrease * reach <= _CURVATURE**2 / 2
    return jnp.where(certified, local.value - decrease / (2 * _CURVATURE) - local.rounding, -jnp.inf), theta
