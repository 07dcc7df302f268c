"""What the figures share: the results of the benchmarks, colours, and a page of panels."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULTS = HERE.parent / "benchmarks" / "results"
RULES = {"e-process": ("#0072B2", "proven: e-process"), "stylised": ("#D55E00", "heuristic: stylised")}
GREY = "#666666"


def rows(name: str) -> list[dict]:
    """The rows of benchmarks/results/NAME.json."""
    return json.loads((RESULTS / f"{name}.json").read_text())["rows"]


def save(name: str, draws: Sequence[Callable[[Axes], None]], height: float, source: str) -> None:
    """Draw a panel with each function, two in a row, and keep them as NAME.png with where the numbers come from."""
    figure = Figure(figsize=(11, height), layout="constrained")
    panels = figure.subplots(len(draws) // 2, 2).ravel()
    for draw, axes in zip(draws, panels, strict=True):
        draw(axes)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(f"benchmarks/results/{source}", x=0.99, ha="right", fontsize=6.5, color=GREY)
    figure.savefig(HERE / f"{name}.png", dpi=150)
