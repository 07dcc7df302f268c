"""One replication: a procedure runs on one instance, one comparison at a time. Pure, without jit or vmap."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.fold import compared, refreshed
from llmpo_jax.protocol import CENSORED, NO_WINNER, Design, Problem, Sampler, State, StoppingRule
from llmpo_jax.spaces import UNSTRUCTURED, Space


class Procedure(NamedTuple):
    """What is simulated (static: part of the compiled program)."""

    problem: Problem
    sampler: Sampler
    stopping: StoppingRule
    space: Space = UNSTRUCTURED


class Plan(NamedTuple):
    """The numbers of a run; other numbers of the same shapes need no new compilation.

    Attributes:
        root: typed key, the seed.
        chances: uint32 [K, K], `floor(mu * 2^32)`: policy i beats j when 32 random bits fall below it. Where there
            are ties mu is the chance of a win among all comparisons.
        winner_thresholds, absence_thresholds: [D] nats, one per delta.
        budgets: int32 [B], comparisons.
        horizon: int32, comparisons after which nothing is left to learn from a stopped run (the largest budget).
        max_comparisons: int32, where a run is censored.
        nats: [D], log(1 / delta) of each level, rounded up.
        design: what a structured procedure knows of the policies, None for an unstructured one.
        ties: uint32 [K, K], `floor(t * 2^32)`: the comparison is a tie when the bits fall into the next so many numbers
            above those of a win. None where there are no ties.
        costs: float32 [K, K], what a comparison of each pair costs, None where nothing is known of it.
    """

    root: jax.Array
    chances: jax.Array
    winner_thresholds: jax.Array
    absence_thresholds: jax.Array
    budgets: jax.Array
    horizon: jax.Array
    max_comparisons: jax.Array
    nats: jax.Array
    design: Design | None = None
    ties: jax.Array | None = None
    costs: jax.Array | None = None


class Outcome(NamedTuple):
    """What a replication leaves behind. Policies are numbered as in the model.

    Attributes:
        stopping_time: int32 [D], `CENSORED` while the run goes on.
        recommendation: int32 [D], a policy, `CENSORED`, or `NO_WINNER`.
        budget_recommendation: int32 [B], the best guess (`Space.recommend`) after that many comparisons.
        stopping_cost: float32 [D], what the comparisons until the stop have cost, or those until now while the run goes
            on; None where nothing is known of costs.
    """

    stopping_time: jax.Array
    recommendation: jax.Array
    budget_recommendation: jax.Array
    stopping_cost: jax.Array | None = None


class Spending(NamedTuple):
    """Of a replication where comparisons have costs.

    Attributes:
        costs: [K, K], those of `Plan`, as the procedure numbers the policies.
        total: [2], what has been spent, in two floats.
    """

    costs: jax.Array
    total: jax.Array


class Identity(NamedTuple):
    """What tells one replication from another.

    Attributes:
        key: typed key, `fold_in(root, replication)`; comparison t draws from `fold_in(key, t)`, t = 1, 2, ...
        shuffled: int32 [K], the model's number of each policy as the procedure numbers them.
    """

    key: jax.Array
    shuffled: jax.Array


class Replication(NamedTuple):
    """The whole state of one replication.

    Attributes:
        identity: its randomness.
        statistics: what the procedure knows.
        sampler, stopping: their own states.
        outcome: what has been decided so far.
        spending: what it has cost; None where nothing is known of costs.
    """

    identity: Identity
    statistics: Any
    sampler: State
    stopping: State
    outcome: Outcome
    spending: Spending | None = None


def parts(procedure: Procedure, plan: Plan) -> list[Plan]:
    """The plans of the runs that a procedure takes: one, or one for each budget or level that it is told."""
    if procedure.sampler.told:
        return [plan._replace(budgets=b[None], horizon=b, max_comparisons=b) for b in plan.budgets]
    if procedure.stopping.told:
        levels = ("winner_thresholds", "absence_thresholds", "nats")
        every = range(plan.nats.shape[0])
        return [plan._replace(**{name: getattr(plan, name)[i : i + 1] for name in levels}) for i in every]
    return [plan]


def identify(num_policies: int, root: jax.Array, replication: jax.Array) -> Identity:
    """The identity of the replication with this number (of number 0 for negative ones, which are idle)."""
    key = jax.random.fold_in(root, jnp.maximum(replication, 0))
    policies = jnp.arange(num_policies, dtype=jnp.int32)
    return Identity(key, jax.random.permutation(jax.random.fold_in(key, 0), policies))


def posed(procedure: Procedure, plan: Plan, spending: Spending | None = None) -> Problem:
    """The problem with its arrays: the design, the costs, and what the procedure is told (then the plan has just one of
    these)."""
    costs = None if spending is None else spending.costs
    budget = plan.budgets[0] if procedure.sampler.told else None
    nats = plan.nats[0] if procedure.stopping.told else None
    return dataclasses.replace(procedure.problem, design=plan.design, costs=costs, budget=budget, nats=nats)


def numbers(procedure: Procedure, identity: Identity) -> jax.Array:
    """int32 [K], the model's number of each policy as the procedure numbers them."""
    if procedure.space.shuffled:
        return identity.shuffled
    return jnp.arange(procedure.problem.num_policies, dtype=jnp.int32)


