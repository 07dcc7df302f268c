"""A real LLM: what is recommended at a budget, and what the chosen prompt policy is worth, from benchmarks/results/.

    python figures/live.py

Probability of correct selection against the budget of decided comparisons on three tasks, replayed from a table of
generations; accuracy on held-out inputs of the policy that LLM-PO chose.
"""

from __future__ import annotations

import functools

from matplotlib.axes import Axes
from panels import rows, save

from llmpo_jax.report.style import sampler_styles

TASKS = ("first_word_letter", "singular_to_plural", "sentiment")


def draw_selection(task: str, axes: Axes) -> None:
    found = [row for row in rows("live_selection") if row["task"] == task and "structured" not in row["sampler"]]
    samplers = list(dict.fromkeys(row["sampler"] for row in found))
    for sampler, style in sampler_styles(samplers).items():
        own = [row for row in found if row["sampler"] == sampler]
        x = [row["budget"] for row in own]
        axes.fill_between(x, [r["low"] for r in own], [r["high"] for r in own], color=style.color, alpha=0.12, lw=0)
        axes.plot(x, [row["correct"] for row in own], **style.line(label=sampler, markersize=3.5))
    axes.set(xscale="log", xlabel="decided comparisons", ylabel="correct selection", ylim=(0, 1.02))
    budgets = sorted({row["budget"] for row in found})
    axes.set_xticks(budgets, [f"{budget:,}" for budget in budgets], fontsize=8)
    axes.minorticks_off()
    axes.set_title(f"{task}: 16 prompt policies of SmolLM2-135M", fontsize=10)
    if task == TASKS[0]:
        axes.legend(frameon=False, fontsize=8, loc="lower right")


def draw_improvement(axes: Axes) -> None:
    found = rows("live_improvement")
    for position, row in enumerate(found):
        for offset, (other, colour) in enumerate((("average", "#0072B2"), ("first listed", "#8C8C8C"))):
            y = position + 0.18 * (1 - 2 * offset)
            axes.plot([row[f"low on {other}"], row[f"high on {other}"]], [y, y], color=colour, lw=2)
            axes.plot(
                row[f"gain on {other}"], y, "o", color=colour, label=None if position else f"on the {other} policy"
            )
            text = f"{row[other]:.0%} to {row['chosen']:.0%}"
            axes.annotate(
                text, (row[f"gain on {other}"], y), (0, 6), textcoords="offset points", ha="center", fontsize=8
            )
    axes.axvline(0, color="black", lw=1, ls="--")
    axes.set_yticks(range(len(found)), [row["task"] for row in found])
    axes.set(xlim=(-0.05, 1), ylim=(-0.6, len(found) - 0.2), xlabel="gain in accuracy (95 % intervals)")
    axes.set_title(f"What LLM-PO chose, on {found[0]['held-out inputs']} held-out inputs", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(0.07, 0.4))


if __name__ == "__main__":
    panels = [functools.partial(draw_selection, task) for task in TASKS]
    save("live", [*panels, draw_improvement], 7.5, "live_selection.json, live_improvement.json")
