"""JAX's default random number generator, Threefry-2x32 (Salmon et al. 2011), written so that XLA compiles it well.

Keys of `KEYS` give the same numbers, bit for bit, as JAX's "threefry2x32" with `jax_threefry_partitionable`. On CPU JAX
has its 20 rounds in a loop, whose body is a dozen small kernels; in one piece they are one kernel, which takes half the
time to run and less than half the time to compile.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import define_prng_impl

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)

Words = tuple[jax.Array, jax.Array]


def _hashed(key: jax.Array, words: Words) -> Words:
    """The two words (uint32, any shape) under a key [2]."""
    schedule = key[0], key[1], key[0] ^ key[1] ^ _PARITY
    x, y = words[0] + schedule[0], words[1] + schedule[1]
    for turn in range(5):
        for rotation in _ROTATIONS[turn % 2]:
            x = x + y
            y = x ^ (y << np.uint32(rotation) | y >> np.uint32(32 - rotation))
        x, y = x + schedule[(turn + 1) % 3], y + schedule[(turn + 2) % 3] + np.uint32(turn + 1)
    return x, y


def _hashed_numbers(key: jax.Array, shape: tuple[int, ...]) -> Words:
    """The numbers 0, 1, ... in this shape under a key, fewer than 2^32 of them."""
    low = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
    return _hashed(key, (jnp.zeros_like(low), low))


def _seed(seed: jax.Array) -> jax.Array:
    wide = seed.astype(jnp.uint64)
    return jnp.stack([(wide >> np.uint64(32)).astype(jnp.uint32), wide.astype(jnp.uint32)])


def _split(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jnp.stack(_hashed_numbers(key, shape), axis=-1)


def _fold_in(key: jax.Array, number: Any) -> jax.Array:
    word = jnp.asarray(number).astype(jnp.uint32)
    return jnp.stack(_hashed(key, (jnp.zeros_like(word), word)))


def _random_bits(key: jax.Array, width: int, shape: tuple[int, ...]) -> jax.Array:
    high, low = _hashed_numbers(key, shape)
    if width == 64:
        return high.astype(jnp.uint64) << np.uint64(32) | low.astype(jnp.uint64)
    return (high ^ low).astype(f"uint{width}")


KEYS = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="threefry2x32_in_one_piece",
    tag="fry1",
)
