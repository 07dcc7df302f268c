"""Figures with one row per sampler or pair: stopping times, and where the comparisons went."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from llmpo_jax.report import style
from llmpo_jax.report.stored import Findings

SHOWN_RUNS = 400
"""Runs that are drawn as dots, at most."""
SHOWN_PAIRS = 10
"""Pairs that get a row of their own, at most."""
OTHER_PAIRS = "all other pairs"
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def stopping_time(findings: Findings) -> Figure | None:
    """Distribution of the stopping time at the smallest delta, one box per sampler; None without deltas."""
    if not findings.deltas:
        return None
    delta = min(findings.deltas)
    runs = findings.table.filter(pl.col("delta") == delta)
    levels = findings.summary.filter(pl.col("delta") == pl.col("delta").min())
    subject = f"Stopping time at δ = {style.level_text(delta)}"
    height = 1.9 + 0.42 * len(findings.samplers)
    figure, panels = style.new_figure(findings, subject, height=max(height, 3.6), extra=1.2)
    for panel, rule in zip(panels, findings.rules, strict=True):
        of_rule = pl.col("stopping") == rule
        _stopping_panel(panel, runs.filter(of_rule), levels.filter(of_rule), findings)
    panels[0].set_yticks(range(len(findings.samplers)), findings.samplers)
    panels[0].set_ylim(len(findings.samplers) - 0.4, -0.6)
    _common_time_axis(panels)
    style.legend(figure, _stopping_handles(levels, runs["comparisons"].null_count() > 0))
    style.footer(figure, findings, "table.parquet (means and bound: summary.csv)", _stopping_note(findings, runs))
    return figure


def _stopping_note(findings: Findings, runs: pl.DataFrame) -> str:
    shown = min(findings.replications, SHOWN_RUNS)
    dots = "every run" if shown == findings.replications else f"the first {shown} runs"
    note = f"Dots: {dots}. Whiskers: 5 % and 95 % quantiles."
    if runs["comparisons"].null_count() > 0:
        note += (
            f" Runs censored at the limit of {findings.max_comparisons:,} comparisons enter at the limit; "
            "the mean is then at least what is shown."
        )
    return note


def _stopping_panel(panel: Axes, runs: pl.DataFrame, levels: pl.DataFrame, findings: Findings) -> None:
    panel.set_xscale("log")
    panel.use_sticky_edges = False  # else a box at the limit ends the axis
    limit = findings.max_comparisons
    for row, (sampler, look) in enumerate(style.sampler_styles(findings.samplers).items()):
        times = runs.filter(pl.col("sampler") == sampler).sort("replication")["comparisons"]
        low, first, middle, third, high = np.quantile(times.fill_null(limit).to_numpy(), _QUANTILES)
        box = row - 0.13
        panel.hlines(box, low, high, color=look.color, linewidth=look.width, zorder=3)
        panel.barh(box, third - first, left=first, height=0.36, color=look.color, alpha=0.35, zorder=3)
        panel.vlines(middle, box - 0.18, box + 0.18, color=look.color, linewidth=2.2, zorder=4)
        stopped = times.head(SHOWN_RUNS).drop_nulls().to_numpy()
        # Golden-ratio steps spread the dots evenly over a narrow band, the same way in every drawing.
        height = row + 0.15 + 0.22 * (np.arange(len(stopped)) * 0.6180339887 % 1)
        panel.plot(stopped, height, ".", color=look.color, markersize=2.6, alpha=0.55, markeredgewidth=0, zorder=2)
        level = levels.filter(pl.col("sampler") == sampler)
        _mean(panel, level["mean"].item(), box, level["censored"].item())
    if (levels["censored"] > 0).any():
        panel.text(1.0, 1.005, "censored", transform=panel.transAxes, fontsize=8, color=style.GREY, va="bottom")
    bound = levels["bound"].first()
    if bound is not None:
        panel.axvline(float(bound), color="0.2", linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)  # pyright: ignore
    panel.grid(axis="x", color="0.9", linewidth=0.6)
    panel.set_xlabel("stopping time [comparisons]")


def _mean(panel: Axes, mean: float, height: float, censored: float) -> None:
    """The mean, hollow and with the censored share at the panel's right edge where runs were censored."""
    face = "white" if censored > 0 else "black"
    panel.plot(mean, height, "D", color="black", markerfacecolor=face, markersize=4.5, label="mean", zorder=7)
    if censored > 0:
        share = f"{censored:.0%}" if censored >= 0.01 else "<1%"
        panel.text(1.01, height, share, transform=panel.get_yaxis_transform(), fontsize=8, va="center")


def _common_time_axis(panels: list[Axes]) -> None:
    """The same times in all panels, so that they can be compared across stopping rules."""
    limits = [panel.get_xlim() for panel in panels]
    low, high = min(limit[0] for limit in limits), max(limit[1] for limit in limits)
    for panel in panels:
        panel.set_xlim(low, high)
        style.plain_log_ticks(panel.xaxis, low, high)


