"""Reading comparisons of real policies: win matrices and logs of battles, both CSV.

Every error is one line that names the file, the place in it, and what was expected there.
"""

from __future__ import annotations

import csv
import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llmpo_jax.brief import brief
from llmpo_jax.models.preference import Tabular
from llmpo_jax.registry import nearest

BATTLE_COLUMNS = ("model_a", "model_b", "winner")

#: The outcome for model_a of each value of the column `winner`; a tie counts half.
OUTCOMES = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5, "tie (bothbad)": 0.5}

#: A row of a file: its line number (from 1; its last one, where a cell has line breaks) and its cells.
Row = tuple[int, list[str]]

#: Two policies by their numbers, the lower one first.
Pair = tuple[int, int]

SHOWN_PAIRS = 5


@dataclass(frozen=True, eq=False)
class Battles:
    """A log of comparisons, in the order of the file.

    Attributes:
      names: the K policies, sorted.
      first: [n] int, the policy in column model_a.
      second: [n] int, the policy in column model_b.
      outcome: [n] float, 1 where `first` won, 0 where it lost, 1/2 for a tie.
    """

    names: tuple[str, ...]
    first: np.ndarray
    second: np.ndarray
    outcome: np.ndarray

    __repr__ = brief

    @property
    def counts(self) -> np.ndarray:
        """Comparisons of each pair, [K, K] int, symmetric."""
        counts = self._sums(np.ones(len(self.first), np.int64))
        return counts + counts.T

    @property
    def wins(self) -> np.ndarray:
        """`wins[i, j]`: comparisons that i won against j, ties half, [K, K]; `wins + wins^T = counts`."""
        return self._sums(self.outcome) + self._sums(1 - self.outcome).T

    @property
    def decided(self) -> np.ndarray:
        """`decided[i, j]`: comparisons that i won against j, ties left out, [K, K] int."""
        return self._sums((self.outcome == 1).astype(np.int64)) + self._sums((self.outcome == 0).astype(np.int64)).T

    @property
    def never_compared(self) -> tuple[Pair, ...]:
        """The pairs (i, j), i < j, without any comparison: their rates are unknown."""
        return _pairs(self.counts == 0)

    @property
    def open_pairs(self) -> tuple[Pair, ...]:
        """The pairs never compared on which it hangs who the Condorcet winner of the win rates is.

        These are the missing pairs of the policies that have won more than half of the comparisons with each of
        their opponents. Without any, the rates that are known settle who the winner is, or that there is none.
        """
        counts, wins = self.counts, self.wins
        may_win = np.all((counts == 0) | (2 * wins > counts), axis=1)
        return _pairs((counts == 0) & np.logical_or.outer(may_win, may_win))

    @property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        """The policies by the parts into which the graph of the comparisons falls; one part where it is connected."""
        from scipy.sparse.csgraph import connected_components  # slow to import, and seldom needed

        number, label = connected_components(self.counts, directed=False)
        return tuple(tuple(np.flatnonzero(label == part).tolist()) for part in range(number))

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """The sum of `values` [n] over the battles of each ordered pair (first, second), [K, K]."""
        sums = np.zeros((len(self.names), len(self.names)), values.dtype)
        np.add.at(sums, (self.first, self.second), values)
        return sums


def _pairs(which: np.ndarray) -> tuple[Pair, ...]:
    """The pairs (i, j), i < j, at which `which` [K, K] holds."""
    first, second = np.nonzero(np.triu(which, 1))
    return tuple(zip(first.tolist(), second.tolist(), strict=True))


def listed(pairs: Sequence[Pair], names: Sequence[str]) -> str:
    """The first pairs by name, and how many more there are."""
    more = f" and {len(pairs) - SHOWN_PAIRS:,} more" if len(pairs) > SHOWN_PAIRS else ""
    return ", ".join(f"{names[i]} - {names[j]}" for i, j in pairs[:SHOWN_PAIRS]) + more


def empirical_model(battles: Battles) -> Tabular:
    """The win matrix `wins / counts` of a log, ties half.

    A pair that was never compared stands in it as 1/2. That is a convention and no finding; it is a harmless one
    where `Battles.open_pairs` is empty: then the model has the Condorcet winner of the rates that are known, or none
    as they have none.
    """
    counts = battles.counts
    mu = np.divide(battles.wins, counts, out=np.full(counts.shape, 0.5), where=counts > 0)
    return Tabular(mu, battles.names)


