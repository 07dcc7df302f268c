"""The characteristic time by solvers of another kind, which share no code with `llmpo_jax.theory`; NumPy and HiGHS.

The unstructured space as a linear program over all pairs (theory, section 2; with ties and costs section 10), the
structured one by cutting planes (Kelley 1960), whose inner programs are solved by a damped Newton method. They are
plain and slow, and tell an interval that holds T*.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

_PRECISE = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
_PRECISION = 1e-5
"""Relative width of the interval at which the cutting planes stop."""
_ROUNDS = 500
"""Of cutting planes, at most."""
_IDLE = 5
"""Rounds after which a cut without a price is dropped."""
_STEPS = 200
"""Newton's, at most."""
_DECREMENT = 1e-18
"""Newton's method stops where a step promises less than this share of the value."""
_ARRIVED = 1e-12
"""It has failed where its last one promises more."""


class Solved(NamedTuple):
    """What is known of T*: `low <= T* <= high`; `high` is what `shares` [P] of the cost, by pair, take."""

    low: float
    high: float
    shares: np.ndarray


def kl(x: np.ndarray, y: np.ndarray, not_y: np.ndarray | None = None) -> np.ndarray:
    """Binary relative entropy in nats, elementwise; exact to rounding where x and y are close, too.

    Args:
        not_y: 1 - y, where it is known more exactly.
    """
    return _part(x, y) + _part(1 - x, 1 - y if not_y is None else not_y, y - x)


def _part(x: np.ndarray, y: np.ndarray, more: np.ndarray | None = None) -> np.ndarray:
    """`x log(x / y)`, of `more = x - y` where they are close; infinite where y alone is 0."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ratio = (x - y if more is None else more) / y
        return np.where(np.abs(ratio) < 0.5, special.xlog1py(x, ratio), special.rel_entr(x, y))


def _upper(size: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second policy of each pair, [P] each."""
    return np.triu_indices(size, 1)


