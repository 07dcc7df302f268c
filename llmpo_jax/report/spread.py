"""Figures with one row per sampler or pair: stopping times, and where the comparisons went."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from llmpo_jax.engine.lanes import GROUPS
from llmpo_jax.report import style
from llmpo_jax.report.names import letters
from llmpo_jax.report.stored import Findings
from llmpo_jax.report.style import Drawing
from llmpo_jax.theory.intervals import mean_interval

SHOWN_RUNS = 400
"""Runs that are drawn as dots, at most."""
SHOWN_PAIRS = 16
"""Pairs that get a row of their own, at most."""
SHOWN_SHARE = 0.95
"""Of the optimum, that these pairs make up where they are few enough."""
TALLEST = 8.6
"""Inches of a figure, so that it and its caption find room on a page."""
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def stopping_time(findings: Findings, width: str) -> Drawing | None:
    """Distribution of the stopping time at the smallest delta, one box per sampler; None without deltas."""
    findings = findings.at_levels()
    if not findings.rules:
        return None
    delta = min(findings.deltas)
    runs = findings.table.filter(pl.col("delta") == delta)
    levels = findings.summary.filter(pl.col("delta") == pl.col("delta").min())
    bound, cut = levels["bound"].first(), runs["comparisons"].null_count() > 0
    handles = _stopping_handles(bound is not None, cut)
    above = style.legend_height(style.WIDTHS[width], handles)
    figure, panels = style.new_figure(findings.rules, width, 0.4 + 0.27 * len(findings.samplers), above)
    for panel, rule in zip(panels, findings.rules, strict=True):
        of_rule = pl.col("stopping") == rule
        _stopping_rows(panel, runs.filter(of_rule), levels.filter(of_rule), findings)
    panels[0].set_yticks(range(len(findings.samplers)), findings.samplers)
    panels[0].set_ylim(len(findings.samplers) - 0.4, -0.6)
    style.log_ticks(panels[0].xaxis, *panels[0].get_xlim(), style.across(panels[0], findings.samplers))
    style.label_axes(panels, f"{findings.unit} until the stop at δ = {delta:g}")
    style.legend_above(figure, handles)
    shown = min(findings.replications, SHOWN_RUNS)
    entered = "that" if findings.unit == "comparisons" else "what these cost"
    caption = (
        f"{findings.unit.capitalize()} until the stop at δ = {delta:g} ({findings.setting}). "
        f"Dots: {'every run' if shown == findings.replications else f'the first {shown} runs'}. "
        "Boxes: the middle half of the runs, with the median; lines: from the 5 % to the 95 % quantile. "
        + (f"Dashed: the lower bound of the mean, T* kl(δ, 1-δ) = {bound:,.0f}. " if bound is not None else "")
        + (
            f"Runs cut at {findings.max_comparisons:,} comparisons enter with {entered}; hollow: the mean is at least "
            "this. "
            if cut
            else ""
        )
        + f"Drawn from {findings.folder}/table.parquet and summary.csv."
    )
    return Drawing(figure, caption)


def _stopping_rows(panel: Axes, runs: pl.DataFrame, levels: pl.DataFrame, findings: Findings) -> None:
    panel.set_xscale("log")
    panel.use_sticky_edges = False  # else a box at the limit ends the axis
    limit = findings.max_comparisons
    for row, (sampler, look) in enumerate(style.sampler_styles(findings.samplers).items()):
        mine = runs.filter(pl.col("sampler") == sampler).sort("replication")
        # Of runs that were cut, only the cost stands in the table.
        spent = mine[findings.unit].fill_null(limit)
        low, first, middle, third, high = np.quantile(spent.to_numpy(), _QUANTILES)
        box = row - 0.13
        panel.hlines(box, low, high, color=look.color, linewidth=0.8 * look.width, zorder=3)
        panel.barh(box, third - first, left=first, height=0.36, color=look.color, alpha=0.35, zorder=3)
        panel.vlines(middle, box - 0.18, box + 0.18, color=look.color, linewidth=1.6, zorder=4)
        stopped = mine.head(SHOWN_RUNS).filter(pl.col("comparisons").is_not_null())[findings.unit].to_numpy()
        # Golden-ratio steps spread the dots evenly over a narrow band, the same way in every drawing.
        height = row + 0.15 + 0.22 * (np.arange(len(stopped)) * 0.6180339887 % 1)
        panel.plot(stopped, height, ".", color=look.color, markersize=1.6, alpha=0.55, markeredgewidth=0, zorder=2)
        level = levels.filter(pl.col("sampler") == sampler)
        _mean(panel, level["mean"].item(), box, level["censored"].item())
    if (levels["censored"] > 0).any():
        panel.text(1.01, 1.01, "cut", transform=panel.transAxes, color=style.GREY, va="bottom")
    bound = levels["bound"].first()
    if bound is not None:
        panel.axvline(float(bound), **_BOUND, zorder=1)  # pyright: ignore[reportArgumentType]
    panel.grid(axis="x")


_BOUND: dict[str, Any] = {"color": "0.2", "linewidth": 0.9, "linestyle": (0, (4, 2))}
_MEAN: dict[str, Any] = {"marker": "D", "color": "black", "linestyle": "none", "markersize": 3, "markeredgewidth": 0.7}


def _mean(panel: Axes, mean: float, height: float, censored: float) -> None:
    """The mean, hollow and with the censored share at the panel's right edge where runs were censored."""
    face = "white" if censored > 0 else "black"
    panel.plot(mean, height, **_MEAN, markerfacecolor=face, label="mean", zorder=7)
    if censored > 0:
        share = f"{censored:.0%}" if censored >= 0.01 else "<1%"
        panel.text(1.01, height, share, transform=panel.get_yaxis_transform(), va="center")


