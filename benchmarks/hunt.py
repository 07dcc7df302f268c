"""A standing search for counterexamples: does any proven stopping rule err more often than its level allows?

    python benchmarks/hunt.py              about 13 minutes on 2 cores
    python benchmarks/hunt.py --quick      fewer shapes and samplers, nothing is kept
    python benchmarks/hunt.py --seed 1     other random instances, other outcomes

Instances x samplers, registered and hostile, at levels from 0.3 to 1e-6, for every proven rule of both spaces and both
forms of existence, and logs through `audit` (`instances`, `samplers` and `drivers` of `llmpo_jax/hunting/`). A cell
that looks bad is run again on fresh replications; only these decide, by exact binomial tests that accuse sound
procedures with probability 1e-6 at most, all tests of a hunt together (`search`).

Defects are planted (`defects`), and the hunt must find each. Exit code 1 where a proven rule is BROKEN or a planted
defect MISSED.
"""

from __future__ import annotations

import itertools
import sys
import time

import common
import numpy as np

from llmpo_jax.hunting import cells, defects, drivers, search
from llmpo_jax.hunting.samplers import HOSTILE
from llmpo_jax.protocol import Existence
from llmpo_jax.spaces import STRUCTURED, UNSTRUCTURED, told_nothing

MIXED = ("llm-po", "round-robin", *HOSTILE)
FEW = ("llm-po", "opening", "against-leader", "stop-and-go")
UNSTRUCTURED_SCOPE: dict[tuple[str, Existence], dict] = {
    ("e-process", "assumed"): {2: ("round-robin",), 3: (*told_nothing(UNSTRUCTURED.samplers), *HOSTILE), 5: MIXED},
    ("e-process", "certify"): {3: MIXED, 5: FEW},
    ("kaufmann-koolen", "assumed"): {3: FEW, 5: FEW},
    ("kaufmann-koolen", "certify"): {3: FEW},
    ("dkwt", "assumed"): {3: ("dkwt", "stop-and-go")},
}
STRUCTURED_SCOPE = {
    "e-process": {(3, 2): (*told_nothing(STRUCTURED.samplers), *HOSTILE), (4, 1): FEW, (5, 3): FEW, (6, 5): FEW},
    "mixture": {(3, 2): MIXED, (4, 1): FEW, (6, 5): FEW},
}
"""Samplers of each shape: K, or with features (K, d). Every pair of a sampler and a shape is compiled, for seconds."""


def clean(seed: int, quick: bool) -> list[list[search.Cell]]:
    """The cells of everything that must hold; the dearest first."""
    rng = np.random.default_rng(seed)
    found = []
    for rule, shapes in STRUCTURED_SCOPE.items():
        scope = {(3, 2): FEW[:2]} if quick else shapes
        found += cells.structured(rule, scope, 0 if quick else 4, seed, rng)
    if not quick:
        found += drivers.logs_with_features(seed)
    for (rule, existence), shapes in UNSTRUCTURED_SCOPE.items():
        scope = {3: FEW[-1:]} if quick else shapes
        found += cells.unstructured(rule, existence, scope, seed, rng)
    return [*found, *drivers.logs(seed), *drivers.average(False, seed), *drivers.settlement(False, seed)]


def row(verdict: search.Verdict, planted: bool) -> dict:
    """What is shown and kept of a verdict; the worst level of its worst cell."""
    worst = verdict.worst
    return {
        "procedure": verdict.procedure,
        "planted": planted,
        "cells": verdict.cells,
        "replications": verdict.replications,
        "suspects": verdict.suspects,
        "worst": worst.cell.where,
        "delta": worst.cell.deltas[worst.worst],
        "errors": int(worst.errors[worst.worst]),
        "of": worst.replications,
        "chance": float(worst.chances[worst.worst]),
        "verdict": ("found" if verdict.broken else "MISSED") if planted else ("BROKEN" if verdict.broken else "holds"),
    }


def main() -> None:
    parser = common.parser(__doc__, quick=False)
    parser.add_argument("--quick", action="store_true", help="fewer shapes and samplers, nothing is kept")
    parser.add_argument("--seed", type=int, default=0, help="of the random instances and of all outcomes")
    options = parser.parse_args()
    if not 0 <= options.seed < 2**32:
        parser.error(f"--seed = {options.seed}, expected 0 to 2^32 - 1")
    started = time.time()
    planted = defects.planted(options.seed)
    groups = [*clean(options.seed, options.quick), *planted]
    numbers = itertools.count(1)

    def report(counts: list[search.Count]) -> None:
        worst = min(counts, key=lambda count: count.chances.min())
        cell, level = worst.cell, worst.worst
        found = f"{worst.errors[level]} of {worst.replications} at {cell.deltas[level]:g} in {cell.where}"
        common.console.print(
            f"{time.time() - started:4.0f} s, {next(numbers)} of {len(groups)}: {cell.procedure}, worst of "
            f"{len(counts)} cells {found}"
        )

    verdicts = search.hunt(groups, report, most=2 if options.quick else search.SUSPECTS)
    names = {group[0].procedure for group in planted}
    rows = [row(verdict, verdict.procedure in names) for verdict in verdicts]
    common.show("Errors at the worst level of the worst cell, and at most how likely so many are", rows)
    if not options.quick:
        common.keep("hunt", rows, started)
    if any(kept["verdict"] in ("BROKEN", "MISSED") for kept in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
