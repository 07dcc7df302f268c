"""Logs of comparisons: one row each, or one row for all comparisons of a pair."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from llmpo_jax.models.battles import Battles
from llmpo_jax.models.preference import Tabular
from llmpo_jax.models.reading.columns import Columns, columns_in, find_columns
from llmpo_jax.models.reading.matrices import is_matrix, is_named_matrix, matrix
from llmpo_jax.models.reading.sheet import Sheet, number, read_sheet
from llmpo_jax.models.reading.verdicts import UnclearVerdict, outcomes

if TYPE_CHECKING:
    import polars as pl

MOST_ROWS = 10**8
"""Comparisons that a file of counts may stand for."""

SELF, NAMELESS, INVALID, SILENT = (
    "of a policy with itself",
    "without the name of a policy",
    "marked as invalid",
    "without a verdict",
)
"""Why rows are skipped."""


def read_battles(path: str | os.PathLike[str], columns: Mapping[str, str] | str | None = None) -> Battles:
    """A log of comparisons, as arenas, judges and spreadsheets write it.

    Columns are known by their names: the policies (model_a and model_b, left and right, player_1 and player_2,
    model_a_name and model_b_name, or winner and loser, ...), and the winner (winner, preference, chosen_model_name,
    ...) or the numbers of wins (winner_model_a, winner_model_b and winner_tie with one 1 among them, or wins_1 and
    wins_2). A winner is a side in any spelling, a policy by its name, a tie, or a number from 1 for the first to 2 for
    the second (how far a judge leans). A matrix of numbers of wins is read, too; then, and with numbers of wins above
    1, the order of the comparisons is unknown (`Battles.ordered`).

    Rows that say nothing are skipped and counted (`Battles.skipped`), and told by a UserWarning.

    Args:
      path: CSV (comma, semicolon, tab, bar), JSON lines or array, Parquet; also compressed by gzip.
      columns: names of columns that are called otherwise, by "first", "second" and "winner"; or the same as a text,
        `first=NAME,second=NAME,winner=NAME`.

    Raises:
      FileNotFoundError: no such file.
      ValueError: no comparisons, columns that are missing, there twice or ambiguous, a matrix of rates, or a winner
        that is unknown or may be either side.
    """
    columns = columns_in(columns)
    found = comparisons(read_sheet(path), columns)
    if isinstance(found, Tabular):
        raise ValueError(f"{path}: a matrix of win rates, expected a log of comparisons (or numbers of wins)")
    return found


def holds_log(sheet: Sheet, columns: Mapping[str, str] | None = None) -> bool:
    """Whether a sheet is a log of comparisons (or meant to be one) rather than a matrix."""
    try:
        find_columns(sheet.header, columns)
    except ValueError:
        return not is_matrix(sheet)
    return not is_named_matrix(sheet)


def comparisons(sheet: Sheet, columns: Mapping[str, str] | None = None) -> Battles | Tabular:
    """The comparisons of a sheet, or the rates where it is a matrix of them.

    Raises:
      ValueError: as `read_battles` and `read_matrix`.
    """
    if not holds_log(sheet, columns):
        return matrix(sheet)
    try:
        roles = find_columns(sheet.header, columns)
    except ValueError as error:
        raise ValueError(f"{sheet.path}: {error}") from None
    frame, skipped = _rows_that_count(sheet, roles)
    found = _counted(sheet, frame, roles) if roles.wins else _judged(sheet, frame, roles)
    return _battles(sheet, found, skipped)


def _rows_that_count(sheet: Sheet, roles: Columns) -> tuple[pl.DataFrame, dict[str, int]]:
    """The cells by role, of rows that compare two policies, with their `index` in the sheet; and what was left out."""
    import polars as pl

    wins = roles.wins or (None, None)
    used = {
        "first": roles.first,
        "second": roles.second,
        "verdict": roles.verdict,
        "wins": wins[0],
        "losses": wins[1],
        "tie": roles.tie,
        "valid": roles.valid,
    }
    cells = sheet.frame.get_columns()
    frame = pl.DataFrame({role: cells[column] for role, column in used.items() if column is not None})
    frame = frame.with_row_index("index")[1:]
    first, second = pl.col("first"), pl.col("second")
    reason = pl.when((first == "") | (second == "")).then(pl.lit(NAMELESS)).when(first == second).then(pl.lit(SELF))
    if roles.valid is not None:
        invalid = pl.col("valid").str.to_lowercase().is_in(["false", "0", "no"])
        reason = reason.when(invalid).then(pl.lit(INVALID))
    frame = frame.with_columns(reason.otherwise(None).alias("reason"))
    counts = frame["reason"].drop_nulls().value_counts()
    return frame.filter(pl.col("reason").is_null()), dict(sorted(counts.iter_rows()))


def _judged(sheet: Sheet, frame: pl.DataFrame, roles: Columns) -> pl.DataFrame:
    """Columns first, second, outcome (null where there is none) and number of rows that verdicts tell of."""
    import polars as pl

    if roles.verdict is None:
        return frame.with_columns(outcome=pl.lit(1.0), number=pl.lit(1, pl.Int64))
    distinct = frame.unique(["first", "second", "verdict"], keep="first", maintain_order=True)
    policies = frozenset(frame["first"].unique()) | frozenset(frame["second"].unique())
    try:
        found = outcomes(distinct.select("first", "second", "verdict").rows(), policies, roles.digits)
    except UnclearVerdict as error:
        place = f"{sheet.path}, line {sheet.line(distinct['index'][error.row])}, column {sheet.header[roles.verdict]}"
        raise ValueError(f"{place}: {error}") from None
    table = distinct.select("first", "second", "verdict", outcome=pl.Series(found).fill_nan(None))
    frame = frame.join(table, on=["first", "second", "verdict"], how="left", maintain_order="left")
    if roles.tie is not None:
        tied = pl.col("tie").str.to_lowercase().is_in(["true", "1", "1.0", "yes"])
        frame = frame.with_columns(pl.when(tied).then(0.5).otherwise("outcome").alias("outcome"))
    return frame.with_columns(number=pl.col("outcome").is_not_null().cast(pl.Int64))


def _counted(sheet: Sheet, frame: pl.DataFrame, roles: Columns) -> pl.DataFrame:
    """The same of rows that tell numbers of wins: one row for each of the three outcomes of each row."""
    import polars as pl

    parts = [frame.select("index", "first", "second", outcome=pl.lit(math.nan), number=pl.lit(0, pl.Int64))]
    for role, outcome in (("wins", 1.0), ("losses", 0.0), ("tie", 0.5)):
        if role in frame.columns:
            numbers = {cell: _number_of_wins(cell) for cell in frame[role].unique()}
            bad = frame.filter(pl.col(role).is_in([cell for cell, value in numbers.items() if value is None]))
            if len(bad):
                raise ValueError(
                    f"{sheet.path}, line {sheet.line(bad['index'][0])}: {bad[role][0]!r}, expected a whole number of "
                    "wins; where it is a verdict of its own, --columns winner=NAME names its column"
                )
            number = frame[role].replace_strict(numbers, return_dtype=pl.Int64)
            parts.append(frame.select("index", "first", "second", outcome=pl.lit(outcome), number=number))
    return pl.concat(parts).sort("index", maintain_order=True)


def _number_of_wins(cell: str) -> int | None:
    """A whole number >= 0, 0 for a blank, or None."""
    value = {"": 0.0, "true": 1.0, "false": 0.0}.get(cell.lower(), number(cell))
    return int(value) if value is not None and value >= 0 and value == value // 1 else None


def _battles(sheet: Sheet, found: pl.DataFrame, skipped: dict[str, int]) -> Battles:
    """The log, from rows that each stand for a number of comparisons with one outcome."""
    import polars as pl

    total = len(sheet.frame) - 1
    per_row = found.group_by("index").agg(pl.col("number").sum())["number"]
    silent = int((per_row == 0).sum())
    skipped = {**skipped, SILENT: silent} if silent else skipped
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in skipped.items())
    if per_row.sum() == 0:
        why = f"none of {total:,} rows compares two policies ({reasons})" if total else "a header and no comparisons"
        raise ValueError(f"{sheet.path}: {why}, expected at least one comparison")
    if per_row.sum() > MOST_ROWS:
        raise ValueError(f"{sheet.path}: {per_row.sum():,} comparisons, expected at most {MOST_ROWS:,}")
    if skipped:
        warnings.warn(f"{sheet.path}: {sum(skipped.values()):,} of {total:,} rows are skipped: {reasons}", stacklevel=4)
    found = found.filter(pl.col("number") > 0)
    names = sorted({*found["first"].unique(), *found["second"].unique()})
    kind, number = pl.Enum(names), found["number"].to_numpy()
    first, second = (found[side].cast(kind).to_physical().to_numpy().astype(np.int64) for side in ("first", "second"))
    return Battles(
        tuple(names),
        *(np.repeat(values, number) for values in (first, second, found["outcome"].to_numpy())),
        ordered=bool((per_row <= 1).all()),
        skipped=skipped,
    )
