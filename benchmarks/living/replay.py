"""How soon each sampler knows who is best, simulated from the table of generations."""

from __future__ import annotations

import math

import numpy as np

from llmpo_jax import Result, simulate
from llmpo_jax.protocol import SpaceName
from llmpo_jax.theory.intervals import clopper_pearson, ratio_of_means

from .outcomes import design, gaps, model, shares

SAMPLERS = ("llm-po", "round-robin", "random-pair", "epsilon-greedy", "thompson", "rucb")
"""LLM-PO and the baselines of the paper."""
BUDGETS = (50, 100, 200, 400, 800, 1600)
DELTA = 0.05
LIMIT = 20_000


def procedures(table: dict, replications: int) -> tuple[list[dict], list[dict]]:
    """Probability of correct selection at each budget, and stopping times, for each sampler."""
    selection, stopping = [], []
    for name in (row["task"] for row in gaps(table) if row["winner"] != "none"):
        tabular, decided = model(shares(table, name))
        features = design(table["tasks"][name]["factors"])["factors"]
        runs: list[tuple[str, SpaceName, np.ndarray | None]] = [(sampler, "unstructured", None) for sampler in SAMPLERS]
        runs.append(("llm-po", "structured", features))
        ours = None
        for sampler, assume, given in runs:
            result = simulate(
                tabular,
                sampler,
                deltas=(DELTA,),
                budgets=BUDGETS,
                replications=replications,
                max_comparisons=LIMIT,
                assume=assume,
                features=given,
            )
            ours = ours or result
            label = sampler if given is None else f"{sampler}, structured"
            selection += [{"task": name, "sampler": label, **row} for row in _selection(result)]
            stopping.append({"task": name, "sampler": label, **_stopping(result, ours, decided)})
    return selection, stopping


def _selection(result: Result) -> list[dict]:
    rows = []
    for budget, right in zip(result.budgets, result.correct_selection().sum(axis=0).tolist(), strict=True):
        low, high = clopper_pearson(right, len(result.stopping_time))
        rows.append({"budget": budget, "correct": right / len(result.stopping_time), "low": low, "high": high})
    return rows


def _stopping(result: Result, ours: Result, decided: np.ndarray) -> dict:
    level = result.summary()[0]
    ratio, low, high = ratio_of_means(result.spent(0), ours.spent(0))
    compared = np.triu(result.counts, 1)
    # Of pairs that are decided at all: the replay draws a coin for the others, which a real run would ask in vain.
    asked = np.divide(compared, decided, out=np.zeros_like(compared), where=decided > 0).sum()
    return {
        "decided": level.mean,
        "low": level.mean_low,
        "high": level.mean_high,
        "times llm-po": ratio,
        "ratio low": low,
        "ratio high": high,
        "with ties": float(asked),
        "times T* log(1 / delta)": math.nan if level.ratio is None else level.ratio,
        "censored": level.censored,
        "errors": level.errors,
        "replications": level.replications,
        "error low": level.error_low,
        "error high": level.error_high,
    }
