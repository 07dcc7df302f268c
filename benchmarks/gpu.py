"""An accelerator against the CPU of its machine: the same decisions, and how fast. Under 8 minutes.

    python benchmarks/gpu.py

Correct: 1,000 replications of each procedure on both; evidence is float32 on both, so they part only where two scores
are equal to rounding. Reported: the share of replications with another stopping time, and with another recommendation.
Fast: comparisons per second, with as many lanes as the device is given; then for the first procedure over the number of
lanes. Without an accelerator the CPU stands in for it, which checks this program and nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import common
import jax
import numpy as np

CASES = {
    "llm-po, e-process, K = 16": ("bradley-terry:16", "llm-po", "e-process", 2**18, 2048),
    "llm-po, stylised, K = 16": ("bradley-terry:16", "llm-po", "stylised", 2**18, 2048),
    "llm-po, e-process, K = 64": ("bradley-terry:64", "llm-po", "e-process", 2**16, 2048),
    "thompson, e-process, K = 16": ("bradley-terry:16", "thompson", "e-process", 2**16, 512),
    "structured llm-po, e-process, K = 32, d = 8": (
        "linear-bradley-terry:32,8,seed=2",
        "llm-po",
        "e-process",
        2**14,
        512,
    ),
    "structured llm-po, stylised, K = 32, d = 8": (
        "linear-bradley-terry:32,8,seed=2",
        "llm-po",
        "stylised",
        2**14,
        512,
    ),
}
SCALE_ON_CPU = 2**7
LANES = (2**13, 2**14, 2**15, 2**16, 2**17, 2**18)

DECIDE = """
import json, sys, llmpo_jax as lp
from llmpo_jax import models
found = {}
for name, (source, sampler, stopping, *_) in json.loads(sys.argv[1]).items():
    result = lp.simulate(models.load(source).model, sampler, stopping, deltas=(0.1, 0.01), replications=1000,
                         max_comparisons=1000)
    found[name] = [result.stopping_time.tolist(), result.recommendation.tolist()]
print(json.dumps(found))
"""


def decisions(platform: str | None) -> dict[str, list]:
    """Stopping times and recommendations of all cases, in a process with this backend (None for the usual one)."""
    place = {**os.environ, "PYTHONPATH": str(common.HERE.parent)}
    if platform is not None:
        place["JAX_PLATFORMS"] = platform
    ran = subprocess.run(
        [sys.executable, "-c", DECIDE, json.dumps(CASES)], capture_output=True, text=True, check=True, env=place
    )
    return json.loads(ran.stdout)


def speed(source: str, sampler: str, stopping: str, replications: int, comparisons: int) -> tuple[float, float]:
    """Comparisons per second, and seconds of compilation."""
    from llmpo_jax import models, simulate
    from llmpo_jax.machine import on_cpu

    model = models.load(source).model
    if on_cpu():
        replications //= SCALE_ON_CPU
    keywords = {"deltas": (1e-300,), "replications": replications, "max_comparisons": comparisons}
    started = time.time()
    simulate(model, sampler, stopping, **keywords)
    middle = time.time()
    made = simulate(model, sampler, stopping, **keywords).simulated
    took = time.time() - middle
    return made / took, middle - started - took


def over_lanes() -> list[dict]:
    """The speed of the first case over the number of lanes."""
    from llmpo_jax.engine import workers
    from llmpo_jax.machine import on_cpu

    name, scale = ("_CPU_LANES", SCALE_ON_CPU) if on_cpu() else ("_DEVICE_LANES", 1)
    rows = []
    for number in LANES:
        setattr(workers, name, number // scale)
        rate, _ = speed(*next(iter(CASES.values())))
        rows.append({"lanes": number // scale, "comparisons per second": rate})
        common.console.print(rows[-1])
    return rows


def main() -> None:
    common.parser(__doc__, quick=False).parse_args()
    started = time.time()
    reference, here = decisions("cpu"), decisions(None)
    rows = []
    for name, case in CASES.items():
        times, named = (np.array(x) for x in here[name])
        other_times, other_named = (np.array(x) for x in reference[name])
        rate, compilation = speed(*case)
        rows.append(
            {
                "case": name,
                "other stopping time": float((times != other_times).any(axis=1).mean()),
                "other recommendation": float((named != other_named).any(axis=1).mean()),
                "comparisons per second": rate,
                "compilation, s": compilation,
            }
        )
        common.console.print(rows[-1])
    kind = jax.devices()[0].device_kind
    common.show(f"{jax.local_device_count()} x {kind} against the CPU", rows)
    sweep = over_lanes()
    common.show(f"{next(iter(CASES))}, over the number of lanes", sweep)
    if jax.default_backend() == "cpu":
        common.console.print("No accelerator here: nothing was compared with anything, and nothing is kept.")
    else:
        common.keep("gpu", rows, started)
        common.keep("gpu_lanes", sweep, started)


if __name__ == "__main__":
    main()
