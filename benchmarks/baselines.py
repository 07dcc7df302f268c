"""How many comparisons does each sampler need, as a multiple of llm-po, with the same stopping rule?

    python benchmarks/baselines.py            about 10 minutes on 2 cores
    python benchmarks/baselines.py --quick

Mean stopping times at delta = 0.1, 0.05 and 0.01. Runs of the others are cut at `LIMIT` times llm-po's mean at the last
of these levels and count as so many: where the share of censored runs is not 0, mean and ratio are too small. A ratio
below 1 is a sampler ahead of llm-po. Intervals are at 95 %: for the ratio of two means the delta method on its
logarithm, with runs paired by their seed.
"""

from __future__ import annotations

import time

import common

from llmpo_jax import simulate
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.spaces import told_nothing

DELTAS = (0.1, 0.05, 0.01)
LIMIT = 3
EVERY_RULE = ("bradley-terry:16", "cyclic:17")
"""Both stopping rules there; e-process alone on the others."""
INSTANCES = (
    *EVERY_RULE,
    "random-condorcet:16",
    "hidden-winner:10",
    "bradley-terry-line:16",
    "wmt20_mqm_zhen_K8.csv",
    "wildbench_gpt4o0625_K8.csv",
    "qlora_oa_gpt4_K7.csv",
    "slab_more_letters_vicuna-13b_K16.csv",
    "slab_movie_recommendation_ultralm-13b_K16.csv",
    "ted21_mqm_ende_K13.csv",
)


def compared(name: str, stopping: str, replications: int) -> list[dict]:
    """The rows of all samplers on an instance; none where its file is missing."""
    source, rows, ours = common.source(name), [], None
    if source is None:
        return []
    limit = 2**24
    for sampler in told_nothing(SAMPLERS):  # llm-po comes first
        runs = {"deltas": DELTAS, "replications": replications, "max_comparisons": limit}
        result = simulate(source.model, sampler, stopping, **runs)
        if ours is None:
            ours, limit = result, round(LIMIT * float(result.stopping_time[:, -1].mean()))
        rows += common.multiples(source.label, result, ours)
    return rows


def main() -> None:
    options = common.parser(__doc__).parse_args()
    replications = 10 if options.quick else 100
    started, rows = time.time(), []
    for name in INSTANCES:
        for stopping in ("e-process", "stylised") if name in EVERY_RULE else ("e-process",):
            found = compared(name, stopping, replications)
            rows += found
            shown = [row for row in found if row["delta"] == 0.05]
            if shown:
                common.show(f"Comparisons needed at delta = 0.05, {replications} replications", shown)
    if not options.quick:
        common.keep("baselines", rows, started)


if __name__ == "__main__":
    main()
