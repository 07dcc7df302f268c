"""Speed in four panels, drawn from benchmarks/results/.

    python figures/speed.py

Comparisons per second of LLM-PO over K, beside one native core; of every sampler, and of duelpy's algorithms; over the
number of replications, with the memory at the peak; over devices split off the host.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from panels import GREY, LLM_PO, Band, rows, rule_handles, save

from llmpo_jax.report import style

RATE = "comparisons per second"
MILLIONS = "million comparisons per second"
NATIVE = {"color": GREY, "linewidth": 1, "marker": "d", "markersize": 3.5}
CAPTION = (
    "Comparisons per second on 2 CPU cores, all replications together. (a) LLM-PO over the number of policies, 4,096 "
    "replications, beside a native loop on one core. (b) Samplers at K = 16 with e-process, 512 replications; grey: "
    "duelpy. (c) LLM-PO at K = 16 over the number of replications, with the peak of the memory. (d) LLM-PO at K = 16 "
    "with the two cores split into devices. Drawn from benchmarks/results/speed_sizes.json, speed_samplers.json, "
    "speed_peers.json, speed_replications.json and speed_devices.json."
)


def draw_sizes(axes: Axes) -> None:
    found = rows("speed_sizes")
    for rule in ("e-process", "stylised"):
        own = [row for row in found if row["stopping"] == rule]
        axes.plot([r["K"] for r in own], [r[RATE] / 1e6 for r in own], **style.rule_line(rule, LLM_PO))
    native = [r for r in found if r["stopping"] == "e-process" and r["of one native core"]]
    rates = [r[RATE] / 1e6 / r["of one native core"] for r in native]
    axes.plot([r["K"] for r in native], rates, **NATIVE)
    sizes = sorted({row["K"] for row in found})
    axes.set(xscale="log", ylim=(0, None), xlabel="policies K", ylabel=MILLIONS, title="(a) number of policies")
    style.fixed_ticks(axes.xaxis, sizes, [str(size) for size in sizes])


def draw_samplers(axes: Axes) -> None:
    mine = {row["sampler"]: row[RATE] for row in rows("speed_samplers")}
    theirs = {row["who"]: row[RATE] for row in rows("speed_peers") if row["who"].startswith("duelpy")}
    looks = {name: look.line() for name, look in style.sampler_styles(list(mine)).items()}
    for y, (name, rate) in enumerate((mine | theirs).items()):
        look = looks.get(name, NATIVE)
        axes.plot([1000, rate], [y, y], color=look["color"], linewidth=0.8)
        axes.plot(rate, y, **look)
        axes.annotate(_plain(rate), (rate, y), (4, 0), textcoords="offset points", va="center")
    axes.set(xscale="log", xlim=(1000, 9e7), xlabel=RATE, title="(b) samplers")
    style.fixed_ticks(axes.xaxis, [1e3, 1e5, 1e7], ["1,000", "100,000", "10 million"])
    axes.set_yticks(range(len(mine) + len(theirs)), [*mine, *(name.replace("Sampling", "") for name in theirs)])
    axes.set_ylim(len(mine) + len(theirs) - 0.5, -0.5)


def _plain(rate: float) -> str:
    return f"{rate / 1e6:.2g} million" if rate >= 1e6 else f"{float(f'{rate:.2g}'):,.0f}"


def draw_replications(axes: Axes) -> None:
    found = rows("speed_replications")
    x = [row["replications"] for row in found]
    axes.plot(x, [row[RATE] / 1e6 for row in found], **style.rule_line("e-process", LLM_PO))
    for row in found:
        memory, where = f"{row['peak memory, MB']:.0f} MB", (row["replications"], row[RATE] / 1e6)
        axes.annotate(memory, where, (0, -11), textcoords="offset points", ha="center", color=GREY)
    axes.set(xscale="log", ylim=(0, 10), xlabel="replications", ylabel=MILLIONS, title="(c) replications")
    axes.margins(x=0.15)
    style.fixed_ticks(axes.xaxis, x, [f"{number:,}" for number in x])


def draw_devices(axes: Axes) -> None:
    found = rows("speed_devices")
    axes.bar([str(row["devices"]) for row in found], [row[RATE] / 1e6 for row in found], color=LLM_PO, width=0.4)
    axes.set(xlabel="devices", ylabel=MILLIONS, title="(d) devices split off the two cores")


def main() -> None:
    handles = [*rule_handles(("e-process", "stylised")), style.handle("native loop, one core", **NATIVE)]
    draws = (draw_sizes, draw_samplers, draw_replications, draw_devices)
    save("speed", [Band(draws, 2.1, handles=handles)], CAPTION)


if __name__ == "__main__":
    main()
