"""How many comparisons, against the lower bound and against the baselines?

    python benchmarks/sample_complexity.py            about 15 minutes on 2 cores
    python benchmarks/sample_complexity.py --quick

Part 1: mean stopping time of llm-po as a multiple of T* log(1 / delta), from delta = 0.1 to 1e-50.
Part 2: how many times the comparisons of llm-po each baseline needs at the same stopping rule.
All intervals are at 95 %: Student for means, the delta method on the logarithm for ratios of means.
"""

from __future__ import annotations

import math
import time

import common
import numpy as np

from llmpo_jax import Result, simulate
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.spaces import told_nothing
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


def against_bound(replications: int) -> list[dict]:
    rows = []
    for name in INSTANCES:
        source = common.source(name)
        if source is None:
            continue
        for stopping in STOPPING_RULES.names() if name in ALL_STOPPING_ON else STOPPING:
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


def _ratio(baseline: Result, ours: Result, index: int) -> tuple[float, float, float]:
    """Ratio of mean stopping times with its interval; a censored baseline run counts as the limit."""
    logs, variance = [], 0.0
    for result in (baseline, ours):
        times = result.stopping_time[:, index]
        times = np.where(times < 0, result.max_comparisons, times)
        logs.append(math.log(times.mean()))
        variance += times.var(ddof=1) / len(times) / times.mean() ** 2
    ratio = math.exp(logs[0] - logs[1])
    spread = math.exp(1.96 * math.sqrt(variance))
    return ratio, ratio / spread, ratio * spread


def against_baselines(replications: int) -> list[dict]:
    rows = []
    for name in ("bradley-terry:16", "cyclic:17"):
        source = common.source(name)
        assert source is not None
        for stopping in ("e-process", "stylised"):
            ours = None
            for sampler in told_nothing(SAMPLERS):
                result = simulate(
                    source.model,
                    sampler,
                    stopping,
                    deltas=(0.1, 0.05, 0.01),
                    replications=replications,
                    max_comparisons=300_000,
                )
                ours = ours or result
                for index, level in enumerate(result.summary()):
                    ratio, low, high = _ratio(result, ours, index)
                    rows.append(
                        {
                            "instance": source.label,
                            "stopping": stopping,
                            "delta": level.delta,
                            "sampler": sampler,
                            "mean": level.mean,
                            "times llm-po": ratio,
                            "low": low,
                            "high": high,
                            "censored": level.censored,
                            "error rate": level.error_rate,
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
    baselines = against_baselines(replications)
    common.show(f"Comparisons needed, as a multiple of llm-po, {replications} replications", baselines)
    if not options.quick:
        common.keep("baselines", baselines, started)


if __name__ == "__main__":
    main()
