"""The picture of the README, drawn from benchmarks/results/.

    python figures/sample_complexity.py

Left: mean stopping time of LLM-PO over T* log(1 / delta) on all instances of the benchmark; it tends to 1.
Right: how many times the comparisons of LLM-PO each baseline needs at delta = 0.05, with the same stopping rule.
"""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from panels import RULES, rows, save


def draw_bound(axes: Axes) -> None:
    found = rows("sample_complexity")
    for rule, (colour, label) in RULES.items():
        instances = dict.fromkeys(row["instance"] for row in found)
        for index, instance in enumerate(instances):
            own = [row for row in found if row["instance"] == instance and row["stopping"] == rule]
            x = [-math.log10(row["delta"]) for row in own]
            axes.fill_between(x, [r["low"] for r in own], [r["high"] for r in own], color=colour, alpha=0.15, lw=0)
            axes.plot(
                x, [r["ratio"] for r in own], color=colour, lw=1.3, marker="o", ms=3, label=None if index else label
            )
    axes.axhline(1, color="black", lw=1, ls="--")
    axes.text(1, 0.99, "lower bound as δ → 0", ha="left", va="top", fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="log10(1 / δ)", ylabel="mean stopping time / (T* log(1/δ))")
    axes.set_xticks([1, 2, 10, 50], ["1", "2", "10", "50"])
    axes.set_yticks([1, 1.5, 2, 3, 4, 6, 8], ["1", "1.5", "2", "3", "4", "6", "8"])
    axes.minorticks_off()
    axes.set_title(f"LLM-PO approaches the bound ({len(instances)} instances)", fontsize=10)
    axes.legend(frameon=False, fontsize=8)


def draw_baselines(axes: Axes) -> None:
    found = [r for r in rows("baselines") if r["delta"] == 0.05 and r["stopping"] == "e-process"]
    instances = list(dict.fromkeys(row["instance"] for row in found))
    samplers = list(dict.fromkeys(row["sampler"] for row in found))
    for offset, (instance, marker) in enumerate(zip(instances, "os", strict=True)):
        own = {row["sampler"]: row for row in found if row["instance"] == instance}
        for position, sampler in enumerate(samplers):
            row = own[sampler]
            y = position + 0.18 * (2 * offset - 1)
            colour = "#0072B2" if sampler == "llm-po" else "#666666"
            axes.plot([row["low"], row["high"]], [y, y], color=colour, lw=2)
            axes.plot(row["times llm-po"], y, marker=marker, color=colour, ms=5, mfc="white" if offset else colour)
            bound = "≥ " if row["censored"] else ""
            axes.annotate(
                f"{bound}{row['times llm-po']:.2g}x",
                (row["high"], y),
                (5, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
            )
        axes.plot([], [], marker=marker, color="#666666", mfc="white" if offset else "#666666", ls="", label=instance)
    axes.axvline(1, color="black", lw=1, ls="--")
    axes.set(xscale="log", xlabel="comparisons relative to LLM-PO (δ = 0.05, e-process)")
    axes.set_yticks(range(len(samplers)), samplers)
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_title("The same guarantee costs the baselines more", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="upper right")


def main() -> None:
    source = "sample_complexity.json and baselines.json; 500 replications, 95 % intervals"
    save("sample_complexity", (draw_bound, draw_baselines), 4.4, source)


if __name__ == "__main__":
    main()
