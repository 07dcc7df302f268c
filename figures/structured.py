"""The structured space in four panels, drawn from benchmarks/results/.

    python figures/structured.py

Top: mean stopping time of LLM-PO over T* log(1 / delta); how many times its comparisons each baseline needs.
Bottom: T* by Fisher's form over T* by the exact program as the gap grows; speed over K and d.
"""

from __future__ import annotations

import math
from itertools import groupby

from matplotlib.axes import Axes
from panels import RULES, rows, save

COLOURS = {name: colour for name, (colour, _) in RULES.items()} | {"mixture": "#009E73"}
LABELS = {"e-process": "e-process (proven)", "mixture": "mixture (proven)", "stylised": "stylised (heuristic)"}


def draw_bound(axes: Axes) -> None:
    found = rows("structured_bound")
    instances = dict.fromkeys(row["instance"] for row in found)
    for rule, colour in COLOURS.items():
        label: str | None = LABELS[rule]
        for instance in instances:
            own = [row for row in found if row["instance"] == instance and row["stopping"] == rule]
            if not own:
                continue
            x = [-math.log10(row["delta"]) for row in own]
            axes.fill_between(x, [r["low"] for r in own], [r["high"] for r in own], color=colour, alpha=0.15, lw=0)
            axes.plot(x, [r["ratio"] for r in own], color=colour, lw=1.3, marker="o", ms=3, label=label)
            label = None
    axes.axhline(1, color="black", lw=1, ls="--")
    axes.text(1, 0.98, "lower bound as δ → 0", va="top", fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="log10(1 / δ)", ylabel="mean stopping time / (T* log(1/δ))")
    axes.set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    axes.set_yticks([1, 1.5, 2, 3, 5, 10], ["1", "1.5", "2", "3", "5", "10"])
    axes.minorticks_off()
    axes.set_title(f"LLM-PO against the bound ({len(instances)} instances, K = 32, d = 8)", fontsize=10)
    axes.legend(frameon=False, fontsize=8)


def draw_baselines(axes: Axes) -> None:
    found = [row for row in rows("structured_baselines") if row["delta"] == 0.05]
    samplers = list(dict.fromkeys(row["sampler"] for row in found))
    for offset, (rule, colour) in enumerate(COLOURS.items()):
        own = {row["sampler"]: row for row in found if row["stopping"] == rule}
        for position, sampler in enumerate(samplers):
            row, y = own[sampler], position + 0.26 * (offset - 1)
            hollow = "white" if row["censored"] else colour
            axes.plot([row["low"], row["high"]], [y, y], color=colour, lw=1.5)
            axes.plot(row["times llm-po"], y, marker="o", color=colour, mfc=hollow, ms=4.5)
            text = f"{'≥ ' if row['censored'] else ''}{row['times llm-po']:.2g}x"
            place: dict = {"textcoords": "offset points", "va": "center", "fontsize": 7}
            axes.annotate(text, (row["high"], y), (5, 0), **place)
        axes.plot([], [], color=colour, marker="o", ls="", label=LABELS[rule])
    axes.axvline(1, color="black", lw=1, ls="--")
    axes.set(xscale="log", xlabel="comparisons relative to LLM-PO (δ = 0.05)")
    axes.set_yticks(range(len(samplers)), samplers)
    axes.set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    axes.minorticks_off()
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_title(f"{found[0]['instance']} (hollow: some runs were cut)", fontsize=10)


def draw_forms(axes: Axes) -> None:
    found = rows("structured_forms")
    for _, own in groupby(found, key=lambda row: row["instance"]):
        kept = [row for row in own if row["spread"] <= 20]
        axes.plot([r["gap"] for r in kept], [r["fisher"] / r["exact"] for r in kept], color="#666666", lw=1)
    axes.axhline(1, color="black", lw=1, ls="--")
    axes.set(xscale="log", xlabel="gap between the best two scores, logits", ylabel="T* by Fisher's form / exact T*")
    axes.set_title("Fisher's form holds for small gaps (8 instances, K = 8, d = 3)", fontsize=10)


def draw_speed(axes: Axes) -> None:
    found = rows("structured_speed")
    for rule in ("e-process", "stylised"):
        for fixed, moving, style in (("d", "K", "-"), ("K", "d", ":")):
            value = 8 if fixed == "d" else 32
            own = sorted((r for r in found if r["stopping"] == rule and r[fixed] == value), key=lambda r: r[moving])
            axes.plot(
                [r[moving] for r in own],
                [r["comparisons per second"] for r in own],
                color=COLOURS[rule],
                ls=style,
                marker="o",
                ms=4,
                label=f"{rule}, over {moving} at {fixed} = {value}",
            )
    axes.set(xscale="log", yscale="log", xlabel="K or d", ylabel="comparisons per second")
    axes.set_xticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"])
    axes.set_yticks([1e4, 3e4, 1e5, 3e5], ["10,000", "30,000", "100,000", "300,000"])
    axes.minorticks_off()
    axes.set_title("Speed of LLM-PO, 256 replications, 2 CPU cores", fontsize=10)
    axes.legend(frameon=False, fontsize=8)


def main() -> None:
    source = "structured_{bound,baselines,forms,speed}.json; 300 replications, 95 % intervals"
    save("structured", (draw_bound, draw_baselines, draw_forms, draw_speed), 8.6, source)


if __name__ == "__main__":
    main()
