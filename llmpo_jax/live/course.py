"""The course of an experiment as pure functions of one replication's state: what to ask next, what an outcome means.

The state is the engine's `Replication`. Its statistics, evidence and outcome are SETTLED: they are the fold of the
longest row of asks, in ask order, that are all told. That is what keeps the proof. Slow answers are no random sample,
so evidence that is weighed as it arrives is no supermartingale; in ask order, outcome i is fresh given outcomes
1 .. i - 1, and the bet on it is a function of those, even where some of them were told after ask i.

What a sampler looks at proves nothing, so it may know more: its copy of the state also folds what is told behind a
pending ask, and BELIEVES of every pending pair that the favourite wins. Otherwise it asks one pair again and again.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax.engine.replication import Plan, Procedure, Replication, choose, decide, draw, posed, refresh, settle
from llmpo_jax.protocol import State, Verdict

LOST, WON, PENDING = 0, 1, 2


class Tail(NamedTuple):
    """The asks behind the settled ones that are decided or pending, in ask order.

    Attributes:
        first, second: int32 [N], as the procedure numbers the policies.
        outcome: int32 [N], `LOST`, `WON` (by first) or `PENDING`.
        length: int32, how many of the N there are.
    """

    first: jax.Array
    second: jax.Array
    outcome: jax.Array
    length: jax.Array


class View(NamedTuple):
    """What is concluded from a settled state.

    Attributes:
        verdict: of the stopping rule.
        refutation: [K] nats against each policy, as the procedure numbers them.
    """

    verdict: Verdict
    refutation: jax.Array


def believe(procedure: Procedure, plan: Plan, rep: Replication, tail: Tail) -> Replication:
    """The state as the sampler sees it: with the tail, and pending pairs won by their favourites."""
    problem, space = posed(procedure, plan), procedure.space
    renew, before = space.refresh, rep.statistics.t // space.period

    def one(i: jax.Array, rep: Replication) -> Replication:
        first, second, outcome = tail.first[i], tail.second[i], tail.outcome[i]
        won = jnp.where(outcome == PENDING, space.favours(rep.statistics, first, second), outcome == WON)
        return settle(procedure, plan, rep, first, second, won)

    rep = jax.lax.fori_loop(0, tail.length, one, rep)
    if renew is None:
        return rep
    # The estimate follows what is told even where one slow answer keeps it from being settled.
    due = rep.statistics.t // space.period > before
    statistics = jax.lax.cond(due, lambda s: renew(problem, s), lambda s: s, rep.statistics)
    return rep._replace(statistics=statistics)


def ask(
    procedure: Procedure, plan: Plan, rep: Replication, tail: Tail, number: jax.Array
) -> tuple[jax.Array, jax.Array, State]:
    """The pair of ask `number` (1, 2, ...) and the sampler's state after it."""
    drawn = draw(procedure, plan, jax.random.fold_in(rep.identity.key, number))
    return choose(procedure, plan, believe(procedure, plan, rep, tail), drawn)


def tell(
    procedure: Procedure, plan: Plan, rep: Replication, first: jax.Array, second: jax.Array, won: jax.Array
) -> tuple[Replication, View]:
    """The state with one settled outcome more, as the engine would have it, and what follows."""
    rep = decide(procedure, plan, settle(procedure, plan, rep, first, second, won))
    if procedure.space.refresh is not None:
        due = rep.statistics.t % procedure.space.period == 0
        rep = jax.lax.cond(due, lambda r: refresh(procedure, plan, r), lambda r: r, rep)
    return rep, view(procedure, plan, rep)


def view(procedure: Procedure, plan: Plan, rep: Replication) -> View:
    """What is concluded from a settled state."""
    problem, rule = posed(procedure, plan), procedure.stopping
    arguments = problem, rep.stopping, rep.statistics
    refutation = rule.evidence(*arguments) if rule.refutation is None else rule.refutation(*arguments)
    return View(rule.verdict(*arguments), refutation)
