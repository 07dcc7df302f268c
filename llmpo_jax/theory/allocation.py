"""The convex program behind the structured bound, `max over the simplex of min_k f_k(w)`, by an interior point method.

The f_k are concave, positively homogeneous of degree 1 and smooth, so at the optimum some weights q on them price
the pairs: `sum_k q_k grad f_k(w)` is the same on the support of w and nowhere larger. The method follows the central
path of

    sum_k q_k grad f_k(w) - rho w + s = eta,   sum q = 1,   sum w = 1,   q_k (f_k(w) - z) = nu,   s_p w_p = nu

to nu = 0 with Newton's method (Boyd and Vandenberghe 2004, section 11.7). Many pairs are taken in by columns: the
program is solved on some of them, and those whose price is too high are added until none is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

MAX_STEPS = 100
ALL_AT_ONCE = 600
"""Pairs up to which no columns need be chosen: the Newton systems are of this size."""
_PATIENCE = 15
"""Steps without a better point after which none is expected."""
_LEAST_GAP = 1e-4
"""Of the path, as a share of the tolerance: where prices still miss it there, the path will not mend them."""
_NEW_COLUMNS = 100
_ROUNDS = 30


class Values(NamedTuple):
    """The f_k at some w.

    Attributes:
        value: [R], f_k(w).
        slope: [R, P], the gradients; `f_k(w) = slope[k] . w`.
        curvature: `q -> -sum_k q_k` times the Hessians of the f_k, [P, P].
    """

    value: np.ndarray
    slope: np.ndarray
    curvature: Callable[[np.ndarray], np.ndarray]


class Solution(NamedTuple):
    """Weights w [P] and prices q [R], both on their simplices."""

    weights: np.ndarray
    prices: np.ndarray


Evaluate = Callable[[np.ndarray, np.ndarray], Values]
"""`(columns, w on them) -> Values` on these columns alone."""


class _State(NamedTuple):
    weights: np.ndarray
    level: float
    shadow: np.ndarray
    prices: np.ndarray
    balance: float


def maximise(
    evaluate: Evaluate, first: np.ndarray, pairs: int, penalty: float, tolerance: float, start: np.ndarray | None = None
) -> Solution:
    """Maximise `min_k f_k(w) - penalty |w|^2 / 2` over the simplex on all `pairs`, to a relative gap below `tolerance`.

    Args:
        evaluate: the f_k, of the order of 1.
        first: indices of the pairs to begin with; on these alone min_k f_k must be positive.
        start: [pairs], where to begin, inside the simplex (the solution does not depend on it).
    """
    columns = np.arange(pairs) if pairs <= ALL_AT_ONCE or start is not None else np.unique(first)
    for _ in range(_ROUNDS):
        begin = np.full(len(columns), 1 / len(columns)) if start is None else start
        weights, prices = _interior(lambda w, columns=columns: evaluate(columns, w), begin, penalty, tolerance / 4)
        solution = np.zeros(pairs)
        solution[columns] = weights
        everywhere = np.arange(pairs)
        price = prices @ evaluate(everywhere, solution).slope - penalty * solution
        worst = price[columns].max()
        new = np.setdiff1d(everywhere[price > worst * (1 + tolerance / 4)], columns)
        if not len(new):
            break
        columns = np.union1d(columns, new[np.argsort(-price[new])[:_NEW_COLUMNS]])
    return Solution(solution, prices)


def _interior(
    evaluate: Callable[[np.ndarray], Values], start: np.ndarray, penalty: float, tolerance: float
) -> Solution:
    """The program on a few columns: the best point that was met, should the tolerance not be."""
    at = evaluate(start)
    rivals = len(at.value)
    level = 0.5 * at.value.min()
    prices = 1 / (at.value - level)
    prices /= prices.sum()
    # A balance above all prices of pairs makes the start dual feasible.
    price = prices @ at.slope - penalty * start
    balance = 2 * price.max()
    state = _State(start, level, balance - price, prices, balance)
    share, best, found, since = 1.0, math.inf, Solution(start, prices), 0
    for step in range(MAX_STEPS):
        slack = at.value - state.level
        gap = state.prices @ slack + state.shadow @ state.weights
        dual = state.prices @ at.slope - penalty * state.weights + state.shadow - state.balance
        # Stop on the true certificate: prices on the simplex against the value.
        prices = state.prices / state.prices.sum()
        upper = (prices @ at.slope - penalty * state.weights).max()
        lower = at.value.min() - penalty * state.weights @ state.weights
        if upper - lower < best * abs(lower):
            best, since = (upper - lower) / abs(lower), step
            found = Solution(state.weights / state.weights.sum(), prices)
        arrived = best <= tolerance and gap < tolerance
        stuck = step - since > _PATIENCE or not slack.min() > 0 or not gap > _LEAST_GAP * tolerance * abs(lower)
        if arrived or stuck:
            break
        # After a short step the path comes first, then progress along it.
        target = (0.1 if share > 0.5 else 0.7) * float(gap) / (rivals + len(start))
        try:
            state, at, share = _step(evaluate, state, at, dual, slack, target, penalty)
        except np.linalg.LinAlgError:  # where the f_k have corners, as for very large theta
            break
    return found


def _step(
    evaluate: Callable[[np.ndarray], Values],
    state: _State,
    at: Values,
    dual: np.ndarray,
    slack: np.ndarray,
    target: float,
    penalty: float,
) -> tuple[_State, Values, float]:
    """A Newton step towards the point of the central path with products `target`, kept inside: its share taken."""
    w, z, s, q, eta = state
    size = len(w)
    ratio = q / slack
    missing = (target - q * slack) / slack
    system = np.zeros((size + 2, size + 2))
    system[:size, :size] = at.curvature(q) + (at.slope.T * ratio) @ at.slope
    system[np.arange(size), np.arange(size)] += penalty + s / w
    system[:size, size] = system[size, :size] = -ratio @ at.slope
    system[size, size] = ratio.sum()
    system[:size, size + 1] = system[size + 1, :size] = 1
    right = np.empty(size + 2)
    right[:size] = dual + missing @ at.slope + (target - s * w) / w
    right[size] = 1 - q.sum() - missing.sum()
    right[size + 1] = 1 - w.sum()
    move = np.linalg.solve(system, right)
    dw, dz, deta = move[:size], move[size], move[size + 1]
    dq = missing - ratio * (at.slope @ dw - dz)
    ds = (target - s * w - s * dw) / w
    share = min(1.0, *(0.98 * _room(x, dx) for x, dx in ((w, dw), (s, ds), (q, dq))))
    while True:
        new = _State(w + share * dw, z + share * dz, s + share * ds, q + share * dq, eta + share * deta)
        found = evaluate(new.weights)
        if (found.value - new.level > 0.02 * slack).all() or share < 1e-6:
            return new, found, share
        share *= 0.6


def _room(x: np.ndarray, dx: np.ndarray) -> float:
    """The largest multiple of dx that keeps x non-negative."""
    down = dx < 0
    return float((-x[down] / dx[down]).min(initial=np.inf))
