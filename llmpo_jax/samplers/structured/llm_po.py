"""LLM-PO in the structured space: a regularised convex program, solved while sampling, and tracked.

At every refresh the proportions w on the pairs make a few projected gradient steps on the simplex from where they were,
towards those that are best for the hardest rival at the present estimate, in the exact form of the program (`steps`).
Between refreshes the pair that is furthest behind, argmax t w_p - n_p, is compared.

The min over rivals is smoothed: while the estimate is rough, the rival that looks hardest may not be. Once the evidence
on it exceeds `WARM` nats the temperature falls, so that rivals are told apart by about as many nats as matter, and
steps shorten as the program becomes less smooth. Hence the proportions tend to optimal ones, and the comparisons to as
few as theory allows as delta tends to 0. That is measured, not proven: constants and schedule are heuristic.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import LinearStatistics, Problem, Sampler, State
from llmpo_jax.samplers.structured import steps
from llmpo_jax.samplers.structured.steps import Factors, Pace
from llmpo_jax.theory import linear, program

TEMPERATURE = 0.5
STEP_SIZE = 0.8
WARM = 8.0
"""Evidence on the hardest rival, nats, from which on both fall like its inverse."""


class Adaptive(NamedTuple):
    """State.

    Attributes:
        proportions: [P], of the cost.
        shifts: [K, d], from the estimate to the alternatives in which a rival ties the leader.
        factors: [K], of the exact values to Fisher's.
    """

    proportions: jax.Array
    shifts: jax.Array
    factors: jax.Array


def pair_of(problem: Problem, statistics: LinearStatistics, pair: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The policies of a pair, the one with the better estimated score first: in an order free of their numbers."""
    low, high = (jnp.asarray(side)[pair] for side in linear.pairs(problem.num_policies))
    swap = statistics.scores[high] > statistics.scores[low]
    return jnp.where(swap, high, low), jnp.where(swap, low, high)


def furthest_behind(statistics: LinearStatistics, proportions: jax.Array) -> jax.Array:
    """int32, the pair that is furthest behind t times its proportion once one comparison more is made."""
    target = (statistics.t + 1).astype(proportions.dtype) * proportions
    return vectors.argmin(steps.made(statistics).astype(proportions.dtype) - target)


def tracked(problem: Problem, statistics: LinearStatistics, shares: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The pair that is furthest behind these shares of the cost [P]."""
    if problem.priced:
        shares = shares / steps.pair_costs(problem)
        shares = shares / jnp.sum(shares)
    return pair_of(problem, statistics, furthest_behind(statistics, shares))


def by_length(problem: Problem) -> jax.Array:
    """Proportions [P] while nothing is known: like |z|^2, what a pair tells of all directions together."""
    length = jnp.sum(linear.of(problem).differences ** 2, axis=1)
    return length / jnp.sum(length)


def _init(problem: Problem) -> Adaptive:
    features = linear.of(problem).features
    return Adaptive(by_length(problem), jnp.zeros_like(features), jnp.ones_like(features[:, 0]))


def _select(
    problem: Problem, key: jax.Array, statistics: LinearStatistics, evidence: jax.Array, state: Adaptive
) -> tuple[jax.Array, jax.Array, Adaptive]:
    return *tracked(problem, statistics, state.proportions), state


def refreshed(problem: Problem, statistics: LinearStatistics, state: Adaptive) -> Adaptive:
    """The steps of one refresh."""
    contrasts = linear.contrasts(problem, statistics.leader)
    at = steps.present(problem, statistics, contrasts, contrasts @ statistics.estimate)
    values, _ = program.fisher(steps.inverse(problem, at, state.proportions), at.contrasts, at.gaps)
    values = values * state.factors
    least = jnp.min(values) + jnp.finfo(problem.dtype).tiny
    cooling = jnp.minimum(1, WARM / (at.spent * least))
    pace = Pace(TEMPERATURE * cooling, STEP_SIZE * cooling)
    prices, _ = program.softmin(values, pace.temperature * least)
    factors, shifts = steps.corrected(problem, at, state.proportions, prices, state.shifts)
    return Adaptive(steps.improved(problem, at, state.proportions, pace, factors), shifts, jnp.asarray(factors.values))


def _select_oracle(
    problem: Problem, key: jax.Array, statistics: LinearStatistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    return *pair_of(problem, statistics, furthest_behind(statistics, linear.of(problem).optimal)), state


LLM_PO = Sampler(_init, _select, refreshed)
"""Adaptive design by projected gradient, tracked. No guarantee hangs on its constants, since any sampler may run with
any stopping rule."""

LLM_PO_ORACLE = Sampler(lambda problem: (), _select_oracle, oracle=True)
"""Tracks the optimal proportions of the TRUE parameter, which no procedure can know: a yardstick for trackers."""