def start(procedure: Procedure, plan: Plan, identity: Identity, idle: jax.Array) -> Replication:
    """The state before the first comparison. An `idle` replication is over already."""
    spending = _unspent(procedure, plan, identity)
    problem = posed(procedure, plan, spending)
    # At its limit from the start, nothing of an idle replication is counted or decided.
    spent = jnp.where(idle, plan.max_comparisons, 0)
    deltas, budgets = plan.winner_thresholds.shape[0], plan.budgets.shape[0]
    return Replication(
        identity=identity,
        statistics=procedure.space.start(problem)._replace(t=spent),
        sampler=procedure.sampler.init(problem),
        stopping=procedure.stopping.init(problem),
        outcome=Outcome(
            stopping_time=jnp.full(deltas, CENSORED, jnp.int32),
            recommendation=jnp.full(deltas, CENSORED, jnp.int32),
            budget_recommendation=jnp.full(budgets, CENSORED, jnp.int32),
            stopping_cost=None if spending is None else jnp.zeros(deltas, spending.total.dtype),
        ),
        spending=spending,
    )


def _unspent(procedure: Procedure, plan: Plan, identity: Identity) -> Spending | None:
    if plan.costs is None:
        return None
    own = numbers(procedure, identity)
    return Spending(plan.costs[own[:, None], own[None]], jnp.zeros(2, plan.costs.dtype))


def finished(plan: Plan, replication: Replication) -> jax.Array:
    """bool, whether further comparisons would change nothing of the outcome."""
    t = replication.statistics.t
    decided = jnp.all(replication.outcome.stopping_time >= 0)
    return (decided & (t >= plan.horizon)) | (t >= plan.max_comparisons)


def draw(procedure: Procedure, plan: Plan, key: jax.Array) -> Any:
    """What the sampler draws for one comparison, from the comparison's typed key."""
    return procedure.sampler.draw(posed(procedure, plan), jax.random.fold_in(key, 1))


def step(
    procedure: Procedure, plan: Plan, rep: Replication, bits: jax.Array, drawn: Any
) -> tuple[Replication, tuple[jax.Array, jax.Array, jax.Array]]:
    """One comparison.

    Args:
        bits: uint32, the outcome's randomness.
        drawn: the sampler's, see `draw`.

    Returns:
        The new state, and the compared pair in the model's numbers with whether it counts: whether the run was
        still undecided at the last delta.
    """
    first, second, sampler = choose(procedure, plan, rep, drawn)
    numbering = numbers(procedure, rep.identity)
    true_first, true_second = vectors.take(numbering, first), vectors.take(numbering, second)
    chance = vectors.take(plan.chances, true_first, true_second)
    # Bits below the chance wrap around to beyond all ties.
    tied = None if plan.ties is None else bits - chance < vectors.take(plan.ties, true_first, true_second)
    if rep.spending is not None:
        costs, total = rep.spending
        total = jnp.stack(vectors.accumulate(total[0], total[1], vectors.take(costs, first, second)))
        rep = rep._replace(spending=Spending(costs, total))
    rep = settle(procedure, plan, rep._replace(sampler=sampler), first, second, bits < chance, tied)
    counted = _within(plan, rep) & jnp.all(rep.outcome.stopping_time[-1:] < 0)
    return decide(procedure, plan, rep), (true_first, true_second, counted)


