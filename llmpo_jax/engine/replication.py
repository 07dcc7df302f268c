"""One replication: a procedure runs on one instance, one comparison at a time. Pure, without jit or vmap."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import (
    CENSORED,
    NO_WINNER,
    Comparison,
    Problem,
    Sampler,
    State,
    Statistics,
    StoppingRule,
)
from llmpo_jax.theory.refutation import increment


class Procedure(NamedTuple):
    """What is simulated (static: part of the compiled program)."""

    problem: Problem
    sampler: Sampler
    stopping: StoppingRule


class Plan(NamedTuple):
    """The numbers of a run; other numbers of the same shapes need no new compilation.

    Attributes:
        root: typed key, the seed.
        chances: uint32 [K, K], `floor(mu * 2^32)`: policy i beats j when 32 random bits fall below it.
        winner_thresholds, absence_thresholds: [D] nats, one per delta.
        budgets: int32 [B], comparisons.
        horizon: int32, comparisons after which nothing is left to learn from a stopped run (the largest budget).
        max_comparisons: int32, where a run is censored.
    """

    root: jax.Array
    chances: jax.Array
    winner_thresholds: jax.Array
    absence_thresholds: jax.Array
    budgets: jax.Array
    horizon: jax.Array
    max_comparisons: jax.Array


class Outcome(NamedTuple):
    """What a replication leaves behind. Policies are numbered as in the model.

    Attributes:
        stopping_time: int32 [D], `CENSORED` while the run goes on.
        recommendation: int32 [D], a policy, `CENSORED`, or `NO_WINNER`.
        budget_recommendation: int32 [B], the least refuted policy after that many comparisons.
    """

    stopping_time: jax.Array
    recommendation: jax.Array
    budget_recommendation: jax.Array


class Replication(NamedTuple):
    """The whole state of one replication.

    Attributes:
        key: typed key, `fold_in(root, replication)`; comparison t draws from `fold_in(key, t)`, t = 1, 2, ...
        shuffled: int32 [K], the model's number of each policy as the procedure numbers them.
        t, record, wins, losses: as in `Statistics`.
        refutation: the sums Z of `Statistics`, in two floats each.
        sampler, stopping: their own states.
        outcome: what has been decided so far.
    """

    key: jax.Array
    shuffled: jax.Array
    t: jax.Array
    record: jax.Array
    wins: jax.Array
    losses: jax.Array
    refutation: vectors.Accumulator
    sampler: State
    stopping: State
    outcome: Outcome

    def statistics(self) -> Statistics:
        return Statistics(self.t, self.record, self.wins, self.losses, self.refutation.high + self.refutation.low)


def start(procedure: Procedure, plan: Plan, replication: jax.Array) -> Replication:
    """The state before the first comparison. A negative number starts an idle replication that is over already."""
    problem = procedure.problem
    k = problem.num_policies
    key = jax.random.fold_in(plan.root, jnp.maximum(replication, 0))
    shuffled = jax.random.permutation(jax.random.fold_in(key, 0), jnp.arange(k, dtype=jnp.int32))
    undecided = jnp.where(replication < 0, 0, CENSORED).astype(jnp.int32)
    deltas, budgets = plan.winner_thresholds.shape[0], plan.budgets.shape[0]
    return Replication(
        key=key,
        shuffled=shuffled,
        t=jnp.zeros((), jnp.int32),
        record=jnp.zeros((k, k, 2), jnp.int32),
        wins=jnp.zeros(k, jnp.int32),
        losses=jnp.zeros(k, jnp.int32),
        refutation=vectors.Accumulator.zeros(k, problem.dtype),
        sampler=procedure.sampler.init(problem),
        stopping=procedure.stopping.init(problem),
        outcome=Outcome(
            stopping_time=jnp.full(deltas, undecided, jnp.int32),
            recommendation=jnp.full(deltas, CENSORED, jnp.int32),
            budget_recommendation=jnp.full(budgets, CENSORED, jnp.int32),
        ),
    )


def finished(plan: Plan, replication: Replication) -> jax.Array:
    """bool, whether further comparisons would change nothing of the outcome."""
    decided = jnp.all(replication.outcome.stopping_time >= 0)
    idle = decided & (replication.outcome.stopping_time[0] == 0)
    return idle | (decided & (replication.t >= plan.horizon)) | (replication.t >= plan.max_comparisons)


def step(
    procedure: Procedure, plan: Plan, rep: Replication, bits: jax.Array, key: jax.Array
) -> tuple[Replication, tuple[jax.Array, jax.Array, jax.Array]]:
    """One comparison.

    Args:
        bits: uint32, the outcome's randomness.
        key: typed key for the sampler.

    Returns:
        The new state, and the compared pair in the model's numbers with whether it counts: whether the run was
        still undecided at the last delta.
    """
    problem, sampler, stopping = procedure
    statistics = rep.statistics()
    evidence = stopping.evidence(problem, rep.stopping, statistics)
    first, second, sampler_state = sampler.select(problem, key, statistics, evidence, rep.sampler)
    entry = rep.record[first, second]
    t = rep.t + 1
    true_first, true_second = rep.shuffled[first], rep.shuffled[second]
    won = bits < plan.chances[true_first, true_second]
    pair = jnp.stack([first, second])
    comparison = Comparison(first, second, won, entry[0], entry[1], rep.wins[pair], rep.losses[pair])
    refutation, _ = rep.refutation.add_two(first, second, increment(comparison, problem.dtype))

    scores = jnp.stack([won, ~won]).astype(jnp.int32)
    # Written as old + new rather than added in place: the write then depends on the read, which is what lets XLA
    # update the record without copying the whole of it at every step.
    entry = entry + scores
    record = rep.record.at[pair, pair[::-1]].set(jnp.stack([entry, entry[::-1]]))
    rep = rep._replace(
        t=t,
        record=record,
        wins=vectors.add_two(rep.wins, first, second, scores),
        losses=vectors.add_two(rep.losses, first, second, scores[::-1]),
        refutation=refutation,
        sampler=sampler_state,
        stopping=stopping.update(problem, rep.stopping, comparison),
    )
    within = t <= plan.max_comparisons
    counted = within & (rep.outcome.stopping_time[-1] < 0)
    return rep._replace(outcome=_decide(procedure, plan, rep, within)), (true_first, true_second, counted)


def _decide(procedure: Procedure, plan: Plan, rep: Replication, within: jax.Array) -> Outcome:
    """The outcome after this comparison: which levels are reached now, and which budgets are spent."""
    problem, _, stopping = procedure
    statistics = rep.statistics()
    verdict = stopping.verdict(problem, rep.stopping, statistics)
    named = verdict.score >= plan.winner_thresholds
    absent = verdict.absence >= plan.absence_thresholds
    now = (rep.outcome.stopping_time < 0) & (named | absent) & within
    recommendation = jnp.where(named, rep.shuffled[verdict.winner], NO_WINNER)
    leader = rep.shuffled[vectors.argmin(statistics.refutation)]
    return Outcome(
        stopping_time=jnp.where(now, rep.t, rep.outcome.stopping_time),
        recommendation=jnp.where(now, recommendation, rep.outcome.recommendation),
        budget_recommendation=jnp.where(plan.budgets == rep.t, leader, rep.outcome.budget_recommendation),
    )
