"""Many replications at once: lanes that run in lock-step for a segment, then take up new replications.

The one place that owns jit, vmap, the memory layout and the random keys. A lane's results depend only on the number
of its replication: not on its neighbours, the number of lanes, or where segments end.
"""

from __future__ import annotations

import functools
import threading
from concurrent.futures import Future
from typing import Any

import jax
import jax.numpy as jnp

from llmpo_jax.engine.replication import Plan, Procedure, Replication, finished, start, step

SEGMENT = 256
"""Comparisons per segment and lane: long enough to hide the host's work, short enough to waste little."""


def _axes(lane: Replication) -> Replication:
    """Where the lanes go in every array: last for scalars and vectors, so that XLA's loops over lanes are
    vectorised; first for matrices, so that the row of one lane is contiguous."""
    return jax.tree.map(lambda x: 0 if x.ndim >= 2 else -1, lane)


def _abstract_lane(procedure: Procedure, plan: Plan) -> Replication:
    return jax.eval_shape(functools.partial(start, procedure), plan, jnp.zeros((), jnp.int32))


def _abstract_lanes(procedure: Procedure, plan: Plan, lanes: int) -> Replication:
    axes = _axes(_abstract_lane(procedure, plan))
    numbers = jax.ShapeDtypeStruct((lanes,), jnp.int32)
    return jax.eval_shape(
        jax.vmap(functools.partial(start, procedure), in_axes=(None, 0), out_axes=axes), plan, numbers
    )


def _advance(
    procedure: Procedure, plan: Plan, lanes: Replication, free: jax.Array, replications: jax.Array
) -> tuple[Replication, jax.Array, jax.Array]:
    """Start `replications` [L] in the `free` [L] lanes, then run all lanes for a segment.

    Returns:
        The lanes, which of them are over [L], and the comparisons made of each pair, int32 [K, K] upper triangle.
    """
    axes = _axes(_abstract_lane(procedure, plan))
    k = procedure.problem.num_policies

    def draw(key: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        step_key = jax.random.fold_in(key, t)
        return jax.random.bits(step_key, (), jnp.uint32), step_key

    def refill(lane: Replication, free: jax.Array, replication: jax.Array) -> Replication:
        fresh = start(procedure, plan, replication)
        return jax.tree.map(lambda new, old: jnp.where(free, new, old), fresh, lane)

    lanes = jax.vmap(refill, in_axes=(axes, 0, 0), out_axes=axes)(lanes, free, replications)
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
_programs: dict[tuple[Procedure, int, int, int], Future[jax.stages.Compiled]] = {}


def program(procedure: Procedure, deltas: int, budgets: int, lanes: int) -> jax.stages.Compiled:
    """The compiled `_advance` for this procedure and these shapes: `(plan, lanes, free, replications) -> ...`.

    Compiled once per process, by whichever thread asks first; different programs are compiled side by side.
    """
    key = (procedure, deltas, budgets, lanes)
    with _lock:
        mine = key not in _programs
        future = _programs.setdefault(key, Future())
    if mine:
        try:
            future.set_result(_compile(*key))
        except BaseException as error:
            future.set_exception(error)
            with _lock:
                del _programs[key]
    return future.result()


def _compile(procedure: Procedure, deltas: int, budgets: int, lanes: int) -> jax.stages.Compiled:
    plan = abstract_plan(procedure.problem.num_policies, deltas, budgets)
    state = _abstract_lanes(procedure, plan, lanes)
    free = jax.ShapeDtypeStruct((lanes,), jnp.bool_)
    numbers = jax.ShapeDtypeStruct((lanes,), jnp.int32)
    advance = jax.jit(functools.partial(_advance, procedure), donate_argnums=1)
    return advance.lower(plan, state, free, numbers).compile()


def abstract_plan(num_policies: int, deltas: int, budgets: int) -> Plan:
    """The shapes and types of a plan."""
    shape: Any = jax.ShapeDtypeStruct  # stands for the arrays that `Plan` declares
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
    """Lanes with nothing in them yet."""

    def empty(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.vmap(jax.random.key)(jnp.zeros(leaf.shape, jnp.uint32))
        return jnp.zeros(leaf.shape, leaf.dtype)

    return jax.tree.map(empty, _abstract_lanes(procedure, plan, lanes))
