"""C5: the proportions in which LLM-PO compares pairs become optimal ones."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import polars as pl

from llmpo_jax.engine.result import Result
from llmpo_jax.models import condorcet_winner, host_probabilities
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
        tables={"convergence": rows, "proportions": _proportions(asked, runs)},
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


def _proportions(asked: Sequence[Run], runs: Runs) -> pl.DataFrame:
    """Of every pair that the closed form is about, the optimal share of the comparisons and LLM-PO's at the last stop.

    Policies are numbered from the winner on, in the order of how often they win against it.
    """
    rows = []
    for run in asked:
        result = runs.one(dataclasses.replace(run, deltas=levels(LEAST)))
        if result.assume != "unstructured" or result.proportions is None:
            continue
        model = given(run.model)
        winner, mu = condorcet_winner(model), host_probabilities(model)
        place = np.argsort(np.argsort(np.where(np.arange(len(mu)) == winner, -1.0, mu[winner])))
        share = result.counts / result.counts.sum()
        for i, j in zip(*np.triu_indices(len(mu), 1), strict=True):
            first, second = sorted((int(place[i]), int(place[j])))
            optimal, found = float(result.proportions[i, j]), float(share[i, j])
            rows.append({"instance": run.source, "first": first, "second": second, "optimal": optimal, "share": found})
    return pl.DataFrame(rows, schema={"instance": str, "first": int, "second": int, "optimal": float, "share": float})


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
    figure, panels = style.grid(2, 2, 2.3, above=0.4)
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
            style.ticks_in_view(axis, 2.4 if axis is panel.xaxis else 1.8)
    style.legend_above(figure, [style.handle(name, **looks[name]) for name in names])
    caption = (
        "How far the mean proportions w of LLM-PO's comparisons are from optimal ones when it stops at "
        f"{', '.join(f'{stop:g}' for stop in STOPS)}. Left: the share of its efficiency that sampling by w loses, zero "
        "for every optimal w. Right: the distance from w* where that is unique. Bars: 95 % intervals from eight groups "
        "of replications."
    )
    return Drawing(figure, caption)


def _heat(rows: pl.DataFrame) -> Drawing:
    """A square for each instance: optimal proportions above the diagonal, those of the comparisons below."""
    names = rows["instance"].unique(maintain_order=True).to_list()
    figure, panels = style.grid(len(names), 2, 2.6, above=0.1)
    largest = float(np.sqrt(rows["optimal"].to_numpy().max()))
    drawn = None
    for panel, name in zip(panels, names, strict=True):
        mine = rows.filter(pl.col("instance") == name)
        first, second = mine["first"].to_numpy(), mine["second"].to_numpy()
        square = np.zeros((second.max() + 1, second.max() + 1))
        square[first, second], square[second, first] = mine["optimal"].to_numpy(), mine["share"].to_numpy()
        drawn = panel.imshow(np.sqrt(square), cmap="magma_r", vmin=0.0, vmax=largest)
        panel.set_title(name)
        for axis in (panel.xaxis, panel.yaxis):
            style.fixed_ticks(axis, range(0, len(square), 5), [f"{policy}" for policy in range(0, len(square), 5)])
        panel.set_xlabel("policy, the winner first")
        panel.set_ylabel("policy")
    if drawn is not None:
        bar = figure.colorbar(drawn, ax=panels, shrink=0.6, label="share of the comparisons")
        ticks = [share for share in (0.0, 0.01, 0.05, 0.1, 0.2, 0.4) if share <= largest**2]
        style.fixed_ticks(bar.ax.yaxis, [math.sqrt(tick) for tick in ticks], [f"{100 * tick:.0f} %" for tick in ticks])
    caption = (
        "Which pairs take the comparisons. Above the diagonal: optimal proportions; below: LLM-PO's mean proportions "
        f"when it stops at {LEAST:g}, e-process rule. Equal halves mean optimal proportions. Policies in the order of "
        "how often they lose to the winner."
    )
    return Drawing(figure, caption)


DRAWINGS: dict[str, claims.Draw] = {"convergence": _drawing, "proportions": _heat}
