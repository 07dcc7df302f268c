"""Many replications at once: lanes that run in lock-step for a segment, then take up new replications.

The one place that owns jit, vmap, the memory layout and the random keys. A lane's results depend only on the number
of its replication: not on its neighbours, the number of lanes, or where segments end.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from llmpo_jax.arithmetic import pinned, root_key
from llmpo_jax.engine.replication import (
    Identity,
    Plan,
    Procedure,
    Replication,
    draw,
    finished,
    identify,
    recommend,
    refresh,
    spends,
    start,
    step,
)
from llmpo_jax.machine import Options, on_cpu
from llmpo_jax.protocol import Problem
from llmpo_jax.theory.linear import abstract_design
from llmpo_jax.threefry import KEYS

SEGMENT = 256
"""Comparisons per segment and lane: long enough to hide the host's work, short enough to waste little. A multiple of
every space's period; as runs begin where segments do, all lanes are refreshed at the same comparison."""

BATCH = 512
"""Replications whose identities are drawn together, ahead of their turn: a permutation is slow to draw."""

SLOTS = 4
"""Chunks of replications that may be in the lanes at the same time, each with pair counts of its own."""

GROUPS = 8
"""Groups of replications, by their number modulo this, whose comparisons are counted apart: how much the groups differ
is what intervals for shares of comparisons rest on."""

GUESSES = 16
"""Best guesses worked out together: enough for wide operations, few where only some lanes spend a budget."""

Tree = TypeVar("Tree")

_LANES = P("lanes")
"""Split along the first axis, that of the lanes."""


_CPU_OPTIONS: Options = {
    "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
    "xla_backend_optimization_level": "2",
}
"""How XLA compiles `_advance` for the CPU. Its other scheduler tries to run the operations of a step side by side,
which only costs. LLVM's level 3 takes longer than level 2 to compile and no less to run."""


def abstract_lane(procedure: Procedure, plan: Plan) -> Replication:
    """The shapes and types of one replication."""

    def fresh(plan: Plan, replication: jax.Array) -> Replication:
        return start(procedure, plan, identify(procedure.problem.num_policies, plan.root, replication), replication < 0)

    return jax.eval_shape(fresh, plan, jnp.zeros((), jnp.int32))


