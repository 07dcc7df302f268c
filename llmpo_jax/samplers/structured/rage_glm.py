"""RAGE-GLM: phased elimination, each phase by an optimal design for the policies that are left.

RAGE (Fiez, Jain, Jamieson and Ratliff 2019, arXiv 1906.08399, algorithm 1), taken to logistic outcomes as RAGE-GLM by
Jun, Jain, Mason and Nassif (2021, arXiv 2011.11222). In phase l the proportions w on the pairs, at the estimate so far,

    minimise max over surviving i, j of c . H(w)^-1 c,   c = x_i - x_j,   H(w) = sum_p w_p mu_p (1 - mu_p) z_p z_p^T.

It lasts, for a time proportional to 4^l log(1 / delta) and that value, until differences of scores are known to 2^-l,
and ends with dropping every policy whose estimated score is 2^-l or more below the best. What is changed:

- A sampler does not see delta, and another rule stops. So a `level` stands for log(1 / delta): phase l lasts until
  `2 level c . V c <= 4^-l` for all c, V being the posterior's covariance. Once one policy is left everything starts
  over, with all policies and twice the level.
- No run can get stuck. Where the best policy was dropped by mistake, telling the others apart may take for ever. So
  everything starts over, too, when the comparisons have doubled since it last did, with a level of log t at least: what
  was dropped at a lower one has to be shown again. Where nothing was wrong, the comparisons made lead back at once.
- The constants of the proof (3 times 3.5^2, the union over policies and phases) are left out, and so are the burn-in,
  whose place the prior takes, and the term for the proof's remainder: the first phase would outlast most runs.
- All comparisons count for the estimate, not only those of the phase. They are dealt out phase by phase.
- Scores have no known range, so that the first phase is `FIRST_PHASE`, which tells 4 logits.
- The design is not solved when the phase begins but improved by `STEPS` multiplicative steps at every refresh, with H
  regularised by the prior's precision: prices q on the surviving pairs grow by the pair's variance, and w_p by the root
  of what it takes off the variance that the prices average (Silvey, Titterington and Torsney 1978). At a fixed estimate
  120 steps come within 5 % of the optimum on the instance of `tests/structured/test_design.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import LinearStatistics, Problem, Sampler
from llmpo_jax.samplers.structured.llm_po import by_length, furthest_behind, pair_of
from llmpo_jax.theory import linear, program

FIRST_PHASE = -2
FIRST_LEVEL = 1.0
SOONEST = 64
"""Comparisons before it first starts over for want of an end."""
STEPS = 4


class Phase(NamedTuple):
    """Where the elimination is.

    Attributes:
        proportions: [P], of the phase. prices: [P], of its pairs' variances, a distribution. surviving: bool [K].
        number: int32, the phase l. level: what stands for log(1 / delta).
        started: int32, comparisons made when all policies were last taken in.
        began: int32, comparisons made when the phase began. before: int32 [P], those of each pair.
    """

    proportions: jax.Array
    prices: jax.Array
    surviving: jax.Array
    number: jax.Array
    level: jax.Array
    started: jax.Array
    began: jax.Array
    before: jax.Array


def _init(problem: Problem) -> Phase:
    proportions, zero = by_length(problem), jnp.zeros((), jnp.int32)
    return Phase(
        proportions=proportions,
        prices=_distribution(jnp.ones_like(proportions)),
        surviving=jnp.ones(problem.num_policies, bool),
        number=zero + FIRST_PHASE,
        level=jnp.asarray(FIRST_LEVEL, problem.dtype),
        started=zero,
        began=zero,
        before=jnp.zeros(proportions.shape, jnp.int32),
    )


def _distribution(values: jax.Array) -> jax.Array:
    return values / jnp.sum(values)


def _variances(problem: Problem, covariance: jax.Array, surviving: jax.Array) -> jax.Array:
    """[P], of the differences of two surviving policies, 0 for other pairs."""
    first, second = linear.pairs(problem.num_policies)
    return jnp.where(surviving[first] & surviving[second], linear.of(problem).products @ covariance.ravel(), 0)


def improve(problem: Problem, statistics: LinearStatistics, phase: Phase) -> Phase:
    """One multiplicative step on the proportions and the prices, at the present estimate."""
    design = linear.of(problem)
    spread = linear.spread(problem, statistics.estimate)
    inverse = linear.inverse_design(problem, phase.proportions * spread, statistics.t.astype(problem.dtype))
    prices = _distribution(phase.prices * _variances(problem, inverse, phase.surviving))
    gains = program.fisher_gains(design.products, spread, prices, design.differences @ inverse)
    return phase._replace(proportions=_distribution(phase.proportions * jnp.sqrt(gains)), prices=prices)


def advance(problem: Problem, statistics: LinearStatistics, phase: Phase) -> Phase:
    """The phase after this refresh: the same, the next one, or the first one with all policies."""
    dtype, t = problem.dtype, statistics.t
    scale = jnp.exp2(-phase.number.astype(dtype))
    variances = _variances(problem, statistics.covariance, phase.surviving)
    precise = jnp.all(2 * phase.level * variances <= scale**2)
    best = -vectors.minimum(jnp.where(phase.surviving, -statistics.scores, jnp.inf))
    kept = phase.surviving & (~precise | (best - statistics.scores < scale))
    alone = jnp.sum(kept) == 1
    over = alone | (t >= jnp.maximum(2 * phase.started, SOONEST))
    higher = jnp.maximum(jnp.where(alone, 2, 1).astype(dtype) * phase.level, jnp.log(t.astype(dtype)))
    ended = precise | over
    return Phase(
        # Steps that multiply cannot raise what has come to nothing.
        proportions=jnp.where(ended, (phase.proportions + by_length(problem)) / 2, phase.proportions),
        prices=jnp.where(ended, 1 / phase.prices.shape[0], phase.prices),
        surviving=kept | over,
        number=jnp.where(over, FIRST_PHASE, phase.number + precise.astype(jnp.int32)),
        level=jnp.where(over, higher, phase.level),
        started=jnp.where(over, t, phase.started),
        began=jnp.where(ended, t, phase.began),
        before=jnp.where(ended, statistics.counts, phase.before),
    )


def _refresh(problem: Problem, statistics: LinearStatistics, phase: Phase) -> Phase:
    phase = advance(problem, statistics, phase)
    return jax.lax.fori_loop(0, STEPS, lambda _, phase: improve(problem, statistics, phase), phase)


def _select(
    problem: Problem, key: jax.Array, statistics: LinearStatistics, evidence: jax.Array, phase: Phase
) -> tuple[jax.Array, jax.Array, Phase]:
    since = statistics._replace(t=statistics.t - phase.began, counts=statistics.counts - phase.before)
    return *pair_of(problem, statistics, furthest_behind(since, phase.proportions)), phase


RAGE_GLM = Sampler(_init, _select, _refresh)
"""Phased elimination by optimal designs, without delta. Its own guarantee is gone; any stopping rule goes with it."""
