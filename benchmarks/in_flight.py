"""Several comparisons in flight: what settling verdicts in ask order protects from, and what waiting costs.

    python benchmarks/in_flight.py            (about 6 minutes on two cores; `--quick` for a look)

Two tables, kept in results/in_flight_errors.json and results/in_flight_cost.json.

Errors: two policies that are equal (mu = 1/2), so that neither may be refuted in more than a share delta of the runs,
where a win of the first takes ten times as long as a loss. Verdicts are settled in ask order, as `lp.Experiment` does,
or on arrival, which is no proof and fails.

Cost: comparisons asked until the winner is proven, as a multiple of those with one in flight, where the sampler
believes that pending comparisons are won by their favourites, or ignores them. Verdicts return after exponential times.
"""

from __future__ import annotations

import functools
import time
from typing import Any, NamedTuple

import common
import jax
import jax.numpy as jnp
import numpy as np

import llmpo_jax as lp
from llmpo_jax.arithmetic import pinned
from llmpo_jax.engine.preparation import Settings, make_plan
from llmpo_jax.engine.replication import Plan, Procedure, Replication, decide, identify, settle, start
from llmpo_jax.live import course
from llmpo_jax.protocol import Problem
from llmpo_jax.spaces import UNSTRUCTURED
from llmpo_jax.theory.intervals import clopper_pearson, mean_interval

WINDOW = 512
"""Asks that may wait behind an unsettled one."""
LANES = 50
SOURCES = ["bradley-terry:16", "random-condorcet:16", "alpacaeval2_spread10.csv"]


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


def errors(runs: int) -> list[dict[str, Any]]:
    """How often a true winner is refuted within 200 comparisons, mu = 1/2, delta = 0.1: the level, or far above it."""
    rows = []
    for on_arrival in (False, True):
        for in_flight in (1, 8, 32):
            setting = Setting(in_flight, on_arrival=on_arrival, slow_wins=10.0, limit=200)
            _, named, _ = simulate(np.full((2, 2), 0.5), setting, 0.1, runs)
            # The policy with the lower number wins slowly: it is refuted where the other one is named.
            wrong = int((named == 1).sum())
            low, high = clopper_pearson(wrong, runs)
            row = {"settled": "on arrival" if on_arrival else "in ask order", "in flight": in_flight}
            rows.append(row | {"refuted": wrong / runs, "low": low, "high": high, "runs": runs})
    return rows


def cost(sources: list[str], runs: int) -> list[dict[str, Any]]:
    """Mean comparisons asked until the winner is proven at delta = 0.1."""
    rows = []
    for source in sources:
        found = common.source(source)
        if found is None:
            continue
        mu = np.asarray(lp.win_probabilities(found.model), float)
        alone = None
        for in_flight, believing in ((1, True), (8, True), (8, False), (32, True), (32, False)):
            stopped, _, asked = simulate(mu, Setting(in_flight, believing), 0.1, runs)
            mean, low, high = mean_interval(asked.astype(float))
            alone = alone or mean
            rows.append(
                {
                    "source": source,
                    "in flight": in_flight,
                    "pending": "believed" if believing else "ignored",
                    "asked": mean,
                    "low": low,
                    "high": high,
                    "settled": float(stopped.mean()),
                    "ratio": mean / alone,
                    "cut": int((stopped < 0).sum()),
                    "runs": runs,
                }
            )
    return rows


if __name__ == "__main__":
    quick = common.parser(__doc__).parse_args().quick
    started = time.time()
    found = errors(200 if quick else 2000)
    common.show("A true winner is refuted within 200 comparisons, delta = 0.1", found)
    costs = cost(SOURCES[:1] if quick else SOURCES, 50 if quick else 500)
    common.show("Comparisons until the winner is proven, delta = 0.1", costs)
    if not quick:
        common.keep("in_flight_errors", found, started)
        common.keep("in_flight_cost", costs, started)
