"""Preference models: validation, probabilities, behaviour as pytrees."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from llmpo_jax import models

MU = np.array([[0.5, 0.7, 0.6], [0.3, 0.5, 0.8], [0.4, 0.2, 0.5]])

#: Values of a wrong type, which a type checker must not see.
BAD: dict[str, Any] = {"names": "abc"}


def changed(i: int, j: int, value: float) -> np.ndarray:
    mu = MU.copy()
    mu[i, j] = value
    return mu


BAD_MODELS = [
    (lambda: models.Tabular(np.ones((2, 3))), "mu has shape (2, 3), expected a square matrix"),
    (lambda: models.Tabular(np.full((2, 2, 2), 0.5)), "mu has shape (2, 2, 2), expected a square matrix"),
    (lambda: models.Tabular([[0.5]]), "mu has shape (1, 1), expected at least K = 2"),
    (
        lambda: models.Tabular([[0.5, 0.5], [0.5]]),
        "mu = [[0.5, 0.5], [0.5]], expected an array of real numbers",
    ),
    (lambda: models.Tabular([["a", "b"], ["c", "d"]]), "expected an array of real numbers"),
    (lambda: models.Tabular(changed(0, 2, np.nan)), "mu[0, 2] = nan, expected a probability in [0, 1]"),
    (lambda: models.Tabular(changed(2, 1, -0.1)), "mu[2, 1] = -0.1, expected a probability in [0, 1]"),
    (lambda: models.Tabular(changed(1, 0, 1.5)), "mu[1, 0] = 1.5, expected a probability in [0, 1]"),
    (lambda: models.Tabular(changed(0, 1, 0.71)), "mu[0, 1] + mu[1, 0] = 0.71 + 0.3 = 1.01, expected 1"),
    (lambda: models.Tabular(changed(0, 1, 0.700002)), "expected 1"),
    (lambda: models.Tabular(changed(1, 1, 0.4)), "mu[1, 1] = 0.4, expected 1/2 on the diagonal"),
    (lambda: models.Tabular(jnp.asarray(changed(0, 1, 0.71))), "expected 1"),
    (lambda: models.Tabular(MU, ("a", "b")), "names has 2 entries, expected one for each of the 3 policies"),
    (lambda: models.Tabular(MU, ("a", "b", "a")), "names has 'a' more than once, expected unique names"),
    (lambda: models.Tabular(MU, BAD["names"]), "names = 'abc', expected a sequence of strings"),
    (lambda: models.BradleyTerry([0.0]), "scores has shape (1,), expected at least K = 2"),
    (lambda: models.BradleyTerry(MU), "scores has shape (3, 3), expected one score per policy"),
    (lambda: models.BradleyTerry([0.0, np.inf]), "scores[1] = inf, expected a finite score"),
    (lambda: models.BradleyTerry([0.0, 1.0], ("a", "a")), "names has 'a' more than once"),
]


@pytest.mark.parametrize(("build", "message"), BAD_MODELS, ids=[message for _, message in BAD_MODELS])
def test_bad_models_are_refused_by_name_value_and_expectation(build, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrices_rounded_to_six_digits_are_accepted(dtype):
    rng = np.random.default_rng(0)
    for _ in range(50):
        upper = np.triu(rng.uniform(size=(30, 30)), 1)
        mu = upper + np.tril(1 - upper.T, -1) + np.eye(30) / 2
        # 1/3 and 2/3 to six digits in either direction: the sum misses 1 by a whole last digit.
        mu[0, 1], mu[1, 0] = 0.333333, 0.666668
        models.Tabular(np.round(mu, 6).astype(dtype))


def test_leaves_keep_dtype_and_namespace():
    for leaf in (MU, MU.astype(np.float32), jnp.asarray(MU, jnp.float32)):
        result = models.win_probabilities(models.Tabular(leaf))
        assert type(result) is type(leaf) and result.dtype == leaf.dtype
        result = models.win_probabilities(models.BradleyTerry(leaf[0]))
        assert isinstance(result, jax.Array) == isinstance(leaf, jax.Array) and result.dtype == leaf.dtype
    assert models.BradleyTerry([1, 2]).scores.dtype == np.float64
    assert models.BradleyTerry(jnp.arange(2)).scores.dtype == jnp.asarray(0.0).dtype
    assert models.Tabular(MU.tolist()).mu.dtype == np.float64


def test_bradley_terry_probabilities_are_those_of_scipy_at_all_scales():
    scores = np.array([-800.0, -30.0, -1.0, 0.0, 1e-12, 0.0, 2.0, 40.0, 600.0])
    mu = models.win_probabilities(models.BradleyTerry(scores))
    np.testing.assert_allclose(mu, expit(scores[:, None] - scores[None, :]), rtol=1e-14, atol=0)
    assert mu[3, 5] == 0.5 and (np.diag(mu) == 0.5).all()


def test_sigmoid_gradient_is_right_at_equal_scores_and_finite_far_out():
    def first_beats_second(scores):
        return models.win_probabilities(models.BradleyTerry(scores))[0, 1]

    np.testing.assert_allclose(jax.grad(first_beats_second)(jnp.zeros(2)), [0.25, -0.25])
    assert np.isfinite(jax.grad(first_beats_second)(jnp.array([-1000.0, 1000.0]))).all()


def test_condorcet_winner():
    assert models.condorcet_winner(models.Tabular(MU)) == 0
    assert models.condorcet_winner(models.Tabular(jnp.asarray(MU.T))) == 2
    cycle = [[0.5, 0.6, 0.4], [0.4, 0.5, 0.6], [0.6, 0.4, 0.5]]
    assert models.condorcet_winner(models.Tabular(cycle)) is None
    assert models.condorcet_winner(models.BradleyTerry([1.0, 3.0, 2.0])) == 1
    assert models.condorcet_winner(models.BradleyTerry([3.0, 3.0, 2.0])) is None


def test_two_policies_never_both_beat_each_other():
    rounded_up = [[0.5, 0.5000003], [0.5000003, 0.5]]
    assert models.condorcet_winner(models.Tabular(rounded_up)) is None


def test_scores_that_float32_cannot_tell_apart_still_have_a_winner():
    scores = np.array([0.0, 1e-9], np.float32)
    assert models.win_probabilities(models.BradleyTerry(scores))[1, 0] == 0.5
    assert models.condorcet_winner(models.BradleyTerry(scores)) == 1


def test_names():
    assert models.policy_names(models.BradleyTerry([1.0, 2.0])) == ("policy-0", "policy-1")
    named = models.Tabular(MU, ("a", "b", "c"))
    assert models.policy_names(named) == ("a", "b", "c") and models.num_policies(named) == 3


def test_pytree_operations_neither_validate_nor_lose_the_names():
    model = models.Tabular(MU, ("a", "b", "c"))
    doubled = jax.tree.map(lambda leaf: 2 * leaf, model)
    assert doubled.names == model.names and (doubled.mu == 2 * MU).all()
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), model, model)
    assert models.num_policies(batch) == 3
    assert jax.tree.map(lambda _: None, model).mu is None
    gradient = jax.grad(lambda scores_model: models.win_probabilities(scores_model)[0, 1])(
        models.BradleyTerry(jnp.zeros(3))
    )
    np.testing.assert_allclose(gradient.scores, [0.25, -0.25, 0.0])
    assert "mu" in str(jax.tree_util.tree_leaves_with_path(model)[0][0])


def test_jit_and_vmap_construct_and_agree_with_the_host():
    scores = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)), jnp.float32)

    def probabilities(row):
        return models.win_probabilities(models.Tabular(models.win_probabilities(models.BradleyTerry(row))))

    loop = np.stack([probabilities(row) for row in scores])
    np.testing.assert_allclose(jax.jit(probabilities)(scores[0]), loop[0], rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(probabilities)(scores), loop, rtol=1e-6)
    batch = jax.vmap(lambda row: models.BradleyTerry(row, ("a", "b", "c", "d")))(scores)
    assert batch.names == ("a", "b", "c", "d") and batch.scores.shape == (5, 4)
    np.testing.assert_allclose(models.win_probabilities(batch), loop, rtol=1e-6)


def test_shapes_are_validated_under_jit_values_are_not():
    jax.jit(models.Tabular)(jnp.full((2, 2), 7.0))
    with pytest.raises(ValueError, match="square matrix"):
        jax.jit(models.Tabular)(jnp.ones((2, 3)))
