"""Figures with one line per sampler: correct selection against budget, ratio to the bound against the level."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from llmpo_jax.report import style
from llmpo_jax.report.ends import End, label_ends
from llmpo_jax.report.stored import Findings
from llmpo_jax.report.style import Drawing
from llmpo_jax.theory.intervals import clopper_pearson

LEVEL = 0.95
SHOWN_BANDS = 2


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


def banded(rates: pl.DataFrame) -> list[str]:
    """The samplers whose intervals are drawn: `llm-po`, then those with the highest mean rate of correct selection."""
    means = rates.group_by("sampler").agg(pl.col("rate").mean())
    return means.sort(pl.col("sampler") != "llm-po", -pl.col("rate"), "sampler")["sampler"].head(SHOWN_BANDS).to_list()


def correct_selection(findings: Findings, width: str) -> Drawing | None:
    """Probability of correct selection against budget; None without budgets or without a winner to select.

    A panel for each stopping rule but those that are told their level: no budget is asked of them.
    """
    findings = findings.at_budgets()
    if not findings.rules or not findings.has_winner:
        return None
    rates = selection_rates(findings)
    bands = banded(rates)
    figure, panels = style.new_figure(findings.rules, width, _height(findings))
    for panel, rule in zip(panels, findings.rules, strict=True):
        _selection_lines(panel, rates.filter(pl.col("stopping") == rule), findings, bands)
    shown = [*rates["rate"], *rates.filter(pl.col("sampler").is_in(bands))["low"]]
    panels[0].set_ylim(math.floor(10 * min(shown)) / 10 - 0.02, 1.02)
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    style.label_axes(panels, "budget [comparisons]", "probability of correct selection")
    label_ends(
        figure,
        {panel: _selection_ends(findings, rates, rule) for panel, rule in zip(panels, findings.rules, strict=True)},
    )
    caption = (
        f"Probability of correct selection against the budget ({findings.setting}). "
        f"Bands, for {' and '.join(bands)} only: exact 95 % Clopper-Pearson intervals. A sampler that looks at the "
        "evidence of the stopping rule, as llm-po does in the unstructured space, chooses other pairs under another "
        f"rule. Drawn from {findings.folder}/table.parquet."
    )
    return Drawing(figure, caption)


def _selection_ends(findings: Findings, rates: pl.DataFrame, rule: str) -> list[End]:
    """At the largest budget; those best over all budgets first."""
    rows = rates.filter(pl.col("stopping") == rule).sort("budget")
    best = rows.group_by("sampler").agg(
        mean=pl.col("rate").mean(), budget=pl.col("budget").last(), rate=pl.col("rate").last()
    )
    ranked = best.sort(-pl.col("mean"), "sampler").select("sampler", "budget", "rate").rows()
    looks = style.sampler_styles(findings.samplers)
    return [End(name, looks[name], budget, rate) for name, budget, rate in ranked]


def _height(findings: Findings) -> float:
    """Inches of a panel in which all samplers' names find room below each other."""
    return max(2.0, 0.5 + style.LINE * len(findings.samplers))


