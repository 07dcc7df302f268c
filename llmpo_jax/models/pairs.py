"""What is given by pair besides who wins: matrices [K, K] that do not ask in which order a pair is named."""

from __future__ import annotations

from typing import Any

import numpy as np

from llmpo_jax.models.preference import COMPLEMENT_TOLERANCE, Array, array_namespace, floating


def pair_costs(costs: Any, num_policies: int) -> np.ndarray | None:
    """What a comparison of each pair costs, [K, K] float64, symmetric, on the host (theory, section 10).

    Args:
        costs: by policy [K], so that a pair costs the sum of its two; by pair [K, K], symmetric, the diagonal ignored;
            or None. In any unit (tokens, money, minutes of a judge).
        num_policies: K.

    Returns:
        The costs, with a diagonal of 1 so that one may divide by them; None for None.

    Raises:
        ValueError: no such array, or a cost that is not positive and finite.
    """
    if costs is None:
        return None
    given = np.asarray(floating("costs", costs), np.float64)
    if given.shape not in ((num_policies,), (num_policies, num_policies)):
        raise ValueError(
            f"costs has shape {given.shape}, expected one cost for each of the {num_policies} policies [K], or for "
            "each pair of them [K, K]"
        )
    if given.ndim == 2:
        given = with_diagonal(given, 1)
    check_each("costs", given, (given > 0) & np.isfinite(given), "a positive and finite cost")
    by_pair = given[:, None] + given[None] if given.ndim == 1 else symmetric("costs", given)
    return with_diagonal(by_pair, 1)


def with_diagonal(matrix: Array, value: float) -> Array:
    """`matrix` [K, K] with `value` on its diagonal."""
    xp = array_namespace(matrix)
    return xp.where(xp.eye(matrix.shape[-1], dtype=bool), xp.asarray(value, matrix.dtype), matrix)


def check_each(argument: str, values: np.ndarray, holds: np.ndarray, expected: str) -> None:
    """Raise a ValueError that names the first of `values` that is not as `expected`."""
    wrong = np.argwhere(~holds)
    if len(wrong):
        place = tuple(wrong[0])
        raise ValueError(f"{argument}[{', '.join(map(str, place))}] = {values[place]:g}, expected {expected}")


def symmetric(argument: str, matrix: np.ndarray) -> np.ndarray:
    """`matrix` [K, K] made symmetric to the last digit, if it is to the digits that files have.

    Raises:
        ValueError: it is not.
    """
    apart = np.argwhere(np.abs(matrix - matrix.T) > COMPLEMENT_TOLERANCE * np.maximum(1, np.abs(matrix)))
    if len(apart):
        i, j = apart[0]
        raise ValueError(
            f"{argument}[{i}, {j}] = {matrix[i, j]:g} and {argument}[{j}, {i}] = {matrix[j, i]:g}, expected a "
            "symmetric matrix"
        )
    return (matrix + matrix.T) / 2