def _stopping_handles(bound: bool, censored: bool) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Patch(facecolor="0.7", label="middle half"),
        Line2D([], [], color="0.3", marker="|", markersize=6, markeredgewidth=1.6, linestyle="none", label="median"),
        Line2D([], [], label="mean", **_MEAN),
    ]
    if censored:
        handles.append(Line2D([], [], label="mean, at least", **_MEAN, markerfacecolor="white"))
    if bound:
        handles.append(Line2D([], [], label="lower bound (mean)", **_BOUND))
    return handles


def shown_pairs(findings: Findings, most: int) -> pl.DataFrame:
    """The pairs with a row of their own: first, second, optimal; largest optimal proportion first.

    So many that they make up `SHOWN_SHARE` of the optimum, at most `most`. Where there is no Condorcet winner, and so
    no optimal proportion, the most compared pairs.
    """
    each = findings.pairs.group_by("first", "second", maintain_order=True).agg(
        pl.col("optimal").first(), pl.col("proportion").mean()
    )
    by = "optimal" if findings.has_winner else "proportion"
    each = each.sort(by, descending=True, maintain_order=True)
    before = each[by].cum_sum() - each[by]
    return each.filter((pl.col(by) > 0) & (before < SHOWN_SHARE)).head(most).select("first", "second", "optimal")


def pair_shares(findings: Findings, pairs: pl.DataFrame) -> pl.DataFrame:
    """What is drawn: stopping, sampler, row (the pair's number, then the others'), proportion, low, high, optimal."""
    rows = pairs.drop("optimal").with_row_index("row")
    joined = findings.pairs.join(rows, on=["first", "second"], how="left")
    joined = joined.with_columns(pl.col("row").fill_null(rows.height).cast(pl.Int64))
    found = []
    for (rule, sampler), cell in joined.group_by("stopping", "sampler", maintain_order=True):
        counts = np.array(cell["groups"].to_list())
        for (row,), own in cell.with_row_index("place").group_by("row"):
            interval = share_interval(counts[own["place"].to_numpy()].sum(axis=0), counts.sum(axis=0))
            optimal = own["optimal"].sum() if findings.has_winner else None
            found.append((rule, sampler, row, own["proportion"].sum(), *interval, optimal))
    schema = {"stopping": pl.String, "sampler": pl.String, "row": pl.Int64}
    schema |= dict.fromkeys(("proportion", "low", "high", "optimal"), pl.Float64)
    return pl.DataFrame(found, schema=schema, orient="row").sort("stopping", "sampler", "row")


def share_interval(part: np.ndarray, total: np.ndarray) -> tuple[float, float]:
    """95 % interval of a share of the comparisons: Student's, of the jackknife's pseudo-values.

    Args:
        part: [G] comparisons of the pairs in question, by each group of replications.
        total: [G] comparisons of all pairs; NaN comes out where a group has none, for want of replications.
    """
    if not total.all():
        return math.nan, math.nan
    groups, share = len(part), part.sum() / total.sum()
    without = (part.sum() - part) / (total.sum() - total)
    _, low, high = mean_interval(groups * share - (groups - 1) * without)
    return max(low, 0.0), min(high, 1.0)


def pair_labels(findings: Findings, pairs: pl.DataFrame) -> tuple[str | None, list[str]]:
    """Name of the axis and labels of the rows: the other policy where all pairs have one in common."""
    both = pairs.select("first", "second").rows()
    common = set.intersection(*map(set, both)) if len(both) > 1 else set()
    if common:
        (policy,) = common
        title, labels = f"{policy} compared with", [b if a == policy else a for a, b in both]
    else:
        title, labels = None, [f"{a}\nvs {b}" if letters(a + b) > 16 else f"{a} vs {b}" for a, b in both]
    number = findings.num_policies * (findings.num_policies - 1) // 2 - len(both)
    if number:
        labels.append(f"{number:,} other pair{'' if number == 1 else 's'}")
    return title, labels


