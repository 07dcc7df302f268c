"""C3: every proven rule errs at most as often as its level allows, and the heuristic one is seen to err more often."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from llmpo_jax.engine.result import Result
from llmpo_jax.hunting import instances
from llmpo_jax.hunting.cells import DELTAS, LIMIT
from llmpo_jax.hunting.samplers import HOSTILE
from llmpo_jax.models import PreferenceModel
from llmpo_jax.protocol import Existence
from llmpo_jax.report import style
from llmpo_jax.report.style import Drawing
from llmpo_jax.spaces import SPACES, space
from llmpo_jax.theory.intervals import clopper_pearson
from llmpo_jax.validation import claims
from llmpo_jax.validation.claims import Claim
from llmpo_jax.validation.runs import Run, Runs
from llmpo_jax.validation.scope import Scope

_LONG = 30_000
"""Comparisons at which a run on one of the collection's instances is censored, which is no error."""
_FIRST = "against-leader"
"""The hostile sampler of a quick validation."""


class _Cell(NamedTuple):
    """A rule in one place. `hostile`: whether the place was made to break it."""

    run: Run
    rule: str
    proven: bool
    hostile: bool


def claim(scope: Scope, runs: Runs) -> Claim:
    """C3. Each cell is an instance, a sampler and a rule; each level of it a test."""
    cells = [cell for assume in SPACES for cell in _cells(scope, assume)]
    results = runs.all([cell.run for cell in cells])
    checks = checked([(cell.run, result, cell.proven) for cell, result in zip(cells, results, strict=True)])
    rates = _rates(cells, results)
    failing = sum(not check.asserted and check.verdict == "fails" for check in checks)
    return Claim(
        number="C3",
        title="Every proven stopping rule is delta-PAC: it errs with probability at most delta.",
        null=(
            "The error rate is at most delta: exact binomial tests at every level from 0.3 to 1e-6, on instances of "
            "the collection with LLM-PO and on hostile ones with samplers made to bring errors out. A level so small "
            "that not even a run without errors would decide it is told and counts for nothing."
        ),
        checks=checks,
        remarks=(
            f"The heuristic rule `stylised` is told beside them and fails {failing} of its tests: it is what papers "
            "plot, and not delta-PAC.",
        ),
        drawings={"errors": _drawing(rates)},
        tables={"errors": rates},
    )


def checked(cells: Sequence[tuple[Run, Result, bool]]) -> tuple[claims.Check, ...]:
    """Exact tests of results at all of their levels, of which these runs and whether their rule is proven are known."""
    tests = sum(len(result.deltas) for _, result, _ in cells)
    found = []
    for run, result, proven in cells:
        for level in result.summary():
            # No number of replications at hand could tell so small a level from a rate of zero.
            decidable = clopper_pearson(0, level.replications, 1 - claims.FALSE_ALARM / tests)[1] <= level.delta
            check = claims.error_rate(
                f"{run.source}; {run.procedure_name}; delta = {level.delta:g}",
                level.errors,
                level.replications,
                level.delta,
                tests,
            )
            asserted = proven and (decidable or check.verdict == "fails")
            found.append(dataclasses.replace(check, asserted=asserted))
    return tuple(found)


def _cells(scope: Scope, assume: str) -> Iterable[_Cell]:
    replications = scope.replications(512, 20_000)
    samplers = ("llm-po", *(name for name in scope.samplers if name in space(assume).samplers.names()))
    for rule in scope.rules(assume):
        proven = space(assume).stopping.get(rule).proven
        for source in scope.instances(assume):
            for sampler in samplers if rule == "e-process" else samplers[:1]:
                run = Run(source, sampler, rule, DELTAS, (), replications, _LONG)
                yield _Cell(run, rule, proven, hostile=False)
        yield from _hostile(scope, assume, rule, proven, replications)


