"""The machine that programs run on, and how XLA compiles those that are soon over."""

from __future__ import annotations

import functools
import os

import jax

Options = dict[str, str | bool]
"""Of XLA's compiler, by name."""


def on_cpu() -> bool:
    """Whether the default backend is the CPU."""
    return jax.default_backend() == "cpu"


def cores() -> int:
    """Cores of the host that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def quick_to_compile() -> Options:
    """Options for CPU programs that run for less time than it takes to optimise them: half of the compilation.

    Empty elsewhere, and where XLA does not know them: they are no promise of JAX's.
    """
    if not on_cpu():
        return {}
    options: Options = {
        "xla_cpu_use_fusion_emitters": False,
        "xla_cpu_parallel_codegen_split_count": "1",
        "xla_backend_optimization_level": "1",
    }
    try:
        jax.jit(lambda x: x).lower(0.0).compile(compiler_options=options)
    except jax.errors.JaxRuntimeError:
        return {}
    return options
