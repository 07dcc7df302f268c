"""Many replications at once: lanes that run in lock-step for a segment, then take up new replications.

The one place that owns jit, vmap, the memory layout and the random keys. A lane's results depend only on the number
of its replication: not on its neighbours, the number of lanes, or where segments end.
"""

from __future__ import annotations

import functools
import threading
from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax.engine.replication import Plan, Procedure, Replication, finished, start, step

SEGMENT = 256
"""Comparisons per segment and lane: long enough to hide the host's work, short enough to waste little."""


class Programs(NamedTuple):
    """The two compiled programs of a procedure.

    Attributes:
        refill: `(plan, lanes, free bool [L], replications int32 [L]) -> lanes`, with the free lanes started anew.
        segment: `(plan, lanes) -> (lanes, finished bool [L], counts int32 [K, K] upper triangle)`.
    """

    refill: jax.stages.Compiled
    segment: jax.stages.Compiled


def _axes(lane: Replication) -> Replication:
    """Where the lanes go in every array: last for scalars and vectors, so that XLA's loops over lanes are
    vectorised; first for matrices, so that the row of one lane is contiguous."""
    return jax.tree.map(lambda x: 0 if x.ndim >= 2 else -1, lane)


def _abstract_lane(procedure: Procedure, plan: Plan) -> Replication:
    return jax.eval_shape(functools.partial(start, procedure), plan, jnp.zeros((), jnp.int32))


def _refill(
    procedure: Procedure, plan: Plan, lanes: Replication, free: jax.Array, replications: jax.Array
) -> Replication:
    axes = _axes(_abstract_lane(procedure, plan))

    def one(lane: Replication, free: jax.Array, replication: jax.Array) -> Replication:
        fresh = start(procedure, plan, replication)
        return jax.tree.map(lambda new, old: jnp.where(free, new, old), fresh, lane)

    return jax.vmap(one, in_axes=(axes, 0, 0), out_axes=axes)(lanes, free, replications)


def _segment(procedure: Procedure, plan: Plan, lanes: Replication) -> tuple[Replication, jax.Array, jax.Array]:
    axes = _axes(_abstract_lane(procedure, plan))
    k = procedure.problem.num_policies

    def draw(key: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        step_key = jax.random.fold_in(key, t)
        return jax.random.bits(step_key, (), jnp.uint32), step_key

    # Drawn for the whole segment at once: threefry is a loop of small operations, slow inside a step.
    times = lanes.statistics.t[None, :] + jnp.arange(1, SEGMENT + 1, dtype=jnp.int32)[:, None]
    draws = jax.vmap(jax.vmap(draw), in_axes=(None, 0))(lanes.key, times)

    def one(
        lane: Replication, bits: jax.Array, step_key: jax.Array
    ) -> tuple[Replication, tuple[jax.Array, jax.Array, jax.Array]]:
        return step(procedure, plan, lane, bits, jax.random.fold_in(step_key, 1))

    def body(
        carry: tuple[Replication, jax.Array], draw: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[Replication, jax.Array], None]:
        lanes, counts = carry
        lanes, (first, second, counted) = jax.vmap(one, in_axes=(axes, 0, 0), out_axes=(axes, 0))(lanes, *draw)
        low, high = jnp.minimum(first, second), jnp.maximum(first, second)
        return (lanes, counts.at[low, high].add(counted.astype(jnp.int32))), None

    (lanes, counts), _ = jax.lax.scan(body, (lanes, jnp.zeros((k, k), jnp.int32)), draws)
    over = jax.vmap(functools.partial(finished, plan), in_axes=(axes,))(lanes)
    return lanes, over, counts


_lock = threading.Lock()


@functools.lru_cache(maxsize=64)
def _compile(procedure: Procedure, deltas: int, budgets: int, lanes: int) -> Programs:
    plan = abstract_plan(procedure.problem.num_policies, deltas, budgets)
    free = jax.ShapeDtypeStruct((lanes,), jnp.bool_)
    numbers = jax.ShapeDtypeStruct((lanes,), jnp.int32)
    axes = _axes(_abstract_lane(procedure, plan))
    state = jax.eval_shape(
        jax.vmap(functools.partial(start, procedure), in_axes=(None, 0), out_axes=axes), plan, numbers
    )
    refill = jax.jit(functools.partial(_refill, procedure), donate_argnums=1)
    segment = jax.jit(functools.partial(_segment, procedure), donate_argnums=1)
    return Programs(refill.lower(plan, state, free, numbers).compile(), segment.lower(plan, state).compile())


def programs(procedure: Procedure, deltas: int, budgets: int, lanes: int) -> Programs:
    """The compiled programs for this procedure and these shapes, compiled once per process."""
    with _lock:
        return _compile(procedure, deltas, budgets, lanes)


def abstract_plan(num_policies: int, deltas: int, budgets: int) -> Plan:
    """The shapes and types of a plan."""
    shape = jax.ShapeDtypeStruct
    return Plan(
        root=jax.eval_shape(lambda: jax.random.key(0)),
        chances=shape((num_policies, num_policies), jnp.uint32),
        winner_thresholds=shape((deltas,), jnp.float32),
        absence_thresholds=shape((deltas,), jnp.float32),
        budgets=shape((budgets,), jnp.int32),
        horizon=shape((), jnp.int32),
        max_comparisons=shape((), jnp.int32),
    )


def blank(procedure: Procedure, plan: Plan, lanes: int) -> Replication:
    """Lanes with nothing in them yet, to be refilled."""
    axes = _axes(_abstract_lane(procedure, plan))
    state = jax.eval_shape(
        jax.vmap(functools.partial(start, procedure), in_axes=(None, 0), out_axes=axes),
        plan,
        jax.ShapeDtypeStruct((lanes,), jnp.int32),
    )
    keys = jax.vmap(jax.random.key)(jnp.zeros(lanes, jnp.uint32))
    zeros = jax.tree.map(
        lambda x: keys if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else jnp.zeros(x.shape, x.dtype), state
    )
    return zeros
