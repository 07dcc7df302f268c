"""The best guess at a budget: against a literal version, and where strengths, or anything but them, tell the answer."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from llmpo_jax import models
from llmpo_jax.theory.recommendation import best_guess
from tests import guess

_guesses = jax.jit(jax.vmap(functools.partial(best_guess, dtype=jnp.float32)))


def _records(source: str, comparisons: int, number: int, seed: int) -> np.ndarray:
    """int32 [number, K, K], wins in this many comparisons of random pairs."""
    mu, rng = models.host_probabilities(models.load(source).model), np.random.default_rng(seed)
    wins = np.zeros((number, len(mu), len(mu)), np.int32)
    for matrix in wins:
        first, second = np.array([rng.choice(len(mu), 2, replace=False) for _ in range(comparisons)]).T
        won = rng.random(comparisons) < mu[first, second]
        np.add.at(matrix, (np.where(won, first, second), np.where(won, second, first)), 1)
    return wins


def _named(wins: np.ndarray) -> np.ndarray:
    return np.asarray(_guesses(jnp.asarray(np.stack([wins, wins.transpose(0, 2, 1)], axis=-1))))


def test_a_literal_version_names_the_same() -> None:
    for source in ("bradley-terry:5", "cyclic:5", "random-condorcet:5"):
        for comparisons in (20, 200):
            wins = _records(source, comparisons, 16, comparisons)
            expected = [guess.best_guess(matrix.astype(float)) for matrix in wins]
            np.testing.assert_array_equal(_named(wins), expected)


def test_both_kinds_of_instances_are_named_rightly() -> None:
    """A fixed draw: strengths decide with few comparisons a pair; a winner by narrow margins, too."""
    strong = _records("bradley-terry:5", 300, 16, 1)
    assert np.mean(_named(strong) == models.condorcet_winner("bradley-terry:5")) > 0.8
    hidden = _records("hidden-winner:5", 4000, 16, 2)
    totals = hidden.sum(axis=2) / (hidden.sum(axis=2) + hidden.sum(axis=1))
    winner = models.condorcet_winner("hidden-winner:5")
    assert np.mean(_named(hidden) == winner) > 0.8
    assert np.mean(totals.argmax(axis=1) == winner) < 0.2


def test_converged_fits_are_the_posterior_mode() -> None:
    """The literal fit with many steps maximises the joint posterior of strengths and deviations."""
    wins, k = _records("random-condorcet:5", 60, 1, 3)[0].astype(float), 5
    fit = guess.Fit(wins, guess.DEVIATION)
    for _ in range(30):
        fit.step(inner=20)
    rows, columns = np.tril_indices(k, -1)

    def loss(x: np.ndarray) -> float:
        logits = x[rows] - x[columns] + x[k:]
        fitted = wins[rows, columns] * np.log(expit(logits)) + wins[columns, rows] * np.log(expit(-logits))
        return -fitted.sum() + (x[:k] @ x[:k] + x[k:] @ x[k:] / guess.DEVIATION) / 2

    found = minimize(loss, np.zeros(k + len(rows)), method="BFGS", options={"gtol": 1e-8}).x
    np.testing.assert_allclose(fit.strengths, found[:k], atol=1e-5)
    np.testing.assert_allclose(fit.deviations[rows, columns], found[k:], atol=1e-5)
