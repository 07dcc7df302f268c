"""The two stages of the hunt, for anything that errs or does not err at given levels.

Stage 1 screens every cell with few replications and picks suspects; it decides nothing. Stage 2 runs the suspects again
on replications that stage 1 has not seen and tests "the error rate is at most delta" at every level by the exact
binomial test. All tests of a hunt share one false-alarm rate (Bonferroni), so a hunt in which every procedure keeps its
levels accuses any of them with probability at most `FALSE_ALARM`, however the suspects were picked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.special import betainc

FALSE_ALARM = 1e-6
SUSPECTS = 6
"""Cells of one procedure that stage 2 looks at."""
WORKERS = 2
"""Groups that run side by side: one is often being compiled, which keeps a single core busy."""


class Cell(NamedTuple):
    """A procedure under test at one place.

    Attributes:
        procedure: what is under test; its cells share a verdict.
        where: the place, in words: instance, sampler.
        deltas: the levels [D].
        errors: `range of replication numbers -> bool [R, D]`, where a wrong statement was made at each level. A
            replication's outcome depends on its number alone and is independent of the others' (or errs with
            probability at most delta whatever the earlier ones did). Censored runs are not errors.
        screened, confirmed: replications in stage 1 and in stage 2.
    """

    procedure: str
    where: str
    deltas: tuple[float, ...]
    errors: Callable[[range], np.ndarray]
    screened: int
    confirmed: int


class Count(NamedTuple):
    """Errors of a cell at its levels, int [D], among so many replications."""

    cell: Cell
    errors: np.ndarray
    replications: int

    @property
    def chances(self) -> np.ndarray:
        """[D], at most how likely so many errors or more are where the error rate is at most delta."""
        return tail(self.errors, self.replications, np.array(self.cell.deltas))

    @property
    def worst(self) -> int:
        """The index of the level at which it looks worst; the smallest of those where the chance is 0 to rounding."""
        return int(np.lexsort(np.stack([self.cell.deltas, self.chances]))[0])


class Verdict(NamedTuple):
    """What a hunt has found of one procedure.

    Attributes:
        procedure: its name. cells: those screened. replications: those of stage 1, over all cells.
        suspects: those that went to stage 2.
        worst: the count of stage 2 with the smallest chance; of stage 1 where there was no suspect.
        broken: whether that chance is too small for a procedure that keeps its levels.
    """

    procedure: str
    cells: int
    replications: int
    suspects: int
    worst: Count
    broken: bool


def tail(errors: np.ndarray, trials: int, delta: np.ndarray) -> np.ndarray:
    """P(Binomial(trials, delta) >= errors), exact, elementwise."""
    none = errors == 0
    return np.where(none, 1.0, betainc(np.where(none, 1, errors), trials - errors + 1, delta))


def counted(cell: Cell, numbers: range) -> Count:
    """Run a cell on these replications.

    Raises:
        ValueError: the indicators are not bool [R, D].
    """
    found = cell.errors(numbers)
    expected = (len(numbers), len(cell.deltas))
    if found.shape != expected or found.dtype != bool:
        raise ValueError(f"errors of {cell.procedure!r} are {found.dtype} {found.shape}, expected bool {expected}")
    return Count(cell, found.sum(axis=0), len(numbers))


def batched(errors: Callable[[range], np.ndarray], batch: int) -> Callable[[range], np.ndarray]:
    """The same indicators, for `batch` replications a call."""
    return lambda numbers: np.concatenate([errors(numbers[i : i + batch]) for i in range(0, len(numbers), batch)])


def screen(groups: Sequence[Sequence[Cell]], report: Callable[[list[Count]], None]) -> list[Count]:
    """Stage 1. The cells of a group, which share a compiled program, run one after the other."""

    def run(group: Sequence[Cell]) -> list[Count]:
        counts = [counted(cell, range(cell.screened)) for cell in group]
        report(counts)
        return counts

    with ThreadPoolExecutor(WORKERS) as pool:
        return [count for counts in pool.map(run, groups) for count in counts]


def suspects(counts: Iterable[Count], most: int = SUSPECTS) -> list[Count]:
    """The `most` suspicious cells of each procedure, among those that erred more often than delta at some level."""
    by_procedure: dict[str, list[Count]] = {}
    for count in counts:
        if (count.errors > count.replications * np.array(count.cell.deltas)).any():
            by_procedure.setdefault(count.cell.procedure, []).append(count)
    return [c for group in by_procedure.values() for c in sorted(group, key=lambda c: c.chances.min())[:most]]


def confirm(accused: Sequence[Count]) -> list[Count]:
    """Stage 2: the cells of these counts again, on fresh replications."""

    def run(count: Count) -> Count:
        cell = count.cell
        return counted(cell, range(cell.screened, cell.screened + cell.confirmed))

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(run, accused))


def threshold(confirmed: Iterable[Count]) -> float:
    """The chance below which a level of a suspect counts as broken: `FALSE_ALARM` over the number of tests."""
    return FALSE_ALARM / max(1, sum(len(count.cell.deltas) for count in confirmed))


def verdicts(screened: Sequence[Count], confirmed: Sequence[Count]) -> list[Verdict]:
    """One verdict a procedure, in the order of the cells."""
    limit = threshold(confirmed)

    def judged(name: str) -> Verdict:
        first, second = ([c for c in counts if c.cell.procedure == name] for counts in (screened, confirmed))
        worst = min(second or first, key=lambda count: count.chances.min())
        return Verdict(
            procedure=name,
            cells=len(first),
            replications=sum(count.replications for count in first),
            suspects=len(second),
            worst=worst,
            broken=bool(second) and bool(worst.chances.min() <= limit),
        )

    return [judged(name) for name in dict.fromkeys(count.cell.procedure for count in screened)]


def hunt(
    groups: Sequence[Sequence[Cell]], report: Callable[[list[Count]], None], most: int = SUSPECTS
) -> list[Verdict]:
    """Both stages; `report` is told what came of each group of stage 1 (from several threads)."""
    screened = screen(groups, report)
    return verdicts(screened, confirm(suspects(screened, most)))
