"""Draws from Beta posteriors, fast enough to be made at every comparison."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors


class Proposals(NamedTuple):
    """The randomness of n gamma draws: one proposal for each, then `spare(n)` to take the place of rejected ones.

    Attributes:
        normals: [n + spare], standard normal.
        exponentials: [n + spare], standard exponential: minus the logarithm of a uniform.
    """

    normals: jax.Array
    exponentials: jax.Array


def spare(number: int) -> int:
    """Enough for all rejected ones of `number` proposals, each of which is rejected with probability 0.05 at most.

    How many are needed is at most negative binomial; more than this with probability below 1e-9, whatever the number.
    """
    return 12 + number // 8


def proposals(key: jax.Array, number: int, dtype: Any) -> Proposals:
    """For `number` gamma draws."""
    normal_key, exponential_key = jax.random.split(key)
    size = (number + spare(number),)
    return Proposals(jax.random.normal(normal_key, size, dtype), jax.random.exponential(exponential_key, size, dtype))


def _proposed(shape: jax.Array, normal: jax.Array, exponential: jax.Array) -> jax.Array:
    """A Gamma(shape, 1) draw where the proposal is accepted, minus the proposal where it is not.

    Marsaglia and Tsang (2000): d (1 + r)^3 with d = shape - 1/3, r = normal / sqrt(9 d) is accepted if
    log(uniform) < normal^2 / 2 + d - d (1 + r)^3 + 3 d log(1 + r), which is 3 d (log(1 + r) - r + r^2 / 2 - r^3 / 3).
    """
    d = shape - 1 / 3
    r = normal / jnp.sqrt(9 * d)
    inside = r > -1
    r = jnp.where(inside, r, 0)
    accepted = inside & (-exponential < 3 * d * (jnp.log1p(r) - r + r * r * (0.5 - r / 3)))
    value = d * (1 + r) ** 3
    return jnp.where(accepted, value, -value)


def gamma_draws(given: Proposals, shape: jax.Array) -> jax.Array:
    """Draws of Gamma(shape, 1) for `shape` [n] >= 1, to within 1e-9 in total variation of all together.

    A rejected proposal gets the next spare one until it is accepted, the lowest number first. One proposal for each and
    a few turns for single ones cost much less than several proposals for each, and a batch waits little.
    """
    n = shape.shape[0]
    last = given.normals.shape[0] - n

    def missing(state: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        _, rejected, turn = state
        return (vectors.shared_maximum(rejected) > 0) & (turn < last)

    def mend(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        values, rejected, turn = state
        # The last one where none is rejected; it then stays as it is.
        index = jnp.min(jnp.where(values < 0, jnp.arange(n, dtype=jnp.int32), n - 1))
        before = vectors.take(values, index)
        again = _proposed(vectors.take(shape, index), given.normals[n + turn], given.exponentials[n + turn])
        after = jnp.where(before < 0, again, before)
        mended = (before < 0) & (after >= 0)
        return vectors.put(values, index, after), rejected - mended.astype(jnp.int32), turn + 1

    values = _proposed(shape, given.normals[:n], given.exponentials[:n])
    start = values, jnp.sum(values < 0, dtype=jnp.int32), jnp.zeros((), jnp.int32)
    return jnp.abs(jax.lax.while_loop(missing, mend, start)[0])


def beta_draws(given: Proposals, a: jax.Array, b: jax.Array) -> jax.Array:
    """Draws of Beta(a, b) for `a`, `b` [n] >= 1, from proposals for 2 n gamma draws."""
    first, second = jnp.split(gamma_draws(given, jnp.concatenate([a, b])), 2)
    return first / (first + second)
