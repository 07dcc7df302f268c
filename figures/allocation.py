"""T* over random linear models: what the features save, and what Fisher's form is off, from benchmarks/results/.

    python figures/allocation.py

Distribution functions over 1,000 random instances for each dimension d.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from panels import rows, save

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")


def draw(axes: Axes, ratio: str, label: str) -> None:
    own = [row for row in rows("allocation_spread") if row["ratio"] == ratio]
    for row, colour in zip(own, COLOURS, strict=True):
        axes.plot(row["quantiles"], np.linspace(0, 1, 101), color=colour, lw=1.5, label=f"d = {row['d']}")
    axes.axvline(1, color="black", lw=1, ls="--")
    axes.set(xlabel=label, ylabel="share of instances with at most this ratio", ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(f"{own[0]['instances']:,} random instances for each d, K = {own[0]['K']}", fontsize=10)


def draw_saved(axes: Axes) -> None:
    draw(axes, "structured / unstructured", "T* with the features / T* without")
    axes.set_xscale("log")


def draw_forms(axes: Axes) -> None:
    draw(axes, "Fisher / exact", "T* by Fisher's form / exact T*")


def main() -> None:
    save("allocation", (draw_saved, draw_forms), 4.3, "allocation_spread.json")


if __name__ == "__main__":
    main()
