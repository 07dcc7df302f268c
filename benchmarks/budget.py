"""How often is the best policy named after a given number of comparisons?

    python benchmarks/budget.py            2,000 replications a cell, a few minutes on 2 cores
    python benchmarks/budget.py --quick

Part 1: probability of correct selection at budgets, in percent, of samplers that are told their budget and of others.
Part 2: the same in the structured space.
All name the best policy by the same rule. Exact binomial intervals at 95 %.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import common

from llmpo_jax import simulate
from llmpo_jax.protocol import SpaceName
from llmpo_jax.theory.intervals import clopper_pearson

BUDGETS = (64, 200, 400, 800)
INSTANCES = (
    "bradley-terry:16",
    "bradley-terry:16,seed=6",
    "bradley-terry:16,seed=8",
    "bradley-terry:16,seed=11",
    "bradley-terry-line:16",
    "cyclic:17",
    "hidden-winner:10",
    "random-condorcet:16",
    "wildbench_gpt4o0625_K8.csv",
)
SAMPLERS = ("llm-po", "llm-po-budget", "sequential-halving", "epsilon-greedy", "round-robin")
STRUCTURED_INSTANCES = ("linear-bradley-terry:32,8",)
STRUCTURED_SAMPLERS = ("llm-po", "llm-po-budget", "round-robin")


def selection(
    instances: Sequence[str], samplers: Sequence[str], space: SpaceName, budgets: Sequence[int], replications: int
) -> list[dict]:
    """A row per instance and budget, in percent: each sampler's estimate and interval."""
    rows = []
    for name in instances:
        source = common.source(name)
        if source is None:
            continue
        found = [{"instance": source.label, "comparisons": budget} for budget in budgets]
        for sampler in samplers:
            asked = {"deltas": (), "budgets": budgets, "max_comparisons": max(budgets)}
            result = simulate(source.model, sampler, assume=space, replications=replications, **asked)
            for row, right in zip(found, result.correct_selection().T, strict=True):
                low, high = clopper_pearson(int(right.sum()), replications)
                row[sampler] = 100 * float(right.mean())
                row[f"{sampler} low"], row[f"{sampler} high"] = 100 * low, 100 * high
        rows += found
    return rows


def main() -> None:
    options = common.parser(__doc__).parse_args()
    tables = {
        "budget_selection": (INSTANCES, SAMPLERS, "unstructured", BUDGETS, 2000),
        "budget_structured": (STRUCTURED_INSTANCES, STRUCTURED_SAMPLERS, "structured", BUDGETS[:3], 1000),
    }
    for name, (instances, samplers, space, budgets, replications) in tables.items():
        started = time.time()
        rows = selection(instances, samplers, space, budgets, replications // (10 if options.quick else 1))
        common.show(name, [{k: v for k, v in row.items() if not k.endswith((" low", " high"))} for row in rows])
        if not options.quick:
            common.keep(name, rows, started)


if __name__ == "__main__":
    main()
