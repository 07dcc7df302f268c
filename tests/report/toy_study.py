"""A small finished study whose every number is known, with tables as the engine writes them."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import polars as pl

from llmpo_jax.engine.storage import FORMAT, StudyFolder

SAMPLERS = ("llm-po", "round-robin", "mine")
RULES = ("e-process", "stylised")
DELTAS = (0.1, 0.001)
BUDGETS = (10, 100, 1000)
REPLICATIONS = 20
LIMIT = 5000
POLICIES = tuple("abcdef")
TIME = 50.0
"""T* of the sources with a winner."""


def _table(source: str, winner: bool) -> pl.DataFrame:
    """`round-robin` never stops in its first two runs; the share of correct guesses depends on everything."""
    rows = []
    for (s, sampler), (r, rule) in itertools.product(enumerate(SAMPLERS), enumerate(RULES)):
        for run in range(REPLICATIONS):
            for delta in DELTAS:
                stopped = not (sampler == "round-robin" and run < 2)
                time = int(100 * (1 + s) * (1 + r) * -math.log10(delta)) + 7 * run if stopped else None
                named, right = ("a", winner) if stopped else (None, None)
                rows.append((source, sampler, rule, run, delta, None, time, named, right))
            for b, budget in enumerate(BUDGETS):
                right = winner and run < 5 + 5 * b - s + r
                rows.append((source, sampler, rule, run, None, budget, budget, "a", right))
    schema = {"source": pl.String, "sampler": pl.String, "stopping": pl.String, "replication": pl.Int32}
    schema |= {"delta": pl.Float64, "budget": pl.Int64, "comparisons": pl.Int64, "recommendation": pl.String}
    return pl.DataFrame(rows, schema={**schema, "correct": pl.Boolean}, orient="row")


def _pairs(source: str, winner: bool) -> pl.DataFrame:
    every = list(itertools.combinations(POLICIES, 2))
    rows = []
    for (s, sampler), (r, rule) in itertools.product(enumerate(SAMPLERS), enumerate(RULES)):
        weight = np.arange(1.0, len(every) + 1) ** (s + r)
        for (first, second), share in zip(every, weight / weight.sum(), strict=True):
            rank = ord(second) - ord("a")
            optimal = (rank / 15 if first == "a" else 0.0) if winner else None
            groups = [round(4000 * share) + 7 * (group % 3) for group in range(8)]
            rows.append((source, sampler, rule, first, second, 300 * share, share, groups, optimal))
    schema = {"source": pl.String, "sampler": pl.String, "stopping": pl.String, "first": pl.String}
    schema |= {"second": pl.String, "comparisons": pl.Float64, "proportion": pl.Float64}
    return pl.DataFrame(rows, schema={**schema, "groups": pl.List(pl.Int64), "optimal": pl.Float64}, orient="row")


def _summary(table: pl.DataFrame, winner: bool) -> pl.DataFrame:
    keys = ["source", "sampler", "stopping", "delta"]
    spent = pl.col("comparisons").fill_null(LIMIT)
    rows = table.filter(pl.col("delta").is_not_null()).group_by(keys, maintain_order=True)
    frame = rows.agg(
        errors=pl.lit(0),
        replications=pl.len(),
        error_rate=pl.lit(0.0),
        error_low=pl.lit(0.0),
        error_high=pl.lit(0.17),
        censored=pl.col("comparisons").is_null().mean(),
        mean=spent.mean(),
        mean_low=spent.mean() - 11,
        mean_high=spent.mean() + 13,
        median=spent.median(),
        unit=pl.lit("comparisons"),
    )
    nats = -pl.col("delta").log()
    if not winner:
        return frame.with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("ratio", "bound"))
    return frame.with_columns(ratio=pl.col("mean") / (TIME * nats), bound=TIME * nats * 0.9)


def make_study(folder: Path, *, sources: dict[str, bool] | None = None, deltas=DELTAS, budgets=BUDGETS) -> Path:
    """A finished study; `sources` says of each whether it has a Condorcet winner."""
    sources = sources or {"toy-6": True}
    folder.mkdir(parents=True)
    keep = pl.col("delta").is_in(list(deltas)) | pl.col("budget").is_in(list(budgets))
    tables = {source: _table(source, winner).filter(keep) for source, winner in sources.items()}
    pl.concat(tables.values()).write_parquet(folder / "table.parquet")
    pl.concat([_pairs(*each) for each in sources.items()]).write_parquet(folder / "pairs.parquet")
    if deltas:
        levels = [_summary(tables[source], winner) for source, winner in sources.items()]
        pl.concat(levels).write_csv(folder / "summary.csv")
    arguments = {"samplers": SAMPLERS, "stopping": RULES, "deltas": deltas, "budgets": budgets}
    arguments |= {"replications": REPLICATIONS, "max_comparisons": LIMIT, "sources": list(sources)}
    StudyFolder(folder).write_manifest({"format": FORMAT, "arguments": arguments, "complete": True})
    return folder