_OPTIMAL: dict[str, Any] = {"facecolor": "0.88", "edgecolor": "0.4", "linewidth": 0.6, "label": "optimal"}


def proportions(findings: Findings, width: str) -> Drawing | None:
    """Where the comparisons went until the stop at the last delta, and where they should go; None without deltas."""
    findings = findings.at_levels()
    if not findings.rules:
        return None
    handles: list[Line2D | Patch] = [*style.sampler_handles(findings.samplers, linestyle="none")]
    if findings.has_winner:
        handles.append(Patch(**_OPTIMAL))
    above = style.legend_height(style.WIDTHS[width], handles)
    stacked = len(findings.rules) if width == "column" else -(-len(findings.rules) // 2)
    row = max(2 * style.LINE + 0.04, 0.045 * len(findings.samplers) + 0.07)
    pairs = shown_pairs(findings, min(SHOWN_PAIRS, max(1, int(((TALLEST - above) / stacked - 0.5) / row) - 1)))
    title, labels = pair_labels(findings, pairs)
    if not any("\n" in label for label in labels):
        row = max(0.16, 0.045 * len(findings.samplers) + 0.07)
    figure, panels = style.new_figure(findings.rules, width, 0.3 + row * len(labels), above)
    shares = pair_shares(findings, pairs)
    for panel, rule in zip(panels, findings.rules, strict=True):
        _share_rows(panel, shares.filter(pl.col("stopping") == rule), findings, len(labels))
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)
    largest = float(np.nanmax(shares.select("proportion", "high", "optimal").to_numpy()))
    ticks = [tick for tick in (0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0) if tick <= largest * 1.1]
    panels[0].set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
    panels[0].set_xlim(0, largest * 1.08)
    level = f"δ = {findings.deltas[-1]:g}"
    style.label_axes(panels, f"share of the comparisons until {level}", title)
    style.legend_above(figure, handles)
    return Drawing(figure, _shares_caption(findings, pairs, level))


def _shares_caption(findings: Findings, pairs: pl.DataFrame, level: str) -> str:
    if findings.has_winner:
        chosen = f"the pairs that take most of the optimum, together {pairs['optimal'].sum():.1%} of it"
    else:
        chosen = "no Condorcet winner, so no optimum; the most compared pairs"
    shown = dict.fromkeys([*pairs["first"], *pairs["second"]])
    if findings.replications < GROUPS:
        intervals = f"without intervals, for which there are too few (at least {GROUPS})"
    else:
        intervals = f"with 95 % intervals (Student's, by the jackknife over {GROUPS} groups of replications)"
    full = [f"“{name}” is “{findings.full_names[name]}”" for name in shown if name in findings.full_names]
    return (
        f"Share of the comparisons that each pair took until the stop at {level} ({findings.setting}), on a "
        f"square-root scale. Rows: {chosen}. Marks: shares of the comparisons of all replications together, "
        f"{intervals}. Drawn from {findings.folder}/pairs.parquet." + (f" Names: {'; '.join(full)}." if full else "")
    )


def _share_rows(panel: Axes, shares: pl.DataFrame, findings: Findings, rows: int) -> None:
    panel.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    if findings.has_winner:
        optimal = shares.group_by("row").agg(pl.col("optimal").first()).sort("row")
        panel.barh(optimal["row"].to_numpy(), optimal["optimal"].to_numpy(), height=0.9, zorder=1, **_OPTIMAL)
    for sampler, (look, offset) in sampler_offsets(findings).items():
        mine = shares.filter(pl.col("sampler") == sampler).sort("row")
        marks = look.line(linestyle="none", markersize=0.85 * look.size)
        heights = mine["row"].to_numpy() + offset
        panel.hlines(
            heights, mine["low"].to_numpy(), mine["high"].to_numpy(), color=look.color, linewidth=0.8, zorder=3
        )
        panel.plot(mine["proportion"].to_numpy(), heights, label=sampler, **marks)
    for row in range(1, rows):
        panel.axhline(row - 0.5, color="0.85", linewidth=0.5, zorder=0)
    panel.grid(axis="x")


def sampler_offsets(findings: Findings) -> dict[str, tuple[style.Style, float]]:
    """Style of each sampler and its place within a row of height 1."""
    styles = style.sampler_styles(findings.samplers)
    places = 0.82 * ((np.arange(len(styles)) + 0.5) / len(styles) - 0.5)
    return {sampler: (look, float(place)) for (sampler, look), place in zip(styles.items(), places, strict=True)}
