"""The linear Bradley-Terry model: validation, scores, dtype and namespace, behaviour as a pytree."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmpo_jax import models

FEATURES = np.array([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]])
THETA = np.array([0.5, -0.25])
SCORES = np.array([0.5, -0.5, -0.75])


def model(features: Any = FEATURES, theta: Any = THETA, names: Any = None) -> models.LinearBradleyTerry:
    return models.LinearBradleyTerry(features, theta, names)


BAD_MODELS = [
    (lambda: model(THETA), "features has shape (2,), expected one row of features per policy [K, d]"),
    (lambda: model(FEATURES[None]), "features has shape (1, 3, 2), expected one row of features per policy"),
    (lambda: model(FEATURES[:1]), "features has shape (1, 2), expected at least K = 2 policies"),
    (lambda: model(np.ones((3, 0)), np.ones(0)), "features has shape (3, 0), expected at least d = 1 feature"),
    (lambda: model([["a"], ["b"]]), "features = [['a'], ['b']], expected an array of real numbers"),
    (lambda: model(np.where(FEATURES == 2, np.nan, FEATURES)), "features[1, 1] = nan, expected a finite number"),
    (lambda: model(theta=[0.0, 1.0, 2.0]), "theta has shape (3,), expected one weight for each of the 2 features"),
    (lambda: model(theta=1.0), "theta has shape (), expected one weight for each of the 2 features"),
    (lambda: model(theta=[0.0, np.inf]), "theta[1] = inf, expected a finite number"),
    (lambda: model(names=("a", "b", "a")), "names has 'a' more than once, expected unique names"),
    (lambda: model(names=("a", "b")), "names has 2 entries, expected one for each of the 3 policies"),
]


@pytest.mark.parametrize(("build", "message"), BAD_MODELS, ids=[message for _, message in BAD_MODELS])
def test_bad_models_are_refused_by_name_value_and_expectation(build, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build()


def test_scores_and_probabilities_are_those_of_bradley_terry():
    linear = model(names=("a", "b", "c"))
    np.testing.assert_array_equal(linear.scores, SCORES)
    expected = models.BradleyTerry(SCORES).win_probabilities()
    np.testing.assert_array_equal(models.win_probabilities(linear), expected)
    np.testing.assert_array_equal(models.host_probabilities(linear), expected)
    assert linear.num_policies == 3 and models.condorcet_winner(linear) == 0
    assert models.policy_names(linear) == ("a", "b", "c")


def test_equal_features_have_equal_scores_to_the_bit():
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(5, 37)), 3, axis=0)
    scores = model(features, rng.normal(size=37)).scores.reshape(5, 3)
    np.testing.assert_array_equal(scores, np.broadcast_to(scores[:, :1], (5, 3)))


def test_two_best_policies_with_equal_features_leave_no_winner():
    assert models.condorcet_winner(model([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [1.0, 0.0])) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("xp", [np, jnp])
def test_leaves_keep_dtype_and_namespace(xp, dtype):
    linear = model(xp.asarray(FEATURES, dtype), xp.asarray(THETA, dtype))
    for array in (linear.features, linear.theta, linear.scores, models.win_probabilities(linear)):
        assert array.dtype == dtype and isinstance(array, jax.Array) == (xp is jnp)


def test_lists_follow_the_other_array_and_the_wider_dtype_and_jax_prevail():
    assert model(FEATURES.astype(np.float32), [1, 2]).theta.dtype == np.float32
    assert model(FEATURES.tolist(), THETA.astype(np.float32)).features.dtype == np.float32
    assert model(FEATURES.tolist(), THETA.tolist()).scores.dtype == np.float64
    assert model(FEATURES, THETA.astype(np.float32)).theta.dtype == np.float64
    mixed = model(FEATURES.astype(np.float32), jnp.asarray(THETA, jnp.float32))
    assert isinstance(mixed.features, jax.Array) and mixed.scores.dtype == np.float32


def test_leading_axes_are_batches():
    rng = np.random.default_rng(1)
    features, thetas = rng.normal(size=(5, 4, 3)), rng.normal(size=(5, 3))
    loop = np.stack([models.win_probabilities(model(x, theta)) for x, theta in zip(features, thetas, strict=True)])
    batch = jax.vmap(lambda x, theta: model(x, theta, ("a", "b", "c", "d")))(features, thetas)
    assert batch.names == ("a", "b", "c", "d") and batch.num_policies == 4 and batch.scores.shape == (5, 4)
    np.testing.assert_allclose(models.win_probabilities(batch), loop, rtol=1e-12)
    np.testing.assert_allclose(jax.vmap(models.win_probabilities)(batch), loop, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(models.win_probabilities)(model(features[0], thetas[0])), loop[0], rtol=1e-12)


def test_gradients_reach_theta_through_fixed_features():
    gradient = jax.grad(lambda theta: models.win_probabilities(model(FEATURES, theta))[0, 1])(jnp.zeros(2))
    np.testing.assert_allclose(gradient, (FEATURES[0] - FEATURES[1]) / 4, rtol=1e-15)


def test_pytree_operations_keep_both_leaves_and_the_names_apart():
    linear = model(names=("a", "b", "c"))
    doubled = jax.tree.map(lambda leaf: 2 * leaf, linear)
    assert doubled.names == linear.names
    np.testing.assert_array_equal(doubled.features, 2 * FEATURES)
    np.testing.assert_array_equal(doubled.theta, 2 * THETA)
    paths = [str(path[0]) for path, _ in jax.tree_util.tree_leaves_with_path(linear)]
    assert paths == [".features", ".theta"]
    assert jax.tree.map(lambda _: None, linear).theta is None


def test_shapes_are_validated_under_jit_values_are_not():
    jax.jit(model)(jnp.full((3, 2), jnp.nan), jnp.zeros(2))
    with pytest.raises(ValueError, match="expected one weight for each of the 2 features"):
        jax.jit(model)(jnp.ones((3, 2)), jnp.zeros(3))
