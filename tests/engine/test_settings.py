"""Results hang on no global setting of JAX, and no product that feeds a stopping rule is computed in fewer digits."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys

import pytest

import llmpo_jax as lp
from llmpo_jax.engine import lanes
from llmpo_jax.engine.preparation import Settings, prepare
from llmpo_jax.spaces import SPACES

RUN = """
import json
import llmpo_jax as lp
found = []
for name, size, more in (("bradley-terry", 5, {}), ("linear-bradley-terry", 8, {"dimension": 3})):
    model = lp.instances.make(name, num_policies=size, **more)
    for seed in (3, 2**32 + 3):
        asked = {"deltas": (0.2, 0.1), "budgets": (10, 100), "replications": 20, "max_comparisons": 300}
        result = lp.simulate(model, seed=seed, **asked)
        found.append(result.stopping_time.ravel().tolist())
print(json.dumps(found))
"""


def test_global_settings_change_nothing() -> None:
    """All of them at once, in a process of its own; without jit a run would not end in minutes."""
    hostile = {
        "JAX_ENABLE_X64": "0",
        "JAX_THREEFRY_PARTITIONABLE": "0",
        "JAX_DEFAULT_PRNG_IMPL": "rbg",
        "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
        "JAX_DISABLE_JIT": "1",
    }
    kept = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
    environment = {name: value for name, value in os.environ.items() if name in kept or not name.startswith("JAX_")}
    command = [sys.executable, "-c", RUN]
    told = subprocess.run(command, env=environment | hostile, capture_output=True, text=True, timeout=200, check=True)
    with contextlib.redirect_stdout(None):
        here: dict = {}
        exec(RUN.replace("print(json.dumps(found))", ""), here)
    found = json.loads(told.stdout)
    assert found == here["found"]
    assert found[0] != found[1], "2^32 + 3 is another seed than 3"
    assert found[2] != found[3]


@pytest.mark.parametrize(
    ("space", "stopping"), [(name, rule) for name, space in SPACES.items() for rule in space.stopping.names()]
)
def test_products_are_lowered_in_full_precision(space: str, stopping: str) -> None:
    """On accelerators the default may be 10 bits."""
    texts = []
    model = lp.instances.make("linear-bradley-terry", num_policies=5, dimension=2)
    for sampler in ("llm-po", "thompson"):
        procedure = prepare(model, sampler, stopping, Settings((0.1,), (), 1000), space).procedure
        texts += [stage.trace().lower().as_text() for stage in lanes.stages(procedure, 1, 0, 4)]
    products = [line for text in texts for line in text.splitlines() if re.search(r"stablehlo\.dot(_general)? ", line)]
    assert all("precision = [HIGHEST, HIGHEST]" in line for line in products)
    assert bool(products) == (space == "structured")
    structured_proofs = space == "structured"
    assert any("f64" in line for line in products) == structured_proofs
