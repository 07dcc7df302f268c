"""How many comparisons, against the lower bound?

    python benchmarks/sample_complexity.py            about 12 minutes on 2 cores
    python benchmarks/sample_complexity.py --quick

Mean stopping time of llm-po as a multiple of T* log(1 / delta), from delta = 0.1 to 1e-50, with Student's intervals at
95 %. Against the other samplers: `benchmarks/baselines.py`.
"""

from __future__ import annotations

import math
import time

import common

from llmpo_jax import simulate
from llmpo_jax.stopping import STOPPING_RULES

DELTAS = (0.1, 0.05, 0.01, 1e-10, 1e-50)
INSTANCES = (
    "bradley-terry:16",
    "bradley-terry:16,seed=6",
    "bradley-terry:16,seed=8",
    "bradley-terry:16,seed=11",
    "bradley-terry-line:16",
    "bradley-terry-line:5",
    "cyclic:17",
    "random-condorcet:16",
    "hidden-winner:10",
    "wmt20_mqm_zhen_K8.csv",
    "wildbench_gpt4o0625_K8.csv",
    "alpacaeval2_spread10.csv",
)
STOPPING = ("e-process", "stylised")
ALL_STOPPING_ON = ("bradley-terry:16", "cyclic:17")
UNTOLD = [name for name in STOPPING_RULES.names() if not STOPPING_RULES.get(name).told]


def against_bound(replications: int) -> list[dict]:
    rows = []
    for name in INSTANCES:
        source = common.source(name)
        if source is None:
            continue
        for stopping in UNTOLD if name in ALL_STOPPING_ON else STOPPING:
            result = simulate(
                source.model,
                "llm-po",
                stopping,
                deltas=DELTAS,
                replications=replications,
                max_comparisons=2**24,
            )
            for level in result.summary():
                scale = (level.ratio or math.nan) / level.mean
                rows.append(
                    {
                        "instance": source.label,
                        "stopping": stopping,
                        "delta": level.delta,
                        "ratio": level.mean * scale,
                        "low": level.mean_low * scale,
                        "high": level.mean_high * scale,
                        "mean / median": level.mean / level.median,
                        "error rate": level.error_rate,
                        "censored": level.censored,
                    }
                )
    return rows


def main() -> None:
    options = common.parser(__doc__).parse_args()
    replications = 50 if options.quick else 500
    started = time.time()
    bound = against_bound(replications)
    common.show(f"llm-po: mean stopping time / (T* log(1/delta)), {replications} replications", bound)
    if not options.quick:
        common.keep("sample_complexity", bound, started)


if __name__ == "__main__":
    main()
