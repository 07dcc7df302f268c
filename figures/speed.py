"""Speed in four panels, drawn from benchmarks/results/.

    python figures/speed.py

Top: comparisons per second of LLM-PO over K, beside one native core; of every sampler, and of duelpy's algorithms.
Bottom: over the number of replications, with the memory at the peak; over devices split off the host.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from panels import GREY, RULES, rows, save

RATE = "comparisons per second"
MILLIONS = "million comparisons per second"
BLUE = RULES["e-process"][0]


def draw_sizes(axes: Axes) -> None:
    found = rows("speed_sizes")
    for rule, (colour, label) in RULES.items():
        own = [row for row in found if row["stopping"] == rule]
        axes.plot([r["K"] for r in own], [r[RATE] / 1e6 for r in own], color=colour, marker="o", ms=4, label=label)
    native = [r for r in found if r["stopping"] == "e-process" and r["of one native core"]]
    rates = [r[RATE] / 1e6 / r["of one native core"] for r in native]
    axes.plot([r["K"] for r in native], rates, color=GREY, ls=":", marker="s", ms=4, label="native loop, one core")
    sizes = sorted({row["K"] for row in found})
    axes.set(xscale="log", ylim=(0, None), xlabel="policies K", ylabel=MILLIONS)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set_title("LLM-PO over the number of policies", fontsize=10)
    axes.legend(frameon=False, fontsize=8)


def draw_samplers(axes: Axes) -> None:
    mine = [(row["sampler"], row[RATE], BLUE) for row in rows("speed_samplers")]
    theirs = [(row["who"], row[RATE], GREY) for row in rows("speed_peers") if row["who"].startswith("duelpy")]
    for position, (_name, rate, colour) in enumerate([*mine, *theirs]):
        axes.plot([100, rate], [position, position], color=colour, lw=1)
        axes.plot(rate, position, color=colour, marker="o", ms=5)
        axes.annotate(f"{rate:.2g}", (rate, position), (6, 0), textcoords="offset points", va="center", fontsize=7.5)
    axes.set(xscale="log", xlim=(100, 1e8), xlabel=RATE)
    axes.set_yticks(range(len(mine) + len(theirs)), [name for name, *_ in [*mine, *theirs]], fontsize=8)
    axes.minorticks_off()
    axes.invert_yaxis()
    axes.set_title("Samplers at K = 16 with e-process (grey: duelpy)", fontsize=10)


def draw_replications(axes: Axes) -> None:
    found = rows("speed_replications")
    x = [row["replications"] for row in found]
    axes.plot(x, [row[RATE] / 1e6 for row in found], color=BLUE, marker="o", ms=4)
    for row in found:
        memory, where = f"{row['peak memory, MB']:.0f} MB", (row["replications"], row[RATE] / 1e6)
        place: dict = {"textcoords": "offset points", "ha": "center", "fontsize": 7.5}
        axes.annotate(memory, where, (0, -14), color=GREY, **place)
    axes.set(xscale="log", ylim=(0, None), xlabel="replications", ylabel=MILLIONS)
    axes.margins(x=0.12)
    axes.minorticks_off()
    axes.set_title("LLM-PO, K = 16, over replications (peak memory)", fontsize=10)


def draw_devices(axes: Axes) -> None:
    found = rows("speed_devices")
    axes.bar([str(row["devices"]) for row in found], [row[RATE] / 1e6 for row in found], color=BLUE, width=0.5)
    axes.set(xlabel="devices that the host's two cores are split into", ylabel=MILLIONS)
    axes.set_title("LLM-PO, K = 16, over devices: the same results", fontsize=10)


def main() -> None:
    save("speed", (draw_sizes, draw_samplers, draw_replications, draw_devices), 7.6, "speed_*.json; 2 CPU cores")


if __name__ == "__main__":
    main()
