"""The look that all figures share: sizes and fonts, a fixed style per sampler and per stopping rule, axes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, LogFormatterSciNotation, MaxNLocator, NullLocator

from llmpo_jax.spaces import SPACES

WIDTHS = {"column": 3.4, "page": 7.0}
"""Inches at which a figure is printed; nothing is scaled afterwards."""
FONT = "DejaVu Sans"
"""Comes with matplotlib, so that figures are the same everywhere."""
POINTS = 7.0
"""Size of all text but the titles of panels."""
LETTER = 0.6 * POINTS / 72
"""Inches that a letter takes, with a little to spare."""
LINE = 1.25 * POINTS / 72
"""Inches that a line of text takes."""
GREY = "0.35"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_LOOK: dict[str, Any] = {
    "font.size": POINTS,
    "axes.titlesize": POINTS + 0.5,
    "axes.titlecolor": GREY,
    "axes.titlepad": 4,
    "axes.labelsize": POINTS,
    "xtick.labelsize": POINTS,
    "ytick.labelsize": POINTS,
    "legend.fontsize": POINTS,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "savefig.dpi": 300,
    "text.parse_math": False,  # a name with dollar signs is no formula
    "pdf.fonttype": 42,  # text stays text, in TrueType
    "svg.fonttype": "path",  # looks the same wherever it is opened
    "svg.hashsalt": "llmpo-jax",
}


def look(families: Sequence[str] = (), width: str = "page") -> AbstractContextManager[None]:
    """Within this, figures are made and saved in the look of this module, whatever the user's settings are.

    Args:
        families: fonts for what `FONT` has no glyphs for.
        width: "column" or "page", of a `grid`.
    """
    size = (WIDTHS[width], WIDTHS[width] / 2)
    return matplotlib.style.context(["default", {**_LOOK, "figure.figsize": size, "font.family": [FONT, *families]}])


class Drawing(NamedTuple):
    """A picture, and what stands below it in a paper."""

    figure: Figure
    caption: str


@dataclass(frozen=True)
class Style:
    """How a sampler is drawn; `prominent` for LLM-PO itself."""

    color: str
    dashes: tuple[float, ...]
    marker: str
    prominent: bool = False

    @property
    def width(self) -> float:
        return 1.6 if self.prominent else 0.9

    @property
    def size(self) -> float:
        return 4.0 if self.prominent else 3.4

    @property
    def order(self) -> int:
        """zorder: LLM-PO above all others."""
        return 6 if self.prominent else 4

    def line(self, **more: Any) -> dict[str, Any]:
        """Keywords of a line in this style."""
        look = {"color": self.color, "linestyle": _dashes(self.dashes), "marker": self.marker, "linewidth": self.width}
        return {**look, "markersize": self.size, "markeredgewidth": 0.7, "zorder": self.order, **more}


def _dashes(dashes: tuple[float, ...]) -> Any:
    return (0, dashes) if dashes else "-"


# Okabe and Ito's palette, which colour-blind readers can tell apart, without its yellow and with a darker sky blue
# (both too faint on white); what it has no colour for was chosen to stay apart from it under deuteranopia, protanopia
# and tritanopia. Dashes and markers tell them apart in grey.
_STYLES = {
    "llm-po": Style("#D55E00", (), "o", prominent=True),
    "llm-po-budget": Style("#A33B00", (4, 1), "p"),
    "llm-po-oracle": Style("#6B4226", (2, 2), "<"),
    "llm-po-d-tracking": Style("#E69F00", (5, 1.5), "s"),
    "llm-po-c-tracking": Style("#CC79A7", (3, 1, 1, 1), "D"),
    "round-robin": Style("#000000", (1, 1.2), "v"),
    "random-pair": Style("#6A5F78", (6, 1, 1, 1, 1, 1), "^"),
    "epsilon-greedy": Style("#009E73", (4, 2), "P"),
    "thompson": Style("#0072B2", (), "X"),
    "rucb": Style("#3A98E6", (7, 2), "h"),
    "sequential-halving": Style("#5B3FA0", (2, 1, 1, 1), "d"),
    "double-thompson": Style("#1B2A7A", (9, 1.5), "p"),
    "top-two-thompson": Style("#00A6A6", (2.5, 1), "*"),
    "rmed1": Style("#8F8A00", (6, 2, 2, 2), "d"),
    "beat-the-mean": Style("#B2182B", (4, 1, 1, 1, 1, 1), ">"),
    "swiss": Style("#9E9E9E", (1, 2.5), "8"),
    "dkwt": Style("#7A7A00", (1, 1, 4, 1), "H"),
    "g-optimal": Style("#B8900F", (2, 1, 1, 1), "H"),
    "rage-glm": Style("#B0508A", (3, 2, 1, 2), "P"),
}
# Of numbers without a common factor, so that 60 unknown samplers all differ.
_MORE_COLORS = ("#690BAC", "#93753E", "#720D3A")
_MORE_DASHES = ((8, 2, 2, 2), (3, 3), (5, 2, 1, 2), (2, 1))
_MORE_MARKERS = (">", "p", "*", "d", "8")

RULES: dict[str, tuple[tuple[float, ...], str]] = {
    "e-process": ((), "o"),
    "kaufmann-koolen": ((6, 1.5), "^"),
    "mixture": ((6, 1.5, 1, 1.5), "D"),
    "stylised": ((1.5, 1.2), "s"),
    "dkwt": ((3, 1, 1, 1), "v"),
}
"""Dashes and marker of the stopping rules, for where one colour stands for a sampler under several."""


def sampler_styles(samplers: Sequence[str]) -> dict[str, Style]:
    """A style for each sampler: a known one always has its own, others take what is left in turn."""
    unknown = [sampler for sampler in samplers if sampler not in _STYLES]
    spare = {sampler: _spare(index) for index, sampler in enumerate(unknown)}
    return {sampler: _STYLES.get(sampler) or spare[sampler] for sampler in samplers}


def _spare(index: int) -> Style:
    color, marker = _MORE_COLORS[index % len(_MORE_COLORS)], _MORE_MARKERS[index % len(_MORE_MARKERS)]
    return Style(color, _MORE_DASHES[index % len(_MORE_DASHES)], marker)


def rule_line(rule: str, color: str, **more: Any) -> dict[str, Any]:
    """Keywords of a line for a sampler's color under a stopping rule; hollow marks where nothing is proven."""
    dashes, marker = RULES[rule]
    hollow = "white" if rule == "stylised" else color
    look = {"color": color, "linestyle": _dashes(dashes), "marker": marker, "markerfacecolor": hollow}
    return {**look, "linewidth": 1.0, "markersize": 3.2, "markeredgewidth": 0.8, **more}


