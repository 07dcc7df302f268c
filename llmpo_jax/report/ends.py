"""Direct labels: every line has its name at its end, beside the panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation
from scipy.optimize import isotonic_regression

from llmpo_jax.report.style import LINE, Style

_MARK, _NAME = 9 / 72, 13 / 72
"""Inches from the panel's edge to the marker and to the name."""


class End(NamedTuple):
    """The end of a line, in the panel's data, and what to write there."""

    text: str
    style: Style
    x: float
    y: float


def label_ends(figure: Figure, ends: Mapping[Axes, Sequence[End]]) -> None:
    """Write the names to the right of each panel, as near to the lines' ends as they fit below each other.

    Where lines end at the same height, the first one's name stands on top. To be called when the limits are final.
    """
    figure.draw_without_rendering()  # only then the layout, and with it the panels' height, is known
    for panel, here in ends.items():
        to_axes = panel.transData + panel.transAxes.inverted()
        heights = np.array([to_axes.transform((end.x, end.y))[1] for end in here])
        gap = LINE / (panel.get_window_extent().height / figure.dpi)
        mark, name = (panel.transAxes + ScaledTranslation(x, 0, figure.dpi_scale_trans) for x in (_MARK, _NAME))
        for end, place in zip(here, spread(heights, gap), strict=True):
            panel.annotate(end.text, (1, place), xycoords=name, va="center", annotation_clip=False)
            leader = {"arrowstyle": "-", "color": end.style.color, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}
            panel.annotate("", (end.x, end.y), (1, place), textcoords=mark, arrowprops=leader, annotation_clip=False)
            look = end.style.line(linestyle="none", transform=mark, clip_on=False, label=f"_{end.text}")
            panel.plot([1], [place], scalex=False, scaley=False, **look)


def spread(heights: np.ndarray, gap: float) -> np.ndarray:
    """The places in [0, 1] nearest to `heights` [N] (least squares) that are `gap` apart, as far as there is room.

    Of equal heights the first comes to lie on top.
    """
    number = len(heights)
    gap = min(gap, 1 / max(number - 1, 1))
    order = np.argsort(-heights, kind="stable")[::-1]
    steps = gap * np.arange(number)
    low = isotonic_regression(heights[order] - steps).x  # the places are `gap` apart if and only if these do not fall
    places = np.empty(number)
    places[order] = np.clip(low, 0, 1 - steps[-1]) + steps
    return places
