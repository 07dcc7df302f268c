"""Square matrices of win rates, percentages, or numbers of wins."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from llmpo_jax.models.battles import Battles, from_wins, rates
from llmpo_jax.models.preference import COMPLEMENT_TOLERANCE, Tabular, checked_names, default_names
from llmpo_jax.models.reading.sheet import Row, Sheet, number, read_sheet

_BLANK = frozenset(("", "-", "\N{EN DASH}", "\N{EM DASH}", "na", "n/a", "nan", "null", "none", "."))

_COARSEST = 2
"""Decimals, at least, where entries may be off by what rounding to so many costs."""


class Grid(NamedTuple):
    """The square part of a sheet.

    Attributes:
      names: of the policies, None where there are none.
      rows: K rows of K cells, with their lines.
      column: of the first cell, from 1.
    """

    names: list[str] | None
    rows: list[Row]
    column: int


def read_matrix(path: str | os.PathLike[str]) -> Tabular:
    """A K x K matrix of `P(row beats column)`, NumPy float64.

    The names of the policies stand in the first row, in the first column, in both, or nowhere (then the model has no
    names). Entries are probabilities, percentages, or whole numbers of wins of the row over the column, from which the
    rates are computed. The diagonal may be 1/2, 0 or blank; one of two opposite entries may be blank. Probabilities
    need `mu + mu^T = 1` to 1e-6, or to what rounding to two or more decimals costs: then a UserWarning says so, and the
    rest is shared by both.

    Raises:
      FileNotFoundError: no such file.
      ValueError: empty or not square, names that differ between row and column or are not unique, an entry that is no
        number, no probability or not the complement of its opposite, or K < 2.
    """
    sheet = read_sheet(path)
    found = matrix(sheet)
    return found if isinstance(found, Tabular) else rates(found, sheet.path)


def matrix(sheet: Sheet) -> Tabular | Battles:
    """The win matrix that a sheet holds, or the comparisons where it holds numbers of wins.

    Raises:
      ValueError: as `read_matrix`.
    """
    grid = _grid(sheet)
    values = _values(sheet, grid)
    try:
        names = checked_names(grid.names, len(values))
        if len(values) < 2:
            raise ValueError(f"mu has shape {values.shape}, expected at least K = 2 policies")
        shown = names or default_names(len(values))
        shares, counts = _scaled(values)
        if counts:
            return _counted(values, shown)
        decimals = _decimals(grid) + 2 * (shares is not values)
        mu = _probabilities(shares, shown)
        return Tabular(_complementary(mu, decimals, sheet.path), names)
    except ValueError as error:
        raise ValueError(f"{sheet.path}: {error}") from None


def read_square(path: str | os.PathLike[str], meant: str) -> tuple[list[str] | None, np.ndarray]:
    """A K x K matrix of any numbers, with names where those of `read_matrix` may stand.

    Args:
      meant: what its numbers should be, for messages.

    Returns:
      The names, or None, and the numbers, [K, K] float64: shares where they are percentages, nan where a cell is blank.

    Raises:
      FileNotFoundError: no such file.
      ValueError: empty or not square, names that differ between row and column, or an entry that is no finite number.
    """
    sheet = read_sheet(path)
    grid = _grid(sheet)
    return grid.names, _values(sheet, grid, meant)


def is_matrix(sheet: Sheet) -> bool:
    """Whether a sheet holds (or is meant to hold) a matrix: all but its first row and column are numbers, or some are
    and both have the same names."""
    return any(_numbers(sheet)) if _named_twice(sheet) else all(_numbers(sheet))


def is_named_matrix(sheet: Sheet) -> bool:
    """Whether a sheet is surely a matrix, even if its policies are called like the columns of a log."""
    return _named_twice(sheet) and all(_numbers(sheet))


def _named_twice(sheet: Sheet) -> bool:
    """Whether the first row and the first column have the same names."""
    frame = sheet.frame
    return frame.height == frame.width > 2 and sheet.header[1:] == frame.to_series(0)[1:].to_list()


def _numbers(sheet: Sheet) -> Iterator[bool]:
    """Of each cell, those of the first row and column left out, whether it holds a number or nothing."""
    frame = sheet.frame
    body = frame[1:, 1:] if frame.height > 1 and frame.width > 1 else frame
    return (_value(cell, sheet.separator) is not None for row in body.iter_rows() for cell in row)


def _grid(sheet: Sheet) -> Grid:
    """The square part of a sheet, and the names."""
    rows = sheet.rows()
    first, above, width = rows[0][1], [cells[0] for _, cells in rows], len(rows[0][1])

    def texts(cells: Sequence[str]) -> bool:
        return any(_value(cell, sheet.separator) is None for cell in cells)

    def names(cells: list[str]) -> bool:
        """Whether they are names, or the numbers that pandas gives to rows and columns."""
        counted = [[str(k + start) for k in range(len(cells))] for start in (0, 1)]
        return texts(cells) or cells in counted

    both = len(rows) == width and (texts(above[1:]) or (first[1:] == above[1:] and number(first[0]) is None))
    header, beside = (
        both or (len(rows) == width + 1 and names(first)),
        both or (len(rows) == width - 1 and names(above)),
    )
    if len(rows) - header != width - beside or (texts(first[beside:]) and not header):
        where = f"{sheet.path}, line {rows[0][0]}: {width} columns, {len(rows)} rows in all"
        raise ValueError(f"{where}, expected a square matrix, with names in first row, first column, both, or neither")
    body = rows[header:]
    if both:
        for name, (line, cells) in zip(first[1:], body, strict=True):
            if cells[0] != name:
                place = f"{sheet.path}, line {line}, column 1"
                raise ValueError(f"{place}: name {cells[0]!r}, expected {name!r} as in the first row")
    found = first[beside:] if header else above if beside else None
    return Grid(found, [(line, cells[beside:]) for line, cells in body], 1 + beside)


def _values(sheet: Sheet, grid: Grid, meant: str = "a probability in [0, 1]") -> np.ndarray:
    """The numbers of a matrix, [K, K], percentages as shares; nan where a cell is blank."""
    percent = any(cell.endswith("%") for _, cells in grid.rows for cell in cells)
    values = np.empty((len(grid.rows), len(grid.rows)))
    for i, (line, cells) in enumerate(grid.rows):
        for j, cell in enumerate(cells):
            value = _value(cell, sheet.separator)
            if value is None or math.isinf(value) or (percent and not math.isnan(value) and not cell.endswith("%")):
                place = f"{sheet.path}, line {line}, column {j + grid.column}"
                expected = "percentages throughout" if value is not None else meant
                raise ValueError(
                    f"{place}: {cell!r} is {'no percentage' if percent else 'not a number'}, expected {expected}"
                )
            values[i, j] = value / 100 if percent else value
    return values


def _value(cell: str, separator: str) -> float | None:
    """The number in a cell, nan for a blank one, None for text; a comma is a decimal one where it separates nothing."""
    if cell.lower() in _BLANK:
        return math.nan
    text = cell.removesuffix("%").rstrip()
    return number(text.replace(",", ".") if separator != "," else text)


def _decimals(grid: Grid) -> int:
    """Decimals of the most exact entry, as shares: those of 66.7 % are three."""
    cells = [cell for _, row in grid.rows for cell in row]
    longest = max((len(part) for cell in cells for part in re.findall(r"[.,](\d+)", cell)), default=0)
    return longest + 2 * any(cell.endswith("%") for cell in cells)


def _probabilities(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The win matrix, from entries some of which may be blank."""
    mu = values.copy()
    diagonal = np.diagonal(mu)
    np.fill_diagonal(mu, np.where(np.isnan(diagonal) | (diagonal == 0), 0.5, diagonal))
    missing = np.argwhere(np.isnan(mu) & np.isnan(mu.T))
    if len(missing):
        i, j = (names[k] for k in missing[0])
        raise ValueError(f"the rate of {i} against {j} is blank, both ways, expected a number: it is unknown, not 1/2")
    mu = np.where(np.isnan(mu), 1 - mu.T, mu)
    off = mu + mu.T - 1
    if (
        ((mu >= 0) & (mu <= 1)).all()
        and off.max() <= COMPLEMENT_TOLERANCE
        and off.min() < -(10.0**-_COARSEST) - COMPLEMENT_TOLERANCE
    ):
        i, j = np.argwhere(off == off.min())[0]
        raise ValueError(
            f"{names[i]} against {names[j]}: {mu[i, j]:g} + {mu[j, i]:g} = {mu[i, j] + mu[j, i]:g}, expected 1; if "
            "what is missing are ties, add half of it to both"
        )
    return mu


