"""Divergences against mpmath with 60 digits, in both precisions and both namespaces."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from llmpo_jax.theory.divergence import (
    binary_kl,
    confidence_divergence,
    half_divergence,
    logistic_kl,
    near_kl,
    shift_kl,
    shift_slope,
)

NEAR_HALF = np.concatenate([0.5 + np.logspace(-16, -0.4, 80), 0.5 - np.logspace(-16, -0.4, 80)])
NEAR_ENDS = np.concatenate([np.logspace(-37, -1, 80), 1 - np.logspace(-16, -1, 80)])
PROBABILITIES = np.concatenate([[0.0, 0.25, 0.5, 0.75, 1.0], NEAR_HALF, NEAR_ENDS, np.linspace(0, 1, 301)])


def exact_kl(x: float, y: float) -> float:
    with mpmath.workdps(60):
        a, b = mpmath.mpf(float(x)), mpmath.mpf(float(y))
        terms = [(a, b), (1 - a, 1 - b)]
        return float(str(mpmath.fsum(p * mpmath.log(p / q) for p, q in terms if p > 0)))


def jax_float32(function):
    return lambda *arrays: np.asarray(function(*map(jnp.asarray, arrays)))


@pytest.mark.parametrize(
    ("dtype", "wrap"), [(np.float64, lambda f: f), (np.float32, lambda f: f), (np.float32, jax_float32)]
)
def test_half_divergence_is_accurate_relatively(dtype, wrap):
    p = PROBABILITIES.astype(dtype)
    value = wrap(half_divergence)(p)
    assert value.dtype == dtype
    exact = np.array([exact_kl(each, 0.5) for each in p])
    np.testing.assert_allclose(value, exact, rtol=6 * np.finfo(dtype).eps, atol=0)


def test_half_divergence_at_the_ends_and_for_numbers():
    np.testing.assert_allclose(half_divergence(np.array([0.0, 1.0])), np.log(2), rtol=1e-15)
    assert half_divergence(0.5) == 0
    assert float(half_divergence(0.55)) == pytest.approx(exact_kl(0.55, 0.5), rel=1e-15)


def test_half_divergence_gradient_is_the_log_odds():
    p = jnp.array([1e-6, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9])
    gradient = jax.vmap(jax.grad(half_divergence))(p)
    np.testing.assert_allclose(gradient, np.log(p) - np.log1p(-p), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_kl_is_accurate_absolutely(dtype):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.001, 0.999, size=(2, 300)).astype(dtype)
    value = binary_kl(x, y)
    assert value.dtype == dtype and (value >= 0).all()
    exact = np.array([exact_kl(*pair) for pair in zip(x, y, strict=True)])
    np.testing.assert_allclose(value, exact, rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)
    assert (binary_kl(x, x) == 0).all()


def test_binary_kl_at_the_ends():
    for array in (np.array, jnp.array):
        x, y = array([0.0, 1.0, 0.0, 1.0, 0.5, 0.5, 0.0]), array([0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.25])
        expected = [0, 0, np.inf, np.inf, np.inf, np.inf, np.log(4 / 3)]
        np.testing.assert_allclose(binary_kl(x, y), expected, rtol=1e-6)
    assert float(binary_kl(0.0, 0.25)) == pytest.approx(np.log(4 / 3))


def test_binary_kl_gradient_is_finite_inside():
    gradient = jax.grad(lambda x, y: binary_kl(x, y), argnums=(0, 1))(jnp.float32(0.2), jnp.float32(0.7))
    np.testing.assert_allclose(gradient, [np.log(0.2 / 0.8 * 0.3 / 0.7), -0.2 / 0.7 + 0.8 / 0.3], rtol=1e-5)


def test_jit_and_vmap_agree():
    p = jnp.asarray(PROBABILITIES, jnp.float32)
    np.testing.assert_allclose(jax.jit(half_divergence)(p), half_divergence(p), rtol=1e-6)
    loop = np.array([half_divergence(each) for each in p[:50]])
    np.testing.assert_allclose(jax.vmap(half_divergence)(p[:50]), loop, rtol=1e-6)


def exact_logistic(x: float, shift: float | mpmath.mpf) -> tuple[float, float]:
    """kl(sigmoid(x), sigmoid(x + shift)) and sigmoid(x + shift) - sigmoid(x), with more digits than 700 logits cost."""
    with mpmath.workdps(700):
        first, second = mpmath.mpf(x), mpmath.mpf(x) + shift
        a, b = (1 / (1 + mpmath.exp(-each)) for each in (first, second))
        c, d = (1 / (1 + mpmath.exp(each)) for each in (first, second))
        return float(a * mpmath.log(a / b) + c * mpmath.log(c / d)), float(b - a)


LOGITS = np.array([0.0, 1e-9, 0.3, -0.7, 2.5, -9.0, 33.0, -80.0])
SHIFTS = np.concatenate([sign * np.append(np.logspace(-12, 2, 29), [0.999999, 1.000001]) for sign in (1, -1)])


@pytest.mark.parametrize(
    ("dtype", "wrap"), [(np.float64, lambda f: f), (np.float32, lambda f: f), (np.float32, jax_float32)]
)
def test_logistic_divergences_are_accurate_relatively(dtype, wrap):
    x, shift = (part.ravel().astype(dtype) for part in np.meshgrid(LOGITS, SHIFTS))
    exact = np.array([exact_logistic(*map(float, pair)) for pair in zip(x, shift, strict=True)])
    held = np.abs(exact) > 100 * np.finfo(dtype).tiny
    for function, column, share in ((shift_kl, 0, 16 + np.abs(x)), (shift_slope, 1, 6 + np.abs(x) + np.abs(shift))):
        value = wrap(function)(x, shift)
        assert value.dtype == dtype and np.isfinite(value).all()
        off = np.abs(value - exact[:, column]) / (share * np.finfo(dtype).eps)
        assert (off[held[:, column]] <= np.abs(exact[:, column])[held[:, column]]).all()


@pytest.mark.parametrize("wrap", [lambda f: f, jax_float32])
def test_near_kl_is_near(wrap):
    x, shift = np.meshgrid(np.linspace(-9, 9, 73, dtype=np.float32), np.linspace(-4, 4, 801, dtype=np.float32))
    off = np.abs(wrap(near_kl)(x, shift) / np.where(shift == 0, 1, shift_kl(x.astype(float), shift.astype(float))) - 1)
    off[shift == 0] = wrap(near_kl)(x, shift)[shift == 0]
    for reach, share in ((1e-2, 1e-5), (1, 2e-4), (2, 3e-3), (4, 4e-2)):
        assert off[np.abs(shift) <= reach].max() < share
    assert off[np.abs(shift) <= 4].max() > 2e-2, "a bound that could be stated better"


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.3, -0.7, 2.5, -9.0, 33.0, -80.0, 250.0, -350.0, 650.0, -700.0])
def test_logistic_kl_is_accurate_relatively_for_logits_as_given(x):
    y = x + np.concatenate([sign * np.logspace(-12, 3, 61) for sign in (1, -1)])
    exact = np.array([exact_logistic(x, mpmath.mpf(each) - mpmath.mpf(x))[0] for each in y])
    held = exact > 1e-305
    assert held.sum() > 25
    np.testing.assert_allclose(logistic_kl(x, y)[held], exact[held], rtol=16 * np.finfo(float).eps, atol=0)
    assert (logistic_kl(x, y)[~held] < 1e-304).all()


def test_logistic_kl_is_binary_kl_of_the_sigmoids():
    x, y = np.random.default_rng(0).normal(0, 3, size=(2, 200))
    p, q = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(-y))
    np.testing.assert_allclose(logistic_kl(x, y), binary_kl(p, q), rtol=1e-9, atol=1e-13)
    assert (logistic_kl(x, x) == 0).all() and logistic_kl(0.0, 0.0) == 0


def test_logistic_kl_gradients():
    """In the shift it is `shift_slope`, in the first logit `-shift sigmoid'(x)`, also at 0 and in both formulas."""
    grid = np.meshgrid([-40.0, -1.0, 0.0, 0.5, 40.0], [-30.0, 0.1, 0.9, 2.0, 30.0])
    x, y = (jnp.array(part.ravel()) for part in grid)
    by_x, by_y = (jax.vmap(jax.grad(logistic_kl, argnums=n))(x, y) for n in (0, 1))
    np.testing.assert_allclose(by_y, shift_slope(x, y - x), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(by_x, (x - y) * jax.nn.sigmoid(x) * jax.nn.sigmoid(-x), rtol=1e-12, atol=1e-15)
    by_shift = jax.vmap(jax.grad(shift_kl, argnums=1))(x, y)
    np.testing.assert_allclose(by_shift, shift_slope(x, y), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("delta", [1e-300, 1e-50, 1e-10, 0.01, 0.1, 0.3, 0.5])
def test_confidence_divergence(delta):
    with mpmath.workdps(400):
        exact = mpmath.mpf(delta)
        exact = (1 - 2 * exact) * mpmath.log((1 - exact) / exact)
    assert confidence_divergence(delta) == pytest.approx(float(exact), rel=1e-14)


def test_confidence_divergence_asks_nothing_of_a_guess():
    for delta in (0.5, 0.7):
        assert np.copysign(1, confidence_divergence(delta)) * (confidence_divergence(delta) == 0) == 1


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_delta_outside_the_unit_interval_is_refused(delta):
    with pytest.raises(ValueError, match=r"delta = .*, expected a number strictly between 0 and 1"):
        confidence_divergence(delta)
