"""The generator in one piece gives the numbers of JAX's own, bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmpo_jax.arithmetic import pinned
from llmpo_jax.threefry import KEYS

SEEDS = (0, 1, 2**31, 2**32 - 1, 2**40 + 17, 2**63 - 1)
USES: dict[str, Callable[[jax.Array], jax.Array]] = {
    "bits": lambda key: jax.random.bits(key, (3, 5), jnp.uint32),
    "one": lambda key: jax.random.bits(key, (), jnp.uint32),
    "wide": lambda key: jax.random.bits(key, (7,), jnp.uint64),
    "narrow": lambda key: jax.random.bits(key, (7,), jnp.uint8),
    "split": lambda key: jax.random.bits(jax.random.split(key, (2, 3))[1, 2]),
    "folded": lambda key: jax.random.key_data(jax.random.fold_in(key, 2**31 + 5)),
    "fold of a batch": lambda key: jax.vmap(lambda n: jax.random.bits(jax.random.fold_in(key, n)))(jnp.arange(9)),
    "permutation": lambda key: jax.random.permutation(key, 50),
    "normal": lambda key: jax.random.normal(key, (20,)),
    "integer": lambda key: jax.random.randint(key, (20,), 0, 120),
}


@pytest.mark.parametrize("use", USES)
def test_numbers_are_those_of_jax(use: str) -> None:
    """So a seed means the same as ever, and published results can be had again."""
    with pinned():
        for seed in SEEDS:
            mine, theirs = (USES[use](jax.random.key(seed, impl=impl)) for impl in (KEYS, "threefry2x32"))
            np.testing.assert_array_equal(mine, theirs)
