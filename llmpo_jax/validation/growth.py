"""C7: what LLM-PO needs grows as T* does, with the number of policies, the dimension, and the gaps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from llmpo_jax.engine.result import Result
from llmpo_jax.report import style
from llmpo_jax.report.style import Drawing
from llmpo_jax.theory.intervals import mean_interval
from llmpo_jax.validation import claims, places
from llmpo_jax.validation.claims import Check, Claim
from llmpo_jax.validation.runs import Run, Runs
from llmpo_jax.validation.scope import Scope

DELTA = 1e-10
FACTOR = 3.0
"""What the multiple of `T* log(1 / delta)` stays below."""
BAND = 0.25
"""By so much the slope of log mean against log T* may differ from 1: second-order terms weigh less as T* grows."""


class Series(NamedTuple):
    """Instances of which one thing grows, by its value."""

    grows: str
    sources: Mapping[float, str]


def claim(scope: Scope, runs: Runs) -> Claim:
    """C7. Each cell is an instance; their sources are given, as they are made to grow."""
    every = _series(scope)
    cells = [(series.grows, value, source) for series in every for value, source in series.sources.items()]
    asked = [places.until(source, "llm-po", DELTA, scope) for _, _, source in cells]
    results = runs.all(asked)
    tests = len(cells) + 1
    checks = [multiple(run, result, tests) for run, result in zip(asked, results, strict=True)]
    rows = pl.DataFrame(
        [_row(grows, value, run, result) for (grows, value, _), run, result in zip(cells, asked, results, strict=True)]
    )
    return Claim(
        number="C7",
        title="What LLM-PO needs grows like T* with K, d, and 1 / gap^2.",
        null=(
            f"The mean stopping time at {DELTA:g} is at most {FACTOR:g} T* log(1 / delta) on every instance, and the "
            f"slope of its logarithm against that of T* over all of them is 1 to {BAND:g}. The slope is that of least "
            "squares; its error is that of the means alone, the instances are given."
        ),
        checks=(*checks, _slope(results, tests)),
        drawings=DRAWINGS,
        tables={"growth": rows},
    )


def _series(scope: Scope) -> list[Series]:
    """What grows: in a quick validation with few programs, as K and d are part of them."""
    policies = (4, 16, 32) if scope.quick else (4, 8, 16, 32, 64)
    dimensions = (2, 3) if scope.quick else (2, 3, 5, 7)
    spreads = (2.0, 1.0, 0.5) if scope.quick else (4.0, 2.0, 1.0, 0.5, 0.25)
    return [
        Series("policies K", {k: f"hidden-winner:{k}" for k in policies}),
        Series("dimension d", {d: f"linear-bradley-terry:8,{d},seed=1,scale=2" for d in dimensions}),
        Series(
            "narrowness, 1 / sd of the scores",
            {1 / spread: f"bradley-terry:16,spread={spread:g}" for spread in spreads},
        ),
    ]


def multiple(run: Run, result: Result, tests: int, most: float = FACTOR) -> Check:
    """Whether a procedure needs at most so many times `T* log(1 / delta)` in the mean, at the last of its levels."""
    assert result.time is not None
    multiples = result.spent(-1) / (-result.time * math.log(result.deltas[-1]))
    where = f"{run.source}; {run.procedure_name}"
    error = claims.standard_error(multiples)
    return claims.within(where, float(multiples.mean()), error, -math.inf, most, len(multiples), tests)


def slope(times: np.ndarray, samples: list[np.ndarray]) -> tuple[float, float]:
    """Of the logarithm of means of samples [n] each against that of `times` [n], and its standard error."""
    x = np.log(times) - np.log(times).mean()
    weights = x / (x**2).sum()
    errors = [claims.standard_error(each) / each.mean() for each in samples]
    return float(weights @ [math.log(each.mean()) for each in samples]), float(np.linalg.norm(weights * errors))


def _slope(results: list[Result], tests: int) -> Check:
    found = slope(np.array([result.time for result in results]), [result.spent(-1) for result in results])
    replications = len(results[0].stopping_time)
    return claims.within("all instances; slope", *found, 1 - BAND, 1 + BAND, replications, tests)


def _row(grows: str, value: float, run: Run, result: Result) -> dict:
    assert result.time is not None
    mean, low, high = mean_interval(result.spent(-1))
    return {
        "instance": run.source,
        "grows": grows,
        "value": value,
        "T*": result.time,
        "mean": mean,
        "low": low,
        "high": high,
        "bound": -result.time * math.log(result.deltas[-1]),
        "replications": len(result.stopping_time),
    }


def _drawing(rows: pl.DataFrame) -> Drawing:
    """Mean stopping time against T* log(1 / delta), and its multiple against what grows."""
    series = rows["grows"].unique(maintain_order=True).to_list()
    figure, panels = style.grid(1 + len(series), 1 + len(series), 2.1, above=0.1)
    for panel in panels:
        panel.set_xscale("log")
    ends = np.array([rows["bound"].min(), rows["bound"].max()], float)
    panels[0].set_yscale("log")
    panels[0].plot(ends, ends, color="0.2", linewidth=0.8)
    panels[0].plot(ends, FACTOR * ends, color="0.2", linewidth=0.8, linestyle=":")
    panels[0].set_title("all instances")
    panels[0].set_xlabel("T* log(1/delta)")
    panels[0].set_ylabel("mean comparisons")
    for index, (grows, panel) in enumerate(zip(series, panels[1:], strict=True)):
        mine = rows.filter(pl.col("grows") == grows)
        look = places.look(index)
        value, bound, mean, low, high = (mine[name].to_numpy() for name in ("value", "bound", "mean", "low", "high"))
        panels[0].plot(bound, mean, **{**look, "linestyle": "none"})
        panel.axhline(1, color="0.2", linewidth=0.8)
        panel.axhline(FACTOR, color="0.2", linewidth=0.8, linestyle=":")
        panel.vlines(value, low / bound, high / bound, color=look["color"], linewidth=0.8)
        panel.plot(value, mean / bound, **look)
        panel.set_ylim(0.8, FACTOR + 0.2)
        style.fixed_ticks(panel.xaxis, value.tolist(), [f"{each:g}" for each in value])
        name, _, unit = grows.partition(", ")
        panel.set_title(name)
        panel.set_xlabel(unit or name)
    panels[1].set_ylabel("mean / (T* log(1/delta))")
    for axis in (panels[0].xaxis, panels[0].yaxis):
        style.ticks_in_view(axis, 1.0)
    caption = (
        f"Mean stopping time of LLM-PO at delta = {DELTA:g}, e-process rule. Solid: T* log(1/delta). Dotted: "
        f"{FACTOR:g} times that. Bars: 95 % intervals. {rows['replications'].max():,} replications."
    )
    return Drawing(figure, caption)


DRAWINGS: dict[str, claims.Draw] = {"growth": _drawing}
