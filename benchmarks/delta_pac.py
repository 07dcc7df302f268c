"""Is the error rate at most delta? Exact intervals on easy, hard, cyclic and real instances.

    python benchmarks/delta_pac.py            about 12 minutes on 2 cores
    python benchmarks/delta_pac.py --quick

A rule fails when the lower end of the exact 1 - 1e-6 Clopper-Pearson interval of its error rate lies above delta: a
delta-PAC rule fails such a check with probability at most 1e-6. The instances without a Condorcet winner are run with
the existence of one to be certified; there any named policy is an error.
"""

from __future__ import annotations

import time

import common

from llmpo_jax import simulate
from llmpo_jax.protocol import Existence
from llmpo_jax.theory.intervals import clopper_pearson

DELTAS = (0.1, 0.01)
INSTANCES = ("cyclic:17", "bradley-terry-line:8", "hidden-winner:10", "wmt20_mqm_zhen_K8.csv")
WITHOUT_WINNER = ("no-winner:8", "tennis_8.csv", "hudry_13.csv")
SAMPLERS = ("llm-po", "round-robin", "rucb")
LIMIT = 100_000
LIMITS = {"wmt20_mqm_zhen_K8.csv": 400_000}
"""Comparisons at which a run is censored; the hard instance needs more."""
PROCEDURES = [(sampler, "e-process") for sampler in SAMPLERS] + [
    ("llm-po", "kaufmann-koolen"),
    ("llm-po", "stylised"),
    ("round-robin", "stylised"),
]


def check(name: str, sampler: str, stopping: str, existence: Existence, replications: int) -> list[dict]:
    source = common.source(name)
    if source is None:
        return []
    result = simulate(
        source.model,
        sampler,
        stopping,
        deltas=DELTAS,
        replications=replications,
        existence=existence,
        max_comparisons=LIMITS.get(name, LIMIT),
    )
    rows = []
    for level in result.summary():
        low, high = clopper_pearson(level.errors, level.replications, 1 - 1e-6)
        rows.append(
            {
                "instance": source.label,
                "existence": existence,
                "sampler": sampler,
                "stopping": stopping,
                "delta": level.delta,
                "errors": level.errors,
                "replications": level.replications,
                "low": low,
                "high": high,
                "censored": level.censored,
                "verdict": "holds" if low <= level.delta else "FAILS",
            }
        )
    return rows


def main() -> None:
    options = common.parser(__doc__).parse_args()
    replications = 200 if options.quick else 2000
    started = time.time()
    rows = []
    for name in INSTANCES:
        for sampler, stopping in PROCEDURES:
            rows += check(name, sampler, stopping, "assumed", replications)
    for name in WITHOUT_WINNER:
        for sampler in ("llm-po", "round-robin"):
            rows += check(name, sampler, "e-process", "certify", replications)
    common.show(f"Error rates, {replications} replications, exact 1 - 1e-6 interval", rows)
    if not options.quick:
        common.keep("delta_pac", rows, started)


if __name__ == "__main__":
    main()
