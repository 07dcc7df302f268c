"""Comparisons simulated per second, beside what native code can do on the same machine in the same run.

    python benchmarks/speed.py

The yardstick is `../shared/bench/native_limit.py` (numba, one core), run in turn with ours; it is skipped with a
message where it or numba is missing. Rates on shared machines drift, so read the ratios.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time

import common
import jax
import numpy as np

from llmpo_jax import BradleyTerry, simulate
from llmpo_jax.engine import lanes
from llmpo_jax.samplers import SAMPLERS

NATIVE = common.HERE.parent.parent / "shared" / "bench" / "native_limit.py"


def native(num_policies: int) -> float | None:
    """Comparisons per second of one native core, None where it cannot be measured."""
    if not NATIVE.is_file():
        return None
    ran = subprocess.run([sys.executable, str(NATIVE), str(num_policies)], capture_output=True, text=True, check=False)
    found = re.search(r"K=\d+ (\S+)", ran.stdout)
    return float(found.group(1)) if found else None


def ours(num_policies: int, sampler: str, stopping: str, comparisons: int) -> tuple[float, float]:
    """Comparisons per second of 512 replications on all cores, and the seconds of compilation."""
    model = BradleyTerry(np.linspace(2.0, 0.0, num_policies))
    # A level that is never reached: every replication runs to the limit, so all that is simulated is counted.
    keywords = {"deltas": (1e-300,), "replications": 512, "max_comparisons": comparisons}
    lanes._compiled.clear()
    started = time.time()
    first = simulate(model, sampler, stopping, **keywords)
    cold = time.time() - started
    warm = []
    for _ in range(3):
        started = time.time()
        simulate(model, sampler, stopping, **keywords)
        warm.append(time.time() - started)
    best = float(np.median(warm))
    return first.simulated / best, cold - best


def main() -> None:
    common.parser(__doc__).parse_args()
    started = time.time()
    cases = [(k, "llm-po", rule) for k in (16, 32, 64) for rule in ("e-process", "stylised")]
    cases += [(16, sampler, "e-process") for sampler in SAMPLERS.names()[1:]]
    rows = []
    for num_policies, sampler, stopping in cases:
        slow = sampler in ("thompson", "llm-po-d-tracking", "llm-po-c-tracking")
        rate, compilation = ours(num_policies, sampler, stopping, 1024 if slow else 8192)
        limit = native(num_policies) if sampler == "llm-po" else None
        rows.append(
            {
                "K": num_policies,
                "sampler": sampler,
                "stopping": stopping,
                "comparisons per second": rate,
                "of one native core": "" if limit is None else rate / limit,
                "compilation, s": compilation,
            }
        )
        common.console.print(rows[-1])
    common.show(f"512 replications on {jax.devices()[0].device_kind}", rows)
    common.keep("speed", rows, started)


if __name__ == "__main__":
    main()
