"""The rows of a log in their own order, or in random ones: one number for each row that is decided.

Row "i beat j" is the number `i K + j`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from llmpo_jax.models import Battles

MOST_ORDERS = 256
NUMBERS = 2**25
"""In the records of all orders together, 4 bytes each."""


class Budget(NamedTuple):
    """What reading a log in many orders may cost.

    Attributes:
        rows: to be weighed in all orders together, seconds.
        fewest: orders, however long the log is.
        numbers: kept of each order, in units of K^2.
    """

    rows: int
    fewest: int
    numbers: int


BUDGETS = {"unstructured": Budget(2**22, 16, 4), "structured": Budget(2**17, 4, 24)}


def in_order(battles: Battles) -> np.ndarray:
    """int32 [1, n], the decided rows as they come."""
    decided = battles.outcome != 0.5
    first, second, won = battles.first[decided], battles.second[decided], battles.outcome[decided] == 1
    codes = np.where(won, first, second) * len(battles.names) + np.where(won, second, first)
    return codes.astype(np.int32)[None]


def shuffled(battles: Battles, space: str, seed: int) -> np.ndarray:
    """int32 [M, n], the decided rows in M random orders.

    A function of the seed and of who beat whom how often: the rows are sorted before they are shuffled.
    """
    wins = battles.decided.ravel()
    rows = np.repeat(np.arange(len(wins), dtype=np.int32), wins)
    number = number_of_orders(space, len(rows), len(battles.names))
    logs = np.tile(rows, (number, 1))
    return np.random.default_rng(seed).permuted(logs, axis=1, out=logs)


def number_of_orders(space: str, rows: int, num_policies: int) -> int:
    """M, how many orders a log is read in: 256 for a short one, down to 16 for a long one (4 with features), fewer
    still where K is in the thousands.

    Any number is valid. More make the answer depend less on the seed.
    """
    budget = BUDGETS[space]
    number = min(max(budget.rows // max(rows, 1), budget.fewest), MOST_ORDERS)
    return max(min(number, NUMBERS // (budget.numbers * num_policies**2)), 1)