def read_matrix(path: str | os.PathLike[str]) -> Tabular:
    """A K x K matrix of `P(row beats column)`, NumPy float64.

    The file has the names of the policies in both its first row and its first column, or in neither (then the
    model has no names); entries need `mu + mu^T = 1` to 1e-6 only (6 digits).

    Raises:
      FileNotFoundError: no such file.
      ValueError: empty or not square, names that differ between row and column or are not unique, an entry
        that is not a number, not a probability or not the complement of its opposite, or K < 2.
    """
    rows = list(read_rows(path))
    header: list[str] | None = None
    if number(rows[0][1][0]) is None:
        header = rows.pop(0)[1][1:]
    width = len(header) + 1 if header is not None else len(rows)
    for line, cells in rows:
        if len(cells) != width or (header is not None and len(header) != len(rows)):
            raise ValueError(
                f"{path}, line {line}: {len(cells)} columns, {len(rows) + (header is not None)} rows in all, "
                "expected a square matrix, with names in both first row and first column or in neither"
            )
    if header is None:
        return _tabular(path, rows, first_column=0, names=None)
    if len(header) == 0 or not rows:
        raise ValueError(f"{path}: only one row or column, expected a matrix of at least 2 policies")
    for name, (line, cells) in zip(header, rows, strict=True):
        if cells[0] != name:
            raise ValueError(f"{path}, line {line}, column 1: name {cells[0]!r}, expected {name!r} as in the first row")
    return _tabular(path, rows, first_column=1, names=tuple(header))


def _tabular(
    path: str | os.PathLike[str], rows: list[Row], first_column: int, names: tuple[str, ...] | None
) -> Tabular:
    mu = np.empty((len(rows), len(rows)))
    for index, (line, cells) in enumerate(rows):
        for column, cell in enumerate(cells[first_column:]):
            value = number(cell)
            if value is None:
                place = f"line {line}, column {column + first_column + 1}"
                raise ValueError(f"{path}, {place}: {cell!r} is not a number, expected a probability in [0, 1]")
            mu[index, column] = value
    try:
        return Tabular(mu, names)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_battles(path: str | os.PathLike[str]) -> Battles:
    """A log of comparisons in LMArena's columns: model_a, model_b, winner; any others are ignored.

    `winner` is model_a, model_b, tie or "tie (bothbad)".

    Raises:
      FileNotFoundError: no such file.
      ValueError: no comparisons, a column that is missing or there twice, a row that is too short, a policy
        without a name or compared with itself, or an unknown winner.
    """
    rows = read_rows(path)
    columns = _battle_columns(path, next(rows)[1])
    battles: list[tuple[str, str, float]] = []
    for line, cells in rows:
        if len(cells) <= max(columns):
            raise ValueError(f"{path}, line {line}: {len(cells)} columns, expected at least {max(columns) + 1}")
        first, second, winner = (cells[column] for column in columns)
        if not first or not second:
            raise ValueError(f"{path}, line {line}: empty name in model_a or model_b, expected a policy")
        if first == second:
            raise ValueError(f"{path}, line {line}: model_a and model_b are both {first!r}, expected two policies")
        if winner not in OUTCOMES:
            raise ValueError(f"{path}, line {line}, column winner: unknown {winner!r}{nearest(winner, OUTCOMES)}")
        battles.append((first, second, OUTCOMES[winner]))
    if not battles:
        raise ValueError(f"{path}: a header and no comparisons, expected at least one row")
    names = tuple(sorted({name for battle in battles for name in battle[:2]}))
    index = {name: i for i, name in enumerate(names)}
    first = np.array([index[battle[0]] for battle in battles])
    second = np.array([index[battle[1]] for battle in battles])
    return Battles(names, first, second, np.array([battle[2] for battle in battles]))


def _battle_columns(path: str | os.PathLike[str], header: list[str]) -> tuple[int, int, int]:
    """The positions of model_a, model_b and winner."""
    for name in BATTLE_COLUMNS:
        if header.count(name) > 1:
            raise ValueError(f"{path}: column {name!r} is there {header.count(name)} times, expected once")
        if name not in header:
            others = [column for column in header if column not in BATTLE_COLUMNS]
            raise ValueError(
                f"{path}: no column {name!r}, expected {', '.join(BATTLE_COLUMNS)} among the columns "
                f"{', '.join(header)}{resembling(name, others)}"
            )
    first, second, winner = (header.index(name) for name in BATTLE_COLUMNS)
    return first, second, winner


def resembling(name: str, columns: list[str]) -> str:
    """A hint at the column that was probably meant to be called `name`."""
    alike = difflib.get_close_matches(name, columns, n=1)
    return f"; is {alike[0]!r} meant to be {name!r}?" if alike else ""


def holds_battles(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a log of battles (or meant to be one) rather than a matrix, by its header.

    A matrix is known by names that are the same in its first row and column, so its policies may be called
    anything.
    """
    rows = read_rows(path)
    header = next(rows)[1]
    size = len(header) - 1
    first_column = [cells[0] for _, (_, cells) in zip(range(size), rows, strict=False)]
    if size > 0 and first_column == header[1:]:
        return False
    return any(difflib.get_close_matches(cell, BATTLE_COLUMNS, n=1, cutoff=0.75) for cell in header)


def number(cell: str) -> float | None:
    """The number that a cell holds, or None where it holds something else."""
    try:
        return float(cell)
    except ValueError:
        return None


def read_rows(path: str | os.PathLike[str]) -> Iterator[Row]:
    """The rows of a CSV file that are not blank, at least one."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a CSV file")
    empty = True
    # "utf-8-sig" drops the byte order mark that spreadsheets write.
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        try:
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    empty = False
                    yield reader.line_num, stripped
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: {error}, expected CSV text in UTF-8") from error
    if empty:
        raise ValueError(f"{path}: the file is empty, expected a header or a row of numbers")