def choose(procedure: Procedure, plan: Plan, rep: Replication, drawn: Any) -> tuple[jax.Array, jax.Array, State]:
    """The pair to be compared next, as the procedure numbers them, and the sampler's state after the choice."""
    problem = posed(procedure, plan, rep.spending)
    evidence = procedure.stopping.evidence(problem, rep.stopping, rep.statistics)
    return procedure.sampler.select(problem, drawn, rep.statistics, evidence, rep.sampler)


def settle(
    procedure: Procedure,
    plan: Plan,
    rep: Replication,
    first: jax.Array,
    second: jax.Array,
    won: jax.Array,
    tied: jax.Array | None = None,
) -> Replication:
    """The state once `first` has been compared with `second`, before anything is decided."""
    problem, (_, _, stopping, space) = posed(procedure, plan), procedure
    statistics, state = compared(space, stopping, problem, (rep.statistics, rep.stopping), first, second, won, tied)
    return rep._replace(statistics=statistics, stopping=state)


def decide(procedure: Procedure, plan: Plan, rep: Replication) -> Replication:
    """The state with what follows from it now."""
    return rep._replace(outcome=_decide(procedure, plan, rep))


def refresh(procedure: Procedure, plan: Plan, rep: Replication) -> Replication:
    """What is brought up to date only every `Space.period` comparisons: estimate, evidence, design, decision."""
    problem, (_, sampler, stopping, space) = posed(procedure, plan, rep.spending), procedure
    if space.refresh is None:
        return rep
    statistics, state = refreshed(space, stopping, problem, (rep.statistics, rep.stopping))
    rep = rep._replace(statistics=statistics, stopping=state)
    if sampler.refresh is not None:
        rep = rep._replace(sampler=sampler.refresh(problem, statistics, rep.sampler))
    return decide(procedure, plan, rep)


def spends(plan: Plan, rep: Replication) -> jax.Array:
    """bool [B], which budgets are spent now."""
    return plan.budgets == rep.statistics.t


def recommend(procedure: Procedure, plan: Plan, rep: Replication) -> jax.Array:
    """int32 [B], `Outcome.budget_recommendation` with the best guess at the budgets that are spent now.

    Apart from `decide`, because it costs as much as many comparisons and is needed at few of them.
    """
    guess = procedure.space.recommend(posed(procedure, plan), rep.statistics)
    named = vectors.take(numbers(procedure, rep.identity), guess)
    return jnp.where(spends(plan, rep), named, rep.outcome.budget_recommendation)


def _within(plan: Plan, rep: Replication) -> jax.Array:
    return rep.statistics.t <= plan.max_comparisons


def _decide(procedure: Procedure, plan: Plan, rep: Replication) -> Outcome:
    """The outcome after this comparison: which levels are reached now."""
    problem, stopping, statistics = posed(procedure, plan), procedure.stopping, rep.statistics
    numbering = numbers(procedure, rep.identity)
    verdict = stopping.verdict(problem, rep.stopping, statistics)
    named = verdict.score >= plan.winner_thresholds
    absent = verdict.absence >= plan.absence_thresholds
    now = (rep.outcome.stopping_time < 0) & (named | absent) & _within(plan, rep)
    recommendation = jnp.where(named, vectors.take(numbering, verdict.winner), NO_WINNER)
    cost = rep.outcome.stopping_cost
    if rep.spending is not None and cost is not None:
        running = (rep.outcome.stopping_time < 0) & _within(plan, rep)
        cost = jnp.where(running, jnp.sum(rep.spending.total), cost)
    return rep.outcome._replace(
        stopping_time=jnp.where(now, statistics.t, rep.outcome.stopping_time),
        recommendation=jnp.where(now, recommendation, rep.outcome.recommendation),
        stopping_cost=cost,
    )