def _selection_lines(panel: Axes, rates: pl.DataFrame, findings: Findings, bands: list[str]) -> None:
    looks = style.sampler_styles(findings.samplers)
    for index, (sampler, look) in enumerate(looks.items()):
        rows = rates.filter(pl.col("sampler") == sampler).sort("budget")
        budgets = rows["budget"].to_numpy()
        every = max(1, len(budgets) // 4)
        # Marks at other budgets for each sampler, so that they do not hide each other.
        panel.plot(budgets, rows["rate"].to_numpy(), label=sampler, **look.line(markevery=(index % every, every)))
        if sampler in bands:
            low, high = rows["low"].to_numpy(), rows["high"].to_numpy()
            panel.fill_between(budgets, low, high, color=look.color, alpha=0.2, linewidth=0, label=sampler)
            if len(budgets) == 1:  # of which a band shows nothing
                panel.vlines(budgets, low, high, color=look.color, linewidth=0.8)
    panel.set_xscale("log")
    panel.set_xlim(*_log_margins(min(findings.budgets), max(findings.budgets)))
    if len(findings.budgets) == 1:
        style.fixed_ticks(panel.xaxis, findings.budgets, [style.plain(budget) for budget in findings.budgets])
    else:
        style.log_ticks(panel.xaxis, *panel.get_xlim(), style.across(panel, findings.samplers))
    panel.grid()


def _log_margins(low: float, high: float) -> tuple[float, float]:
    share = (high / low) ** 0.04 if low < high else 1.2
    return low / share, high * share


def ratio(findings: Findings, width: str) -> Drawing | None:
    """Mean stopping time / (T* log(1/delta)) against delta; None without deltas or without a bound."""
    findings = findings.at_levels()
    if not findings.rules or findings.summary["ratio"].is_null().all():
        return None
    figure, panels = style.new_figure(findings.rules, width, _height(findings))
    for panel, rule in zip(panels, findings.rules, strict=True):
        _ratio_lines(panel, findings.summary.filter(pl.col("stopping") == rule), findings)
    bottom = min(0.5, 0.8 * float(findings.summary["ratio"].min()))  # pyright: ignore[reportArgumentType]
    top = 1.3 * max(1.0, float(_scaled_interval(findings.summary)[1].max()))
    panels[0].set_ylim(bottom, top)
    style.log_ticks(panels[0].yaxis, bottom, top, _height(findings) - 0.5)
    spent = "cost" if findings.unit == "cost" else "stopping time"
    style.label_axes(panels, "error level δ", f"mean {spent} / (T* log(1/δ))")
    label_ends(figure, {panel: _ratio_ends(findings, rule) for panel, rule in zip(panels, findings.rules, strict=True)})
    cut = (findings.summary["censored"] > 0).any()
    caption = (
        f"Mean {spent} in units of T* log(1/δ), against the error level δ ({findings.setting}). "
        "Bars: 95 % Student intervals of the mean. Grey: below the lower bound T* kl(δ, 1-δ), which no procedure with "
        "an error probability of at most δ can beat; it tends to the line at 1 as δ tends to 0. "
        + (f"Hollow: some runs were cut at {findings.max_comparisons:,} comparisons, at least this. " if cut else "")
        + f"Drawn from {findings.folder}/summary.csv."
    )
    return Drawing(figure, caption)


def _ratio_ends(findings: Findings, rule: str) -> list[End]:
    looks = style.sampler_styles(findings.samplers)
    rows = findings.summary.filter(pl.col("ratio").is_not_null() & (pl.col("stopping") == rule))
    last = rows.filter(pl.col("delta") == pl.col("delta").min()).select("sampler", "delta", "ratio").rows()
    return [End(name, looks[name], -math.log10(delta), value) for name, delta, value in last]


def _ratio_lines(panel: Axes, rows: pl.DataFrame, findings: Findings) -> None:
    panel.set_yscale("log")
    for sampler, look in style.sampler_styles(findings.samplers).items():
        mine = rows.filter(pl.col("sampler") == sampler).sort("delta", descending=True)
        level = -np.log10(mine["delta"].to_numpy())
        value = mine["ratio"].to_numpy()
        low, high = _scaled_interval(mine)
        bars = np.maximum([value - low, high - value], 0)  # rounding
        panel.errorbar(level, value, bars, fmt="none", ecolor=look.color, elinewidth=0.8, capsize=2, zorder=look.order)
        panel.plot(level, value, label=sampler, **look.line(marker="none"))
        censored = mine["censored"].to_numpy() > 0
        for chosen, face in ((~censored, look.color), (censored, "white")):
            marks = look.line(linestyle="none", markerfacecolor=face, zorder=look.order + 1)
            panel.plot(level[chosen], value[chosen], **marks)
    _level_axis(panel, sorted(findings.deltas, reverse=True), style.across(panel, findings.samplers))
    panel.grid()


def _level_axis(panel: Axes, deltas: list[float], room: float) -> None:
    """log10(1/delta) across, on a log scale where the levels are far apart; ticks at the deltas that were run.

    And in the panel the line at 1, and in grey what lies below T* kl(delta, 1 - delta).
    """
    places = [-math.log10(delta) for delta in deltas]
    low, high = places[0], places[-1]
    if high > 8 * low:
        panel.set_xscale("log")
        low, high = _log_margins(low, high)
    else:
        margin = 0.06 * (high - low) or 0.5
        low, high = max(low - margin, low / 2), high + margin
    panel.set_xlim(low, high)
    style.fixed_ticks(panel.xaxis, places, _where_they_fit(panel, deltas, places, room))
    grid = np.geomspace(low, high, 200)
    nats = grid * math.log(10)
    chance = np.exp(-nats)
    needed = np.maximum((1 - 2 * chance) * (nats + np.log1p(-chance)) / nats, 1e-3)
    panel.fill_between(grid, 1e-3, needed, color="0.9", linewidth=0, zorder=0)
    panel.axhline(1.0, color="0.2", linewidth=0.8, zorder=2)


def _where_they_fit(panel: Axes, deltas: list[float], places: list[float], room: float) -> list[str]:
    """The levels as labels, empty where the one before leaves no room; the last one always has its label."""
    across = room * (panel.transData + panel.transAxes.inverted()).transform([(x, 1) for x in places])[:, 0]
    labels = [f"{delta:g}" for delta in deltas]
    reach = [style.LETTER * len(label) / 2 for label in labels]
    kept, left = [""] * len(labels), math.inf
    for index in reversed(range(len(labels))):
        if across[index] + reach[index] < left:
            kept[index], left = labels[index], across[index] - reach[index]
    return kept


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
