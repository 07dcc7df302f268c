"""Comparisons simulated per second: over K, replications, samplers, stopping rules and devices, beside its peers.

    python benchmarks/speed.py                   about 7 minutes on 2 cores; draws figures/speed.png in the end
    python benchmarks/speed.py --only sizes      one part: sizes, samplers, guesses, replications, devices, ...

sizes: LLM-PO over K with every stopping rule, beside the yardstick `../shared/bench/native_limit.py` (numba, one core)
run in turn with it.
samplers: every sampler at K = 16. guesses: with and without the budgets of a study. replications: from 512 to 100,000,
with the memory at the peak.
devices: the lanes split over devices of the host. first: what a first result takes, without and with JAX's compilation
cache on disk (JAX_COMPILATION_CACHE_DIR). peers: duelpy, in an environment of its own.
What is missing on a machine is skipped with a message. Rates on shared machines drift, so read the ratios.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

import common
import jax
import numpy as np

from llmpo_jax import BradleyTerry, simulate
from llmpo_jax.cli.study import DEFAULT_BUDGETS
from llmpo_jax.engine import lanes
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.spaces import told_nothing
from llmpo_jax.stopping import STOPPING_RULES

NATIVE = common.HERE.parent.parent / "shared" / "bench" / "native_limit.py"


def ours(
    num_policies: int, sampler: str, stopping: str, replications: int, comparisons: int, budgets: tuple[int, ...] = ()
) -> dict:
    """Comparisons per second on the whole machine, and the seconds of compilation."""
    model = BradleyTerry(np.linspace(2.0, 0.0, num_policies))
    # A level that is never reached: every replication runs to the limit, so all that is simulated is counted.
    keywords = {
        "deltas": (1e-300,),
        "budgets": budgets,
        "replications": replications,
        "max_comparisons": comparisons,
    }
    lanes._compiled.clear()
    started = time.time()
    first = simulate(model, sampler, stopping, **keywords)
    cold = time.time() - started
    warm = []
    for _ in range(5):
        started = time.time()
        simulate(model, sampler, stopping, **keywords)
        warm.append(time.time() - started)
    usual = float(np.median(warm))
    row = {"K": num_policies, "sampler": sampler, "stopping": stopping, "replications": replications}
    return {**row, "comparisons per second": first.simulated / usual, "compilation, s": cold - usual}


def native(num_policies: int) -> float | None:
    """Comparisons per second of one native core, None where it cannot be measured."""
    if not NATIVE.is_file():
        return None
    ran = subprocess.run([sys.executable, str(NATIVE), str(num_policies)], capture_output=True, text=True, check=False)
    found = re.search(r"K=\d+ (\S+)", ran.stdout)
    return float(found.group(1)) if found else None


def sizes() -> list[dict]:
    rows = []
    for num_policies in (8, 16, 32, 64):
        for stopping in STOPPING_RULES.names():
            row = ours(num_policies, "llm-po", stopping, 4096, 2048)
            limit = native(num_policies)
            rows.append({**row, "of one native core": "" if limit is None else row["comparisons per second"] / limit})
    return rows


def samplers() -> list[dict]:
    slow = ("thompson", "double-thompson", "llm-po-d-tracking", "llm-po-c-tracking")
    return [ours(16, name, "e-process", 512, 1024 if name in slow else 8192) for name in told_nothing(SAMPLERS)]


def guesses() -> list[dict]:
    """What the best guesses of a study cost, at its own budgets."""
    rows = [
        {"budgets": len(budgets), **ours(16, "llm-po", "e-process", 2048, DEFAULT_BUDGETS[-1], budgets)}
        for budgets in ((), DEFAULT_BUDGETS)
    ]
    without = rows[0]["comparisons per second"]
    return [{**row, "of the speed without": row["comparisons per second"] / without} for row in rows]


def child(code: str, *arguments: str, **environment: str) -> dict:
    """What a fresh Python process prints as JSON, with the seconds that it took in all."""
    started = time.time()
    place = {**os.environ, "PYTHONPATH": os.pathsep.join((str(common.HERE.parent), str(common.HERE))), **environment}
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=place)
    return {**json.loads(ran.stdout), "process, s": time.time() - started}


MEMORY = """
import json, re, sys
from speed import ours
count = int(sys.argv[1])
rate = ours(16, "llm-po", "e-process", count, max(512, 2**22 // count))["comparisons per second"]
# Not getrusage, whose peak is inherited from the parent process.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read()).group(1))
print(json.dumps({"comparisons per second": rate, "peak memory, MB": peak / 1000}))
"""


def replications() -> list[dict]:
    counts = (512, 4096, 20_000, 100_000)
    return [{"K": 16, "replications": count, **child(MEMORY, str(count))} for count in counts]


def devices() -> list[dict]:
    if jax.default_backend() != "cpu":
        common.console.print("devices: skipped, the host's devices can be split only where it is the backend")
        return []
    flag = "--xla_force_host_platform_device_count={}"
    return [{"devices": n, **child(MEMORY, "4096", XLA_FLAGS=flag.format(n))} for n in (1, 2, 4)]


FIRST = """
import json, time
started = time.time()
import llmpo_jax as lp
imported = time.time()
model = lp.instances.make("bradley-terry", num_policies=16)
lp.simulate(model, replications=1000)
first = time.time()
lp.simulate(model, replications=1000)
again = time.time() - first
print(json.dumps({"import, s": imported - started, "compilation, s": first - imported - again, "run, s": again}))
"""


def first() -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        cache = {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        cases = (("no", {}), ("filled now", cache), ("yes", cache))
        return [{"compilation cache": name, **child(FIRST, **environment)} for name, environment in cases]


def peers() -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        install = [python, "-m", "pip", "install", "-q", "--no-deps", "duelpy==1.0.0", "numpy==1.23.5", "scipy==1.10.1"]
        made = subprocess.run(install, capture_output=True, text=True, check=False)
        script = str(common.HERE / "peers.py")
        ran = subprocess.run([python, script, "16"], capture_output=True, text=True, check=False)
        if made.returncode or ran.returncode:
            common.console.print(
                "peers: skipped, an environment with duelpy 1.0.0 and numpy 1.23.5 cannot be made here"
            )
            return []
    found = [line.split() for line in ran.stdout.splitlines()]
    rows = [{"who": f"duelpy {name}", "K": 16, "comparisons per second": float(rate)} for name, rate in found]
    mine = [ours(16, name, "e-process", 512, 1024) for name in ("rucb", "thompson", "llm-po")]
    return rows + [{key: {"who": f"llmpo_jax {r['sampler']}", **r}[key] for key in rows[0]} for r in mine]


PARTS: dict[str, Callable[[], list[dict]]] = {
    "sizes": sizes,
    "samplers": samplers,
    "guesses": guesses,
    "replications": replications,
    "devices": devices,
    "first": first,
    "peers": peers,
}


def main() -> None:
    parser = common.parser(__doc__, quick=False)
    parser.add_argument("--only", choices=tuple(PARTS), help="run one part")
    options = parser.parse_args()
    for name, part in PARTS.items():
        if options.only in (None, name):
            started = time.time()
            rows = part()
            if rows:
                common.show(f"{name}, on {jax.devices()[0].device_kind}", rows)
                common.keep(f"speed_{name}", rows, started)
    if options.only is None:
        subprocess.run([sys.executable, str(common.HERE.parent / "figures" / "speed.py")], check=True)


if __name__ == "__main__":
    main()
