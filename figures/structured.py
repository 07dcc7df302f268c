"""The structured space, drawn from benchmarks/results/.

    python figures/structured.py

Mean stopping time of LLM-PO in units of T* log(1 / delta); how many times its comparisons each baseline needs; T* by
Fisher's form over T* by the exact program as the gap grows; speed over K and over d.
"""

from __future__ import annotations

import functools
from itertools import groupby

from matplotlib.axes import Axes
from panels import GREY, LLM_PO, REFERENCE, Band, draw_bound, draw_race, rows, rule_handles, save

from llmpo_jax.report import style

RULES = ("e-process", "stylised", "mixture")
CAPTION = (
    "First row: mean stopping time of LLM-PO in units of T* log(1/δ) on four instances with K = 32 policies and d = 8 "
    "features; dashed: the lower bound as δ tends to 0. Second row: comparisons until the stop at δ = 0.05 as a "
    "multiple of those of LLM-PO with the same rule (hollow: some runs were cut, at least this); bands and bars: 95 % "
    "intervals of 300 replications. Third row: T* by Fisher's form over exact T* as the gap between the best two "
    "scores grows, 8 instances with K = 8, d = 3; speed of LLM-PO over K and over d, 256 replications, 2 CPU cores. "
    "Drawn from benchmarks/results/structured_bound.json, structured_baselines.json, structured_forms.json and "
    "structured_speed.json."
)


def draw_forms(axes: Axes) -> None:
    for _, own in groupby(rows("structured_forms"), key=lambda row: row["instance"]):
        kept = [row for row in own if row["spread"] <= 20]
        axes.plot([r["gap"] for r in kept], [r["fisher"] / r["exact"] for r in kept], color=GREY, linewidth=0.8)
    axes.axhline(1, **REFERENCE)
    axes.set(xscale="log", xlabel="gap [logits]", ylabel="T* by Fisher / exact T*")
    style.fixed_ticks(axes.xaxis, [0.001, 0.01, 0.1, 1], ["0.001", "0.01", "0.1", "1"])


def draw_speed(moving: str, axes: Axes) -> None:
    fixed, value = ("d", 8) if moving == "K" else ("K", 32)
    for rule in ("e-process", "stylised"):
        own = [row for row in rows("structured_speed") if row["stopping"] == rule and row[fixed] == value]
        own.sort(key=lambda row: row[moving])
        axes.plot([r[moving] for r in own], [r["comparisons per second"] for r in own], **style.rule_line(rule, LLM_PO))
    axes.set(xscale="log", yscale="log", xlabel=f"{moving} at {fixed} = {value}", ylabel="comparisons / s")
    sizes = [row[moving] for row in own]
    style.fixed_ticks(axes.xaxis, sizes, [str(size) for size in sizes])
    rates = (50_000, 100_000, 200_000, 500_000)
    axes.set_ylim(40_000, 800_000)
    style.fixed_ticks(axes.yaxis, rates, [f"{rate:,}" for rate in rates])
    axes.grid(axis="y")


def main() -> None:
    bound = rows("structured_bound")
    grouped = {name: [row for row in bound if row["instance"] == name] for name in [row["instance"] for row in bound]}
    for name, own in grouped.items():
        short = name.replace("bradley-terry", "b.-t.").replace(":32,8,seed=", ", seed ")
        grouped[name] = [row | {"instance": short} for row in own]
    bounds = [functools.partial(draw_bound, own, RULES, (1, 2, 4, 8)) for own in grouped.values()]
    level = [row for row in rows("structured_baselines") if row["delta"] == 0.05]
    samplers = list(dict.fromkeys(row["sampler"] for row in level))
    race = functools.partial(draw_race, samplers, RULES, level, 9)
    speeds = [functools.partial(draw_speed, moving) for moving in ("K", "d")]
    bands = [
        Band(bounds, 1.15, columns=(2, 4), shared=True, handles=rule_handles(RULES)),
        Band([race], 2.8, columns=(1, 1)),
        Band([draw_forms, *speeds], 1.2, columns=(1, 3)),
    ]
    save("structured", bands, CAPTION)


if __name__ == "__main__":
    main()
