"""The price of not knowing, drawn from benchmarks/results/.

    python figures/knowledge.py

Mean stopping time at delta = 0.1 in units of T* log(1 / delta), by what a procedure is told, on each instance.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from panels import REFERENCE, Band, rows, save

from llmpo_jax.report import style

SHORT = {"wmt20_mqm_zhen_K8": "WMT20 systems"}
TOLD = {
    "nothing": "nothing (llm-po)",
    "the winner": "the winner",
    "the rates": "the rates, as bets only",
    "the opponents": "each rival's best opponent",
    "all three": "all three",
    "the winner and which rates": "the winner, and rates\nwithout their opponents",
}


MARKS = ("o", "s", "^", "D", "v")


def looks(names: Sequence[Any]) -> dict[str, dict]:
    """A colour and a mark for each instance."""
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(names)))
    common = {"linestyle": "none", "markersize": 3.4}
    return {n: {"color": c, "marker": m, **common} for n, c, m in zip(names, colors, MARKS, strict=False)}


def draw(found: list[dict], axes: Axes) -> None:
    """A row for what is told, in it an interval per instance."""
    marks = looks(list(dict.fromkeys(row["instance"] for row in found)))
    for row in found:
        y = list(TOLD).index(row["told"]) + 0.16 * (list(marks).index(row["instance"]) - (len(marks) - 1) / 2)
        look = marks[row["instance"]]
        axes.plot([row["low"], row["high"]], [y, y], color=look["color"], linewidth=1)
        axes.plot(row["ratio"], y, **look)
    for line in range(1, len(TOLD)):
        axes.axhline(line - 0.5, color="0.9", linewidth=0.5, zorder=0)
    axes.axvline(1, **REFERENCE, zorder=1)
    axes.set(xscale="log", xlabel="comparisons / (T* log(1/δ))", ylabel="told", ylim=(len(TOLD) - 0.5, -0.5))
    style.fixed_ticks(axes.xaxis, [1, 2, 4, 8], ["1", "2", "4", "8"])
    axes.set_yticks(range(len(TOLD)), list(TOLD.values()))


def main() -> None:
    found = [row | {"instance": SHORT.get(row["instance"], row["instance"])} for row in rows("knowledge")]
    found = [row for row in found if row["told"] in TOLD]
    handles = [style.handle(n, **look) for n, look in looks(list(dict.fromkeys(r["instance"] for r in found))).items()]
    caption = (
        "The price of not knowing: mean stopping time at δ = 0.1 with e-process in units of T* log(1/δ), by what a "
        "procedure is told of the instance; dashed: the lower bound as δ tends to 0; bars: 95 % intervals of "
        f"{found[0]['replications']} replications. Drawn from benchmarks/results/knowledge.json."
    )
    save("knowledge", [Band([functools.partial(draw, found)], 3.0, columns=(1, 1), handles=handles)], caption)


if __name__ == "__main__":
    main()