def _complementary(mu: np.ndarray, decimals: int, path: str) -> np.ndarray:
    """`mu` with `mu + mu^T = 1` where it lacks no more than rounding to so many decimals costs."""
    off = mu + mu.T - 1
    largest = np.abs(off).max()
    rounding = 10.0**-decimals if decimals >= _COARSEST else 0.0
    if not COMPLEMENT_TOLERANCE < largest <= 1.001 * rounding:
        return mu
    warnings.warn(
        f"{path}: entries are rounded to {decimals} decimals and add up to 1 with their opposites only to "
        f"{largest:.1g}; what is over or missing is shared by both",
        stacklevel=4,
    )
    return mu - off / 2


def _scaled(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """Percentages without a sign as shares; and whether the entries are numbers of wins."""
    known = values[~np.eye(len(values), dtype=bool)]
    sums = (values + values.T)[np.triu_indices(len(values), 1)]
    known, sums = known[~np.isnan(known)], sums[~np.isnan(sums)]
    whole = bool((known == np.floor(known)).all())
    if (known <= 1).all() and not (whole and (sums != 1).any()):
        return values, False
    if len(sums) and (np.abs(sums - 100) <= 1).all():
        return values / 100, False
    return values, bool((known >= 0).all() and (2 * known == np.floor(2 * known)).all())


def _counted(values: np.ndarray, names: Sequence[str]) -> Battles:
    """The comparisons of a matrix of wins."""
    wins = np.where(np.isnan(values), 0.0, values)
    if np.diagonal(wins).any():
        raise ValueError("numbers of wins with entries on the diagonal, expected 0 or blank there")
    if (wins == wins.T).all():
        raise ValueError(
            "whole numbers and symmetric, as numbers of comparisons are, expected wins of the row over the column"
        )
    return from_wins(wins, names)
