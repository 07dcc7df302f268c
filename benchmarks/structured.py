"""The structured space: comparisons against the bound and the baselines, error rates, a wrong model, and speed.

    python benchmarks/structured.py                   about 35 minutes on 2 cores
    python benchmarks/structured.py --quick
    python benchmarks/structured.py --only bound      one part: forms, bound, baselines, designs, pac, ...

forms: T* by the exact program and by Fisher's form, as the scores are spread out.
bound: mean stopping time of llm-po as a multiple of T* log(1 / delta), for all three stopping rules.
baselines: how many times the comparisons of llm-po each sampler needs at the same stopping rule. Censored runs enter at
    the limit, so where there are any the multiple is a lower bound.
designs: the same for samplers that follow a published optimal design, on all instances and on linear models fitted to
    two files of the data folder with their features; the proven rule, a fifth of the replications.
pac: error rates against delta. A rule fails when the lower end of the exact 1 - 1e-6 interval lies above delta.
space: what assuming the linear model saves where it holds, and what it costs in errors where it does not.
speed: comparisons simulated per second over K and d.
Intervals are at 95 %: Student for means, the delta method on the logarithm for ratios of means.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import common
import jax
import numpy as np
from common import DATA

from llmpo_jax import (
    LinearBradleyTerry,
    Result,
    characteristic_time,
    fit_linear_bradley_terry,
    simulate,
    win_probabilities,
)
from llmpo_jax.engine import lanes
from llmpo_jax.models import features_for
from llmpo_jax.protocol import SpaceName
from llmpo_jax.spaces import STRUCTURED, SamplerName, StoppingName
from llmpo_jax.theory.bounds import over_space
from llmpo_jax.theory.intervals import clopper_pearson
from llmpo_jax.validation import misfit

DELTAS = (0.1, 0.05, 0.01, 1e-10)
INSTANCES = (*(f"linear-bradley-terry:32,8,seed={seed}" for seed in (2, 10, 12)), "linear-embedded:32,8,seed=6")
MAIN = INSTANCES[0]
FORMS = tuple(f"linear-bradley-terry:8,3,seed={seed}" for seed in range(8))
SMALL = ("linear-bradley-terry:8,3,seed=2", "linear-bradley-terry:12,4,seed=3", "linear-embedded:10,4,scale=0.5,seed=5")
DESIGNS = ("llm-po", "g-optimal", "rage-glm")
FITTED = ("slab_more_letters_vicuna-13b_K16", "slab_movie_recommendation_ultralm-13b_K16")
LIMIT = 400_000
PARTS = ("forms", "bound", "baselines", "designs", "pac", "space", "speed")
BASELINE_LIMITS: dict[StoppingName, int] = {"e-process": 30_000, "stylised": 30_000, "mixture": 60_000}


def linear(name: str) -> LinearBradleyTerry:
    """The model of an instance."""
    source = common.source(name)
    assert source is not None and isinstance(source.model, LinearBradleyTerry)
    return source.model


def fitted(name: str) -> LinearBradleyTerry | None:
    """The linear model nearest to a win matrix of the data folder, of 200 comparisons a pair; None where it is missing.

    Of policies that do not differ in any feature the first one is kept.
    """
    source = common.source(f"{name}.csv")
    if source is None:
        return None
    features = features_for(source.model, DATA / f"{name}.features.csv")
    kept = np.sort(np.unique(features, axis=0, return_index=True)[1])
    counts = 200 * (1 - np.eye(len(kept)))
    wins = counts * np.asarray(win_probabilities(source.model))[np.ix_(kept, kept)]
    return LinearBradleyTerry(features[kept], fit_linear_bradley_terry(features[kept], counts, wins).theta)


def forms() -> list[dict]:
    """The two programs on the same features and direction of theta, the scores scaled up step by step."""
    rows = []
    for name in FORMS:
        model = linear(name)
        scores = np.sort(np.asarray(model.features) @ np.asarray(model.theta))
        for scale in np.geomspace(0.1, 30, 16):
            scaled = LinearBradleyTerry(model.features, scale * model.theta)
            exact, fisher = (characteristic_time(scaled, form=form, tolerance=1e-5) for form in ("exact", "fisher"))
            gap, spread = scale * (scores[-1] - scores[-2]), scale * (scores[-1] - scores[0])
            rows.append({"instance": name, "gap": gap, "spread": spread, "exact": exact.time, "fisher": fisher.time})
    return rows


def _row(result: Result, name: str, index: int) -> dict:
    level = result.summary()[index]
    scale = (level.ratio or math.nan) / level.mean
    return {
        "instance": name,
        "T*": result.time or math.nan,
        "stopping": result.stopping,
        "delta": level.delta,
        "ratio": level.mean * scale,
        "low": level.mean_low * scale,
        "high": level.mean_high * scale,
        "mean": level.mean,
        "mean / median": level.mean / level.median,
        "error rate": level.error_rate,
        "censored": level.censored,
    }


def against_bound(replications: int) -> list[dict]:
    rows = []
    for name in INSTANCES:
        for stopping in STRUCTURED.stopping.names() if name == MAIN else ("e-process", "stylised"):
            result = simulate(
                linear(name), "llm-po", stopping, deltas=DELTAS, replications=replications, max_comparisons=LIMIT
            )
            rows += [_row(result, name, index) for index in range(len(DELTAS))]
    return rows


def _compared(
    name: str, samplers: Sequence[SamplerName | str], stopping: StoppingName, model: LinearBradleyTerry, **asked: Any
) -> list[dict]:
    """Samplers on one instance, as a multiple of the first one."""
    rows, ours = [], None
    for sampler in samplers:
        result = simulate(model, sampler, stopping, **asked)
        ours = ours or result
        rows += common.multiples(name, result, ours)
    return rows


def against_baselines(replications: int) -> list[dict]:
    asked: dict[str, Any] = {"deltas": (0.1, 0.05), "replications": replications}
    rows = []
    for stopping, limit in BASELINE_LIMITS.items():
        rows += _compared(MAIN, STRUCTURED.usual, stopping, linear(MAIN), max_comparisons=limit, **asked)
    return rows


def against_designs(replications: int) -> list[dict]:
    instances = {name: linear(name) for name in INSTANCES} | {f"fitted to {name}": fitted(name) for name in FITTED}
    asked: dict[str, Any] = {"deltas": (0.1, 0.05), "replications": replications, "max_comparisons": 100_000}
    rows = []
    for name, model in instances.items():
        if model is not None:
            rows += _compared(name, DESIGNS, "e-process", model, **asked)
            common.show(name, rows[-6:])
    return rows


def error_rows(result: Result, name: str) -> list[dict]:
    """Errors at each level, with their exact interval and what it says of delta."""
    rows = []
    for level in result.summary():
        low, high = clopper_pearson(level.errors, level.replications, 1 - 1e-6)
        rows.append(
            {
                "instance": name,
                "sampler": result.sampler,
                "stopping": result.stopping,
                "assume": result.assume,
                "delta": level.delta,
                "errors": level.errors,
                "replications": level.replications,
                "low": low,
                "high": high,
                "mean": level.mean,
                "censored": level.censored,
                "verdict": "holds" if low <= level.delta else "FAILS",
            }
        )
    return rows


def error_rates(replications: int) -> list[dict]:
    rows = []
    for name in SMALL:
        for sampler in ("llm-po", "round-robin"):
            for stopping in STRUCTURED.stopping.names():
                result = simulate(
                    linear(name),
                    sampler,
                    stopping,
                    deltas=(0.1, 0.01),
                    replications=replications,
                    max_comparisons=50_000,
                )
                rows += error_rows(result, name)
    return rows


def spaces(replications: int) -> list[dict]:
    """The linear model assumed or not, where it holds and where it is wrong: each logit off by noise."""
    rows = []
    model = linear("linear-bradley-terry:12,4,seed=3")
    for noise in (0.0, 0.1, 0.2):
        bent = misfit.bent(model, noise, np.random.default_rng(0))
        assumptions: list[tuple[SpaceName, Any]] = [("unstructured", None), ("structured", model.features)]
        for assume, features in assumptions:
            result = simulate(
                bent,
                assume=assume,
                features=features,
                deltas=(0.1, 0.01),
                replications=replications,
                max_comparisons=200_000,
            )
            rows += error_rows(result, f"linear-bradley-terry:12,4,seed=3, logits + {noise:g} noise")
    return rows


def speed() -> list[dict]:
    rows = []
    cases = [(k, 8) for k in (16, 32, 64)] + [(32, d) for d in (2, 4, 16)]
    for num_policies, dimension in cases:
        for stopping in ("e-process", "stylised"):
            model = linear(f"linear-bradley-terry:{num_policies},{dimension}")
            # A level that is never reached: every replication runs to the limit, so all that is simulated is counted.
            keywords = {"deltas": (1e-300,), "replications": 256, "max_comparisons": 1024}
            lanes._compiled.clear()
            started = time.time()
            over_space(model, "structured", "assumed", None)  # solved once for all procedures on an instance
            bound = time.time() - started
            started = time.time()
            simulate(model, "llm-po", stopping, **keywords)
            cold = time.time() - started
            warm = []
            for _ in range(3):
                started = time.time()
                result = simulate(model, "llm-po", stopping, **keywords)
                warm.append(time.time() - started)
            seconds = float(np.median(warm))
            rows.append(
                {
                    "K": num_policies,
                    "pairs": num_policies * (num_policies - 1) // 2,
                    "d": dimension,
                    "stopping": stopping,
                    "comparisons per second": result.simulated / seconds,
                    "compilation, s": cold - seconds,
                    "bound, s": bound,
                }
            )
            common.console.print(rows[-1])
    return rows


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--only", choices=PARTS, help="run one part")
    options = parser.parse_args()
    many = 30 if options.quick else 300
    parts = {
        "forms": ("T* by the exact program and by Fisher's form", forms),
        "bound": ("llm-po: mean stopping time / (T* log(1/delta))", lambda: against_bound(many)),
        "baselines": ("Comparisons needed, as a multiple of llm-po", lambda: against_baselines(many)),
        "designs": ("The same for optimal designs", lambda: against_designs(many // 5)),
        "pac": ("Error rates, exact 1 - 1e-6 interval", lambda: error_rates(100 if options.quick else 1000)),
        "space": ("Error rates, linear model assumed or not", lambda: spaces(many)),
        "speed": (f"256 replications on {jax.devices()[0].device_kind}", speed),
    }
    common.run_parts("structured", parts, options.only, options.quick)


if __name__ == "__main__":
    main()
