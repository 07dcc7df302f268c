"""Draws of Beta posteriors have the law of Beta(a, b), and rejected proposals are replaced as they should be."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from llmpo_jax.samplers import posterior, thompson

DRAWS = 200_000
SHAPES = ((1, 1), (1, 2), (2, 1), (3, 1), (1, 40), (2, 2), (7, 4), (30, 50), (400, 300), (60_000, 40_000))
FALSE_ALARM = 1e-6
Draws = Callable[[posterior.Proposals, jax.Array, jax.Array], jax.Array]


def furthest(draws: Draws) -> np.ndarray:
    """[n], the largest distance of each pair of shapes' empirical distribution from that of Beta(a, b), in units of
    what Dvoretzky, Kiefer, Wolfowitz and Massart allow all of them together but once in 1 / `FALSE_ALARM` times."""
    a, b = (jnp.asarray(column, jnp.float32) for column in zip(*SHAPES, strict=True))

    @jax.jit
    @jax.vmap
    def many(key: jax.Array) -> jax.Array:
        return draws(posterior.proposals(key, 2 * len(SHAPES), jnp.float32), a, b)

    found = np.asarray(many(jax.random.split(jax.random.key(0), DRAWS)), float)
    distance = [stats.kstest(found[:, n], stats.beta(*shape).cdf).statistic for n, shape in enumerate(SHAPES)]
    return np.array(distance) / np.sqrt(np.log(2 * len(SHAPES) / FALSE_ALARM) / (2 * DRAWS))


def test_draws_have_the_law_of_the_posterior() -> None:
    """False alarm: 1e-6 for all shapes together (exact, any number of draws). Measured: 0.50 of what is allowed."""
    assert furthest(posterior.beta_draws).max() < 1


def test_a_rejected_proposal_that_is_kept_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above is sharp: where rejected proposals are not replaced it fails, by a factor of 3.7."""
    monkeypatch.setattr(posterior, "spare", lambda number: 0)
    assert furthest(posterior.beta_draws).max() > 1


def test_draws_of_a_batch_are_independent() -> None:
    """That a lane waits for others with more rejected proposals changes none of its draws, not by a bit."""
    shapes = jnp.asarray(np.random.default_rng(0).integers(1, 5, size=(64, 20)), jnp.float32)
    keys = jax.random.split(jax.random.key(1), len(shapes))
    given = jax.vmap(functools.partial(posterior.proposals, number=20, dtype=jnp.float32))(keys)
    together = jax.jit(jax.vmap(posterior.gamma_draws))(given, shapes)
    alone = jax.jit(posterior.gamma_draws)
    for row in range(len(shapes)):
        np.testing.assert_array_equal(together[row], alone(jax.tree.map(lambda x, row=row: x[row], given), shapes[row]))


def test_different_draws_are_uncorrelated() -> None:
    """Entries that take turns at the spare proposals stay independent: correlations of the ranks of all pairs of 20
    exponentials, false alarm 1e-6 together (normal approximation, 200,000 draws)."""
    keys = jax.random.split(jax.random.key(2), DRAWS)

    @jax.jit
    @jax.vmap
    def many(key: jax.Array) -> jax.Array:
        return posterior.gamma_draws(posterior.proposals(key, 20, jnp.float32), jnp.ones(20, jnp.float32))

    ranks = stats.rankdata(np.asarray(many(keys)), axis=0)
    correlation = np.corrcoef(ranks, rowvar=False)[np.triu_indices(20, 1)]
    assert np.abs(correlation).max() * np.sqrt(DRAWS) < stats.norm.isf(FALSE_ALARM / 2 / len(correlation))


@pytest.mark.parametrize("number", [4, 10, 32, 64, 128, 2000])
def test_spare_proposals_are_enough(number: int) -> None:
    """More rejections than spare proposals: a negative binomial tail, below the 1e-9 that `spare` promises."""
    assert stats.nbinom(number, 0.95).sf(posterior.spare(number)) < 1e-9


def test_proposals_are_rejected_as_seldom_as_promised() -> None:
    """With probability 0.05 at most, most often at shape 1: by quadrature over the normal."""
    x = np.linspace(-12, 12, 200_001)
    weight = stats.norm.pdf(x)
    for shape in (1.0, 1.5, 2.0, 5.0, 100.0):
        d = shape - 1 / 3
        v = np.maximum(1 + x / np.sqrt(9 * d), 0) ** 3
        with np.errstate(divide="ignore"):
            accepted = np.exp(np.minimum(x**2 / 2 + d - d * v + d * np.log(v), 0))
        assert weight @ accepted / weight.sum() > 0.95


def test_the_chance_of_being_ahead_is_the_tail_of_the_posterior() -> None:
    """Against SciPy's, from no comparison to 10^5, from even records to one-sided ones."""
    rng = np.random.default_rng(0)
    n = np.concatenate([np.arange(60), np.exp(rng.uniform(0, np.log(1e5), 400)).astype(int)])
    rate = 0.5 + rng.normal(size=len(n)) * rng.choice([0, 1, 5, 100], len(n)) / np.sqrt(np.maximum(n, 1))
    wins = np.rint(n * np.clip(rate, 0, 1)).astype(np.int32)
    losses = (n - wins).astype(np.int32)
    found = jax.jit(jax.vmap(lambda one, other: thompson.log_ahead(one, other, jnp.float32)))(wins, losses)
    for own, (a, b) in zip(np.asarray(found).T, ((wins, losses), (losses, wins)), strict=True):
        expected = stats.binom.logcdf(a, a + b + 1, 0.5)
        told = np.isfinite(expected)
        np.testing.assert_allclose(own[told], expected[told], rtol=3e-6, atol=1e-5)
        assert np.all(own[~told] < -700) and np.isfinite(own).all()
        np.testing.assert_allclose(np.exp(own), stats.beta.sf(0.5, a + 1, b + 1), rtol=0, atol=1e-5)
