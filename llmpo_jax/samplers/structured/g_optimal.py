"""G-optimal design over the pairs: computed once, then tracked.

The proportions w on the pairs for which the least certain of them is most certain, whatever the parameter is,

    minimise max_p z_p . H(w)^-1 z_p,    H(w) = sum_p w_p z_p z_p^T.

They are those that maximise det H(w), and the value is d (Kiefer and Wolfowitz 1960). For the best arm of a linear
bandit this is the G-allocation of Soare, Lazaric and Munos (2014, arXiv 1409.6110). Here the arms are the pairs, and
what is to be told are differences of two policies, which are the same vectors: their XY-allocation is this design, too.
As in both sources H is that of a linear model. It does not know the parameter, on which the information `mu (1 - mu)`
of a comparison depends; the two are proportional where all scores are equal.

det H(w) rises in every multiplicative step, which makes w_p larger by `z_p . H(w)^-1 z_p / d` (Silvey, Titterington and
Torsney 1978). `STEPS` of them bring the value within 1 % of d in `tests/structured/test_design.py`.
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
        inverse, _log_determinant = linear.inverse(linear.information(products, weights))
        raised = weights * (products @ inverse.ravel())
        return raised / jnp.sum(raised)

    count = products.shape[0]
    return jax.lax.fori_loop(0, STEPS, improve, jnp.full(count, 1 / count, problem.dtype))


def _select(
    problem: Problem, key: jax.Array, statistics: LinearStatistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    return *pair_of(problem, statistics, furthest_behind(statistics, state)), state


G_OPTIMAL = Sampler(proportions, _select)
"""Tracks the G-optimal proportions, which depend on the features alone: nothing adapts to what is found."""
