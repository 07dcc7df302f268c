"""Small array idioms that XLA compiles well, for code written for one replication and batched by the engine.

On CPU, with the lanes in front: `jnp.min` of floats looks out for NaN and is several times slower than a plain
comparison, and entries are better written by a scatter than by a pass over the whole vector.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def argmin(values: jax.Array, tie: float = 0.0) -> jax.Array:
    """Index of the smallest entry of `values` [K] (int32), the lowest one among those within `tie` of it."""
    ids = jnp.arange(values.shape[0], dtype=jnp.int32)
    return jnp.min(jnp.where(values <= minimum(values) + tie, ids, values.shape[0] - 1))


def minimum(values: jax.Array) -> jax.Array:
    """The smallest entry of `values` [K], floats without NaN."""
    top = jnp.asarray(jnp.inf, values.dtype)
    return jax.lax.reduce(values, top, lambda a, b: jax.lax.select(a < b, a, b), (0,))


def total(values: jax.Array) -> jax.Array:
    """[...], sums along the last axis of `values` [..., n], in the same order whatever they are batched with."""
    while values.shape[-1] > 1:
        half = values.shape[-1] // 2
        folded = values[..., :half] + values[..., half : 2 * half]
        values = jnp.concatenate([folded, values[..., 2 * half :]], axis=-1)
    return values[..., 0]


def argmin_except(values: jax.Array, index: jax.Array, tie: float = 0.0) -> jax.Array:
    """`argmin` over the entries of `values` [K] other than entry `index` (int32)."""
    return argmin(jnp.where(one_hot(index, values.shape[0]), jnp.inf, values), tie)


def ranks(scores: jax.Array) -> jax.Array:
    """int32 [K], how many entries are greater than each, or the same and at a lower index.

    K^2 comparisons of numbers, which at these sizes cost less than a sort.
    """
    ids = jnp.arange(scores.shape[0], dtype=jnp.int32)
    better = (scores[None] > scores[:, None]) | ((scores[None] == scores[:, None]) & (ids[None] < ids[:, None]))
    return jnp.sum(better, axis=1, dtype=jnp.int32)


def one_hot(index: jax.Array, size: int) -> jax.Array:
    """bool [size], true at `index`."""
    return jnp.arange(size, dtype=jnp.int32) == index


def take(values: jax.Array, *index: jax.Array) -> jax.Array:
    """`values[index]` for indices known to lie in 0 .. K - 1: nothing is checked or wrapped around."""
    return values.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def put(values: jax.Array, index: jax.Array, value: jax.Array) -> jax.Array:
    """`values` [K] with entry `index` replaced."""
    return values.at[index].set(value, mode="promise_in_bounds", wrap_negative_indices=False)


def put_two(values: jax.Array, first: jax.Array, second: jax.Array, pair: jax.Array) -> jax.Array:
    """`values` [..., K] with the entries `first` and `second`, two different ones, replaced by `pair` [..., 2]."""
    both = jnp.stack([first, second])
    return values.at[..., both].set(pair, mode="promise_in_bounds", unique_indices=True, wrap_negative_indices=False)


def add_two(values: jax.Array, first: jax.Array, second: jax.Array, pair: jax.Array) -> jax.Array:
    """`values` [..., K] with `pair` [..., 2] added to the entries `first` and `second`, two different ones."""
    # Written as old + new: the write then depends on the read, and XLA need not copy the vector first.
    return put_two(values, first, second, take_two(values, first, second) + pair)


def take_two(values: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    """[..., 2], the entries `first` and `second` of `values` [..., K]."""
    both = jnp.stack([first, second])
    return values.at[..., both].get(mode="promise_in_bounds", wrap_negative_indices=False)


def rounded_down(value: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """`value` in `dtype`, never above what it was."""
    near = value.astype(dtype)
    below = jnp.nextafter(near, jnp.asarray(-jnp.inf, dtype))
    return jnp.where(near.astype(value.dtype) > value, below, near)


def add_down(one: jax.Array, other: jax.Array) -> jax.Array:
    """`one + other`, never above the exact sum."""
    total = one + other
    shadow = total - one
    error = (one - (total - shadow)) + (other - shadow)
    return jnp.where(error < 0, jnp.nextafter(total, jnp.asarray(-jnp.inf, total.dtype)), total)


@jax.custom_batching.custom_vmap
def shared_maximum(count: jax.Array) -> jax.Array:
    """Turns of a loop: at least `count`, and the same for a whole batch, which then runs through the loop in lock-step.

    For loops in which more turns than asked for change nothing.
    """
    return count


@shared_maximum.def_vmap
def _shared_maximum(size: int, batched: list[bool], count: jax.Array) -> tuple[jax.Array, bool]:
    return (jnp.max(count) if batched[0] else count), False


def accumulate(high: jax.Array, low: jax.Array, increment: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The sum `high + low` with `increment` more, again in two floats (Knuth's two-sum).

    10^6 small increments then lose nothing in float32.
    """
    total = high + increment
    shadow = total - high
    return total, low + ((high - (total - shadow)) + (increment - shadow))
