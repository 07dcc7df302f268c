"""Several comparisons in flight: what settling verdicts in ask order protects from, and what waiting costs.

    python benchmarks/in_flight.py            (about 15 minutes on one core; `--quick` for a look)

Three tables, kept in results/in_flight_*.json; `--only PART` for one of them.

Errors: two policies that are equal (mu = 1/2), so that neither may be refuted in more than a share delta of the runs,
where a win of the first takes ten times as long as a loss. Verdicts are settled in ask order, as `lp.Experiment` does,
or on arrival, which is no proof and fails.

Cost: comparisons asked until the winner is proven, as a multiple of those with one in flight, where the sampler
believes that pending comparisons are won by their favourites, or ignores them. Verdicts return after exponential times.
`settled` are the decided comparisons that count, `asked` all of them, with those still in flight at the end.

Speed: seconds to the first ask where nothing was compiled before (but after the import), milliseconds to ask and to
tell, each safe on disk.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import common
import numpy as np
from living.flight import Setting, simulate
from speed import child

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


def waits(num_policies: int, dimension: int | None) -> dict[str, float]:
    """Seconds to the first ask, and milliseconds that asking and telling take later on, in this process."""
    names = [f"policy {k}" for k in range(num_policies)]
    features = None if dimension is None else np.random.default_rng(0).normal(size=(num_policies, dimension))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with lp.Experiment.create(
            Path(folder) / "e", names, ["one", "two"], delta=1e-100, features=features
        ) as experiment:
            (ask,) = experiment.ask()
            first = time.perf_counter() - started
            times = []
            for _ in range(300):
                told = "first" if names.index(ask.first) < names.index(ask.second) else "second"
                started = time.perf_counter()
                experiment.tell(ask.id, told)
                between = time.perf_counter()
                (ask,) = experiment.ask()
                times.append((time.perf_counter() - between, between - started))
    ask_ms, tell_ms = 1000 * np.median(times[20:], axis=0)
    return {"first ask, s": first, "ask, ms": float(ask_ms), "tell, ms": float(tell_ms)}


def speed() -> list[dict[str, Any]]:
    """`waits` in a process of its own for each shape, nothing compiled before."""
    rows = []
    for num_policies, dimension in ((8, None), (64, None), (32, 8)):
        code = f"import json, in_flight as f; print(json.dumps(f.waits({num_policies}, {dimension})))"
        rows.append({"K": num_policies, "d": dimension or 0, **child(code)})
    return rows


if __name__ == "__main__":
    parser = common.parser(__doc__)
    parser.add_argument("--only", choices=("errors", "cost", "speed"), help="run one part")
    options = parser.parse_args()
    quick = options.quick
    parts = {
        "errors": (
            "A true winner is refuted within 200 comparisons, delta = 0.1",
            lambda: errors(200 if quick else 2000),
        ),
        "cost": (
            "Comparisons until the winner is proven, delta = 0.1",
            lambda: cost(SOURCES[:1] if quick else SOURCES, 50 if quick else 500),
        ),
        "speed": ("Waiting for an experiment, nothing compiled before", speed),
    }
    common.run_parts("in_flight", parts, options.only, quick)