def _by_pair(matrix: np.ndarray | None, size: int, otherwise: float) -> np.ndarray:
    """[P], the entries above the diagonal of [K, K], or the same number for all pairs."""
    return np.full(size * (size - 1) // 2, otherwise) if matrix is None else matrix[_upper(size)]


def worth(size: int, ties: np.ndarray | None, costs: np.ndarray | None) -> np.ndarray:
    """[P], decided comparisons that a unit of cost buys."""
    return (1 - _by_pair(ties, size, 0.0)) / _by_pair(costs, size, 1.0)


def shares_of_cost(proportions: np.ndarray, costs: np.ndarray | None) -> np.ndarray:
    """[P], how the cost is shared where the comparisons are by `proportions` [K, K] (upper triangle)."""
    spent = proportions[_upper(len(proportions))] * _by_pair(costs, len(proportions), 1.0)
    return spent / spent.sum()


def proportions(shares: np.ndarray, size: int, costs: np.ndarray | None) -> np.ndarray:
    """The inverse of `shares_of_cost`, [K, K]."""
    found = np.zeros((size, size))
    found[_upper(size)] = shares / _by_pair(costs, size, 1.0)
    return found / found.sum()


def information(
    mu: np.ndarray, winner: int, certify: bool, ties: np.ndarray | None = None, costs: np.ndarray | None = None
) -> np.ndarray:
    """What a unit of cost on each pair tells against each rival, [K - 1, P].

    Where k were the winner, the pairs that it loses would be at 1/2 at most. Where nobody need be, it is enough that
    the winner did not beat k.
    """
    first, second = _upper(len(mu))
    told = kl(mu[first, second], np.full(len(first), 0.5)) * worth(len(mu), ties, costs)
    loser = np.where(mu[first, second] < 0.5, first, np.where(mu[first, second] > 0.5, second, -1))
    if certify:
        loser = np.where((first == winner) | (second == winner), loser, -1)
    return np.stack([told * (loser == k) for k in range(len(mu)) if k != winner])


def unstructured(against: np.ndarray) -> Solved:
    """T* from `information` [R, P]: `max z: against @ w >= z for all rivals, w a distribution`, by its dual, too.

    Solved for v = w / z, `1 / z = min sum(v): against @ v >= 1, v >= 0`, as z may be many orders of magnitude below 1.
    Either end is what a solution is worth when it is put in, whatever the tolerances of the solver.

    Raises:
        RuntimeError: HiGHS fails.
    """
    found = optimize.linprog(
        np.ones(against.shape[1]), A_ub=-against, b_ub=-np.ones(len(against)), method="highs", options=_PRECISE
    )
    if not found.success:
        raise RuntimeError(f"linear program: {found.message}")
    prices = -found.ineqlin.marginals
    shares = found.x / found.x.sum()
    return Solved(prices.sum() / (prices @ against).max(), attained(against, shares), shares)


def attained(against: np.ndarray, shares: np.ndarray) -> float:
    """The time that `shares` [P] of the cost take in the program of `unstructured`, at least T*."""
    least = (against @ shares).min()
    return float(1 / least) if least > 0 else np.inf


class Program(NamedTuple):
    """A linear Bradley-Terry instance.

    Attributes:
        z: [P, n], differences of features in an orthonormal basis of what they span. logits: [P], of the pairs.
        contrasts: [R, n], winner less rival. gaps: [R], of the scores. worth: [P].
        form: "exact" or "fisher".
    """

    z: np.ndarray
    logits: np.ndarray
    contrasts: np.ndarray
    gaps: np.ndarray
    worth: np.ndarray
    form: str

    def costs(self, shifts: np.ndarray) -> np.ndarray:
        """What a comparison of each pair tells against alternatives theta + shift, [R, P]."""
        mu, change = special.expit(self.logits), shifts @ self.z.T
        if self.form == "fisher":
            return mu * (1 - mu) * change**2 / 2
        return kl(mu, special.expit(self.logits + change), special.expit(-self.logits - change))

    def slopes(self, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and second derivatives of `costs` in the logits, [R, P] each."""
        mu, change = special.expit(self.logits), shifts @ self.z.T
        if self.form == "fisher":
            return mu * (1 - mu) * change, np.broadcast_to(mu * (1 - mu), change.shape)
        moved = special.expit(self.logits + change)
        return moved - mu, moved * (1 - moved)


def program(
    features: np.ndarray,
    theta: np.ndarray,
    form: str,
    ties: np.ndarray | None = None,
    costs: np.ndarray | None = None,
) -> Program:
    """The program of features [K, d] and theta [d]."""
    first, second = _upper(len(features))
    differences = features[first] - features[second]
    _, sizes, basis = np.linalg.svd(differences, full_matrices=False)
    basis = basis[sizes > 1e-10 * sizes[0]].T
    winner = int(np.argmax(features @ theta))
    contrasts = np.delete(features[winner] - features, winner, axis=0)
    return Program(
        differences @ basis,
        differences @ theta,
        contrasts @ basis,
        contrasts @ theta,
        worth(len(features), ties, costs),
        form,
    )


def structured(program: Program, precision: float = _PRECISION) -> Solved:
    """T* of a program by cutting planes, to a relative `precision` unless the rounds run out.

    What comparisons tell against any alternative is linear in the shares w and never below `f_k(w)`: the linear program
    over alternatives found so far is an upper end of 1 / T*, and `min_k f_k(w)` at any w a lower one. The next
    alternatives are those nearest at a point between the optimum of the linear program and the best shares so far
    (plain Kelley jumps between corners, where nothing is told apart). Those without a price for `_IDLE` rounds are
    dropped, which no bound hangs on.
    """
    pairs = len(program.z)
    best, shifts = np.full(pairs, 1 / pairs), None
    cuts, idle, lower, upper, at = np.zeros((0, pairs)), np.zeros(0), 0.0, np.inf, best
    for _ in range(_ROUNDS):
        shifts = nearest(program, at, shifts)
        costs = program.costs(shifts) * program.worth
        value = float((costs @ at).min())
        if value > lower:
            lower, best = value, at
        cuts, idle = np.concatenate([cuts, costs]), np.append(idle, np.zeros(len(costs)))
        prices, corner = _saddle(cuts / lower)
        upper = min(upper, float((prices @ cuts).max()))
        if upper <= lower * (1 + precision):
            break
        idle = np.where(prices > 0, 0, idle + 1)
        cuts, idle = cuts[idle < _IDLE], idle[idle < _IDLE]
        at = (best + corner) / 2
    return Solved(1 / upper, 1 / lower, best)


def _saddle(cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`max z: cuts @ w >= z, w a distribution`: the prices of the cuts, a distribution, and w [P].

    Raises:
        RuntimeError: HiGHS fails.
    """
    number, pairs = cuts.shape
    found = optimize.linprog(
        np.append(np.zeros(pairs), -1.0),
        A_ub=np.column_stack([-cuts, np.ones(number)]),
        b_ub=np.zeros(number),
        A_eq=np.append(np.ones(pairs), 0.0)[None],
        b_eq=[1.0],
        bounds=[*[(0, None)] * pairs, (None, None)],
        method="highs",
        options=_PRECISE,
    )
    if not found.success:
        raise RuntimeError(f"linear program: {found.message}")
    prices, weights = np.maximum(-found.ineqlin.marginals, 0), np.maximum(found.x[:pairs], 0)
    return prices / prices.sum(), weights / weights.sum()


def taken(program: Program, shares: np.ndarray) -> float:
    """The time that `shares` [P] of the cost take, `1 / min_k f_k(w)`, at least T*."""
    return float(1 / (program.costs(nearest(program, shares)) @ (shares * program.worth)).min())


def nearest(program: Program, shares: np.ndarray, shifts: np.ndarray | None = None) -> np.ndarray:
    """[R, n], for each rival the shift of least cost among those that make it as good as the winner.

    Newton's method in an orthonormal basis of the plane `c_k . shift = -g_k`, where a step is halved until it descends.

    Raises:
        RuntimeError: it does not arrive.
    """
    weights = shares * program.worth
    steepest = -program.contrasts * (program.gaps / (program.contrasts**2).sum(axis=1))[:, None]
    planes = np.stack([np.linalg.svd(c[None])[2][1:].T for c in program.contrasts])
    if planes.shape[2] == 0:
        return steepest
    at = steepest if shifts is None else shifts
    value, promised = program.costs(at) @ weights, np.inf
    for _ in range(_STEPS):
        slope, curvature = program.slopes(at)
        gradient = ((slope * weights) @ program.z)[:, None, :] @ planes
        hessian = planes.mT @ np.einsum("rp,pi,pj->rij", curvature * weights, program.z, program.z) @ planes
        flat = np.linalg.solve(hessian, -gradient.mT)
        promised = -(gradient @ flat)[:, 0, 0]
        if np.all(promised <= _DECREMENT * value):
            return at
        step = (planes @ flat)[:, :, 0]
        at, value = _descend(lambda x: program.costs(x) @ weights, at, step, value, promised)
    if np.any(promised > _ARRIVED * value):
        raise RuntimeError(f"Newton's method has not arrived after {_STEPS} steps")
    return at


def _descend(
    cost: Callable[[np.ndarray], np.ndarray],
    shifts: np.ndarray,
    step: np.ndarray,
    value: np.ndarray,
    promised: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """A step of each row, halved until it gains a fair part of what it promises."""
    length = np.ones(len(shifts))
    for _ in range(60):
        trial = shifts + step * length[:, None]
        found = cost(trial)
        short = ~(found <= value - 0.1 * length * promised + 1e-15 * value)
        if not short.any():
            return trial, found
        length = np.where(short, length / 2, length)
    return np.where(short[:, None], shifts, trial), np.where(short, value, found)
