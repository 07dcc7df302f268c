"""The rows of a log in their own order, or in random ones: one number for each row that is decided.

Row "i beat j" is the number `i K + j`.
"""

from __future__ import annotations

import numpy as np

from llmpo_jax.models import Battles

MOST_ORDERS, FEWEST_ORDERS = 256, 16
ROWS = {"unstructured": 2**22, "structured": 2**17}
"""Rows to be weighed in all orders together, as far as the number of orders permits: seconds."""

RECORDS = 2**25
"""Numbers in the records of all orders together, K^2 each: 128 MB."""


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
    return np.random.default_rng(seed).permuted(np.tile(rows, (number, 1)), axis=1)


def number_of_orders(space: str, rows: int, num_policies: int) -> int:
    """M, how many orders a log is read in: from 256 for a short one down to 16 (1 where K exceeds 1,448).

    Any number is valid. More make the answer depend less on the seed.
    """
    number = min(max(ROWS[space] // max(rows, 1), FEWEST_ORDERS), MOST_ORDERS)
    return max(min(number, RECORDS // num_policies**2), 1)
