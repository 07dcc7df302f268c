"""A real LLM: what is recommended at a budget, and what the chosen prompt policy is worth, from benchmarks/results/.

    python figures/live.py

Probability of correct selection against the budget of decided comparisons on three tasks, replayed from a table of
generations; accuracy on held-out inputs of the policy that LLM-PO chose.
"""

from __future__ import annotations

import functools

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from panels import LLM_PO, REFERENCE, Band, rows, save

from llmpo_jax.report import style

TASKS = ("first_word_letter", "singular_to_plural", "sentiment")
BANDS = ("llm-po", "epsilon-greedy")
CAPTION = (
    "Above: probability that the best of 16 prompt policies of SmolLM2-135M-Instruct is recommended, against the "
    "budget of decided comparisons, on three tasks; bands, for llm-po and epsilon-greedy only: 95 % intervals of 1,000 "
    "replications. Below: accuracy on 60 held-out inputs of the policy that LLM-PO chose, minus that of the average "
    "and of the first listed policy, with 95 % intervals (bootstrap over inputs) and both accuracies. Drawn from "
    "benchmarks/results/live_selection.json and live_improvement.json."
)
OTHERS = {"average": LLM_PO, "first listed": "white"}
"""Policies that the chosen one is compared with, and what fills their marks."""


def selection() -> list[dict]:
    return [row for row in rows("live_selection") if "structured" not in row["sampler"]]


def draw_selection(task: str, axes: Axes) -> None:
    found = [row for row in selection() if row["task"] == task]
    for sampler, look in style.sampler_styles(list(dict.fromkeys(row["sampler"] for row in found))).items():
        own = [row for row in found if row["sampler"] == sampler]
        x = [row["budget"] for row in own]
        if sampler in BANDS:
            low, high = [row["low"] for row in own], [row["high"] for row in own]
            axes.fill_between(x, low, high, color=look.color, alpha=0.2, linewidth=0)
        axes.plot(x, [row["correct"] for row in own], **look.line())
    axes.set(xscale="log", xlabel="decided comparisons", ylabel="correct selection", ylim=(0, 1.04), title=task)
    style.fixed_ticks(axes.xaxis, [50, 100, 200, 400, 800, 1600], ["50", "", "200", "", "800", ""])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid()


def draw_improvement(axes: Axes) -> None:
    found = rows("live_improvement")
    for position, row in enumerate(found):
        for offset, (other, face) in enumerate(OTHERS.items()):
            y = position + 0.2 * (2 * offset - 1)
            axes.plot([row[f"low on {other}"], row[f"high on {other}"]], [y, y], color=LLM_PO, linewidth=1.2)
            axes.plot(row[f"gain on {other}"], y, **_mark(face))
            text = f"{row[other]:.0%} to {row['chosen']:.0%}"
            axes.annotate(text, (row[f"high on {other}"], y), (4, 0), textcoords="offset points", va="center")
    axes.axvline(0, **REFERENCE)
    axes.set_yticks(range(len(found)), [row["task"] for row in found])
    axes.set(xlim=(-0.03, 1.12), ylim=(len(found) - 0.5, -0.5), xlabel="gain in accuracy on held-out inputs")
    style.fixed_ticks(axes.xaxis, [0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])


def _mark(face: str) -> dict:
    return {"color": LLM_PO, "marker": "o", "markerfacecolor": face, "markersize": 4, "linestyle": "none"}


def main() -> None:
    handles = style.sampler_handles(list(dict.fromkeys(row["sampler"] for row in selection())))
    selections = [functools.partial(draw_selection, task) for task in TASKS]
    gains = [style.handle(f"over the {other} policy", **_mark(face)) for other, face in OTHERS.items()]
    bands = [
        Band(selections, 1.75, columns=(1, 3), shared=True, handles=handles),
        Band([draw_improvement], 1.4, columns=(1, 1), handles=gains),
    ]
    save("live", bands, CAPTION)


if __name__ == "__main__":
    main()
