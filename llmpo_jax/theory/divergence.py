"""Binary relative entropies, in nats, elementwise on NumPy and JAX arrays; the dtype is kept."""

from __future__ import annotations

import math

import numpy as np

from llmpo_jax.arguments import Number, between
from llmpo_jax.models.preference import Array, array_namespace, sigmoid

#: `(exp(v) - 1 - v) / v^2`, from its powers; for |v| <= 1 the rest is below 2^-55 of it.
_EXPONENTIAL = tuple(1 / math.factorial(power + 2) for power in range(17))
#: `(artanh(s) - s) / s^3` in powers of s^2; for |s| <= 1/3 the rest is below 2^-56 of it.
_ARTANH = tuple(1 / (2 * power + 3) for power in range(17))

#: Nodes and weights that integrate `(1 - u) q(u)` over [0, 1] for every cubic q.
_RADAU = tuple(((4 + sign * math.sqrt(6)) / 10, (9 - sign * math.sqrt(6)) / 36) for sign in (-1, 1))


def _as_array(value: Array) -> Array:
    return np.asarray(value, np.float64) if isinstance(value, int | float) else value


def _x_log_ratio(x: Array, y: Array) -> Array:
    """`x log(x / y)` with `0 log 0 = 0` and infinity at `y = 0 < x`, with no NaN in value or in gradient."""
    xp = array_namespace(x, y)
    positive = (x > 0) & (y > 0)
    # Where the term is not taken, the logarithm gets 1: its infinite slope would spoil the gradient.
    term = x * (xp.log(xp.where(positive, x, 1)) - xp.log(xp.where(positive, y, 1)))
    return xp.where((x > 0) & (y <= 0), math.inf, term)


def binary_kl(x: Array, y: Array) -> Array:
    """Relative entropy of two coins, `x log(x / y) + (1 - x) log((1 - x) / (1 - y))`, nats.

    Args:
      x, y: probabilities in [0, 1], shapes that broadcast.

    Returns:
      The divergence, >= 0, infinite where y is 0 or 1 and x is not the same. To a few ulp absolutely; for y =
      1/2, where relative accuracy matters, there is `half_divergence`.
    """
    x, y = _as_array(x), _as_array(y)
    value = _x_log_ratio(x, y) + _x_log_ratio(1 - x, 1 - y)
    return array_namespace(x, y).maximum(value, 0)  # rounding may leave -1 ulp at x = y


def half_divergence(p: Array) -> Array:
    """`d(p) = kl(p, 1/2)`, nats: the information of one comparison against a fair coin (theory, section 1).

    With `x = 1 - 2 p`, near 1/2: `x atanh(x) + log(1 - x^2) / 2 = x^2 / 2 + x^4 / 12 + ...`, whose two terms
    cancel only by a factor of two; beyond |x| = 1/2, where `1 - x^2` would lose its digits, `log 2` less the
    entropy.

    Args:
      p: probabilities in [0, 1], any shape.

    Returns:
      d(p), same shape and dtype, to a few ulp RELATIVE everywhere: 0 at 1/2, log 2 at 0 and 1, where the
      gradient is infinite; the gradient is finite everywhere else.
    """
    p = _as_array(p)
    xp = array_namespace(p)
    x = 1 - 2 * p
    near = xp.abs(x) < 0.5
    x = xp.where(near, x, 0)
    series = x * xp.arctanh(x) + xp.log1p(-x * x) / 2
    p = xp.where(near, 0.5, p)
    one = xp.ones_like(p)
    return xp.where(near, series, math.log(2) + _x_log_ratio(p, one) + _x_log_ratio(1 - p, one))


def logistic_kl(x: Array, y: Array) -> Array:
    """Relative entropy of two coins with the logits x and y, `kl(sigmoid(x), sigmoid(y))`, nats.

    Args:
      x, y: finite logits, shapes that broadcast.

    Returns:
      The divergence, >= 0, to a few ulp RELATIVE everywhere, however close x and y are and however far from 0.
    """
    x, y = _as_array(x), _as_array(y)
    return _logistic_kl(x, y, y - x)


