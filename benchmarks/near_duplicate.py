"""A near-duplicate of the best policy in the structured space: the tail of the stopping time, and errors of `stylised`.

    python benchmarks/near_duplicate.py                   about an hour on 2 cores
    python benchmarks/near_duplicate.py --quick
    python benchmarks/near_duplicate.py --only tail       one part: tail or stylised

Three policies, of which the third is the first turned by 0.1: all but that one pair is easy, and that pair decides. On
it the wrong policy often leads for tens of thousands of comparisons.

tail: the stopping time of llm-po with e-process, as a multiple of the lower bound T* kl(delta, 1 - delta).
stylised: its error rate, llm-po and round-robin. It fails where the exact 1 - 1e-6 interval lies above delta.
Intervals of means are Student's at 95 %.
"""

from __future__ import annotations

import math

import common
import numpy as np
from structured import error_rows

from llmpo_jax import LinearBradleyTerry, simulate
from llmpo_jax.theory.divergence import binary_kl

MODEL = LinearBradleyTerry(np.array([[1.0, 0.0], [0.0, 1.0], [math.cos(0.1), math.sin(0.1)]]), np.array([4.0, 0.0]))
NAME = "near-duplicate"
DELTAS = (0.1, 0.05, 0.01)
LIMIT = 2_000_000


def tail(replications: int) -> list[dict]:
    result = simulate(MODEL, "llm-po", "e-process", deltas=DELTAS, replications=replications, max_comparisons=LIMIT)
    rows = []
    for level, times in zip(result.summary(), np.asarray(result.stopping_time).T, strict=True):
        bound = (result.time or math.nan) * float(binary_kl(level.delta, 1 - level.delta))
        rows.append(
            {
                "instance": NAME,
                "delta": level.delta,
                "replications": replications,
                "lower bound": bound,
                "median": level.median,
                "mean": level.mean,
                "mean / lower bound": level.mean / bound,
                "low": level.mean_low / bound,
                "high": level.mean_high / bound,
                "longest": int(times.max()),
                "censored": level.censored,
                "errors": level.errors,
            }
        )
    return rows


def stylised(replications: int) -> list[dict]:
    rows = []
    for sampler in ("llm-po", "round-robin"):
        result = simulate(MODEL, sampler, "stylised", deltas=DELTAS, replications=replications, max_comparisons=LIMIT)
        rows += error_rows(result, NAME)
    return rows


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--only", choices=("tail", "stylised"), help="run one part")
    options = parser.parse_args()
    parts = {
        "tail": ("llm-po with e-process", lambda: tail(20 if options.quick else 200)),
        "stylised": ("Errors of stylised, exact 1 - 1e-6 interval", lambda: stylised(100 if options.quick else 1000)),
    }
    common.run_parts("near_duplicate", parts, options.only, options.quick)


if __name__ == "__main__":
    main()
