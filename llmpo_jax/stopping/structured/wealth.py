"""Bets on the outcomes of a structured run, and a proven bound on the least that they have won over a null hypothesis.

For a parameter theta, in whose eyes i beats j with probability `p = sigmoid(z . theta)`, z = x_i - x_j, put a share
alpha of the wealth on "i wins", a share beta on "j wins", hold the rest, and let theta set the odds: the wealth is
multiplied by

    1 - beta + alpha exp(-z . theta)   if i wins,        1 - alpha + beta exp(z . theta)   if j wins.

If theta is true the factor has mean `p (1 - beta) + alpha (1 - p) + (1 - p)(1 - alpha) + beta p = 1`, so the wealth is
a non-negative martingale for all shares in [0, 1] chosen from the past. Its logarithm is CONVEX in theta (each factor
is a constant plus an exponential of a linear function, with non-negative coefficients). So the least wealth over the
half space "k is at least as good as the leader", `c . theta <= 0`, is a convex program with d unknowns.

With shares 1/2, 1/2 the factors are `1 / (2 p)` and `1 / (2 (1 - p))`: the log wealth is then
`-l(theta) - n log 2`, and the same program yields the likelihood ratio of the two other rules.

The bound. Let F be the log wealth, F(theta) = sum_p phi_p(z_p . theta), and take ANY parameter theta_0, multiplier
lambda >= 0 and slopes sigma_p in [-1, 1]; x_p = z_p . theta_0, kappa_p = phi_p''(x_p) and

    r = sum_p (phi_p'(x_p) + kappa_p sigma_p) z_p + lambda c.

Then for every theta with `c . theta <= 0` and |theta| <= R

    F(theta) >= F(theta_0) + lambda c . theta_0 - sum_p kappa_p sigma_p^2 (1 + |sigma_p|) / 2 - |r| (R + |theta_0|).

Proof. Every factor's logarithm f has |f'''| <= f'' (it is a constant plus a softplus of the logit or of its negative),
so `f(x + u) >= f(x) + f'(x) u + f''(x) omega(u)`, omega(u) = exp(-|u|) + |u| - 1, and so has their sum phi_p. By
Fenchel's inequality `omega(u) >= sigma u - omega*(sigma)`, where for |sigma| <= 1
`omega*(sigma) = (1 - |sigma|) log(1 - |sigma|) + |sigma| <= sigma^2 (1 + |sigma|) / 2`. Add over the pairs with
u_p = z_p . h, h = theta - theta_0: F(theta) >= F(theta_0) + (r - lambda c) . h - sum_p kappa_p omega*(sigma_p), where
`-lambda c . h >= lambda c . theta_0` and `r . h >= -|r| (R + |theta_0|)`.

Nothing about the information matrix H = sum_p kappa_p z_p z_p^T enters: it only serves to find good slopes. Newton's
step v solves H v = -(gradient + lambda c), so sigma_p = z_p . v leaves r at what rounding leaves, and the third term is
then about half the squared Newton decrement. Where H is singular, along a direction in which nothing was compared, the
wealth is constant and r has nothing there; where slopes beyond 1 are cut off, r grows and the bound with it falls.

R is `RADIUS`. The coordinates are whitened over the policies (`llmpo_jax.models.identified`), so |theta| is the root
mean square of the policies' centred scores: the bound holds for all models in which no two scores are more than 10^4
logits apart (beyond, the worse policy would win with a probability below exp(-10^4)).

Rounding. All this is computed in float64, with u = 2^-53 and an exponential that is right to 4 units in the last
place. Logits further out than `FURTHEST` are cut off there, and the pair's term is continued by its tangent, which
convexity allows. With n comparisons bet on, Z = max |z_p|, P pairs and E <= 48 epochs: every factor is right to 12 u
relative and its logarithm, at most 65, to 16 u + 3 u |log|; sums add (2 E + P) u of their terms' sizes; a slope phi_p'
or a curvature is right to (50 + 2 E) u n_p, a logit to d u Z |theta_0|, r beyond that to (P + 3) u (1.25 n Z + |r|),
the differences z and c to u relative. As |f'| <= 1 and f'' <= 1/4, all of it together changes the right hand side by
less than `2 u (P + 256) n (FURTHEST + Z (R + |theta_0|))` and a hundredth of its last term; both are taken off. Where
floats are shorter, in another type or on a device that computes float64 in pairs of float32 (`arithmetic.spacing`),
their u is used: with float32 the bound still holds, far too low to prove anything. Where a number is not finite
nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax.arithmetic import logarithm, spacing
from llmpo_jax.protocol import Problem
from llmpo_jax.theory import linear

RADIUS = 1e4
FURTHEST = 64.0
"""Logits further from 0 than this are continued by tangents: exp(64) is far from overflow, exp(-64) nothing."""
_RIDGE = 1e-13
"""Of the trace of H, added so that it can be inverted; what it changes of the step is mended once."""


class Stakes(NamedTuple):
    """What was staked in an epoch and how it came out, pair by pair; all [P].

    Attributes:
        wins, losses: comparisons that the pair's first policy won and lost.
        on_win, on_loss: the shares alpha and beta, in [0, 1).
    """

    wins: jax.Array
    losses: jax.Array
    on_win: jax.Array
    on_loss: jax.Array


class Bets(NamedTuple):
    """All bets against a policy.

    Attributes:
        stakes: the stakes of epoch e, an int32.
        epochs: int32, how many there are; later ones hold no comparisons.
        number: comparisons, at least those that were bet on.
    """

    stakes: Callable[[jax.Array], Stakes]
    epochs: jax.Array | int
    number: jax.Array


class _Local(NamedTuple):
    """Log wealth at some logits and its derivatives in them: phi', [P], and kappa, [P]."""

    value: jax.Array
    slope: jax.Array
    curvature: jax.Array


