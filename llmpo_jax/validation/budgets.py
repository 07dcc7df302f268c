"""C9: fixed budget. The probability of correct selection against the budget, all methods."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from llmpo_jax.engine.result import Result
from llmpo_jax.report import style
from llmpo_jax.report.style import Drawing
from llmpo_jax.spaces import SPACES, space
from llmpo_jax.theory.intervals import clopper_pearson
from llmpo_jax.validation import claims, places
from llmpo_jax.validation.claims import Check, Claim
from llmpo_jax.validation.runs import Run, Runs
from llmpo_jax.validation.scope import Scope

_BUDGETS = (50, 100, 200, 400, 800, 1600, 3200)
_TOLD = (50, 200, 800)
"""Of methods that are told their budget, which run once for each."""
_SAID = (
    "e-process statistics. Bars: exact 95 % Clopper-Pearson intervals, of llm-po only. What is recommended at a budget "
    "is one rule for all samplers, and heuristic."
)
_QUICK = {
    "unstructured": ("bradley-terry:16", "random-condorcet:16"),
    "structured": (places.LINEAR,),
}
"""Instances of a shape, which need one compilation."""
_BEHIND = 0.05
"""Probability of correct selection by which LLM-PO may lie behind a baseline at the largest budget."""


def claim(scope: Scope, runs: Runs) -> Claim:
    """C9. Of two policy spaces; a method that is told its budget is told beside the others."""
    asked = [run for assume in SPACES for run in _runs(scope, assume)]
    results = runs.all(asked)
    checks = checked(asked, results)
    table = pl.DataFrame([row for run, result in zip(asked, results, strict=True) for row in _rows(run, result)])
    return Claim(
        number="C9",
        title="At a fixed budget LLM-PO's best guess keeps up with every baseline's.",
        null=(
            f"At {_BUDGETS[-1]:,} comparisons the rate of correct selection lies at most {_BEHIND:g} behind that "
            "of each baseline (replications paired by seed, normal intervals), and it is not smaller than at "
            f"{_BUDGETS[0]}. The guess is heuristic: nothing is proven at a fixed budget."
        ),
        checks=tuple(checks),
        drawings=DRAWINGS,
        tables={"budgets": table, "efficiency": table},
    )


def _runs(scope: Scope, assume: str) -> list[Run]:
    samplers = ["llm-po", *places.baselines(scope, assume)]
    if not scope.quick:
        further = ("llm-po-budget", "sequential-halving")
        samplers += [name for name in further if name in space(assume).samplers.names()]
    return [
        Run(
            source,
            sampler,
            deltas=places.NO_LEVELS,
            budgets=_TOLD if space(assume).samplers.get(sampler).told else _BUDGETS,
            replications=places.replications(scope, 256),
            max_comparisons=_BUDGETS[-1],
            assume=assume,
        )
        for source in (_QUICK[assume] if scope.quick and not scope.sources else scope.instances(assume))
        for sampler in samplers
    ]


def checked(asked: Sequence[Run], results: Sequence[Result]) -> list[Check]:
    """LLM-PO against every other sampler that runs without a budget, and against itself at the smallest one."""
    tests = len(asked)
    mine = {run.source: result for run, result in zip(asked, results, strict=True) if run.sampler == "llm-po"}
    found = []
    for run, result in zip(asked, results, strict=True):
        if len(result.budgets) < len(_BUDGETS):
            continue
        ours = mine[run.source].correct_selection()[:, -1].astype(float)
        itself = run.sampler == "llm-po"
        theirs = result.correct_selection()[:, 0 if itself else -1]
        difference = ours - theirs
        # Where all agree nothing is seen of the spread: a disagreement in one more pair of runs bounds it.
        error = max(claims.standard_error(difference), 1 / len(difference))
        where = f"{run.source}; llm-po at {_BUDGETS[-1]} less " + (f"at {_BUDGETS[0]}" if itself else f"{run.sampler}")
        least = 0.0 if itself else -_BEHIND
        found.append(claims.within(where, float(difference.mean()), error, least, np.inf, len(difference), tests))
    return found


def _rows(run: Run, result: Result) -> list[dict]:
    rows = []
    for index, budget in enumerate(result.budgets):
        right = result.correct_selection()[:, index]
        low, high = clopper_pearson(int(right.sum()), len(right), 0.95)
        rows.append(
            {
                "instance": run.source,
                "space": result.assume,
                "sampler": result.sampler,
                "budget": budget,
                "replications": len(right),
                "rate": float(right.mean()),
                "low": low,
                "high": high,
                "per thousand": 1000 * float(right.mean()) / budget,
            }
        )
    return rows


def _drawing(table: pl.DataFrame) -> Drawing:
    """A panel for each instance, a line for each sampler."""
    figure, panels = _panels(table, "rate", "correct selection")
    for panel in panels:
        panel.set_ylim(-0.02, 1.02)
        panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return Drawing(figure, f"Probability of correct selection against the budget, {_SAID}")


def _efficiency(table: pl.DataFrame) -> Drawing:
    """The same, of correct selections for a thousand comparisons."""
    figure, panels = _panels(table, "per thousand", "correct per 1,000 comparisons")
    for panel in panels:
        panel.set_yscale("log")
        style.ticks_in_view(panel.yaxis, 1.6)
    return Drawing(figure, f"Sample efficiency: correct selections for a thousand comparisons, {_SAID}")


def _panels(table: pl.DataFrame, column: str, label: str) -> tuple[Figure, list[Axes]]:
    sources = table["instance"].unique(maintain_order=True).to_list()
    samplers = table["sampler"].unique(maintain_order=True).to_list()
    columns = min(3, len(sources))
    handles = style.sampler_handles(samplers)
    above = style.legend_height(style.WIDTHS["page"], handles)
    figure, panels = style.grid(len(sources), columns, 2.3, above)
    for panel, source in zip(panels, sources, strict=True):
        _panel(panel, table.filter(pl.col("instance") == source), samplers, column)
        panel.set_title(source)
    style.label_axes(panels, "budget [comparisons]", label)
    style.legend_above(figure, handles)
    return figure, panels


def _panel(panel: Axes, rows: pl.DataFrame, samplers: Sequence[str], column: str) -> None:
    for sampler, look in style.sampler_styles(samplers).items():
        mine = rows.filter(pl.col("sampler") == sampler)
        budget, rate = mine["budget"].to_numpy(), mine["rate"].to_numpy()
        unit = mine[column].to_numpy() / np.where(rate > 0, rate, 1)
        if look.prominent:
            low, high = (mine[end].to_numpy() * unit for end in ("low", "high"))
            panel.vlines(budget, low, high, color=look.color, linewidth=0.8)
        panel.plot(budget, mine[column].to_numpy(), **look.line())
    panel.set_xscale("log")
    style.log_ticks(panel.xaxis, _BUDGETS[0], _BUDGETS[-1], 1.4)
    panel.grid()


DRAWINGS: dict[str, claims.Draw] = {"budgets": _drawing, "efficiency": _efficiency}
