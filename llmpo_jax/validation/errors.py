"""C3: every proven rule errs at most as often as its level allows, and the heuristic one is seen to err more often."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from llmpo_jax.engine.result import Result
from llmpo_jax.hunting import instances
from llmpo_jax.hunting.cells import DELTAS, LIMIT
from llmpo_jax.hunting.samplers import HOSTILE
from llmpo_jax.models import PreferenceModel, Tabular
from llmpo_jax.models.collection import UNSTRUCTURED
from llmpo_jax.protocol import Existence, StoppingRule
from llmpo_jax.report import style
from llmpo_jax.report.style import Drawing
from llmpo_jax.spaces import SPACES, space
from llmpo_jax.theory.intervals import clopper_pearson
from llmpo_jax.validation import claims, places
from llmpo_jax.validation.claims import Claim
from llmpo_jax.validation.runs import Run, Runs
from llmpo_jax.validation.scope import Scope


class _Size(NamedTuple):
    """Replications of a cell, and the comparisons at which a run is censored, which is no error."""

    replications: int
    limit: int


_QUICK = {"unstructured": _Size(1280, 5_000), "structured": _Size(256, 3_000)}
_FULL = {"unstructured": _Size(20_480, 30_000), "structured": _Size(2560, 30_000)}
_QUICK_HOSTILE = {"unstructured": _Size(5120, LIMIT // 3), "structured": _Size(512, LIMIT // 3)}
"""As many as it takes to tell rates just below the largest levels from these."""
_QUICK_MODELS = ("usurper", "hidden winner", "tie, outliers", "near duplicates, 1e-3", "killer")
"""Of the hostile instances, those that bring most errors out, in both spaces."""
_FULL_HOSTILE = {"unstructured": _Size(5120, LIMIT), "structured": _Size(2560, LIMIT)}
_QUICK_SOURCES: dict[str, tuple[str, ...]] = {"unstructured": ("cyclic:17", "hidden-winner:17"), "structured": ()}
_SOURCES = {"unstructured": UNSTRUCTURED, "structured": (places.LINEAR,)}
"""Of a full validation: the structured instance of the collection would take hours."""
_COLORS = {"e-process": "#0072B2", "stylised": "#D55E00", "kaufmann-koolen": "#CC79A7", "mixture": "#009E73"}
_BESIDE = 1.1
"""Factor of the level by which rules are drawn beside each other: less than a mark, so that none crosses the line."""
FIRST = "against-leader"
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
    stylised = SPACES["unstructured"].stopping.get("stylised")
    checks.append(stops_as_defined(stylised, runs, "round-robin, stylised"))
    rates = _rates(cells, results)
    failing = sum(not check.asserted and check.verdict == "fails" for check in checks)
    return Claim(
        number="C3",
        title="Every proven stopping rule is delta-PAC: it errs with probability at most delta.",
        null=(
            "The error rate is at most delta: exact binomial tests at every level from 0.3 to 1e-6, on instances of "
            "the collection with LLM-PO and on hostile ones with samplers made to bring errors out. A level so small "
            "that half the errors it allows could not be told from it is told and counts for nothing."
        ),
        checks=tuple(checks),
        remarks=(
            f"The heuristic rule `stylised` is told beside them and fails {failing} of its tests: it is what papers "
            "plot, and not delta-PAC.",
        ),
        drawings=DRAWINGS,
        tables={"errors": rates},
    )


def checked(cells: Sequence[tuple[Run, Result, bool]]) -> list[claims.Check]:
    """Exact tests of results at all of their levels, of which these runs and whether their rule is proven are known."""
    tests = sum(len(result.deltas) for _, result, _ in cells)
    found = []
    for run, result, proven in cells:
        where, errors = f"{run.source}; {run.procedure_name}", [int(n) for n in result.errors().sum(axis=0)]
        checks = claims.error_rates(where, errors, len(result.stopping_time), result.deltas, tests)
        found += checks if proven else map(claims.told, checks)
    return found


def stops_as_defined(rule: StoppingRule, runs: Runs, name: str) -> claims.Check:
    """Whether `stylised` stops at the comparison that its definition says, where outcomes are sure.

    Of two policies of which one always wins, after t comparisons Z = t log 2.
    """
    run = Run(Tabular([[0.5, 1.0], [0.0, 0.5]]), "round-robin", rule, DELTAS, (), 16, name="sure", procedure=name)
    t = np.arange(1, 1000)
    enough = t * math.log(2) - np.log1p(np.log(t)) >= -np.log(np.array(DELTAS))[:, None]
    expected = t[enough.argmax(axis=1)]
    off = np.abs(runs.one(run).stopping_time - expected).max()
    where = f"two policies, sure outcomes; {name}"
    return claims.exact(where, float(off), 0, expected="stops at the comparison that its definition says")


def _cells(scope: Scope, assume: str) -> Iterable[_Cell]:
    size = (_QUICK if scope.quick else _FULL)[assume]
    sources = scope.instances(assume) if scope.sources else (_QUICK_SOURCES if scope.quick else _SOURCES)[assume]
    samplers = ("llm-po", *(name for name in scope.samplers if name in space(assume).samplers.names()))
    for rule in scope.rules(assume):
        proven = space(assume).stopping.get(rule).proven
        for source in sources:
            for sampler in samplers if rule == "e-process" else samplers[:1]:
                run = Run(source, sampler, rule, DELTAS, (), *size)
                yield _Cell(run, rule, proven, hostile=False)
        if proven:
            yield from _hostile(scope, assume, rule)


def _hostile(scope: Scope, assume: str, rule: str) -> Iterable[_Cell]:
    """A proven rule on instances that were made to break one, with samplers that bring errors out."""
    size = (_QUICK_HOSTILE if scope.quick else _FULL_HOSTILE)[assume]
    rng = np.random.default_rng(scope.seed)
    names = (FIRST,) if scope.quick else tuple(HOSTILE)
    forms: dict[Existence, Mapping[str, PreferenceModel]]
    if assume == "structured":
        forms = {"assumed": instances.linear(3, 2, rng, extra=0 if scope.quick else 4)}
    else:
        forms = {"assumed": instances.with_winner(3, rng), "certify": instances.without_winner(3)}
    for existence, models in forms.items():
        for name in names:
            for where, model in models.items():
                if scope.quick and where not in _QUICK_MODELS:
                    continue
                run = Run(
                    model,
                    HOSTILE[name],
                    rule,
                    DELTAS,
                    (),
                    *size,
                    existence,
                    name=f"{assume}, K = 3, {where}",
                    procedure=f"{name}, {rule}" + (", certify" if existence == "certify" else ""),
                )
                yield _Cell(run, rule, proven=True, hostile=True)


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
    hostile = rates.filter("hostile").sort("rate", descending=True, maintain_order=True)
    worst = hostile.unique(["rule", "delta"], keep="first", maintain_order=True)
    panels = {source: rates.filter(~pl.col("hostile") & (pl.col("instance") == source)) for source in sources}
    panels |= {"worst hostile case per level": worst} if len(worst) else {}
    columns = 2 if len(panels) == 4 else min(3, len(panels))
    figure, axes = style.grid(len(panels), columns, 1.9)
    for panel, (title, rows) in zip(axes, panels.items(), strict=True):
        panel.set_title(title)
        _panel(panel, rows)
    style.label_axes(axes, "level delta", "error rate")
    rules = rates["rule"].unique(maintain_order=True).to_list()
    style.legend_above(figure, [style.handle(style.rule_label(rule), **_line(rule)) for rule in rules])
    caption = (
        "Error rate against the level delta, all rules. Below the line an error rate is what the level allows. Bars: "
        "exact 95 % intervals, all levels of a line together; where no run erred, only the upper end is drawn. Solid "
        "marks: proven rules. Rules stand beside each other at the same level. "
        f"{rates['replications'].min():,} to {rates['replications'].max():,} replications."
    )
    return Drawing(figure, caption)


def _line(rule: str, **more: Any) -> dict[str, Any]:
    return style.rule_line(rule, _COLORS.get(rule, style.GREY), **more)


def _panel(panel: Axes, rows: pl.DataFrame) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    ends = [min(DELTAS) / 2, 1]
    panel.plot(ends, ends, color="0.2", linewidth=0.8)
    rules = rows["rule"].unique(maintain_order=True).to_list()
    for index, rule in enumerate(rules):
        mine = rows.filter(pl.col("rule") == rule).sort("delta")
        delta, rate, low, high = (mine[name].to_numpy() for name in ("delta", "rate", "low", "high"))
        some = rate > 0
        beside = delta * _BESIDE ** (index - (len(rules) - 1) / 2)
        panel.vlines(beside[some], np.maximum(low[some], ends[0]), high[some], color=style.GREY, linewidth=0.8)
        panel.plot(beside[some], rate[some], **_line(rule))
        panel.plot(beside[~some], high[~some], **_line(rule, linestyle="none", marker="_"))
    panel.set_xlim(1, ends[0])
    panel.set_ylim(ends[0], 1.2)


DRAWINGS: dict[str, claims.Draw] = {"errors": _drawing}
