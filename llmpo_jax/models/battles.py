"""A log of comparisons of real policies, and its win rates."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from llmpo_jax.brief import brief, few
from llmpo_jax.models.preference import Tabular

#: Two policies by their numbers, the lower one first.
Pair = tuple[int, int]

SHOWN_PAIRS = 5

_POOLED = 10
"""Comparisons, for `tie_shares`."""


@dataclass(frozen=True, eq=False)
class Battles:
    """A log of comparisons, in the order of the file.

    Attributes:
      names: the K policies, sorted.
      first: [n] int, the policy in column model_a.
      second: [n] int, the policy in column model_b.
      outcome: [n] float, 1 where `first` won, 0 where it lost, 1/2 for a tie; between them where a judge only leans to
        one side, as the chance that it would be preferred.
      ordered: whether the rows may be in the order in which the comparisons were made; not where only numbers of wins
        are known.
      skipped: how many rows of the file were left out, by reason.
    """

    names: tuple[str, ...]
    first: np.ndarray
    second: np.ndarray
    outcome: np.ndarray
    ordered: bool = field(default=True, kw_only=True)
    skipped: Mapping[str, int] = field(default_factory=dict, kw_only=True)

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
    def ties(self) -> np.ndarray:
        """Comparisons of each pair that ended in a tie, [K, K] int, symmetric."""
        ties = self._sums((self.outcome == 0.5).astype(np.int64))
        return ties + ties.T

    @property
    def leaning(self) -> int:
        """Rows of which the judge only leans to one side."""
        return int(_leaning(self.outcome).sum())

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
        part = part_of_each(self.counts)
        return tuple(tuple(np.flatnonzero(part == number).tolist()) for number in range(part.max() + 1))

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """The sum of `values` [n] over the battles of each ordered pair (first, second), [K, K]."""
        sums = np.zeros((len(self.names), len(self.names)), values.dtype)
        np.add.at(sums, (self.first, self.second), values)
        return sums


def part_of_each(counts: np.ndarray) -> np.ndarray:
    """int [K], the part of the graph of the comparisons [K, K] in which each policy is, numbered by the first in it."""
    from scipy.sparse.csgraph import connected_components  # slow to import, and seldom needed

    return connected_components(counts, directed=False)[1]


def drawn(battles: Battles, seed: int) -> Battles:
    """The log with each row that only leans to one side drawn as a verdict, with the chance that it states.

    So a verdict of i against j is won by i with the mean of what the judge states, and what is proven of such verdicts
    is proven of that mean.
    """
    chance = np.random.default_rng(seed).random(len(battles.outcome))
    verdict = np.where(_leaning(battles.outcome), chance < battles.outcome, battles.outcome)
    return replace(battles, outcome=verdict)


def without_ties(battles: Battles) -> Battles:
    """The comparisons of a log that did not end in a tie."""
    kept = battles.outcome != 0.5
    first, second, outcome = (values[kept] for values in (battles.first, battles.second, battles.outcome))
    return replace(battles, first=first, second=second, outcome=outcome)


def tie_shares(counts: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """The chance that a comparison of each pair ends in a tie, an estimate, [K, K], symmetric, diagonal 0.

    The record of each pair begins with `_POOLED` comparisons at the share of ties of all pairs together, so that this
    share stands where a pair has few of its own, and with one decided comparison for all, so that none is 1.

    Args:
      counts: comparisons of each pair, [K, K], symmetric. ties: those of them that ended in a tie.
    """
    pooled = np.triu(ties, 1).sum() / (np.triu(counts, 1).sum() + 1)
    return np.where(np.eye(len(counts), dtype=bool), 0, (ties + _POOLED * pooled) / (counts + _POOLED))


def _leaning(outcome: np.ndarray) -> np.ndarray:
    return ~np.isin(outcome, (0.0, 0.5, 1.0))


def _pairs(which: np.ndarray) -> tuple[Pair, ...]:
    """The pairs (i, j), i < j, at which `which` [K, K] holds."""
    first, second = np.nonzero(np.triu(which, 1))
    return tuple(zip(first.tolist(), second.tolist(), strict=True))


def listed(pairs: Sequence[Pair], names: Sequence[str]) -> str:
    """The first pairs by name, and how many more there are."""
    return few([f"{names[i]} - {names[j]}" for i, j in pairs], SHOWN_PAIRS)


def empirical_model(battles: Battles) -> Tabular:
    """The win matrix `wins / counts` of a log, ties half.

    A pair that was never compared stands in it as 1/2. That is a convention and no finding; it is a harmless one
    where `Battles.open_pairs` is empty: then the model has the Condorcet winner of the rates that are known, or none
    as they have none.
    """
    counts = battles.counts
    mu = np.divide(battles.wins, counts, out=np.full(counts.shape, 0.5), where=counts > 0)
    return Tabular(mu, battles.names)


def from_wins(wins: np.ndarray, names: Sequence[str]) -> Battles:
    """The comparisons of which `wins[i, j]` were won by i against j, [K, K], in no order; halves are ties.

    Raises:
      ValueError: half a win without the other half.
    """
    ties = np.triu(2 * (wins % 1))
    if (wins % 1 != wins.T % 1).any():
        raise ValueError("half a win stands alone, expected ties as half a win for both")
    first, second, outcome = [], [], []
    for counts, value in ((np.floor(wins), 1.0), (ties, 0.5)):
        i, j = np.nonzero(counts)
        number = counts[i, j].astype(np.int64)
        first.append(np.repeat(i, number))
        second.append(np.repeat(j, number))
        outcome.append(np.full(number.sum(), value))
    return Battles(tuple(names), *map(np.concatenate, (first, second, outcome)), ordered=False)


def rates(battles: Battles, place: str) -> Tabular:
    """`empirical_model` where the rates of a log can stand for the truth although some may be missing.

    Of missing rates that do not matter for who the winner is, a UserWarning tells; `place` begins all messages.

    Raises:
      ValueError: it hangs on missing rates who the Condorcet winner is.
    """
    if battles.open_pairs:
        raise ValueError(
            f"{place}: who beats all others hangs on pairs that were never compared "
            f"({listed(battles.open_pairs, battles.names)}), expected comparisons of these, too"
        )
    if battles.never_compared:
        warnings.warn(
            f"{place}: pairs never compared are taken to be even, which does not matter for who beats all others: "
            f"{listed(battles.never_compared, battles.names)}",
            stacklevel=3,
        )
    return empirical_model(battles)
