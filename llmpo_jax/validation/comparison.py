"""C6: no baseline needs fewer comparisons than LLM-PO at the same level of error."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from llmpo_jax.engine.result import Result
from llmpo_jax.models.given import given
from llmpo_jax.report import style
from llmpo_jax.report.style import Drawing
from llmpo_jax.spaces import SPACES
from llmpo_jax.theory.bounds import lower_bound
from llmpo_jax.theory.intervals import clopper_pearson
from llmpo_jax.validation import claims, places
from llmpo_jax.validation.claims import Check, Claim
from llmpo_jax.validation.runs import Run, Runs
from llmpo_jax.validation.scope import Scope

DELTA = 0.05
FURTHEST = 30.0
"""Runs are cut at this multiple of the bound."""
MORE = {
    "unstructured": ("hidden-winner:16,gap=0.15", "random-condorcet:16,seed=1", "random-condorcet:16,seed=2"),
    "structured": (),
}
"""Further instances beside those of `places`; all of a space have the same K."""
MANY = {
    "unstructured": (
        *(f"bradley-terry:16,seed={seed}" for seed in (6, 8, 11)),
        *(f"random-condorcet:16,seed={seed}" for seed in (3, 4)),
        "bradley-terry-line:16",
    ),
    "structured": tuple(f"linear-bradley-terry:8,3,seed={seed},scale=2" for seed in (2, 4, 9)),
}
"""And those of a full validation."""


class Pair(NamedTuple):
    """Two procedures on an instance, by the runs to be compared, and whether it is claimed that `theirs` needs no fewer
    comparisons than `ours`."""

    theirs: Run
    ours: Run
    asserted: bool = True


def claim(scope: Scope, runs: Runs) -> Claim:
    """C6. Each cell is a baseline on an instance."""
    pairs = [pair for assume in SPACES for pair in _pairs(scope, assume)]
    checks = comparison_checks(runs, pairs)
    every = list({id(run): run for pair in pairs for run in (pair.ours, pair.theirs)}.values())
    solved = pl.concat([_solved(run, result) for run, result in zip(every, runs.all(every), strict=True)])
    return Claim(
        number="C6",
        title="LLM-PO needs no more comparisons than any baseline at the same level of error.",
        null=(
            f"The ratio of the mean stopping times of a baseline and LLM-PO, both with the e-process at {DELTA:g} and "
            "from the same seeds, is at least 1 (its logarithm by the delta method). Runs that are cut at "
            f"{FURTHEST:g} times the lower bound enter there, which makes a ratio smaller, so that none fails where a "
            "baseline was cut. Procedures of the user's are told, whatever their ratios."
        ),
        checks=checks,
        remarks=(_remark(checks),),
        drawings=DRAWINGS,
        tables={"profile": solved},
    )


def _pairs(scope: Scope, assume: str) -> list[Pair]:
    sources = list(places.instances(scope, assume))
    if not scope.sources:
        sources += [*MORE[assume], *(() if scope.quick else MANY[assume])]
    found = []
    for source in sources:
        limit = math.ceil(FURTHEST * lower_bound(source, DELTA))
        ours, *others = (
            places.until(source, name, DELTA, scope, limit) for name in ("llm-po", *places.baselines(scope, assume))
        )
        found += [Pair(run, ours, run.sampler not in scope.samplers) for run in others]
    return found


def comparison_checks(runs: Runs, pairs: Sequence[Pair]) -> tuple[Check, ...]:
    """Whether procedures need at least as many comparisons as others in the mean, at the last of their levels."""
    theirs = runs.all([pair.theirs for pair in pairs])
    ours = runs.all([pair.ours for pair in pairs])
    return tuple(_check(*each, len(pairs)) for each in zip(pairs, theirs, ours, strict=True))


def _check(pair: Pair, theirs: Result, ours: Result, tests: int) -> Check:
    a, b = theirs.spent(-1), ours.spent(-1)
    error = claims.standard_error(a / a.mean() - b / b.mean())
    where = f"{pair.theirs.source}; {pair.theirs.procedure_name} over {pair.ours.sampler}"
    check = claims.within(
        where, math.log(a.mean() / b.mean()), error, 0.0, math.inf, len(a), tests, pair.asserted, "at least 1"
    )
    if check.verdict == "fails" and (theirs.stopping_time[:, -1] < 0).any():
        check = dataclasses.replace(check, verdict="undecided")
    ends = (math.exp(value) for value in (check.estimate, check.low, check.high))
    return dataclasses.replace(check, **dict(zip(("estimate", "low", "high"), ends, strict=True)))


def _remark(checks: Sequence[Check]) -> str:
    open_ = [check for check in checks if check.asserted and check.verdict == "undecided"]
    least = min((check for check in checks if check.asserted), key=lambda check: check.estimate)
    return f"The smallest ratio is {least.estimate:.2f} ({least.where}). Of {len(checks)} ratios {len(open_)} are open."


def _solved(run: Run, result: Result) -> pl.DataFrame:
    """A row per replication: what it took at the last level as a multiple of the bound, null where it was cut."""
    bound = lower_bound(given(run.model), result.deltas[-1])
    times = result.stopping_time[:, -1]
    return pl.DataFrame(
        {
            "space": result.assume,
            "instance": run.source,
            "sampler": run.procedure or str(run.sampler),
            "multiple": [float(time) / bound if time >= 0 else None for time in times],
        }
    )


def profile(multiples: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Share of runs solved within x times the bound at each x of `places`; NaN for a run that was cut."""
    return (multiples[:, None] <= places).mean(axis=0)


def _drawing(solved: pl.DataFrame) -> Drawing:
    """Share of instances and replications solved within x times the bound, a line per sampler, a panel per space."""
    spaces = solved["space"].unique(maintain_order=True).to_list()
    samplers = solved["sampler"].unique(maintain_order=True).to_list()
    figure, panels = style.grid(len(spaces), len(spaces), 2.4, above=0.3)
    x = np.geomspace(1, FURTHEST, 200)
    for panel, space in zip(panels, spaces, strict=True):
        mine = solved.filter(pl.col("space") == space)
        number = mine["instance"].n_unique()
        panel.set_title(f"{space}: {number} instance{'s' if number > 1 else ''}")
        for (name,), runs in mine.group_by("sampler", maintain_order=True):
            look = style.sampler_styles([str(name)])[str(name)].line(marker="none")
            share = profile(runs["multiple"].fill_null(math.nan).to_numpy(), x)
            ends = [clopper_pearson(round(each * len(runs)), len(runs)) for each in share]
            panel.fill_between(x, *np.transpose(ends), color=look["color"], alpha=0.15, linewidth=0)
            panel.plot(x, share, **look)
        panel.set_xscale("log")
        panel.set_ylim(-0.02, 1.02)
        style.log_ticks(panel.xaxis, 1, FURTHEST, 2.4)
        panel.set_xlabel(f"comparisons / lower bound at delta = {DELTA:g}")
    panels[0].set_ylabel("share of runs that have stopped")
    style.legend_above(figure, style.sampler_handles(samplers, marker="none"))
    caption = (
        f"Share of runs, over all instances, that have stopped within a multiple of T* kl(delta, 1 - delta), delta = "
        f"{DELTA:g}, e-process rule. Bands: exact 95 % intervals at each point, for these instances."
    )
    return Drawing(figure, caption)


DRAWINGS: dict[str, claims.Draw] = {"profile": _drawing}