def _abstract_lanes(procedure: Procedure, plan: Plan, lanes: int) -> Replication:
    """Every array of a lane with the lanes in front."""

    def widen(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((lanes, *leaf.shape), leaf.dtype)

    return jax.tree.map(widen, abstract_lane(procedure, plan))


class Draws(NamedTuple):
    """All randomness of a segment: one entry per comparison and lane, [SEGMENT, L].

    Attributes:
        bits: uint32, the outcomes'.
        keys: typed keys, the samplers'.
    """

    bits: jax.Array
    keys: jax.Array


class Fresh(NamedTuple):
    """Identities of replications that are about to start.

    Attributes:
        keys: uint32 [..., 2], the data of their keys.
        shuffled: int32 [..., K].
    """

    keys: Any
    shuffled: Any


def _identities(num_policies: int, root: jax.Array, replications: jax.Array) -> Fresh:
    """The identities of these replications [BATCH]."""
    found = jax.vmap(functools.partial(identify, num_policies, root))(replications)
    return Fresh(jax.random.key_data(found.key), found.shuffled)


def _draw(segment: int, old: Identity, t: jax.Array, free: jax.Array, fresh: Fresh) -> tuple[Identity, Draws]:
    """Who is in each lane for the next segment, and its randomness.

    Apart from `_advance`, because it is the same for all procedures and need not be compiled for each; and for a
    whole segment at once, because threefry is a loop of small operations, slow inside a step.
    """
    new = Identity(jax.random.wrap_key_data(jnp.asarray(fresh.keys), impl=KEYS), jnp.asarray(fresh.shuffled))
    identity = Identity(jnp.where(free, new.key, old.key), jnp.where(free[:, None], new.shuffled, old.shuffled))
    times = jnp.where(free, 0, t)[None] + jnp.arange(1, segment + 1, dtype=jnp.int32)[:, None]

    def comparison(key: jax.Array, t: jax.Array) -> Draws:
        step_key = jax.random.fold_in(key, t)
        return Draws(jax.random.bits(step_key, (), jnp.uint32), step_key)

    return identity, jax.vmap(jax.vmap(comparison), in_axes=(None, 0))(identity.key, times)


def _advance(
    procedure: Procedure,
    plan: Plan,
    lanes: Replication,
    free: jax.Array,
    idle: jax.Array,
    slots: jax.Array,
    identity: Identity,
    draws: Draws,
) -> tuple[Replication, jax.Array, jax.Array]:
    """Start anew in the `free` [L] lanes (`idle` [L] ones get nothing), then run all lanes for a segment.

    Returns:
        The lanes, which of them are over [L], and the comparisons made of each pair by the lanes of each slot and
        group, int32 [SLOTS * GROUPS, K, K] upper triangles.
    """
    k = procedure.problem.num_policies

    def refill(lane: Replication, free: jax.Array, idle: jax.Array, identity: Identity) -> Replication:
        fresh = start(procedure, plan, identity, idle)
        return jax.tree.map(lambda new, old: jnp.where(free, new, old), fresh, lane)

    lanes = jax.vmap(refill)(lanes, free, idle, identity)

    def body(carry: tuple[Replication, jax.Array], random: Any) -> tuple[tuple[Replication, jax.Array], None]:
        lanes, counts = carry
        lanes, (first, second, counted) = jax.vmap(functools.partial(step, procedure, plan))(lanes, *random)
        low, high = jnp.minimum(first, second), jnp.maximum(first, second)
        lanes = _recommended(procedure, plan, lanes)
        return (lanes, counts.at[slots, low, high].add(counted.astype(jnp.int32))), None

    def period(carry: tuple[Replication, jax.Array], draws: Draws) -> tuple[tuple[Replication, jax.Array], None]:
        drawn = jax.vmap(jax.vmap(functools.partial(draw, procedure, plan)))(draws.keys)
        (lanes, counts), _ = jax.lax.scan(body, carry, (draws.bits, drawn))
        return (jax.vmap(functools.partial(refresh, procedure, plan))(lanes), counts), None

    blocks = jax.tree.map(lambda x: x.reshape(-1, procedure.space.period, *x.shape[1:]), draws)
    (lanes, counts), _ = jax.lax.scan(period, (lanes, jnp.zeros((SLOTS * GROUPS, k, k), jnp.int32)), blocks)
    return lanes, jax.vmap(functools.partial(finished, plan))(lanes), counts


def _recommended(procedure: Procedure, plan: Plan, lanes: Replication) -> Replication:
    """The lanes with their best guesses at the budgets that are spent now.

    As all lanes start where segments do, that is at few steps of a segment; a guess costs as much as many comparisons,
    so it is worked out there alone, and for those lanes alone, a few at a time.
    """
    if not plan.budgets.shape[0]:
        return lanes
    size = lanes.statistics.t.shape[0]
    few = min(GUESSES, size)

    def some(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        due, found = state
        index = jnp.nonzero(due, size=few, fill_value=size - 1)[0]
        guesses = jax.vmap(functools.partial(recommend, procedure, plan))(jax.tree.map(lambda x: x[index], lanes))
        return due.at[index].set(False), found.at[index].set(guesses)

    due = jnp.any(jax.vmap(functools.partial(spends, plan))(lanes), axis=1)
    start = due, lanes.outcome.budget_recommendation
    _, found = jax.lax.while_loop(lambda state: jnp.any(state[0]), some, start)
    return lanes._replace(outcome=lanes.outcome._replace(budget_recommendation=found))


class Program(NamedTuple):
    """The compiled programs of a procedure: the functions above without their static arguments.

    With several devices, each runs its share of the lanes and they never wait for each other within a segment.
    """

    identities: jax.stages.Compiled
    draw: jax.stages.Compiled
    advance: jax.stages.Compiled
    mesh: Mesh | None

    def place(self, arrays: Tree, *, split: bool = False) -> Tree:
        """The arrays where the program wants them: whole on every device, or split along the lanes."""
        if self.mesh is None:
            return arrays
        return jax.device_put(arrays, NamedSharding(self.mesh, _LANES if split else P()))

    @pinned()
    def identify(self, plan: Plan, replications: np.ndarray) -> Fresh:
        """The identities of up to `BATCH` replications, drawn on the host's side."""
        padded = np.pad(replications, (0, BATCH - len(replications)))
        return Fresh(*(np.asarray(x)[: len(replications)] for x in self.identities(plan.root, padded)))

    @pinned()
    def __call__(
        self, plan: Plan, lanes: Replication, free: np.ndarray, idle: np.ndarray, slots: np.ndarray, fresh: Fresh
    ) -> tuple[Replication, jax.Array, np.ndarray]:
        """One segment: replications start in the `free` [L] lanes, as `fresh` [L] says, but for the `idle` ones."""
        identity, draws = self.draw(lanes.identity, lanes.statistics.t, free, fresh)
        # A program whose inputs are still pending is queued behind those of other threads; with ready ones it runs in
        # the calling thread, beside the other workers.
        jax.block_until_ready(draws)
        lanes, over, counts = self.advance(plan, lanes, free, idle, slots, identity, draws)
        # One block of counts per device.
        return lanes, over, np.asarray(counts).reshape(-1, SLOTS, GROUPS, *counts.shape[1:]).sum(axis=0)


_lock = threading.Lock()
_compiled: dict[Hashable, Future[jax.stages.Compiled]] = {}


def _once(key: Hashable, build: Callable[[], jax.stages.Compiled]) -> jax.stages.Compiled:
    """What `build` compiles, once per process by whichever thread asks first; others are compiled side by side."""
    with _lock:
        mine = key not in _compiled
        future = _compiled.setdefault(key, Future())
    if mine:
        try:
            future.set_result(build())
        except BaseException as error:
            future.set_exception(error)
            with _lock:
                del _compiled[key]
    return future.result()


class Stage(NamedTuple):
    """A function with abstract inputs: one of the programs of a procedure before it is compiled, for any platform.

    Attributes:
        function: of arrays alone.
        inputs: their shapes and types.
        specs, out: how inputs and outputs are split over several devices.
        donate: inputs whose memory is used again.
    """

    function: Callable
    inputs: tuple
    specs: tuple
    out: Any
    donate: tuple[int, ...] = ()

    @pinned()
    def trace(self) -> jax.stages.Traced:
        """For one device, of whatever platform."""
        return jax.jit(self.function, donate_argnums=self.donate).trace(*self.inputs)

    @pinned()
    def compile(self, mesh: Mesh | None, options: Options | None = None) -> jax.stages.Compiled:
        """For the default device, or for those of a mesh, each of which runs the function on its share of the lanes."""
        if mesh is None:
            return self.trace().lower().compile(options)
        places = [NamedSharding(mesh, spec) for spec in self.specs]
        inputs = (
            jax.tree.map(lambda x, place=place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), whole)
            for whole, place in zip(self.inputs, places, strict=True)
        )
        split = jax.shard_map(self.function, mesh=mesh, in_specs=self.specs, out_specs=self.out, check_vma=False)
        return jax.jit(split, donate_argnums=self.donate).lower(*inputs).compile(options)


class Stages(NamedTuple):
    """What becomes a `Program`."""

    identities: Stage
    draw: Stage
    advance: Stage


@pinned()
def stages(procedure: Procedure, deltas: int, budgets: int, lanes: int) -> Stages:
    """The programs for this procedure and these shapes, before they are compiled."""
    k = procedure.problem.num_policies
    plan = abstract_plan(procedure.problem, deltas, budgets)
    state = _abstract_lanes(procedure, plan, lanes)
    batch = jax.ShapeDtypeStruct((BATCH,), jnp.int32)
    free = jax.ShapeDtypeStruct((lanes,), jnp.bool_)
    numbers = jax.ShapeDtypeStruct((lanes,), jnp.int32)
    fresh = Fresh(jax.ShapeDtypeStruct((lanes, 2), jnp.uint32), jax.ShapeDtypeStruct((lanes, k), jnp.int32))
    who = (state.identity, state.statistics.t, free, fresh)
    draw = functools.partial(_draw, SEGMENT)
    drawn, drawn_specs = jax.eval_shape(draw, *who), (_LANES, P(None, "lanes"))
    inputs = (plan, state, free, free, numbers, *drawn)
    specs = (P(), *(_LANES,) * 4, *drawn_specs)
    return Stages(
        identities=Stage(functools.partial(_identities, k), (plan.root, batch), (P(), P()), P()),
        draw=Stage(draw, who, (_LANES,) * 4, drawn_specs),
        advance=Stage(functools.partial(_advance, procedure), inputs, specs, (_LANES,) * 3, donate=(1,)),
    )


def program(procedure: Procedure, deltas: int, budgets: int, lanes: int) -> Program:
    """The compiled programs for this procedure and these shapes."""
    found, k = stages(procedure, deltas, budgets, lanes), procedure.problem.num_policies
    mesh = Mesh(np.array(jax.local_devices()), ("lanes",)) if jax.local_device_count() > 1 else None
    return Program(
        identities=_once(k, lambda: found.identities.compile(None)),
        draw=_once((k, lanes, SEGMENT, mesh), lambda: found.draw.compile(mesh)),
        advance=_once(
            (procedure, deltas, budgets, lanes, SEGMENT, mesh),
            lambda: found.advance.compile(mesh, _CPU_OPTIONS if on_cpu() else None),
        ),
        mesh=mesh,
    )


def abstract_plan(problem: Problem, deltas: int, budgets: int) -> Plan:
    """The shapes and types of a plan."""
    shape: Any = jax.ShapeDtypeStruct  # stands for the arrays that `Plan` declares
    k, d = problem.num_policies, problem.dimension
    return Plan(
        root=jax.eval_shape(lambda: root_key(0)),
        chances=shape((k, k), jnp.uint32),
        winner_thresholds=shape((deltas,), jnp.float32),
        absence_thresholds=shape((deltas,), jnp.float32),
        budgets=shape((budgets,), jnp.int32),
        horizon=shape((), jnp.int32),
        max_comparisons=shape((), jnp.int32),
        nats=shape((deltas,), jnp.float32),
        design=None if d is None else abstract_design(k, d),
        ties=shape((k, k), jnp.uint32) if problem.ties else None,
        costs=shape((k, k), jnp.float32) if problem.priced else None,
    )


@pinned()
def blank(procedure: Procedure, plan: Plan, lanes: int) -> Replication:
    """Lanes with nothing in them yet."""

    def empty(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(jnp.zeros((*leaf.shape, 2), jnp.uint32), impl=KEYS)
        return jnp.zeros(leaf.shape, leaf.dtype)

    return jax.tree.map(empty, _abstract_lanes(procedure, plan, lanes))
