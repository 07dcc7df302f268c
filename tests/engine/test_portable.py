"""Every program lowers for CUDA and TPU, without hardware, and calls nothing there that only a CPU has.

Lowered, not compiled: `benchmarks/tpu.py` compiles the main programs for a TPU.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmpo_jax.arithmetic import pinned
from llmpo_jax.engine import audit, lanes
from llmpo_jax.engine.replication import Procedure
from llmpo_jax.protocol import Problem, Sampler
from llmpo_jax.spaces import SPACES, STRUCTURED, UNSTRUCTURED, Space
from llmpo_jax.theory import program, structured
from llmpo_jax.theory.linear import abstract_design

K, D, LANES = 4, 2, 4
OWN: dict[str, set[str]] = {"cuda": {"cusolver_potrf_ffi"}, "tpu": set()}
"""Custom calls that are the platform's own: here cuSOLVER's Cholesky, an operation of StableHLO on TPU."""

Traced = jax.stages.Traced


def procedure(space: Space, sampler: str | Sampler, stopping: str, existence: str = "assumed") -> Procedure:
    problem = Problem(K, existence, dimension=D if space is STRUCTURED else None)
    chosen = space.samplers.get(sampler) if isinstance(sampler, str) else sampler
    return Procedure(problem, chosen, space.stopping.get(stopping), space)


def stages(of: Procedure) -> lanes.Stages:
    return lanes.stages(of, deltas=2, budgets=1, lanes=LANES)


@pinned()
def traced(function: jax.stages.Wrapped, *inputs: object) -> Traced:
    """A jitted function with its inputs, static ones as they are."""
    return function.trace(*inputs)


def registered() -> Iterator[tuple[Space, str, str, str]]:
    """Every sampler with one rule and every rule with one sampler: neither lowers otherwise beside another.

    And what reads whether the existence of a winner is to be certified, there.
    """
    for space in SPACES.values():
        for sampler in space.samplers.names():
            yield space, sampler, "e-process", "assumed"
        for stopping in space.stopping.names():
            if stopping != "e-process":
                yield space, "llm-po", stopping, "assumed"
    for stopping in UNSTRUCTURED.stopping.names():
        yield UNSTRUCTURED, "llm-po", stopping, "certify"
    yield UNSTRUCTURED, "llm-po-d-tracking", "e-process", "certify"


def allocation(form: str | None) -> Traced:
    """A phase of the structured bound, for a batch of two instances."""
    instance, _ = program.make(program.Instance(np.arange(K * D).reshape(K, D) ** 2.0, np.ones(D)))
    weights = np.full(K * (K - 1) // 2, 0.5)
    parts: Any = (weights, np.zeros((K - 1, D)), weights, *np.zeros(3))
    solution = structured.Solution(*parts)
    batch = jax.tree.map(lambda x: np.stack([x, x]), (instance, solution, weights, np.zeros(()), np.zeros(())))
    phase = structured.compiled(form, len(weights))
    with structured.settings():
        return phase.trace(*(batch if form else batch[::2][:2]))


LOG = jax.ShapeDtypeStruct((1, 8), jnp.int32)
PROGRAMS: dict[str, Callable[[], Traced]] = {
    **{
        f"{case[0].name}, {', '.join(case[1:])}": lambda case=case: stages(procedure(*case)).advance.trace()
        for case in registered()
    },
    "identities": lambda: stages(procedure(UNSTRUCTURED, "llm-po", "e-process")).identities.trace(),
    "draws": lambda: stages(procedure(UNSTRUCTURED, "llm-po", "e-process")).draw.trace(),
    "allocation, first phase": lambda: allocation(None),
    **{f"allocation, {form}": lambda form=form: allocation(form) for form in structured.FORMS},
    "audit, unstructured": lambda: traced(audit._unstructured, K, LOG),
    "audit, structured": lambda: traced(audit._linear, (K, D), abstract_design(K, D), LOG.update(shape=(1, 1, 8))),
}
"""What runs on the accelerator, by name, traced when asked for; one more is one line more."""


def calls(program: Traced, *platforms: str) -> set[str]:
    """Custom calls in a program lowered for these platforms."""
    with pinned():
        text = program.lower(lowering_platforms=platforms).as_text()
    return set(re.findall(r'custom_call @"?([^"(\s]+)', text))


def foreign(program: Traced) -> set[str]:
    """Custom calls that a platform does not have."""
    # Both at once take little longer than one of them; only where there are calls it must be told whose they are.
    if not calls(program, *OWN):
        return set()
    return set().union(*(calls(program, platform) - own for platform, own in OWN.items()))


@pytest.mark.parametrize("name", PROGRAMS)
def test_lowers_without_calls_of_another_platform(name: str) -> None:
    assert not foreign(PROGRAMS[name]())


def test_a_call_to_lapack_is_found() -> None:
    """In a registered procedure as the CPU gets it, and called by its name on every platform."""
    program = PROGRAMS["structured, thompson, e-process, assumed"]()
    assert calls(program, "cpu") == {"lapack_spotrf_ffi"}
    matrix = jax.ShapeDtypeStruct((K, K), jnp.float32)
    planted = jax.jit(jax.ffi.ffi_call("lapack_spotrf_ffi", matrix))
    assert foreign(traced(planted, matrix)) == {"lapack_spotrf_ffi"}


def test_a_callback_to_the_host_is_found() -> None:
    """Planted in a sampler. JAX itself refuses to lower it elsewhere, so the test above would fail with its message."""

    def select(problem, key, statistics, evidence, state):
        first = jax.pure_callback(np.argmin, LOG.update(shape=()), evidence, vmap_method="sequential")
        return first, (first + 1) % K, state

    program = stages(procedure(UNSTRUCTURED, Sampler(lambda problem: (), select), "e-process")).advance.trace()
    assert calls(program, "cpu")
    with pytest.raises(NotImplementedError, match="python_callback"):
        foreign(program)
