"""The logarithm, the exponential and the keys that results rest on."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmpo_jax import vectors
from llmpo_jax.arithmetic import logarithm, root_key

EPS = float(np.finfo(float).eps)


def test_the_logarithm_is_right_to_what_it_says() -> None:
    rng = np.random.default_rng(0)
    near = 1 + rng.choice([-1, 1], 50_000) * 10.0 ** rng.uniform(-16, -0.5, 50_000)
    values = np.concatenate([near, 10.0 ** rng.uniform(-300, 300, 50_000), 2.0 ** np.arange(-1000, 1000), [1.0]])
    exact = np.log(values.astype(np.longdouble))
    error = np.abs(np.asarray(jax.jit(logarithm)(jnp.asarray(values))).astype(np.longdouble) - exact)
    assert np.max(error / (1 + np.abs(exact))) <= EPS
    assert float(logarithm(jnp.ones(()))) == 0


def test_the_exponential_is_right_to_4_units_in_the_last_place() -> None:
    """The proof in `stopping.structured.wealth` asks for it; where a platform's is worse, this fails there."""
    values = np.random.default_rng(1).uniform(-64, 64, 100_000)
    exact = np.exp(values.astype(np.longdouble))
    found = np.asarray(jax.jit(jnp.exp)(jnp.asarray(values))).astype(np.longdouble)
    assert np.max(np.abs(found / exact - 1)) <= 4 * EPS


def test_float32_logarithms_are_right_to_4_units_in_the_last_place() -> None:
    """The proof in `stopping.e_process` asks for it."""
    values = np.concatenate([np.linspace(2**-20, 2, 200_001), [1.0]]).astype(np.float32)
    exact = np.log(values.astype(np.longdouble))
    found = np.asarray(jax.jit(jnp.log)(jnp.asarray(values)))
    assert np.max(np.abs(found.astype(np.longdouble) - exact) / np.spacing(np.abs(exact).astype(np.float32))) <= 4
    assert np.all((found <= 0) == (values <= 1))


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1])
def test_seeds_of_32_bits_are_jaxs_own(seed: int) -> None:
    assert np.array_equal(jax.random.key_data(root_key(seed)), jax.random.key_data(jax.random.key(seed)))


def test_no_two_seeds_share_a_key() -> None:
    seeds = [0, 1, 2**32, 2**32 + 1, 2**40, 2**63, 2**64 - 1, np.int64(7), np.uint64(2**63 + 1)]
    keys = {tuple(np.asarray(jax.random.key_data(root_key(seed))).tolist()) for seed in seeds}
    assert len(keys) == len(seeds)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "1", None, True, np.bool_(True), np.nan, [1]])
def test_other_seeds_are_refused(seed: object) -> None:
    with pytest.raises(ValueError, match=r"seed = .*expected a whole number from 0 to 2\^64 - 1"):
        root_key(seed)  # type: ignore[arg-type]


def test_what_is_rounded_down_is_not_above() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=10_000) * 10.0 ** rng.uniform(-5, 5, 10_000)
    down = np.asarray(jax.jit(lambda x: vectors.rounded_down(x, jnp.float32))(jnp.asarray(values)))
    assert down.dtype == np.float32
    assert np.all(down.astype(float) <= values)
    assert np.all(np.nextafter(down, np.float32(np.inf)).astype(float) >= values)
    one, other = values.astype(np.float32)[::2], values.astype(np.float32)[1::2]
    total = np.asarray(jax.jit(vectors.add_down)(jnp.asarray(one), jnp.asarray(other))).astype(float)
    exact = one.astype(float) + other.astype(float)
    assert np.all(total <= exact)
    assert np.all(np.abs(total - exact) <= 2.0**-23 * np.abs(exact))