def _around(bets: Bets, logits: jax.Array) -> _Local:
    """Log wealth around these logits [P], which are at most `FURTHEST` away from 0."""
    decay, dtype = jnp.exp(-logits), logits.dtype
    growth = 1 / decay

    def add(epoch: jax.Array, sums: _Local) -> _Local:
        wins, losses, on_win, on_loss = (x.astype(dtype) for x in bets.stakes(epoch))
        won, lost = on_win * decay, on_loss * growth
        win_factor, loss_factor = won + (1 - on_loss), lost + (1 - on_win)
        gain, cost = wins * logarithm(win_factor), losses * logarithm(loss_factor)
        won, lost = won / win_factor, lost / loss_factor
        return _Local(
            sums.value + (gain + cost),
            sums.slope + (losses * lost - wins * won),
            sums.curvature + (wins * won * (1 - won) + losses * lost * (1 - lost)),
        )

    sums = jax.lax.fori_loop(0, bets.epochs, add, _Local(*(jnp.zeros_like(logits),) * 3))
    # A product with ones: XLA's own reductions are several times slower on CPU.
    return sums._replace(value=sums.value @ jnp.ones_like(logits))


def least(problem: Problem, bets: Bets, constraint: jax.Array, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A lower bound on the log wealth over all theta with `constraint . theta <= 0`, and Newton's next theta.

    Args:
        constraint: [d] float64, `c = x_leader - x_k` for "k is at least as good as the leader".
        theta: [d], theta_0; the nearer to the minimum, the better the bound. A few calls from anywhere lead there.

    Returns:
        The bound, nats, float64, -inf where nothing can be claimed; and theta after a Newton step, shortened so that no
        logit moves by more than 1, [d] in the type of `theta`.
    """
    _, z, products = linear.of(problem).exact
    start = theta.astype(z.dtype)
    logits = start @ z.T
    near = jnp.clip(logits, -FURTHEST, FURTHEST)
    at = _around(bets, near)
    information = linear.information(products, at.curvature)
    ridge = _RIDGE * jnp.trace(information) + jnp.finfo(z.dtype).tiny ** 0.5
    inverse, _ = linear.inverse(information + ridge * jnp.eye(start.shape[0], dtype=z.dtype))
    gradient = at.slope @ z
    # The multiplier that keeps the step to the minimum of the quadratic model inside of the half space.
    normal = inverse @ constraint
    multiplier = jnp.maximum(constraint @ (start - inverse @ gradient), 0) / (constraint @ normal)
    pull = gradient + multiplier * constraint
    step = -inverse @ pull
    step = step - inverse @ (pull + (at.curvature * (step @ z.T)) @ z)

    move = step @ z.T
    sigma = jnp.clip(move, -1, 1)
    balance = at.curvature * sigma
    left = jnp.linalg.norm(pull + balance @ z)
    promised = at.curvature @ (sigma**2 * (1 + jnp.abs(sigma))) / 2
    tangent = at.value + (at.slope + balance) @ (logits - near) + multiplier * (constraint @ start)
    reach = RADIUS + jnp.linalg.norm(start)
    longest = jnp.sqrt(jnp.max(jnp.sum(z**2, axis=1)))
    slack = bets.number.astype(z.dtype) * (FURTHEST + longest * reach)
    rounding = spacing(z.dtype) * (z.shape[0] + 256) * slack
    bound = tangent - promised - 1.01 * left * reach - rounding
    following = start + step / jnp.maximum(jnp.max(jnp.abs(move)), 1)
    return jnp.where(jnp.isfinite(bound), bound, -jnp.inf), following.astype(theta.dtype)
