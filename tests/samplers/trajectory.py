"""One replication of the product, comparison by comparison, without the engine's lanes."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.engine.preparation import Settings, make_plan
from llmpo_jax.engine.replication import Plan, Procedure, Replication, draw, identify, start, step
from llmpo_jax.machine import quick_to_compile
from llmpo_jax.protocol import Problem
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.stopping import STOPPING_RULES

STEPS = 2000
"""Comparisons that are followed: the same in all tests, since each number of them is compiled anew."""


class Trajectory(NamedTuple):
    """n = `STEPS` comparisons in the procedure's numbering, the evidence [n, K] before each, the state after them."""

    first: np.ndarray
    second: np.ndarray
    won: np.ndarray
    tied: np.ndarray
    evidence: np.ndarray
    shuffled: np.ndarray
    final: Replication


def procedure(
    sampler: str,
    num_policies: int,
    stopping: str = "e-process",
    dtype: Any = jnp.float32,
    existence: str = "assumed",
    **circumstances: Any,
) -> Procedure:
    """The named procedure, with evidence of this dtype."""
    problem = Problem(num_policies, existence, dtype, **circumstances)
    return Procedure(problem, SAMPLERS.get(sampler), STOPPING_RULES.get(stopping))


def plan_for(
    chosen: Procedure, mu: np.ndarray, *beside: np.ndarray, deltas: tuple[float, ...] = (1e-3,), seed: int = 0
) -> Plan:
    """The plan of a long run (`beside` win rates there may be ties and costs), thresholds in the procedure's dtype."""
    plan = make_plan(
        chosen,
        mu,
        Settings(deltas, (STEPS,) if chosen.sampler.told else (), 2**20, chosen.problem.existence, seed=seed),
        *beside,
    )
    dtype = chosen.problem.dtype
    return plan._replace(
        winner_thresholds=plan.winner_thresholds.astype(dtype), absence_thresholds=plan.absence_thresholds.astype(dtype)
    )


@functools.cache
def _scan(chosen: Procedure):
    def body(plan: Plan, rep: Replication, random: tuple[jax.Array, Any]):
        bits, drawn = random
        evidence = chosen.stopping.evidence(chosen.problem, rep.stopping, rep.statistics)
        new, (first, second, _) = step(chosen, plan, rep, bits, drawn)
        chance, ties = plan.chances[first, second], 0 if plan.ties is None else plan.ties[first, second]
        tied = (bits >= chance) & (bits - chance < ties)
        return new, (first, second, bits < chance, tied, evidence)

    def comparison(plan: Plan, key: jax.Array, t: jax.Array):
        step_key = jax.random.fold_in(key, t)
        return jax.random.bits(step_key, (), jnp.uint32), draw(chosen, plan, step_key)

    # Float32 is compiled as the engine compiles it; float64 is not what users run, and need only be soon ready.
    options = quick_to_compile() if chosen.problem.dtype == jnp.float64 else None

    @functools.partial(jax.jit, compiler_options=options)
    def run(plan: Plan, rep: Replication):
        # Drawn together, as by the engine: threefry inside a step takes XLA many times as long to compile.
        times = jnp.arange(1, STEPS + 1, dtype=jnp.int32)
        random = jax.vmap(functools.partial(comparison, plan, rep.identity.key))(times)
        return jax.lax.scan(functools.partial(body, plan), rep, random)

    return run


def follow(chosen: Procedure, plan: Plan, replication: int, relabelled: np.ndarray | None = None) -> Trajectory:
    """Run `STEPS` comparisons; `relabelled[i]` is the number that policy i of the model got where it was renumbered."""
    identity = identify(chosen.problem.num_policies, plan.root, jnp.asarray(replication, jnp.int32))
    if relabelled is not None:
        identity = identity._replace(shuffled=jnp.asarray(relabelled, jnp.int32)[identity.shuffled])
    rep = start(chosen, plan, identity, jnp.asarray(False))
    final, (first, second, won, tied, evidence) = _scan(chosen)(plan, rep)
    shuffled = np.asarray(identity.shuffled)
    own = np.argsort(shuffled)
    won, tied, evidence = (np.asarray(x) for x in (won, tied, evidence))
    return Trajectory(own[np.asarray(first)], own[np.asarray(second)], won, tied, evidence, shuffled, final)
