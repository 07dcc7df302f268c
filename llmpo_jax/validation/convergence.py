"""C5: the proportions in which LLM-PO compares pairs become optimal ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import cast

import numpy as np
import polars as pl

from llmpo_jax.engine.result import Result
from llmpo_jax.models.given import given
from llmpo_jax.protocol import SpaceName
from llmpo_jax.report import style
from llmpo_jax.report.style import Drawing
from llmpo_jax.spaces import SPACES
from llmpo_jax.theory.allocation import time_of
from llmpo_jax.validation import claims, places
from llmpo_jax.validation.claims import Check, Claim
from llmpo_jax.validation.places import LEAST, levels
from llmpo_jax.validation.runs import Run, Runs
from llmpo_jax.validation.scope import Scope

STOPS = (1e-2, 1e-5, 1e-10, 1e-25, LEAST)
"""Levels at whose stops proportions are looked at."""
LOST = 0.3
"""Share of the efficiency that may be lost at the last stop: what was compared at the start still counts there."""


def claim(scope: Scope, runs: Runs) -> Claim:
    """C5. Each cell is an instance; the runs are those of C4, stopped at five levels."""
    asked = [
        places.until(source, "llm-po", LEAST, scope) for assume in SPACES for source in places.instances(scope, assume)
    ]
    checks, rows = convergence_checks(runs, asked)
    return Claim(
        number="C5",
        title="The proportions in which LLM-PO compares pairs become optimal.",
        null=(
            "The efficiency that the mean proportions w of all comparisons so far lose against optimal ones, "
            f"1 - T* / T(w), is at most {LOST:g} at the stop at {LEAST:g}, and in the mean of all instances less than "
            f"at the stop at {STOPS[0]:g}. It is zero for every optimal w, be there one or many. Errors come from "
            "eight groups of replications."
        ),
        checks=checks,
        remarks=(
            "Where the optimal proportions are unique (unstructured, but for opponents that are equally tough) their "
            "distance in total variation is drawn as well.",
        ),
        drawings=DRAWINGS,
        tables={"convergence": rows},
    )


def convergence_checks(runs: Runs, asked: Sequence[Run]) -> tuple[tuple[Check, ...], pl.DataFrame]:
    """Whether procedures lose little at the last of `STOPS` and less than at the first; and a row per run and stop.

    Args:
        asked: runs whose own levels are of no account.
    """
    every = [dataclasses.replace(run, deltas=levels(stop)) for run in asked for stop in STOPS]
    results = runs.all(every)
    parts = [results[begin : begin + len(STOPS)] for begin in range(0, len(results), len(STOPS))]
    lost = [[_lost(run, result) for result in stops] for run, stops in zip(asked, parts, strict=True)]
    rows = [
        _row(run, result, *each)
        for run, stops, found in zip(asked, parts, lost, strict=True)
        for result, each in zip(stops, found, strict=True)
    ]
    tests = len(asked) + 1
    checks = [
        _check(f"{run.source}; {run.procedure_name}; lost at {LEAST:g}", *found[-1], (-np.inf, LOST), run, tests)
        for run, found in zip(asked, lost, strict=True)
    ]
    drop = np.mean([found[0][0] - found[-1][0] for found in lost])
    each = np.mean([found[0][1] - found[-1][1] for found in lost], axis=0)
    where = f"all instances; lost at {STOPS[0]:g} less lost at {LEAST:g}"
    checks.append(_check(where, float(drop), each, (0.0, np.inf), asked[0], tests))
    return tuple(checks), pl.DataFrame(rows)


def _check(where: str, value: float, groups: np.ndarray, ends: tuple[float, float], run: Run, tests: int) -> Check:
    error = claims.standard_error(groups)
    return claims.within(where, value, error, *ends, run.replications, tests, freedom=len(groups) - 1)


def _lost(run: Run, result: Result) -> tuple[float, np.ndarray]:
    """The efficiency lost by the mean proportions, and by those of each group of replications."""
    assert result.time is not None
    time, model, space = result.time, given(run.model), cast(SpaceName, result.assume)
    groups = [1 - time / time_of(model, group, space) for group in result.group_counts if group.any()]
    return 1 - time / time_of(model, result.counts, space), np.array(groups)


def _row(run: Run, result: Result, lost: float, groups: np.ndarray) -> dict:
    assert result.proportions is not None
    error = 1.96 * claims.standard_error(groups)
    apart = _distance(result.counts, result.proportions)
    spread = 1.96 * claims.standard_error(
        np.array([_distance(group, result.proportions) for group in result.group_counts if group.any()])
    )
    unique = result.assume == "unstructured" and not _tied(result.proportions)
    return {
        "instance": run.source,
        "space": result.assume,
        "sampler": run.procedure or str(run.sampler),
        "delta": result.deltas[-1],
        "comparisons": float(result.counts.sum()),
        "lost": lost,
        "lost low": lost - error,
        "lost high": lost + error,
        "distance": apart if unique else None,
        "distance low": apart - spread if unique else None,
        "distance high": apart + spread if unique else None,
    }


def _distance(counts: np.ndarray, proportions: np.ndarray) -> float:
    """In total variation."""
    return float(np.abs(counts / counts.sum() - proportions).sum() / 2)


def _tied(proportions: np.ndarray) -> bool:
    """Whether some policy has several toughest opponents: then more pairs are in use than there are rivals."""
    return int((proportions > 0).sum()) > len(proportions) - 1


def _drawing(rows: pl.DataFrame) -> Drawing:
    """Lost efficiency, and distance where it means something, against comparisons, both axes logarithmic."""
    names = rows["instance"].unique(maintain_order=True).to_list()
    looks = {name: places.look(index) for index, name in enumerate(names)}
    figure, panels = style.grid(1, 2, 2.3, above=0.4)
    titles = {"lost": "efficiency lost, 1 - T* / T(w)", "distance": "distance of w from w*, total variation"}
    for panel, (column, title) in zip(panels, titles.items(), strict=True):
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlabel("mean comparisons until the stop")
        panel.set_ylabel(title)
        some = rows.filter(pl.col(column).is_not_null())
        for (name,), line in some.group_by("instance", maintain_order=True):
            t, value, low, high = (
                line[each].to_numpy() for each in ("comparisons", column, f"{column} low", f"{column} high")
            )
            panel.vlines(t, np.maximum(low, value / 10), high, color=looks[str(name)]["color"], linewidth=0.8)
            panel.plot(t, value, **looks[str(name)])
        for axis in (panel.xaxis, panel.yaxis):
            low, high = axis.get_view_interval()
            style.log_ticks(axis, float(low), float(high), 2.4 if axis is panel.xaxis else 1.8)
    style.legend_above(figure, [style.handle(name, **looks[name]) for name in names])
    caption = (
        "How far the mean proportions w of LLM-PO's comparisons are from optimal ones when it stops at "
        f"{', '.join(f'{stop:g}' for stop in STOPS)}. Left: the share of its efficiency that sampling by w loses, zero "
        "for every optimal w. Right: the distance from w* where that is unique. Bars: 95 % intervals from eight groups "
        "of replications."
    )
    return Drawing(figure, caption)


DRAWINGS: dict[str, claims.Draw] = {"convergence": _drawing}
