"""An experiment with several comparisons in flight as one pure function of the policies, run by the hundred."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.arithmetic import pinned
from llmpo_jax.engine.preparation import Settings, make_plan
from llmpo_jax.engine.replication import Plan, Procedure, Replication, decide, identify, settle, start
from llmpo_jax.live import course
from llmpo_jax.protocol import Problem
from llmpo_jax.spaces import UNSTRUCTURED

WINDOW = 512
"""Asks that may wait behind an unsettled one."""
LANES = 50


class Setting(NamedTuple):
    """How comparisons are in flight (static).

    Attributes:
        in_flight: how many.
        believing: whether the sampler believes what is pending, or ignores it.
        on_arrival: whether verdicts are settled as they come, or in ask order.
        slow_wins: how many times longer a verdict for the policy with the lower number takes.
        limit: verdicts after which a run is over.
    """

    in_flight: int
    believing: bool = True
    on_arrival: bool = False
    slow_wins: float = 1.0
    limit: int = 20_000


class Run(NamedTuple):
    """The asks [W] of a run by their number modulo `WINDOW`, with the times at which their verdicts return."""

    rep: Replication
    first: jax.Array
    second: jax.Array
    won: jax.Array
    told: jax.Array
    back: jax.Array
    asked: jax.Array
    settled: jax.Array
    arrived: jax.Array


def _tail(setting: Setting, run: Run) -> course.Tail:
    at = (run.settled + jnp.arange(WINDOW, dtype=jnp.int32)) % WINDOW
    inside = jnp.arange(WINDOW, dtype=jnp.int32) < run.asked - run.settled
    told = run.told[at]
    kept = inside & (told | setting.believing) & ~(told & setting.on_arrival)
    place = jnp.cumsum(kept, dtype=jnp.int32)
    which = jnp.zeros(WINDOW, jnp.int32).at[jnp.where(kept, place - 1, WINDOW)].set(at, mode="drop")
    outcome = jnp.where(run.told[which], run.won[which].astype(jnp.int32), course.PENDING)
    return course.Tail(run.first[which], run.second[which], outcome, place[-1])


def _ask(procedure: Procedure, plan: Plan, setting: Setting, mu: jax.Array, key: jax.Array, now: Any, run: Run) -> Run:
    number = run.asked + 1
    first, second, sampler = course.ask(procedure, plan, run.rep, _tail(setting, run), number)
    true = run.rep.identity.shuffled[first], run.rep.identity.shuffled[second]
    luck, wait = jax.random.split(jax.random.fold_in(key, number))
    won = jax.random.uniform(luck, (), jnp.float32) < mu[true]
    slow = jnp.where(won == (true[0] < true[1]), setting.slow_wins, 1.0)
    back = now + slow * jax.random.exponential(wait, (), jnp.float32)
    at = run.asked % WINDOW
    return run._replace(
        rep=run.rep._replace(sampler=sampler),
        first=run.first.at[at].set(first),
        second=run.second.at[at].set(second),
        won=run.won.at[at].set(won),
        told=run.told.at[at].set(False),
        back=run.back.at[at].set(back),
        asked=number,
    )


def _settle(procedure: Procedure, plan: Plan, run: Run, at: jax.Array) -> Run:
    rep = settle(procedure, plan, run.rep, run.first[at], run.second[at], run.won[at])
    return run._replace(rep=decide(procedure, plan, rep))


def _over(setting: Setting, run: Run) -> jax.Array:
    return jnp.any(run.rep.outcome.stopping_time >= 0) | (run.arrived >= setting.limit)


def _turn(procedure: Procedure, plan: Plan, setting: Setting, mu: jax.Array, key: jax.Array, run: Run) -> Run:
    """The next verdict returns, what can be settled is, and another comparison is asked for."""
    at = jnp.argmin(run.back).astype(jnp.int32)
    now = run.back[at]
    run = run._replace(told=run.told.at[at].set(True), back=run.back.at[at].set(jnp.inf), arrived=run.arrived + 1)
    if setting.on_arrival:
        run = _settle(procedure, plan, run, at)

    def due(run: Run) -> jax.Array:
        return (run.settled < run.asked) & run.told[run.settled % WINDOW] & ~_over(setting, run)

    def one(run: Run) -> Run:
        settled = run if setting.on_arrival else _settle(procedure, plan, run, run.settled % WINDOW)
        return settled._replace(settled=run.settled + 1)

    return _ask(procedure, plan, setting, mu, key, now, jax.lax.while_loop(due, one, run))


@functools.partial(jax.jit, static_argnums=(0, 2))
def _runs(procedure: Procedure, plan: Plan, setting: Setting, mu: jax.Array, numbers: jax.Array) -> tuple[Any, ...]:
    """Runs with these numbers: stopping times, recommendations, comparisons asked."""

    def one(number: jax.Array) -> tuple[Any, ...]:
        identity = identify(procedure.problem.num_policies, plan.root, number)
        nothing, zero = jnp.zeros(WINDOW, jnp.int32), jnp.zeros((), jnp.int32)
        rep = start(procedure, plan, identity, jnp.asarray(False))
        never = jnp.full(WINDOW, jnp.inf, jnp.float32)
        run = Run(rep, nothing, nothing, nothing > 0, nothing > 0, never, zero, zero, zero)
        key = jax.random.fold_in(identity.key, 2**31 - 1)
        ask = functools.partial(_ask, procedure, plan, setting, mu, key, jnp.float32(0))
        run = jax.lax.fori_loop(0, setting.in_flight, lambda _, run: ask(run), run)
        turn = functools.partial(_turn, procedure, plan, setting, mu, key)
        run = jax.lax.while_loop(lambda run: ~_over(setting, run), turn, run)
        return run.rep.outcome.stopping_time[0], run.rep.outcome.recommendation[0], run.asked

    return jax.vmap(one)(numbers)


def simulate(mu: np.ndarray, setting: Setting, delta: float, runs: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """int [runs] each: stopping times (-1 where the run was cut), recommendations, comparisons asked in all."""
    problem = Problem(len(mu))
    rules = UNSTRUCTURED.samplers.get("llm-po"), UNSTRUCTURED.stopping.get("e-process")
    procedure = Procedure(problem, *rules, UNSTRUCTURED)
    with pinned():
        plan = make_plan(procedure, mu, Settings((delta,), (), 2**30, seed=seed))
        blocks = np.arange(runs, dtype=np.int32).reshape(-1, min(LANES, runs))
        parts = [_runs(procedure, plan, setting, jnp.asarray(mu, jnp.float32), block) for block in blocks]
    return tuple(np.concatenate([np.asarray(part[i]) for part in parts]) for i in range(3))
