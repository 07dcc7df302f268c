"""Several comparisons in flight: what settling verdicts in ask order protects from, and what waiting costs.

    python benchmarks/in_flight.py            (about 6 minutes on two cores; `--quick` for a look)

Two tables, kept in results/in_flight_errors.json and results/in_flight_cost.json.

Errors: two policies that are equal (mu = 1/2), so that neither may be refuted in more than a share delta of the runs,
where a win of the first takes ten times as long as a loss. Verdicts are settled in ask order, as `lp.Experiment` does,
or on arrival, which is no proof and fails.

Cost: comparisons asked until the winner is proven, as a multiple of those with one in flight, where the sampler
believes that pending comparisons are won by their favourites, or ignores them. Verdicts return after exponential times.
"""

from __future__ import annotations

import time
from typing import Any

import common
import numpy as np
from living.flight import Setting, simulate

import llmpo_jax as lp
from llmpo_jax.theory.intervals import clopper_pearson, mean_interval

SOURCES = ["bradley-terry:16", "random-condorcet:16", "alpacaeval2_spread10.csv"]


def errors(runs: int) -> list[dict[str, Any]]:
    """How often a true winner is refuted within 200 comparisons, mu = 1/2, delta = 0.1: the level, or far above it."""
    rows = []
    for on_arrival in (False, True):
        for in_flight in (1, 8, 32):
            setting = Setting(in_flight, on_arrival=on_arrival, slow_wins=10.0, limit=200)
            _, named, _ = simulate(np.full((2, 2), 0.5), setting, 0.1, runs)
            # The policy with the lower number wins slowly: it is refuted where the other one is named.
            wrong = int((named == 1).sum())
            low, high = clopper_pearson(wrong, runs)
            row = {"settled": "on arrival" if on_arrival else "in ask order", "in flight": in_flight}
            rows.append(row | {"refuted": wrong / runs, "low": low, "high": high, "runs": runs})
    return rows


def cost(sources: list[str], runs: int) -> list[dict[str, Any]]:
    """Mean comparisons asked until the winner is proven at delta = 0.1."""
    rows = []
    for source in sources:
        found = common.source(source)
        if found is None:
            continue
        mu = np.asarray(lp.win_probabilities(found.model), float)
        alone = None
        for in_flight, believing in ((1, True), (8, True), (8, False), (32, True), (32, False)):
            stopped, _, asked = simulate(mu, Setting(in_flight, believing), 0.1, runs)
            mean, low, high = mean_interval(asked.astype(float))
            alone = alone or mean
            rows.append(
                {
                    "source": source,
                    "in flight": in_flight,
                    "pending": "believed" if believing else "ignored",
                    "asked": mean,
                    "low": low,
                    "high": high,
                    "settled": float(stopped.mean()),
                    "ratio": mean / alone,
                    "cut": int((stopped < 0).sum()),
                    "runs": runs,
                }
            )
    return rows


if __name__ == "__main__":
    quick = common.parser(__doc__).parse_args().quick
    started = time.time()
    found = errors(200 if quick else 2000)
    common.show("A true winner is refuted within 200 comparisons, delta = 0.1", found)
    costs = cost(SOURCES[:1] if quick else SOURCES, 50 if quick else 500)
    common.show("Comparisons until the winner is proven, delta = 0.1", costs)
    if not quick:
        common.keep("in_flight_errors", found, started)
        common.keep("in_flight_cost", costs, started)