def _hostile(scope: Scope, assume: str, rule: str, proven: bool, replications: int) -> Iterable[_Cell]:
    """A rule on instances that were made to break one, with samplers that bring errors out."""
    if not proven:
        return
    rng = np.random.default_rng(scope.seed)
    names = (_FIRST,) if scope.quick else tuple(HOSTILE)
    forms: dict[Existence, Mapping[str, PreferenceModel]]
    if assume == "structured":
        forms = {"assumed": instances.linear(3, 2, rng, extra=0 if scope.quick else 4)}
    else:
        forms = {"assumed": instances.with_winner(3, rng), "certify": instances.without_winner(3)}
    for existence, models in forms.items():
        for name in names:
            for where, model in models.items():
                run = Run(
                    model,
                    HOSTILE[name],
                    rule,
                    DELTAS,
                    (),
                    replications,
                    LIMIT,
                    existence,
                    name=f"{assume}, K = 3, {where}",
                    procedure=f"{name}, {rule}" + (", certify" if existence == "certify" else ""),
                )
                yield _Cell(run, rule, proven, hostile=True)


def _rates(cells: Sequence[_Cell], results: Sequence[Result]) -> pl.DataFrame:
    """Error rates with intervals at 95 %, all levels of a cell together: a row per cell and level."""
    rows = []
    for cell, result in zip(cells, results, strict=True):
        for level in result.summary():
            low, high = clopper_pearson(level.errors, level.replications, 1 - 0.05 / len(result.deltas))
            rows.append(
                {
                    "instance": cell.run.source,
                    "procedure": cell.run.procedure_name,
                    "rule": cell.rule,
                    "proven": cell.proven,
                    "hostile": cell.hostile,
                    "delta": level.delta,
                    "errors": level.errors,
                    "replications": level.replications,
                    "rate": level.error_rate,
                    "low": low,
                    "high": high,
                    "censored": level.censored,
                }
            )
    return pl.DataFrame(rows)


def _drawing(rates: pl.DataFrame) -> Drawing:
    """Error rate against delta: a panel per instance of the collection, one for the worst of the hostile ones."""
    sources = rates.filter(~pl.col("hostile"))["instance"].unique(maintain_order=True).to_list()
    worst = rates.filter("hostile").sort("rate", descending=True).unique(["rule", "delta"], keep="first")
    panels = {source: rates.filter(~pl.col("hostile") & (pl.col("instance") == source)) for source in sources}
    panels |= {"the worst hostile instance at each level": worst} if len(worst) else {}
    lines = -(-len(panels) // 3)
    figure, axes = style.grid(lines, min(3, len(panels)), 1.9)
    for panel, (title, rows) in zip(axes, panels.items(), strict=False):
        panel.set_title(title)
        _panel(panel, rows)
    rules = rates["rule"].unique(maintain_order=True).to_list()
    style.legend_above(
        figure, [style.handle(style.rule_label(rule), **style.rule_line(rule, style.GREY)) for rule in rules]
    )
    caption = (
        "Error rate against the level delta, all rules. Below the line an error rate is what the level allows. Bars: "
        "exact 95 % intervals, all levels of a line together; where no run of "
        f"{rates['replications'].max():,} erred, only the upper end is drawn. Solid marks: proven rules."
    )
    return Drawing(figure, caption)


def _panel(panel: Axes, rows: pl.DataFrame) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    ends = [min(DELTAS) / 2, 1]
    panel.plot(ends, ends, color="0.2", linewidth=0.8)
    for rule in rows["rule"].unique(maintain_order=True):
        mine = rows.filter(pl.col("rule") == rule).sort("delta")
        delta, rate, low, high = (mine[name].to_numpy() for name in ("delta", "rate", "low", "high"))
        some = rate > 0
        panel.vlines(delta, np.maximum(low, ends[0]), high, color=style.GREY, linewidth=0.8)
        panel.plot(delta[some], rate[some], **style.rule_line(rule, style.GREY))
        panel.plot(delta[~some], high[~some], **style.rule_line(rule, style.GREY, linestyle="none", marker="_"))
    panel.set_xlim(1, ends[0])
    panel.set_ylim(ends[0], 1.2)
