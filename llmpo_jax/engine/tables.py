"""The tables of a study: tidy, one row per statement, per pair, and per level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import polars as pl

from llmpo_jax import models
from llmpo_jax.engine.result import Result
from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.protocol import CENSORED, NO_WINNER

NO_WINNER_NAME = "no Condorcet winner"


def _named(codes: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Policy names for recommendation codes; None where censored."""
    table = np.array([*names, NO_WINNER_NAME, None], dtype=object)
    assert CENSORED == -1 and NO_WINNER == -2  # they index the two last entries
    return table[codes]


def statements(source: models.Source, result: Result) -> pl.DataFrame:
    """One row per statement: replication x delta, then replication x budget.

    Columns: source, sampler, stopping, replication, delta (null at a budget), budget (null at a delta), comparisons
    (stopping time or budget; null where censored), cost (of the comparisons until the stop, or until the limit where
    censored; null at a budget, and where nothing is known of costs), recommendation (policy name; null where
    censored), correct (null where censored).
    """
    names = models.policy_names(source.model)
    spent = np.broadcast_to(np.array(result.budgets, np.int64), result.budget_recommendation.shape)
    at_deltas = _block(result.recommendation, result.stopping_time, ~result.errors(), names)
    at_budgets = _block(result.budget_recommendation, spent, result.correct_selection(), names)
    replications = len(result.stopping_time)
    levels = pl.Series("delta", np.tile(np.array(result.deltas, float), replications))
    budgets = pl.Series("budget", np.tile(np.array(result.budgets, np.int64), replications))
    costs = pl.lit(None, pl.Float64) if result.stopping_cost is None else pl.Series(result.stopping_cost.ravel())
    at_deltas, at_budgets = at_deltas.with_columns(levels, costs.alias("cost")), at_budgets.with_columns(budgets)
    both = pl.concat([at_deltas, at_budgets], how="diagonal")
    columns = ("replication", "delta", "budget", "comparisons", "cost", "recommendation", "correct")
    return _labelled(source, result, both.select(columns))


def _block(codes: np.ndarray, comparisons: np.ndarray, correct: np.ndarray, names: Sequence[str]) -> pl.DataFrame:
    """One row per entry of arrays [R, levels], the replications numbered; null where censored."""
    replications, levels = codes.shape
    frame = pl.DataFrame(
        {
            "replication": np.repeat(np.arange(replications, dtype=np.int32), levels),
            "comparisons": comparisons.ravel(),
            "recommendation": pl.Series(list(_named(codes.ravel(), names)), dtype=pl.String),
            "correct": correct.ravel(),
        }
    )
    stated = pl.Series((codes != CENSORED).ravel())
    return frame.with_columns(
        pl.when(stated).then(pl.col(name)).otherwise(None).alias(name) for name in ("comparisons", "correct")
    )


def pairs(source: models.Source, result: Result) -> pl.DataFrame:
    """One row per pair: mean comparisons and proportion until the stop at the last delta, optimal proportion.

    `groups` are the comparisons of all replications of each of 8 groups (by number modulo 8), a list.
    `optimal` is null where there is no T* (see `Result.time`).
    """
    names = models.policy_names(source.model)
    first, second = np.triu_indices(len(names), 1)
    counts = result.counts[first, second]
    optimal = np.full(len(first), np.nan)
    if result.proportions is not None:
        optimal = result.proportions[first, second]
    frame = pl.DataFrame(
        {
            "first": [names[i] for i in first],
            "second": [names[j] for j in second],
            "comparisons": counts,
            "proportion": counts / max(counts.sum(), 1e-300),
            "groups": pl.Series(result.group_counts[:, first, second].T.tolist(), dtype=pl.List(pl.Int64)),
            "optimal": pl.Series(optimal).fill_nan(None),
        }
    )
    return _labelled(source, result, frame)


def summary(source: models.Source, result: Result) -> pl.DataFrame:
    """One row per delta: the fields of `llmpo_jax.engine.result.Level`."""
    frame = pl.DataFrame([asdict(level) for level in result.summary()])
    return _labelled(source, result, frame)


def _labelled(source: models.Source, result: Result, frame: pl.DataFrame) -> pl.DataFrame:
    labels = [
        pl.lit(value).alias(name)
        for name, value in (
            ("source", source.label),
            ("sampler", result.sampler),
            ("stopping", result.stopping),
        )
    ]
    return frame.select(*labels, pl.all())


def write_tables(folder: StudyFolder, results: Sequence[tuple[models.Source, Result]]) -> None:
    """Write table.parquet, pairs.parquet and summary.csv of a study."""
    table = pl.concat([statements(*cell) for cell in results])
    folder.write("table.parquet", lambda path: table.write_parquet(path))
    frequency = pl.concat([pairs(*cell) for cell in results])
    folder.write("pairs.parquet", lambda path: frequency.write_parquet(path))
    # Procedures that are told their budget have no levels.
    at_levels = [summary(source, result) for source, result in results if result.deltas]
    if at_levels:
        levels = pl.concat(at_levels, how="vertical_relaxed")
        folder.write("summary.csv", lambda path: levels.write_csv(path))
