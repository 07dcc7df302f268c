"""Strictness for all tests: double precision, no silent broadcasting of ranks, no silent promotion of types.

And speed, for the tests, pytest's workers and the processes that tests start. They have many programs in common, each
of which is compiled once per session and kept in a folder of its own, or where JAX_COMPILATION_CACHE_DIR says.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    CACHE = tempfile.TemporaryDirectory(prefix="llmpo-jax-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = CACHE.name
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Threads of NumPy's BLAS wait for each other by spinning, which beside another busy process takes ten times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax  # reads the above

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A worker per core, at most four; none where single files are asked for, which would wait for workers to start."""
    if all(Path(argument).is_dir() for argument in config.args):
        return min(4, os.cpu_count() or 1)
    return 0
