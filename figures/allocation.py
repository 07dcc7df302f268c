"""T* over random linear models: what the features save, and what Fisher's form is off, from benchmarks/results/.

    python figures/allocation.py

Distribution functions over 1,000 random instances for each dimension d.
"""

from __future__ import annotations

import functools

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from panels import REFERENCE, Band, rows, save

from llmpo_jax.report import style

CAPTION = (
    "Distribution of T* over 1,000 random linear Bradley-Terry instances with K = 16 for each dimension d: with the "
    "features over without them, and by Fisher's form over the exact program. Drawn from "
    "benchmarks/results/allocation_spread.json."
)


def looks() -> dict[int, dict]:
    """A line for each d: from dark to light as it grows, with dashes of its own."""
    dimensions = sorted({row["d"] for row in rows("allocation_spread")})
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.8, len(dimensions)))
    dashes = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)))
    return {
        d: {"color": color, "linestyle": dash, "linewidth": 1.2}
        for d, color, dash in zip(dimensions, colors, dashes, strict=True)
    }


def draw(ratio: str, label: str, ticks: list[str], axes: Axes) -> None:
    for row in rows("allocation_spread"):
        if row["ratio"] == ratio:
            axes.plot(row["quantiles"], np.linspace(0, 1, 101), **looks()[row["d"]])
    axes.axvline(1, **REFERENCE)
    axes.set(xlabel=label, ylabel="share of instances up to this", ylim=(0, 1))
    if float(ticks[0]) < 0.1:
        axes.set_xscale("log")
    style.fixed_ticks(axes.xaxis, [float(tick) for tick in ticks], ticks)


def main() -> None:
    draws = (
        functools.partial(
            draw, "structured / unstructured", "T* with the features / T* without", ["1e-6", "1e-4", "0.01", "1"]
        ),
        functools.partial(draw, "Fisher / exact", "T* by Fisher's form / exact T*", ["1", "1.05", "1.1", "1.15"]),
    )
    handles = [style.handle(f"d = {d}", **look) for d, look in looks().items()]
    save("allocation", [Band(draws, 2.0, handles=handles)], CAPTION)


if __name__ == "__main__":
    main()
