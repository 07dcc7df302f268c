"""What the pictures of the README share: the results of the benchmarks, and figures made of bands of panels.

Every script leaves NAME.png, .pdf and .svg at the width of a page, the same at that of a column as NAME_column, and
what stands below them in a paper as NAME.txt.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from llmpo_jax.report import figures, style

HERE = Path(__file__).parent
RESULTS = HERE.parent / "benchmarks" / "results"
GREY = style.GREY
LLM_PO = style.sampler_styles(["llm-po"])["llm-po"].color
REFERENCE: dict[str, Any] = {"color": "black", "linewidth": 0.8, "linestyle": (0, (4, 2))}
"""A line to compare with."""


class Band(NamedTuple):
    """Panels below each other and side by side, all of the same size.

    Attributes:
        draws: what draws each panel.
        height: of a panel, inches.
        columns: panels side by side in a column, and on a page.
        shared: whether all have the same axes, named at the edges only.
        handles: of a legend above them.
    """

    draws: Sequence[Callable[[Axes], None]]
    height: float
    columns: tuple[int, int] = (1, 2)
    shared: bool = False
    handles: Sequence[Any] = ()


def rows(name: str) -> list[dict]:
    """The rows of benchmarks/results/NAME.json."""
    return json.loads((RESULTS / f"{name}.json").read_text())["rows"]


def save(name: str, bands: Sequence[Band], caption: str) -> None:
    """Draw the bands at both widths and keep them beside this file."""
    with style.look():
        for width in style.WIDTHS:
            stem = name if width == "page" else f"{name}_{width}"
            figures.save_figure(_figure(bands, width), HERE, stem, ("png", "pdf", "svg"))
    figures.save_caption(caption, HERE, name)


def _figure(bands: Sequence[Band], width: str) -> Figure:
    inches = style.WIDTHS[width]
    columns = [band.columns[width == "page"] for band in bands]
    lines = [-(-len(band.draws) // across) for band, across in zip(bands, columns, strict=True)]
    heights = [
        count * band.height + (style.legend_height(inches, band.handles) if band.handles else 0)
        for band, count in zip(bands, lines, strict=True)
    ]
    figure = Figure(figsize=(inches, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(bands), 1, height_ratios=heights, squeeze=False)[:, 0]
    for band, part, count, across in zip(bands, parts, lines, columns, strict=True):
        panels = part.subplots(count, across, sharex=band.shared, sharey=band.shared, squeeze=False).ravel()
        for draw, axes in zip(band.draws, panels, strict=True):
            draw(axes)
            if band.shared:
                axes.label_outer()
        if band.handles:
            style.legend_above(part, band.handles)
    return figure


def rule_handles(rules: Sequence[str]) -> list[Any]:
    """Legend entries of the stopping rules, in the colour of LLM-PO."""
    return [style.handle(style.rule_label(rule), **style.rule_line(rule, LLM_PO)) for rule in rules]


def draw_bound(found: Sequence[dict], rules: Sequence[str], ratios: Sequence[float], axes: Axes) -> None:
    """Mean stopping time of LLM-PO in units of T* log(1 / delta) at the deltas that were run, with intervals."""
    for rule in rules:
        own = [row for row in found if row["stopping"] == rule]
        x = [-math.log10(row["delta"]) for row in own]
        axes.fill_between(x, [r["low"] for r in own], [r["high"] for r in own], color=LLM_PO, alpha=0.15, linewidth=0)
        axes.plot(x, [r["ratio"] for r in own], **style.rule_line(rule, LLM_PO))
    axes.axhline(1, **REFERENCE)
    axes.set(xscale="log", yscale="log", xlabel="δ", ylabel="ratio to bound", title=found[0]["instance"])
    levels = [delta for delta in dict.fromkeys(row["delta"] for row in found) if delta != 0.05]  # too near to 0.1
    style.fixed_ticks(axes.xaxis, [-math.log10(delta) for delta in levels], [f"{delta:g}" for delta in levels])
    style.fixed_ticks(axes.yaxis, ratios, [f"{ratio:g}" for ratio in ratios])
    axes.grid()


def draw_race(samplers: Sequence[str], rules: Sequence[str], found: Sequence[dict], right: float, axes: Axes) -> None:
    """Comparisons as a multiple of LLM-PO's, a row per sampler, in it a mark per stopping rule; hollow: at least."""
    looks = style.sampler_styles(samplers)
    for row in found:
        color, place = looks[row["sampler"]].color, rules.index(row["stopping"])
        y = samplers.index(row["sampler"]) + 0.3 * (place - (len(rules) - 1) / 2)
        marker = style.RULES[row["stopping"]][1] if len(rules) > 1 else looks[row["sampler"]].marker
        axes.plot([row["low"], row["high"]], [y, y], color=color, linewidth=1)
        face = "white" if row["censored"] else color
        axes.plot(
            row["times llm-po"], y, marker, color=color, markerfacecolor=face, markersize=3.2, markeredgewidth=0.8
        )
        if row["sampler"] != "llm-po":
            text = f"{'≥ ' if row['censored'] else ''}{row['times llm-po']:.3g}"
            axes.annotate(text, (row["high"], y), (3, 0), textcoords="offset points", va="center")
    axes.axvline(1, **REFERENCE, zorder=1)
    axes.set(xscale="log", xlim=(0.8, right), xlabel="comparisons as a multiple of LLM-PO's")
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50) if tick < right]
    style.fixed_ticks(axes.xaxis, ticks, [str(tick) for tick in ticks])
    axes.set_yticks(range(len(samplers)), samplers)
    axes.set_ylim(len(samplers) - 0.5, -0.5)
    axes.set_title(found[0]["instance"])
