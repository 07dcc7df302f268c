"""The main programs compiled for a TPU that is not there: does it compile, how long, and does its memory fit.

    python benchmarks/tpu.py        about 6 minutes of one core

LLM-PO with its e-process in both spaces, compiled ahead of time for one chip of a TPU v5e by the compiler in libtpu, in
an environment of its own; skipped where that cannot be made. The compiler tells the memory, padding included: what a
chip needs at a time is arguments and outputs (the lanes, which are in both, counted once), code and scratch. What it
tells of operations and bytes moved counts every loop as one turn. Nothing is run, so nothing is said of speed and
results.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
import venv
from pathlib import Path

import common
import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh

from llmpo_jax.engine import lanes, workers
from llmpo_jax.engine.replication import Procedure
from llmpo_jax.protocol import Problem
from llmpo_jax.spaces import space

TOPOLOGY = "v5e:2x2"
MEMORY = 16 * 2**30
"""Bytes of a v5e chip."""
CASES = (
    ("llm-po, e-process, K = 16", "unstructured", 16, None, 4096),
    ("structured llm-po, e-process, K = 32, d = 8", "structured", 32, 8, 4096),
    ("structured llm-po, e-process, K = 32, d = 8", "structured", 32, 8, workers._DEVICE_LANES),
)
"""With policies, coordinates and lanes; the engine's own number of these for what takes most memory."""
COMPILED = "import json, tpu; print(json.dumps(tpu.compiled()))"
# What libtpu would ask of a machine with a TPU, where one process at a time may load it.
NOWHERE = {
    "JAX_PLATFORMS": "cpu",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
}


def measured(stage: str, program: jax.stages.Compiled, seconds: float) -> dict:
    """What the compiler tells of a program; megabytes of 10^6."""
    memory, cost = program.memory_analysis(), program.cost_analysis()
    assert memory is not None and cost is not None
    arguments, outputs = memory.argument_size_in_bytes, memory.output_size_in_bytes
    needed = arguments + outputs - memory.alias_size_in_bytes + memory.temp_size_in_bytes
    needed += memory.generated_code_size_in_bytes
    return {
        "program": stage,
        "compilation, s": seconds,
        "scratch, MB": memory.temp_size_in_bytes / 1e6,
        "arguments, MB": arguments / 1e6,
        "outputs, MB": outputs / 1e6,
        "of its memory": needed / MEMORY,
        "operations, millions": cost["flops"] / 1e6,
        "moved, MB": cost["bytes accessed"] / 1e6,
    }


def compiled() -> list[dict]:
    """Every program of every case, where there is a compiler for TPUs."""
    chip = topologies.get_topology_desc(platform="tpu", topology_name=TOPOLOGY).devices[:1]
    rows = []
    for case, name, num_policies, dimension, width in CASES:
        known, problem = space(name), Problem(num_policies, dimension=dimension)
        procedure = Procedure(problem, known.samplers.get("llm-po"), known.stopping.get("e-process"), known)
        stages = lanes.stages(procedure, deltas=2, budgets=0, lanes=width)
        for stage, program in stages._asdict().items():
            started = time.time()
            found = program.compile(Mesh(np.array(chip), ("lanes",)))
            rows.append({"case": case, "lanes": width, **measured(stage, found, time.time() - started)})
    return rows


def elsewhere() -> list[dict]:
    """`compiled` in an environment with libtpu; nothing (and a message) where it cannot be made."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        wanted = (str(common.HERE.parent), f"jax[tpu]=={jax.__version__}")
        made = subprocess.run([python, "-m", "pip", "install", "-q", *wanted], capture_output=True, check=False)
        if made.returncode:
            common.console.print(f"Skipped: an environment with {wanted[1]} cannot be made here.", markup=False)
            return []
        place = {**os.environ, **NOWHERE, "PYTHONPATH": os.pathsep.join((str(common.HERE.parent), str(common.HERE)))}
        ran = subprocess.run([python, "-c", COMPILED], stdout=subprocess.PIPE, text=True, check=True, env=place)
    return json.loads(ran.stdout)


def main() -> None:
    common.parser(__doc__, quick=False).parse_args()
    started = time.time()
    rows = elsewhere()
    if rows:
        common.show(f"Compiled for one chip of a TPU {TOPOLOGY}", rows)
        common.keep("tpu", rows, started)


if __name__ == "__main__":
    main()
