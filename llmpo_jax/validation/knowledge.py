"""The price of not knowing: what LLM-PO needs at a moderate level, and what oracles that are told something need.

A table and a figure beside C4, in a full validation: where the limit is 1, this is what is above it before the limit.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from llmpo_jax.engine.result import Result
from llmpo_jax.models import Tabular, condorcet_winner, host_probabilities
from llmpo_jax.models.given import given
from llmpo_jax.report import style
from llmpo_jax.report.style import Drawing
from llmpo_jax.theory.intervals import mean_interval
from llmpo_jax.validation import claims, places
from llmpo_jax.validation.oracles import ORACLES, truth
from llmpo_jax.validation.runs import Run, Runs, in_words
from llmpo_jax.validation.scope import Scope

DELTA = 0.1
_LIMIT = 2**24


def tables(scope: Scope, runs: Runs) -> dict[str, pl.DataFrame]:
    """Mean stopping time in units of T* log(1 / delta), a row per unstructured instance and what a procedure is told.

    Policies are in one random order, the same in all replications: oracles are told by number. Where there is no such
    instance, or none with a winner, there is no table.
    """
    asked = [
        (told, run)
        for source in scope.instances("unstructured")
        if condorcet_winner(given(source)) is not None
        for told, run in _runs(scope, source).items()
    ]
    results = runs.all([run for _, run in asked])
    rows = [_row(told, run, result) for (told, run), result in zip(asked, results, strict=True)]
    return {"knowledge": pl.DataFrame(rows)} if rows else {}


def _runs(scope: Scope, source: str) -> dict[str, Run]:
    mu = host_probabilities(given(source))
    order = np.random.default_rng(scope.seed).permutation(len(mu))
    mu = mu[np.ix_(order, order)]
    true = truth(mu)
    return {
        told: Run(
            Tabular(mu),
            *oracle(true),
            (DELTA,),
            replications=places.replications(scope),
            max_comparisons=_LIMIT,
            name=in_words(source),
            procedure=f"llm-po, e-process, told {told}",
            renumbered=False,
        )
        for told, oracle in ORACLES.items()
    }


def _row(told: str, run: Run, result: Result) -> dict:
    assert result.time is not None
    mean, low, high = mean_interval(result.spent(0) / (-result.time * math.log(DELTA)))
    return {
        "instance": run.source,
        "told": told,
        "multiple": mean,
        "low": low,
        "high": high,
        "censored": float((result.stopping_time[:, 0] < 0).mean()),
        "replications": run.replications,
    }


def _drawing(rows: pl.DataFrame) -> Drawing:
    """A line for what is told, in it an interval per instance."""
    told = rows["told"].unique(maintain_order=True).to_list()
    names = rows["instance"].unique(maintain_order=True).to_list()
    looks = [{**places.look(index), "linestyle": "none"} for index in range(len(names))]
    figure, (panel,) = style.grid(1, 1, 2.9)
    for index, (name, look) in enumerate(zip(names, looks, strict=True)):
        mine = rows.filter(pl.col("instance") == name)
        beside = 0.16 * (index - (len(names) - 1) / 2)
        y = np.array([told.index(each) for each in mine["told"]]) + beside
        panel.hlines(y, mine["low"], mine["high"], color=look["color"], linewidth=1)
        panel.plot(mine["multiple"], y, **look)
    for line in range(1, len(told)):
        panel.axhline(line - 0.5, color="0.9", linewidth=0.5, zorder=0)
    panel.axvline(1, color="0.2", linewidth=0.8, zorder=1)
    panel.set_xscale("log")
    style.ticks_in_view(panel.xaxis, 1.6)
    panel.set_xlabel("mean / (T* log(1/delta))")
    panel.set_ylim(len(told) - 0.5, -0.5)
    panel.set_yticks(range(len(told)), [each.replace(", and ", ", and\n") for each in told])
    panel.set_ylabel("told")
    style.legend_above(figure, [style.handle(name, **look) for name, look in zip(names, looks, strict=True)])
    caption = (
        f"The price of not knowing. Mean stopping time of LLM-PO at delta = {DELTA:g}, e-process rule, in units of "
        "T* log(1/delta), by what it is told of the instance (nothing: as it is). Line: 1, the least that any "
        "delta-PAC procedure needs as delta tends to 0. Bars: 95 % intervals of the mean. "
        f"{rows['replications'].max():,} replications."
    )
    return Drawing(figure, caption)


DRAWINGS: dict[str, claims.Draw] = {"knowledge": _drawing}