def shift_kl(x: Array, shift: Array) -> Array:
    """`kl(sigmoid(x), sigmoid(x + shift))`, nats, where `x + shift` would lose the digits of a small shift.

    Args:
      x, shift: finite logits, shapes that broadcast.

    Returns:
      The divergence, >= 0, to a few ulp relative; `|x| + |shift|` ulp for shifts beyond 1 that end in the tail.
    """
    x, shift = _as_array(x), _as_array(shift)
    return _logistic_kl(x, x + shift, shift)


def shift_slope(x: Array, shift: Array) -> Array:
    """`sigmoid(x + shift) - sigmoid(x)`, the derivative of `shift_kl` in the shift, as accurate.

    With low and high the ends, `sigmoid(high) sigmoid(-low) (1 - exp(low - high))`: nothing cancels.
    """
    x, shift = _as_array(x), _as_array(shift)
    xp = array_namespace(x, shift)
    low, high = xp.minimum(x, x + shift), xp.maximum(x, x + shift)
    return -xp.sign(shift) * sigmoid(high) * sigmoid(-low) * xp.expm1(-xp.abs(shift))


def near_kl(x: Array, shift: Array) -> Array:
    """`shift_kl` roughly and fast: `shift^2` times the integral of `(1 - u) a(x + u shift)` over u from 0 to 1, `a` the
    derivative of the sigmoid, by Radau's two nodes.

    Args:
      x, shift: finite logits, shapes that broadcast.

    Returns:
      The divergence, > 0 but for a shift of 0, to 0.3 % for shifts up to 2, 4 % up to 4.
    """
    return shift**2 * sum(weight * _spread(x + node * shift) for node, weight in _RADAU)


def _spread(x: Array) -> Array:
    """`sigmoid(x) sigmoid(-x)`, whose digits are kept in both tails."""
    tail = array_namespace(x).exp(-abs(x))
    return tail / (1 + tail) ** 2


def _logistic_kl(x: Array, y: Array, shift: Array) -> Array:
    """`logistic_kl` where `shift = y - x` is known to more digits than the ends.

    The coins may be turned over, so that x <= 0. With mu = sigmoid(x) and a the softplus, near by

        a(x + v) - a(x) - mu v = mu (exp(v) - 1 - v) - (u - log(1 + u)),   u = mu (exp(v) - 1)

    where two positive terms cancel by a factor of three at most; further off the left side as it stands, by a factor
    of 10. All of it from polynomials: the logarithms of a library would keep loops from being vectorised.
    """
    xp = array_namespace(x, y, shift)
    turned = xp.where(x > 0, -1.0, 1.0).astype(x.dtype)
    y, shift, tail = y * turned, shift * turned, xp.exp(x * turned)
    chance = tail / (1 + tail)
    small = xp.abs(shift) < 1
    step = xp.where(small, shift, 0)
    curved = step**2 * _polynomial(_EXPONENTIAL, step)
    near = chance * curved - _logarithm(chance * (step + curved))[1]
    far = xp.maximum(y, 0) + _logarithm(xp.exp(-xp.abs(y)))[0] - _logarithm(tail)[0] - chance * shift
    return xp.where(small, near, far)


def _logarithm(u: Array) -> tuple[Array, Array]:
    """`log(1 + u)` and `u - log(1 + u)`, to a few ulp relative each, for -1/2 <= u <= 1.

    With s = u / (2 + u), `log(1 + u) = 2 artanh(s)` and `u - 2 s = u s`.
    """
    s = u / (2 + u)
    rest = 2 * s**3 * _polynomial(_ARTANH, s * s)
    return 2 * s + rest, u * s - rest


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    value = coefficients[-1] + 0 * x
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


def confidence_divergence(delta: Number) -> float:
    """`kl(delta, 1 - delta) = (1 - 2 delta) log((1 - delta) / delta)`, nats: what delta-PAC requires.

    The factor of the lower bound (Garivier and Kaufmann 2016, arXiv 1602.04589, theorem 1); `~ log(1 /
    delta)`. For delta >= 1/2 a procedure that guesses may be delta-PAC, nothing is required and this is 0.

    Raises:
      ValueError: delta is not in (0, 1).
    """
    delta = between("delta", delta, 0, 1)
    return 0.0 if delta >= 0.5 else (1 - 2 * delta) * (math.log1p(-delta) - math.log(delta))
