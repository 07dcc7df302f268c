"""G-optimal design over the pairs: computed once, then tracked.

The proportions w on the pairs that make the widest confidence interval narrowest, whatever the parameter is,

    minimise max_p z_p . H(w)^-1 z_p,    H(w) = sum_p w_p z_p z_p^T.

Kiefer and Wolfowitz (1960): these w are those that maximise det H(w), and the value is d. For the best arm of a linear
bandit this is the G-allocation of Soare, Lazaric and Munos (2014, arXiv 1409.6110, section 4). Here the arms are the pairs and
the contrasts of interest the differences of two policies: the same vectors, so that their XY-allocation is this, too. As
in both sources H is that of the linear model. It does not know the parameter, on which the information `mu (1 - mu)` of
a logistic comparison depends; where all scores are equal the two are proportional.

det H(w) rises in every multiplicative step, `w_p` times `z_p . H(w)^-1 z_p / d` (Titterington 1976, Silvey, Titterington and
Torsney 1978); after `STEPS` of them from equal proportions the value is within a few per cent of d.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from llmpo_jax.protocol import LinearStatistics, Problem, Sampler, State
from llmpo_jax.samplers.structured.llm_po import furthest_behind, pair_of
from llmpo_jax.theory import linear

STEPS = 100


def proportions(problem: Problem) -> jax.Array:
    """[P], nearly the G-optimal ones. They depend on the features alone."""
    products = linear.of(problem).products

    def improve(_: int, weights: jax.Array) -> jax.Array:
        inverse, _ = linear.inverse(linear.information(products, weights))
        raised = weights * (products @ inverse.ravel())
        return raised / jnp.sum(raised)

    count = products.shape[0]
    return jax.lax.fori_loop(0, STEPS, improve, jnp.full(count, 1 / count, problem.dtype))


def _select(
    problem: Problem, key: jax.Array, statistics: LinearStatistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    return *pair_of(problem, statistics, furthest_behind(statistics, state)), state


G_OPTIMAL = Sampler(proportions, _select)
"""Tracks the G-optimal proportions of the features. They do not adapt to what is found; any stopping rule goes with them."""
