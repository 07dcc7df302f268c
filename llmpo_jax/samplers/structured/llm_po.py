"""LLM-PO in the structured space: a regularised convex program, solved while sampling, and tracked.

At every refresh the proportions w on the pairs make a few projected gradient steps on the simplex from where they were,
towards those that are best for the hardest rival at the present estimate (`steps`). Between refreshes the pair that is
furthest behind, argmax t w_p - n_p, is compared.

While the estimate is rough, the rival that looks hardest may not be, and the exact form says of wide gaps more than is
known of them: so the min over rivals is smoothed and the form is Fisher's. Once the stopping rule has evidence against
every rival, both are cooled as it grows: the form becomes exact and the min sharp, rivals are told apart by as many
nats as matter, and steps shorten as the program becomes less smooth. Hence the proportions tend to optimal ones, and
the comparisons to as few as theory allows as delta tends to 0. That is measured (`llmpo-jax validate`, C4 and C5), not
proven: constants and schedule are heuristic. Evidence by the estimate itself is no measure of when to cool: a run that
followed a wrong leader at first owes its rule more than the estimate knows.
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

WARMEST = Pace(temperature=0.3, step=0.4)
WARM = 20.0
"""Nats of evidence against every rival. From there on the pace falls like the inverse of them."""


class Adaptive(NamedTuple):
    """State.

    Attributes:
        proportions: [P], of the cost.
        shifts: [K, d], from the estimate to the alternatives in which a rival ties the leader.
        factors: [K], of the exact values to Fisher's.
        nats: the stopping rule's evidence against every rival of the leader.
    """

    proportions: jax.Array
    shifts: jax.Array
    factors: jax.Array
    nats: jax.Array


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
    return Adaptive(
        by_length(problem), jnp.zeros_like(features), jnp.ones_like(features[:, 0]), jnp.zeros((), problem.dtype)
    )


def _select(
    problem: Problem, key: jax.Array, statistics: LinearStatistics, evidence: jax.Array, state: Adaptive
) -> tuple[jax.Array, jax.Array, Adaptive]:
    leader = vectors.one_hot(statistics.leader, problem.num_policies)
    nats = jnp.min(jnp.where(leader, jnp.inf, evidence)).astype(problem.dtype)
    return *tracked(problem, statistics, state.proportions), state._replace(nats=nats)


def refreshed(problem: Problem, statistics: LinearStatistics, state: Adaptive) -> Adaptive:
    """The steps of one refresh."""
    contrasts = linear.contrasts(problem, statistics.leader)
    at = steps.present(problem, statistics, contrasts, contrasts @ statistics.estimate)
    metric = steps.inverse(problem, at, state.proportions)
    fisher = program.fisher(metric, contrasts, at.gaps)
    heat = WARM / jnp.maximum(state.nats, WARM)
    pace = Pace(*(x * heat for x in WARMEST))
    prices, _ = steps.priced(fisher[0] * state.factors ** (1 - heat), pace)
    factors, shifts = steps.corrected(problem, at, state.proportions, metric, fisher, prices, state.shifts)
    now = Factors(*(x ** (1 - heat) for x in factors))
    return Adaptive(steps.improved(problem, at, state.proportions, pace, now), shifts, factors.values, state.nats)


def _select_oracle(
    problem: Problem, key: jax.Array, statistics: LinearStatistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    return *pair_of(problem, statistics, furthest_behind(statistics, linear.of(problem).optimal)), state


LLM_PO = Sampler(_init, _select, refreshed)
"""Adaptive design by projected gradient, tracked. No guarantee hangs on its constants, since any sampler may run with
any stopping rule."""

LLM_PO_ORACLE = Sampler(lambda problem: (), _select_oracle, oracle=True)
"""Tracks the optimal proportions of the TRUE parameter, which no procedure can know: a yardstick for trackers."""