def rule_label(rule: str) -> str:
    """The stopping rule's name and what it is worth."""
    for space in SPACES.values():
        if rule in space.stopping.names():
            return f"{rule} (proven)" if space.stopping.get(rule).proven else f"{rule} (heuristic)"
    return rule


def new_figure(rules: Sequence[str], width: str, height: float, above: float = 0.0) -> tuple[Figure, list[Axes]]:
    """A figure with a panel per stopping rule, on common axes: stacked in a column, two in a row on a page.

    Args:
        rules: titles of the panels.
        width: "column" or "page".
        height: of a panel with its title, inches.
        above: inches for a legend above the panels.
    """
    columns = 1 if width == "column" else min(2, len(rules))
    lines = -(-len(rules) // columns)
    figure = Figure(figsize=(WIDTHS[width], lines * height + 0.4 + above), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel())
    for surplus in panels[len(rules) :]:
        surplus.remove()
    panels = panels[: len(rules)]
    for index, (panel, rule) in enumerate(zip(panels, rules, strict=True)):
        panel.set_title(rule_label(rule))
        panel.tick_params(labelbottom=index + columns >= len(rules))
    return figure, panels


def grid(number: int, columns: int, height: float, above: float = 0.3) -> tuple[Figure, list[Axes]]:
    """So many panels of this height [inches] with room for a legend above them, as wide as the `look` says.

    In a column they stand below each other.
    """
    width = matplotlib.rcParams["figure.figsize"][0]
    if width < WIDTHS["page"]:
        columns = 1
    lines = -(-number // columns)
    figure = Figure(figsize=(width, lines * height + above), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(lines, columns, squeeze=False).ravel())
    for surplus in panels[number:]:
        surplus.remove()
    return figure, panels[:number]


def label_axes(panels: Sequence[Axes], x: str, y: str | None = None) -> None:
    """Name the axes at the outer panels only."""
    for panel in panels:
        place = panel.get_subplotspec()
        assert place is not None
        if y and place.is_first_col():
            panel.set_ylabel(y)
        if panel.xaxis.get_tick_params()["labelbottom"]:
            panel.set_xlabel(x)


def legend_above(figure: Figure | SubFigure, handles: Sequence[Any]) -> None:
    """One legend for all panels, above them, in as many columns as fit."""
    columns = _legend_columns(figure.figure.get_size_inches()[0], handles)
    figure.legend(handles=list(handles), loc="outside upper left", ncols=columns, handlelength=2, columnspacing=1.2)


def legend_height(width: float, handles: Sequence[Any]) -> float:
    """Inches that `legend_above` takes."""
    lines = -(-len(handles) // _legend_columns(width, handles))
    return lines * 1.2 * LINE + 0.1


def _legend_columns(width: float, handles: Sequence[Any]) -> int:
    letters = [len(str(handle.get_label())) for handle in handles]
    for lines in range(1, len(letters)):
        columns = -(-len(letters) // lines)
        if sum(max(column) * LETTER + 0.45 for column in np.array_split(letters, columns)) <= width:
            return columns
    return 1


def handle(label: str, **look: Any) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], label=label, **look)


def sampler_handles(samplers: Sequence[str], **more: Any) -> list[Line2D]:
    """Legend entries of the samplers."""
    return [handle(name, **look.line(**more)) for name, look in sampler_styles(samplers).items()]


def plain(value: float) -> str:
    """A number for people, without powers of ten where it is not tiny: 20,000."""
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:g}"


def across(panel: Axes, names: Sequence[str]) -> float:
    """Inches from left to right that a panel is sure to have with these names beside it."""
    place = panel.get_subplotspec()
    assert place is not None
    return panel.figure.figure.get_size_inches()[0] / place.get_gridspec().ncols - 0.85 - LETTER * max(map(len, names))


def plain_powers(figure: Figure) -> None:
    """Write the powers of ten of log axes with raised digits, where matplotlib would write formulas."""
    for panel in figure.get_axes():
        for axis in (panel.xaxis, panel.yaxis):
            if isinstance(axis.get_major_formatter(), LogFormatterSciNotation):
                axis.set_major_formatter(_Powers())
            if isinstance(axis.get_minor_formatter(), LogFormatterSciNotation):
                axis.set_minor_formatter(_Powers())


class _Powers(LogFormatterSciNotation):
    def __call__(self, x: float, pos: int | None = None) -> str:
        times = super().__call__(x, pos).replace(r"\times", "\u00d7")
        return re.sub(r"^\$\\mathdefault\{(.*)10\^\{(.*)\}\}\$$", lambda m: f"{m[1]}10{m[2].translate(_RAISED)}", times)


def log_ticks(axis: Axis, low: float, high: float, room: float) -> None:
    """Ticks of a log axis from `low` to `high` as plain numbers, as many round ones as `room` inches hold."""
    horizontal = isinstance(axis, XAxis)
    ticks = [low, high]
    for ticks in _round_numbers(low, high):
        if sum((len(plain(tick)) * LETTER if horizontal else LINE) + 0.06 for tick in ticks) <= room:
            break
    fixed_ticks(axis, ticks, [plain(tick) for tick in ticks])


def ticks_in_view(axis: Axis, room: float) -> None:
    """`log_ticks` from end to end of what the axis shows."""
    low, high = map(float, axis.get_view_interval())
    log_ticks(axis, low, high, room)


def fixed_ticks(axis: Axis, places: Sequence[float], labels: Sequence[str]) -> None:
    """These ticks and no others."""
    axis.set_major_locator(FixedLocator(list(places)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FixedFormatter(list(labels)))


def _round_numbers(low: float, high: float) -> list[list[float]]:
    """Choices of ticks within the limits, the richest first; at least two each."""
    if high < 4 * low:
        linear = [MaxNLocator(bins).tick_values(low, high) for bins in (5, 4, 3, 2)]
        choices = [list(map(float, ticks)) for ticks in linear]
    else:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        choices = [[sub * 10.0**d for d in decades for sub in subs] for subs in ((1, 2, 5), (1, 3), (1,))]
        choices += [choices[-1][::step] for step in (2, 3, 5)]
    inside = [[tick for tick in ticks if low * 0.999 <= tick <= high * 1.001] for ticks in choices]
    return [ticks for ticks in inside if len(ticks) > 1] or [[low, high]]
