"""Strictness for all tests: double precision, no silent broadcasting of ranks, no silent promotion of types.

And speed: tests, the processes that they start and pytest's workers have many programs in common, each of which is
compiled once per session and kept in a folder of its own, or where JAX_COMPILATION_CACHE_DIR says.
"""

from __future__ import annotations

import os
import tempfile

import jax

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    CACHE = tempfile.TemporaryDirectory(prefix="llmpo-jax-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = CACHE.name
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
