"""Do the rows of a log look like independent comparisons, in the order in which they were made?

What an e-process proves of a log stands on one assumption: given all earlier rows, a comparison of i and j that is
decided is won by i with a chance that depends on the pair alone. Rows that were sorted by outcome break it, and so do
the N - 1 rows into which one verdict over N answers is written, and several judges of the same two answers. Nothing
is assumed of how the pairs were chosen, so neither an adaptive sampler, nor a gauntlet against one baseline, nor an
early stop may look like a breach.

The test is an e-value by universal inference (Wasserman, Ramdas, Balakrishnan 2020, arXiv 1912.11436). Let q_t be a
prediction of the t-th decided outcome from all that came before it and from its pair. If the pairs' chances are mu,
`M_n = prod_t q_t(y_t) / mu(y_t)` is a non-negative martingale started at 1, whatever chooses the pairs and ends the
log. The chances are not known, but the greatest likelihood over all chances is no less than theirs, so

    e = prod_t q_t(y_t) / prod over pairs of sup_mu mu^wins (1 - mu)^losses  <=  M_n,

has mean at most 1, and by Markov's inequality reaches `1 / FALSE_ALARMS` with probability at most `FALSE_ALARMS`.
The mean of two such e-values is one, too. The two predictions, both by Krichevsky and Trofimov's mixture (KT) of all
chances, which is (wins + 1/2) / (n + 1) outcome by outcome and a beta function in all:
- repeats: the outcome is that of the pair's last comparison, with one chance of repetition for all pairs; a pair's
  first outcome is a fair coin.
- shared: where a row shares exactly one policy with the row before it, that policy has the same result again, with
  one chance for all such rows; the other outcomes follow the chance of their pair.

Rows that are sorted by outcome make "repeats" large, and "shared" too. Where the order is known not to matter, that is
no reason for alarm, so the rows are held against a wider assumption: that any pair may be sorted outright, its wins
and its losses each in one block. Of such a pair the greatest likelihood is 1. Several judgements of one answer, or of
one question, repeat all along the log and still stand out.

O(n log n) for n rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, xlogy

from llmpo_jax.models.battles import Battles

FALSE_ALARMS = 1e-6
"""Share of logs of independent comparisons, at most, in which the alarm rings."""

ORDERS = ("log", "any")
"""Rows in the order in which the comparisons were made, or in whatever order."""

SORTED, VERDICTS, JUDGES = "sorted", "verdicts", "judges"


@dataclass(frozen=True)
class Independence:
    """Evidence against independent rows, natural logarithms of e-values.

    Attributes:
        repeats: the pair's last outcome is repeated (or avoided).
        shared: the result of a policy that the row shares with the one before it is repeated (or avoided).
        sorting: what both lose where pairs may be sorted.
    """

    repeats: float
    shared: float
    sorting: float

    def alarm(self, order: str) -> str | None:
        """What the rows of a log look like if not like independent comparisons: "sorted" by outcome, several rows to
        one of the "verdicts" over many answers, several "judges" of the same two; None without alarm.

        False in at most one log in `1 / FALSE_ALARMS`; which of the three it is, is a guess.

        Args:
            order: one of `ORDERS`. With "any", sorted rows are no reason for alarm.
        """
        evidence = np.logaddexp(self.repeats, self.shared) - math.log(2) - (self.sorting if order == "any" else 0)
        if evidence < -math.log(FALSE_ALARMS):
            return None
        if max(self.repeats, self.shared) <= self.sorting:
            return SORTED
        return VERDICTS if self.shared > self.repeats else JUDGES


def independence(battles: Battles) -> Independence:
    """The evidence of a log against the independence of its rows; ties are passed over."""
    decided = battles.outcome != 0.5
    first, second, won = battles.first[decided], battles.second[decided], battles.outcome[decided] == 1
    winner, loser = np.where(won, first, second), np.where(won, second, first)
    low = np.minimum(first, second)
    # The rows pair by pair, each pair's in their order.
    pair = low * len(battles.names) + np.maximum(first, second)
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
    wins = (winner == low)[order]

    again = (wins[1:] == wins[:-1])[np.diff(pair[order]) == 0]
    repeats = _mixture(again.sum(), (~again).sum()) - len(starts) * math.log(2)

    same, other = _shared(winner, loser)
    apart = ~(same | other)[order]
    shared = _mixture(same.sum(), other.sum())
    shared += _mixture(_sums(wins & apart, starts), _sums(~wins & apart, starts)).sum()

    greatest = _greatest(_sums(wins, starts), _sums(~wins, starts))
    turns = np.concatenate([[False], wins[1:] != wins[:-1]])[: len(wins)]
    turns[starts] = False
    return Independence(
        repeats=float(repeats - greatest.sum()),
        shared=float(shared - greatest.sum()),
        sorting=float(np.abs(greatest[_sums(turns, starts) <= 1]).sum()),
    )


def _shared(winner: np.ndarray, loser: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """bool [n] each: the row shares exactly one policy with the row before it, which has the same result again, or
    the other one."""
    same = np.stack([winner[1:] == winner[:-1], loser[1:] == loser[:-1]])
    other = np.stack([winner[1:] == loser[:-1], loser[1:] == winner[:-1]])
    one = same.sum(axis=0) + other.sum(axis=0) == 1
    first = np.zeros(min(len(winner), 1), bool)
    return np.concatenate([first, one & same.any(axis=0)]), np.concatenate([first, one & other.any(axis=0)])


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The sum of `values` [n] from each start to the next, int."""
    return np.add.reduceat(values.astype(np.int64), starts) if len(starts) else np.zeros(0, np.int64)


def _mixture(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Log probability of a sequence with these counts by Krichevsky and Trofimov's mixture."""
    return betaln(wins + 0.5, losses + 0.5) - math.log(math.pi)


def _greatest(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Greatest log-likelihood of these counts over all chances."""
    n = np.maximum(wins + losses, 1)
    return xlogy(wins, wins / n) + xlogy(losses, losses / n)