def _stopping_handles(levels: pl.DataFrame, censored: bool) -> list[Line2D | Patch]:
    mark: dict[str, Any] = {"marker": "D", "color": "black", "linestyle": "none", "markersize": 4.5}
    handles: list[Line2D | Patch] = [
        Patch(facecolor="0.7", label="middle half of the runs"),
        Line2D([], [], color="0.3", marker="|", markersize=9, markeredgewidth=2, linestyle="none", label="median"),
        Line2D([], [], label="mean", **mark),
    ]
    if censored:
        handles.append(Line2D([], [], label="mean, at least", **mark, markerfacecolor="white"))
    bound = levels["bound"].first()
    if bound is not None:
        label = f"lower bound of the mean,\nT* kl(δ, 1-δ) = {bound:,.0f}"
        handles.append(Line2D([], [], color="0.2", linewidth=1.2, linestyle=(0, (4, 2)), label=label))
    return handles


def shown_pairs(findings: Findings) -> pl.DataFrame:
    """The pairs with a row of their own: first, second, optimal; largest optimal proportion first.

    Where there is no Condorcet winner, and so no optimal proportion, the most compared pairs.
    """
    each = findings.pairs.group_by("first", "second", maintain_order=True).agg(
        pl.col("optimal").first(), pl.col("proportion").mean()
    )
    if findings.has_winner:
        each = each.filter(pl.col("optimal") > 0).sort("optimal", descending=True, maintain_order=True)
    else:
        each = each.sort("proportion", descending=True, maintain_order=True)
    return each.head(SHOWN_PAIRS).select("first", "second", "optimal")


def pair_shares(findings: Findings) -> pl.DataFrame:
    """What is drawn: sampler, stopping, row (the pair's number, then the others'), proportion, optimal."""
    rows = shown_pairs(findings).drop("optimal").with_row_index("row")
    joined = findings.pairs.join(rows, on=["first", "second"], how="left")
    joined = joined.with_columns(pl.col("row").fill_null(rows.height).cast(pl.Int64))
    optimal = pl.col("optimal").sum() if findings.has_winner else pl.lit(None, pl.Float64)
    keys = ["stopping", "sampler", "row"]
    return joined.group_by(keys).agg(pl.col("proportion").sum(), optimal.alias("optimal")).sort(keys)


def proportions(findings: Findings) -> Figure | None:
    """Where the comparisons went until the stop at the last delta, and where they should go; None without deltas."""
    if not findings.deltas:
        return None
    shares = pair_shares(findings)
    pairs = shown_pairs(findings)
    labels = [f"{style.shorten(a, 20)} vs {style.shorten(b, 20)}" for a, b in pairs.select("first", "second").rows()]
    if shares["row"].max() == pairs.height:
        labels.append(OTHER_PAIRS)
    subject = f"Share of the comparisons until the stop at δ = {style.level_text(findings.deltas[-1])}"
    row_height = max(0.3, 0.075 * len(findings.samplers))
    extra = min(0.4 + 0.07 * max(map(len, labels)), 3.0)
    figure, panels = style.new_figure(findings, subject, height=max(1.9 + row_height * len(labels), 3.6), extra=extra)
    for panel, rule in zip(panels, findings.rules, strict=True):
        _shares_panel(panel, shares.filter(pl.col("stopping") == rule), findings, len(labels))
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)
    handles: list[Line2D | Patch] = [
        Line2D([], [], label=sampler, **look.line(linestyle="none"))
        for sampler, look in style.sampler_styles(findings.samplers).items()
    ]
    if findings.has_winner:
        handles.append(Patch(facecolor="0.88", edgecolor="0.4", label="optimal"))
    style.legend(figure, handles, "sampler")
    style.footer(figure, findings, "pairs.parquet", _shares_note(findings))
    return figure


def _shares_note(findings: Findings) -> str:
    if findings.has_winner:
        chosen = "Pairs with the largest optimal proportion."
    else:
        chosen = "No Condorcet winner, so no optimal proportions: the most compared pairs."
    return f"{chosen} Shares of the mean counts of all replications."


def _shares_panel(panel: Axes, shares: pl.DataFrame, findings: Findings, rows: int) -> None:
    panel.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    if findings.has_winner:
        optimal = shares.group_by("row").agg(pl.col("optimal").first()).sort("row")
        panel.barh(
            optimal["row"].to_numpy(),
            optimal["optimal"].to_numpy(),
            height=0.9,
            facecolor="0.88",
            edgecolor="0.4",
            linewidth=0.9,
            zorder=1,
            label="optimal",
        )
    styles = sampler_offsets(findings)
    for sampler, (look, offset) in styles.items():
        mine = shares.filter(pl.col("sampler") == sampler).sort("row")
        height = mine["row"].to_numpy() + offset
        panel.plot(
            mine["proportion"].to_numpy(),
            height,
            label=sampler,
            **look.line(linestyle="none", markersize=0.85 * look.size),
        )
    for row in range(1, rows):
        panel.axhline(row - 0.5, color="0.85", linewidth=0.6, zorder=0)
    largest = float(np.nanmax([shares["proportion"].max(), shares["optimal"].max() or 0.0]))  # pyright: ignore
    ticks = [tick for tick in (0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if tick <= largest * 1.1]
    panel.set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
    panel.set_xlim(0, largest * 1.08)
    panel.grid(axis="x", color="0.92", linewidth=0.6)
    panel.set_xlabel("share of the comparisons (square-root scale)")


def sampler_offsets(findings: Findings) -> dict[str, tuple[style.Style, float]]:
    """Style of each sampler and its place within a row of height 1."""
    styles = style.sampler_styles(findings.samplers)
    places = 0.82 * ((np.arange(len(styles)) + 0.5) / len(styles) - 0.5)
    return {sampler: (look, float(place)) for (sampler, look), place in zip(styles.items(), places, strict=True)}
