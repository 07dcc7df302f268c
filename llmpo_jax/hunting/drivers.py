"""Cells of the hunt that are no runs of `simulate`: logs that are audited, logs without an order, late verdicts.

Where no model is named the log is a single pair's, a fair coin: "the first policy wins at least half" is true, and its
refutation is the error.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from llmpo_jax import LinearBradleyTerry
from llmpo_jax.engine.audit import audit
from llmpo_jax.hunting import instances
from llmpo_jax.hunting.cells import DELTAS
from llmpo_jax.hunting.search import Cell, batched
from llmpo_jax.models import Battles, condorcet_winner, win_probabilities

COMPARISONS = 200
"""Of a pair, where verdicts are late."""
ORDERS, LOG, PREFIXES = 32, 64, 8
"""Random orders over which wealth is averaged, rows of a log, and places along it where the average is looked at."""

LOGS = 64
"""Logs that are audited as one."""


class Verdicts(NamedTuple):
    """When verdicts come: so many comparisons in flight, each losing verdict after an exponential time of mean 1, each
    winning one after one of mean `slowness`."""

    in_flight: int
    slowness: float = 10.0


def _refuted(log_wealth: np.ndarray) -> np.ndarray:
    """bool [R, D], which levels a log wealth [R] has reached."""
    return log_wealth[:, None] >= -np.log(np.array(DELTAS))


def log_wealth(won: np.ndarray) -> np.ndarray:
    """Log wealth [..., t] along outcomes [..., t] of a policy against "it wins at least half", nats.

    The bet is Krichevsky and Trofimov's prediction, capped at 1/2: p = min(1/2, (wins + 1/2) / (comparisons + 1)).
    """
    wins = np.cumsum(won, axis=-1) - won
    bet = np.minimum(0.5, (wins + 0.5) / (np.arange(won.shape[-1]) + 1))
    return np.cumsum(np.log(2 * np.where(won, bet, 1 - bet)), axis=-1)


def arrivals(won: np.ndarray, verdicts: Verdicts, rng: np.random.Generator) -> np.ndarray:
    """int [R, t], the comparisons in the order in which their verdicts arrive; a new one is asked at each arrival."""
    latency = rng.exponential(np.where(won, verdicts.slowness, 1.0))
    arrival, rows = np.empty(won.shape), np.arange(len(won))
    slots = np.zeros((len(won), verdicts.in_flight))
    for ask in range(won.shape[1]):
        slot = slots.argmin(axis=1)
        arrival[:, ask] = slots[rows, slot] + latency[:, ask]
        slots[rows, slot] = arrival[:, ask]
    return np.argsort(arrival, axis=1)


def settled(on_arrival: bool, verdicts: Verdicts, seed: int, numbers: range) -> np.ndarray:
    """Errors [R, D] where evidence is settled in the order in which verdicts arrive, or were asked for."""
    rng = np.random.default_rng([seed, numbers.start])
    won = rng.random((len(numbers), COMPARISONS)) < 0.5
    if on_arrival:
        won = np.take_along_axis(won, arrivals(won, verdicts, rng), axis=1)
    return _refuted(log_wealth(won).max(axis=1))


def averaged(at_peak: bool, seed: int, numbers: range) -> np.ndarray:
    """Errors [R, D] where wealth is averaged over random orders of a log sorted by its outcome, the losses first.

    The average at the end of the log does not depend on its order and has mean 1. The average along the log, over the
    orders of what has been read so far, is another matter.
    """
    rng = np.random.default_rng([seed, numbers.start])
    won = np.sort(rng.random((len(numbers), LOG)) < 0.5, axis=1)
    average = np.zeros((len(numbers), 0))
    for rows in range(LOG // PREFIXES, LOG + 1, LOG // PREFIXES) if at_peak else (LOG,):
        orders = rng.permuted(np.repeat(won[:, None, :rows], ORDERS, axis=1), axis=2)
        wealth = np.exp(log_wealth(orders)[..., -1]).mean(axis=1)
        average = np.column_stack([average, wealth])
    return _refuted(np.log(average.max(axis=1)))


def audited(k: int, order: str, seed: int, numbers: range) -> np.ndarray:
    """Errors [R, D] of `audit`: the best of K policies is refuted, in logs of near-ties with outliers.

    All logs are audited as one, log after log, each with policies of its own. What came before a log may enter its bets
    (`Statistics.pooling`, the experts' weights), which still are of the past: its winner is refuted with probability at
    most delta whatever came before, so the number of errors is binomial at most.
    """
    rng = np.random.default_rng([seed, numbers.start])
    mu = np.asarray(win_probabilities(instances.with_winner(k, rng)["near tie, outliers"]))
    first, second = _rows(k, order, 1200, rng)
    logs = len(numbers)
    base = k * np.repeat(np.arange(logs), len(first))
    outcome = rng.random((logs, len(first))) < mu[first, second]
    names = tuple(map(str, range(k * logs)))
    log = Battles(names, base + np.tile(first, logs), base + np.tile(second, logs), outcome.ravel().astype(float))
    return _refuted(audit(log).refutation[::k])


def audited_features(model: LinearBradleyTerry, order: str, seed: int, numbers: range) -> np.ndarray:
    """Errors [R, D] of `audit` with features: the best policy is refuted."""
    mu, winner = np.asarray(win_probabilities(model)), condorcet_winner(model)
    evidence = []
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        first, second = _rows(len(mu), order, 2400, rng)
        outcome = (rng.random(len(first)) < mu[first, second]).astype(float)
        log = Battles(tuple(map(str, range(len(mu)))), first, second, outcome)
        evidence.append(audit(log, np.asarray(model.features)).refutation[winner])
    return _refuted(np.array(evidence))


def _rows(k: int, order: str, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of a log, fixed before any outcome: "sorted" by pair, in "blocks" of 50, or "shuffled"."""
    first, second = np.triu_indices(k, 1)
    pair = np.arange(length) * len(first) // length
    if order == "blocks":
        pair = (np.arange(length) // 50) % len(first)
    elif order == "shuffled":
        pair = rng.permutation(pair)
    return first[pair], second[pair]


def logs(seed: int) -> list[list[Cell]]:
    """The logs that `audit` is given without features."""

    def cell(k: int, order: str) -> Cell:
        errors = functools.partial(audited, k, order, seed)
        where = f"K = {k}, near tie, outliers; {order} log"
        return Cell("audit", where, DELTAS, batched(errors, LOGS), LOGS, 8 * LOGS)

    return [[cell(k, order) for order in ("sorted", "blocks", "shuffled")] for k in (2, 4)]


def logs_with_features(seed: int) -> list[list[Cell]]:
    """The logs that `audit` is given with features."""

    def cell(name: str, model: LinearBradleyTerry, order: str) -> Cell:
        errors = functools.partial(audited_features, model, order, seed)
        return Cell("audit, features", f"{name}; {order} log", DELTAS, errors, 8, 32)

    return [[cell(name, model, order) for order in ("sorted", "blocks")] for name, model in instances.KILLERS.items()]


def settlement(on_arrival: bool, seed: int) -> list[list[Cell]]:
    """Evidence settled on arrival, a defect, or in ask order."""
    name = "settled on arrival" if on_arrival else "settled in ask order"

    def cell(in_flight: int) -> Cell:
        errors = functools.partial(settled, on_arrival, Verdicts(in_flight), seed)
        return Cell(name, f"fair coin, wins 10 times slower; {in_flight} in flight", DELTAS, errors, 512, 4096)

    return [[cell(in_flight) for in_flight in (1, 8, 32)]]


def average(at_peak: bool, seed: int) -> list[list[Cell]]:
    """Wealth averaged over random orders: taken at the end of a log, or at its peak, a defect."""
    name = "average over orders, " + ("peak" if at_peak else "end")
    errors = functools.partial(averaged, at_peak, seed)
    return [[Cell(name, "fair coin; log sorted by outcome", DELTAS, errors, 512, 4096)]]
