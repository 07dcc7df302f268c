"""The look that all figures share: a fixed style per sampler, one panel per stopping rule, title and footer."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from llmpo_jax.report.stored import Findings
from llmpo_jax.spaces import SPACES

DPI = 150
GREY = "0.35"
PANEL_WIDTH = 4.0
LEGEND_WIDTH = 1.9
_LETTER = 0.061
"""Inches that a letter of the footer takes, with a little to spare."""
_TITLE_LETTER = 0.085


@dataclass(frozen=True)
class Style:
    """How a sampler is drawn; `prominent` for LLM-PO itself."""

    color: str
    dashes: tuple[float, ...]
    marker: str
    prominent: bool = False

    @property
    def width(self) -> float:
        return 2.4 if self.prominent else 1.3

    @property
    def size(self) -> float:
        return 6.0 if self.prominent else 4.5

    @property
    def order(self) -> int:
        """zorder: LLM-PO above all others."""
        return 6 if self.prominent else 4

    def line(self, **more: Any) -> dict[str, Any]:
        """Keywords of a line in this style."""
        dashes = (0, self.dashes) if self.dashes else "-"
        look = {"color": self.color, "linestyle": dashes, "marker": self.marker, "linewidth": self.width}
        return {**look, "markersize": self.size, "zorder": self.order, **more}


# Okabe and Ito's palette, which colour-blind readers can tell apart, without its yellow (too faint on white).
_STYLES = {
    "llm-po": Style("#D55E00", (), "o", prominent=True),
    "llm-po-oracle": Style("#7F5539", (2, 2), "<"),
    "llm-po-d-tracking": Style("#E69F00", (5, 1.5), "s"),
    "llm-po-c-tracking": Style("#CC79A7", (3, 1, 1, 1), "D"),
    "round-robin": Style("#000000", (1, 1.2), "v"),
    "random-pair": Style("#8C8C8C", (6, 1, 1, 1, 1, 1), "^"),
    "epsilon-greedy": Style("#009E73", (4, 2), "P"),
    "thompson": Style("#0072B2", (), "X"),
    "rucb": Style("#56B4E9", (7, 2), "h"),
}
_MORE = (
    Style("#5B3A8C", (8, 2, 2, 2), ">"),
    Style("#6B8E23", (3, 3), "p"),
    Style("#B22255", (5, 2, 1, 2), "*"),
)


def sampler_styles(samplers: Sequence[str]) -> dict[str, Style]:
    """A style for each sampler: a known one always has its own, others take what is left in turn."""
    unknown = [sampler for sampler in samplers if sampler not in _STYLES]
    spare = {sampler: _MORE[index % len(_MORE)] for index, sampler in enumerate(unknown)}
    return {sampler: _STYLES.get(sampler) or spare[sampler] for sampler in samplers}


def rule_label(rule: str) -> str:
    """The stopping rule's name and what it is worth."""
    for space in SPACES.values():
        if rule in space.stopping.names():
            return f"{rule} (proven)" if space.stopping.get(rule).proven else f"{rule} (heuristic)"
    return rule


def new_figure(findings: Findings, subject: str, *, height: float, extra: float = 0.0) -> tuple[Figure, list[Axes]]:
    """A figure with one panel per stopping rule on a common vertical axis.

    Args:
        findings: what is drawn.
        subject: what the figure shows; the title adds source, K and replications.
        height: inches.
        extra: inches of width beyond the panels and the legend, for long tick labels.
    """
    count = len(findings.rules)
    figure = Figure(figsize=(PANEL_WIDTH * count + LEGEND_WIDTH + extra, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(1, count, sharey=True, squeeze=False)[0])
    for panel in panels:
        panel.xaxis.label.set_fontsize(9)
        panel.yaxis.label.set_fontsize(9)
    facts = f"{shorten(findings.source, 48)}, K = {findings.num_policies}, {_runs(findings)}"
    title = f"{subject}: {facts}"
    if len(title) * _TITLE_LETTER > PANEL_WIDTH * count:
        title = f"{subject}\n{facts}"  # so that it does not run into the legend
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    for panel, rule in zip(panels, findings.rules, strict=True):
        panel.set_title(rule_label(rule), fontsize=10, color=GREY)
        panel.tick_params(labelsize=8.5)
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_axisbelow(True)
    return figure, panels


def footer(figure: Figure, findings: Findings, table: str, note: str) -> None:
    """Say below the panels which table was drawn, from how many replications, and what the marks mean."""
    source = f"Drawn from {findings.folder}/{table}, {_runs(findings)} per sampler."
    room = int(figure.get_figwidth() / _LETTER)
    lines = [*textwrap.wrap(source, room), *textwrap.wrap(note, room)]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=7.5, color=GREY)


def _runs(findings: Findings) -> str:
    return f"{findings.replications:,} replication{'' if findings.replications == 1 else 's'}"


def legend(figure: Figure, handles: Sequence[Any], title: str | None = None) -> None:
    """One legend for all panels, beside them."""
    look: dict[str, Any] = {"fontsize": 8.5, "title_fontsize": 8.5, "frameon": False, "alignment": "left"}
    figure.legend(handles=list(handles), title=title, loc="outside right upper", handlelength=3.2, **look)


def sampler_handles(findings: Findings) -> list[Line2D]:
    """Legend entries of the samplers."""
    styles = sampler_styles(findings.samplers)
    return [Line2D([], [], label=sampler, **style.line()) for sampler, style in styles.items()]


def shorten(text: str, length: int) -> str:
    """`text`, its middle left out where it is longer than `length`."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def plain_log_ticks(axis: Axis, low: float, high: float, *, room: float = 2.2) -> None:
    """Ticks of a log axis from `low` to `high` as plain numbers: 1, 2, 5 up to `room` decades, then decades."""
    narrow = math.log10(high / low) <= room
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def level_text(delta: float) -> str:
    """An error level for people: 0.05, 1e-10."""
    return f"{delta:g}"
