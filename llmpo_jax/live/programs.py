"""The compiled programs of an experiment: quick to be there, the one that is needed first before the other."""

from __future__ import annotations

import functools
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.arithmetic import pinned
from llmpo_jax.engine.lanes import abstract_lane, abstract_plan
from llmpo_jax.engine.replication import Plan, Procedure, Replication, identify, start
from llmpo_jax.live import course
from llmpo_jax.machine import quick_to_compile

SMALLEST_TAIL = 64
"""Asks behind the settled ones that the first program has room for; a longer tail takes one that is larger."""

_compiling = ThreadPoolExecutor(1, "compiling")


class Programs:
    """The functions of `llmpo_jax.live.course` for one procedure, compiled once a process.

    What asking needs is compiled where it is needed first; what telling needs meanwhile, in another thread.
    """

    def __init__(self, procedure: Procedure) -> None:
        self._procedure = procedure
        with pinned():
            self._plan = abstract_plan(procedure.problem, 1, 0)
            self._state = abstract_lane(procedure, self._plan)
        self._number = jax.ShapeDtypeStruct((), jnp.int32)
        self._start = self._compile(functools.partial(_begin, procedure), self._plan)
        self._ask = {SMALLEST_TAIL: self._compile_ask(SMALLEST_TAIL)}
        self._tell: Future[jax.stages.Compiled] = _compiling.submit(self._compile_tell)

    @pinned()
    def _compile(self, function: Any, *inputs: Any, quickly: bool = False) -> jax.stages.Compiled:
        return jax.jit(function).lower(*inputs).compile(quick_to_compile() if quickly else None)

    def _compile_ask(self, size: int) -> jax.stages.Compiled:
        array: Any = jax.ShapeDtypeStruct((size,), jnp.int32)
        tail = course.Tail(array, array, array, self._number)  # pyright: ignore[reportArgumentType]
        return self._compile(
            functools.partial(course.ask, self._procedure), self._plan, self._state, tail, self._number
        )

    def _compile_tell(self) -> jax.stages.Compiled:
        number, won = self._number, jax.ShapeDtypeStruct((), jnp.bool_)
        tell = functools.partial(course.tell, self._procedure)
        return self._compile(tell, self._plan, self._state, number, number, won, quickly=True)

    @pinned()
    def start(self, plan: Plan) -> Replication:
        """The state before the first comparison, that of the engine's replication 0."""
        return self._start(plan)

    @pinned()
    def ask(self, plan: Plan, rep: Replication, tail: list[tuple[int, int, int]], number: int) -> tuple[int, int, Any]:
        """`course.ask` with a tail of (first, second, outcome)."""
        size = SMALLEST_TAIL
        while size < len(tail):
            size *= 4
        if size not in self._ask:
            self._ask[size] = self._compile_ask(size)
        columns = np.zeros((3, size), np.int32)
        if tail:
            columns[:, : len(tail)] = np.asarray(tail, np.int32).T
        whole = course.Tail(*columns, length=np.int32(len(tail)))  # pyright: ignore[reportArgumentType]
        first, second, state = self._ask[size](plan, rep, whole, np.int32(number))
        return int(first), int(second), state

    @pinned()
    def tell(self, plan: Plan, rep: Replication, first: int, second: int, won: bool) -> tuple[Replication, course.View]:
        """`course.tell`, the view in NumPy arrays."""
        rep, view = self._tell.result()(plan, rep, np.int32(first), np.int32(second), np.bool_(won))
        return rep, jax.tree.map(np.asarray, view)


def _begin(procedure: Procedure, plan: Plan) -> Replication:
    identity = identify(procedure.problem.num_policies, plan.root, jnp.zeros((), jnp.int32))
    return start(procedure, plan, identity, jnp.asarray(False))


@functools.lru_cache(maxsize=32)
def programs(procedure: Procedure) -> Programs:
    """The compiled programs of a procedure."""
    return Programs(procedure)
