"""A forecast of the next outcome from the past, for bets: how far a pair's own record is to be believed is learnt, too.

Logit mu_ij = s_i - s_j + what is the pair's own. How much that is differs between instances: nothing in a Bradley-Terry
model, all on a cycle; and in one place rates lie within .05 of 1/2, in another anywhere in (0, 1). So several experts
forecast side by side, each with the pair's record and a number of pseudo-comparisons of its own, at 1/2 (`PAIR_PRIORS`)
or at the chance that the policies' strengths suggest (`POOLED_PRIORS`). Their mean is weighted by how well each has
forecast all outcomes so far (Bayes' rule), with a little of the weight shared out anew every time (Herbster and
Warmuth 1998), so that an expert can come back. In log likelihood, for all pairs together, this loses to the best of E
experts log E at most, and `SHARE` a comparison.

Strengths follow the outcomes by extended Kalman filters without covariances (as in Glickman 1999), O(1) a comparison:
one for each of the `VARIANCES` that they have at first. All of this is a function of the past, and nothing proven
depends on its being a good one.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.protocol import Comparison

VARIANCES = (0.1, 1.0)
PAIR_PRIORS = (2.0, 8.0)
POOLED_PRIORS = (8.0, 64.0, 512.0)
SHARE = 1e-5
EXPERTS = len(PAIR_PRIORS) + len(VARIANCES) * len(POOLED_PRIORS)

_PRIORS = np.array(PAIR_PRIORS + len(VARIANCES) * POOLED_PRIORS)
_FOLLOWS = np.hstack(
    [np.zeros((len(VARIANCES), len(PAIR_PRIORS))), np.kron(np.eye(len(VARIANCES)), np.ones(len(POOLED_PRIORS)))]
)
"""[F, E], which filter's strengths an expert goes by."""


def even_weights(dtype: jnp.dtype) -> jax.Array:
    """[E], the experts' weights at first."""
    return jnp.full(EXPERTS, 1 / EXPERTS, dtype)


def even_strengths(num_policies: int, dtype: jnp.dtype) -> jax.Array:
    """[2 F, K], the strengths by each of the F filters, then their variances, at first."""
    variances = jnp.asarray(np.array(VARIANCES), dtype)
    start = jnp.concatenate([jnp.zeros_like(variances), variances])
    return jnp.broadcast_to(start[:, None], (len(start), num_policies))


def lead(strengths: jax.Array) -> jax.Array:
    """[F], the chance that `first` wins less 1/2, from strengths [2 F, 2] of (first, second); odd to the last bit."""
    values = strengths[: len(VARIANCES)]
    return jnp.tanh((values[:, 0] - values[:, 1]) / 2) / 2


def experts(comparison: Comparison, strengths: jax.Array) -> jax.Array:
    """[E], the chance that `first` wins by each expert."""
    dtype = strengths.dtype
    wins, losses = comparison.wins.astype(dtype), comparison.losses.astype(dtype)
    priors = jnp.asarray(_PRIORS, dtype)
    ahead = jnp.sum(lead(strengths)[:, None] * jnp.asarray(_FOLLOWS, dtype), axis=0)
    return (wins + priors * (0.5 + ahead)) / (wins + losses + priors)


def chance(weights: jax.Array, experts: jax.Array) -> jax.Array:
    """The chance that `first` wins, the weighted mean of what the experts [E] say, strictly between 0 and 1."""
    eps = jnp.finfo(weights.dtype).eps
    return jnp.clip(jnp.sum(weights * experts), eps, 1 - eps)


def reweighed(weights: jax.Array, experts: jax.Array, won: jax.Array) -> jax.Array:
    """The weights [E] after an outcome."""
    likely = weights * jnp.where(won, experts, 1 - experts)
    return likely * ((1 - SHARE) / jnp.sum(likely)) + SHARE / EXPERTS


def moved(strengths: jax.Array, won: jax.Array) -> jax.Array:
    """Strengths and variances [2 F, 2] of (first, second) after a comparison."""
    values, variances = strengths[: len(VARIANCES)], strengths[len(VARIANCES) :]
    ahead = lead(strengths)
    information = (0.25 - ahead * ahead)[:, None]
    gain = variances / (1 + information * (variances[:, :1] + variances[:, 1:]))
    surprise = won.astype(strengths.dtype) - 0.5 - ahead
    change = gain * jnp.stack([surprise, -surprise], axis=1)
    return jnp.concatenate([values + change, variances * (1 - information * gain)])
