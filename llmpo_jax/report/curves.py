"""Figures with one line per sampler: correct selection against budget, ratio to the bound against the level."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from llmpo_jax.report import style
from llmpo_jax.report.stored import Findings
from llmpo_jax.theory.intervals import clopper_pearson

LEVEL = 0.95


def selection_rates(findings: Findings) -> pl.DataFrame:
    """Rate of correct selection and its exact interval: sampler, stopping, budget, rate, low, high."""
    at_budgets = findings.table.filter(pl.col("budget").is_not_null())
    keys = ["sampler", "stopping", "budget"]
    tally = at_budgets.group_by(keys).agg(right=pl.col("correct").sum(), trials=pl.col("correct").count())
    rows = [
        (*row[:3], row[3] / row[4], *clopper_pearson(int(row[3]), int(row[4]), LEVEL))
        for row in tally.sort(keys).select(*keys, "right", "trials").iter_rows()
        if row[4] > 0
    ]
    return pl.DataFrame(rows, schema=[*keys, "rate", "low", "high"], orient="row")


def correct_selection(findings: Findings) -> Figure | None:
    """Probability of correct selection against budget; None without budgets or without a winner to select."""
    if not findings.budgets or not findings.has_winner:
        return None
    rates = selection_rates(findings)
    figure, panels = style.new_figure(findings, "Probability of correct selection", height=4.3)
    for panel, rule in zip(panels, findings.rules, strict=True):
        _selection_panel(panel, rates.filter(pl.col("stopping") == rule), findings)
    panels[0].set_ylabel("probability of correct selection")
    style.legend(figure, style.sampler_handles(findings), "sampler")
    note = (
        "Bands: exact 95 % Clopper-Pearson intervals. A sampler that looks at the evidence of the stopping rule, "
        "as llm-po does in the unstructured space, chooses other pairs under another rule."
    )
    style.footer(figure, findings, "table.parquet", note)
    return figure


def _selection_panel(panel: Axes, rates: pl.DataFrame, findings: Findings) -> None:
    for sampler, look in style.sampler_styles(findings.samplers).items():
        rows = rates.filter(pl.col("sampler") == sampler).sort("budget")
        budgets = rows["budget"].to_numpy()
        every = max(1, len(budgets) // 6)
        panel.plot(budgets, rows["rate"].to_numpy(), label=sampler, **look.line(markevery=every))
        shade = 0.22 if look.prominent else 0.10
        panel.fill_between(
            budgets, rows["low"].to_numpy(), rows["high"].to_numpy(), color=look.color, alpha=shade, linewidth=0
        )
    low, high = min(findings.budgets), max(findings.budgets)
    panel.set_xscale("log")
    if low < high:
        style.plain_log_ticks(panel.xaxis, low, high)
    panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panel.set_ylim(-0.02, 1.02)
    panel.grid(color="0.9", linewidth=0.6)
    panel.set_xlabel("budget [comparisons]")


def ratio(findings: Findings) -> Figure | None:
    """Mean stopping time / (T* log(1/delta)) against log10(1/delta); None without deltas or without a bound."""
    if not findings.deltas or findings.summary["ratio"].is_null().all():
        return None
    figure, panels = style.new_figure(findings, "Mean stopping time relative to the lower bound", height=4.3)
    for panel, rule in zip(panels, findings.rules, strict=True):
        _ratio_panel(panel, findings.summary.filter(pl.col("stopping") == rule), findings)
    bottom = min(0.5, 0.8 * float(findings.summary["ratio"].min()))  # pyright: ignore[reportArgumentType]
    top = 1.3 * max(1.0, float(_scaled_interval(findings.summary)[1].max()))
    panels[0].set_ylim(bottom, top)
    style.plain_log_ticks(panels[0].yaxis, bottom, top, room=3.3)
    panels[0].set_ylabel("mean stopping time / (T* log(1/δ))")
    handles: list[Line2D | Patch] = [*style.sampler_handles(findings)]
    handles.append(Line2D([], [], color="0.2", linewidth=1, label="T* log(1/δ)"))
    handles.append(Patch(facecolor="0.9", label="below the lower bound\nT* kl(δ, 1-δ)"))
    if (findings.summary["censored"] > 0).any():
        hollow: dict[str, Any] = {
            "marker": "o",
            "markerfacecolor": "white",
            "markeredgecolor": "0.2",
            "linestyle": "none",
        }
        handles.append(Line2D([], [], label="hollow: some runs\ncensored, at least this", **hollow))
    style.legend(figure, handles, "sampler")
    note = (
        "Bars: 95 % Student intervals of the mean. Grey: below the lower bound, which no procedure with an error "
        "probability of at most δ can beat. Runs censored at the limit "
        f"of {findings.max_comparisons:,} comparisons enter at the limit."
    )
    style.footer(figure, findings, "summary.csv", note)
    return figure


def _ratio_panel(panel: Axes, rows: pl.DataFrame, findings: Findings) -> None:
    panel.set_yscale("log")
    for sampler, look in style.sampler_styles(findings.samplers).items():
        mine = rows.filter(pl.col("sampler") == sampler).sort("delta", descending=True)
        level = -np.log10(mine["delta"].to_numpy())
        value = mine["ratio"].to_numpy()
        low, high = _scaled_interval(mine)
        bars = np.maximum([value - low, high - value], 0)  # rounding
        panel.errorbar(level, value, bars, fmt="none", ecolor=look.color, capsize=3, zorder=look.order)
        panel.plot(level, value, label=sampler, **look.line(marker="none"))
        censored = mine["censored"].to_numpy() > 0
        for chosen, face in ((~censored, look.color), (censored, "white")):
            marks = look.line(linestyle="none", markerfacecolor=face, zorder=look.order + 1)
            panel.plot(level[chosen], value[chosen], **marks)
    _bound(panel, rows)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    panel.margins(x=0.06)
    panel.grid(color="0.9", linewidth=0.6)
    panel.set_xlabel("log10(1/δ)")


def _scaled_interval(rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The interval of the mean in units of T* log(1/delta), fit for a log axis; empty where it is unbounded."""
    mean, value = rows["mean"].to_numpy(), rows["ratio"].to_numpy()
    low, high = rows["mean_low"].to_numpy(), rows["mean_high"].to_numpy()
    bounded = np.isfinite(low) & np.isfinite(high)
    scale = value / mean
    return (
        np.where(bounded, np.maximum(np.where(bounded, low, 0) * scale, 1e-3 * value), value),
        np.where(bounded, np.where(bounded, high, 0) * scale, value),
    )


def _bound(panel: Axes, rows: pl.DataFrame) -> None:
    """The line at 1, and in grey what lies below T* kl(delta, 1 - delta)."""
    deltas = np.array(sorted(rows["delta"].unique(), reverse=True))
    low, high = -math.log10(deltas[0]), -math.log10(deltas[-1])
    margin = 0.06 * (high - low) or 0.5
    grid = np.linspace(max(low - margin, 0.01), high + margin, 200)
    nats = grid * math.log(10)
    chance = np.exp(-nats)
    needed = np.maximum((1 - 2 * chance) * (nats + np.log1p(-chance)) / nats, 1e-3)
    panel.fill_between(grid, 1e-3, needed, color="0.9", linewidth=0, zorder=0)
    panel.axhline(1.0, color="0.2", linewidth=1, zorder=2)
    panel.set_xlim(grid[0], grid[-1])
