"""The structured space (linear Bradley-Terry models): characteristic time as a convex program, with a certificate.

Theory, section 3. With `z_p = x_i - x_j` for the pair p = (i, j), `c_k = x_i* - x_k` and the gap `g_k = c_k . theta`,

    1 / T* = max_w min_k f_k(w)
    exact    f_k(w) = min over c_k . lambda <= 0 of sum_p w_p kl(mu_p, sigmoid(z_p . lambda))
    fisher   f_k(w) = g_k^2 / (2 c_k . H(w)^-1 c_k),    H(w) = sum_p w_p mu_p (1 - mu_p) z_p z_p^T

Fisher's form is the second order of the exact one in the gaps. Both f_k are the least of `sum_p w_p cost_k[p]` over the
alternatives lambda, so for any distribution q over rivals and any alternatives
`min_k f_k(w) <= 1 / T* <= max_p sum_k q_k cost_k[p]`: the certificate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from llmpo_jax.models import identified
from llmpo_jax.registry import nearest
from llmpo_jax.theory import allocation, alternatives
from llmpo_jax.theory.allocation import Solution, Values
from llmpo_jax.theory.alternatives import EXACT, FISHER, Cost, Pairs, Rivals

FORMS = ("exact", "fisher")
_ROUNDING = 1e-12
"""Allowed for the rounding of sums, relative to either end."""


@dataclass(frozen=True, eq=False)
class StructuredTime:
    """Characteristic time of a linear Bradley-Terry model, and how a best procedure divides its comparisons.

    Attributes:
        time: T* of the returned proportions, `1 / min_k f_k(w)`: at least the true one, and at most
            `1 + relative_gap` times it. Infinite where nothing is certified.
        proportions: w*, [K, K] float64, the pair (i, j) at i < j, zero elsewhere; sums to 1. Not unique in general,
            unless regularised.
        winner: the best policy i*.
        form: "exact" or "fisher".
        regularisation: rho, relative to the value of the program.
        status: "optimal" where the certificate met the tolerance (of the penalised program, where it is), else
            "inaccurate".
        relative_gap: certified, upper / lower bound on 1 / T* less 1. With regularisation it includes the value that
            the penalty costs, at most about rho / 2.
    """

    time: float
    proportions: np.ndarray
    winner: int
    form: str
    regularisation: float
    status: str
    relative_gap: float

    @property
    def certified(self) -> float:
        """The certified lower end of T*, `time / (1 + relative_gap)`; 0 where nothing is certified."""
        return self.time / (1 + self.relative_gap) if math.isfinite(self.relative_gap) else 0.0


def solve(
    features: np.ndarray,
    theta: np.ndarray,
    form: str = "exact",
    regularisation: float = 0.0,
    tolerance: float = 1e-4,
    start: np.ndarray | None = None,
) -> StructuredTime:
    """Characteristic time T* and optimal proportions w* over the structured space, float64 on the host.

    Args:
        features: [K, d]; only differences of rows matter, so any units, basis and rank.
        theta: [d].
        form: "exact" or "fisher".
        regularisation: rho >= 0; the program becomes `max_w min_k f_k(w) - (rho v / 2) |w|^2`, v its value without
            penalty. Then the solution is unique, and the value lost is at most rho / 2 of it.
        tolerance: relative duality gap to reach.
        start: [P], inside the simplex, where to begin; for tests of uniqueness.

    Raises:
        ValueError: bad form, regularisation or tolerance, features as `llmpo_jax.models.identified`, several policies
            with the top score, or scores beyond the range of float64.
    """
    _check(form, regularisation, tolerance)
    program = Program.of(features, theta, form)
    solution = _maximised(program, regularisation, tolerance, start)
    lower, upper = program.bracket(solution.weights, solution.prices)
    gap = upper / lower - 1 if lower > 0 else math.inf
    return StructuredTime(
        time=float(1 / lower) if lower > 0 else math.inf,
        proportions=program.matrix(solution.weights),
        winner=program.winner,
        form=form,
        regularisation=regularisation,
        status="optimal" if gap <= tolerance + regularisation else "inaccurate",
        relative_gap=float(gap),
    )


def _maximised(program: Program, regularisation: float, tolerance: float, start: np.ndarray | None) -> Solution:
    """Proportions and prices, of the program divided by its value at equal proportions."""
    uniform = np.full(len(program.z), 1 / len(program.z))
    scale = program.values(np.arange(len(program.z)), uniform).value.min()
    if not scale > 0:  # all pairs are so certain that their information underflows
        return Solution(uniform, np.full(len(program.rivals.gaps), 1 / len(program.rivals.gaps)))

    def evaluate(columns: np.ndarray, weights: np.ndarray) -> Values:
        found = program.values(columns, weights)
        return Values(found.value / scale, found.slope / scale, lambda q: found.curvature(q) / scale)

    first = program.first_columns()
    solution = allocation.maximise(evaluate, first, len(program.z), 0.0, tolerance, start)
    if regularisation > 0:
        value = program.values(np.arange(len(program.z)), solution.weights).value.min() / scale
        solution = allocation.maximise(
            evaluate, first, len(program.z), regularisation * value, min(tolerance, 1e-6), start
        )
    return solution


@dataclass(frozen=True, eq=False)
class Program:
    """The functions f_k of an instance, in identified coordinates.

    Attributes:
        z: [P, d], pair differences; products: [P, d d], `z z^T`.
        logits: [P], `z . theta`.
        rivals: the planes of the alternatives, rivals in the order of their numbers.
        winner, num_policies: as in `StructuredTime`.
        cost: what the form makes of a shift.
        rounding: share by which either end of the certificate may be off, as features that all but lie in a subspace
            lose digits on the way to identified coordinates.
    """

    z: np.ndarray
    products: np.ndarray
    logits: np.ndarray
    rivals: Rivals
    winner: int
    num_policies: int
    cost: Cost
    rounding: float
    _last: dict[str, np.ndarray]

    @staticmethod
    def of(features: np.ndarray, theta: np.ndarray, form: str) -> Program:
        """The program of an instance.

        Differences are taken before anything else, so that two policies which nearly agree keep the digits of theirs.
        """
        features, theta = np.asarray(features, np.float64), np.asarray(theta, np.float64)
        known = identified(features)
        scores = known.coordinates @ known.parameter(theta)
        if not np.isfinite(scores).all():
            raise ValueError(f"theta has a largest entry of {np.abs(theta).max():g}, expected scores that are finite")
        winner = int(np.argmax(scores))
        top = np.flatnonzero(scores >= scores[winner] - 1e-12 * max(1.0, np.abs(scores).max()))
        if len(top) > 1:
            raise ValueError(
                f"policies {', '.join(map(str, top))} share the best score, expected a unique winner: "
                "no number of comparisons tells which is best"
            )
        first, second = np.triu_indices(len(scores), 1)
        differences = features[first] - features[second]
        z = differences @ known.map
        products = (z[:, :, None] * z[:, None, :]).reshape(len(z), -1)
        contrasts = np.delete(features[winner] - features, winner, axis=0) @ known.map
        rivals = Rivals.of(contrasts, _gaps(features, theta, winner))
        cost = EXACT if form == "exact" else FISHER
        lost = (np.linalg.norm(np.abs(differences) @ np.abs(known.map), axis=1) / np.linalg.norm(z, axis=1)).max()
        rounding = _ROUNDING + 8 * len(theta) * np.finfo(float).eps * float(lost)
        return Program(z, products, differences @ theta, rivals, winner, len(scores), cost, rounding, {})

    def first_columns(self) -> np.ndarray:
        """Pairs of the winner, which span all directions, and those best at the uniform design."""
        first, second = np.triu_indices(self.num_policies, 1)
        own = np.flatnonzero((first == self.winner) | (second == self.winner))
        uniform = self.values(np.arange(len(self.z)), np.full(len(self.z), 1 / len(self.z)))
        best = np.argsort(-uniform.slope[uniform.value.argmin()])[:150]
        return np.union1d(own, best)

    def matrix(self, weights: np.ndarray) -> np.ndarray:
        """Proportions [P] as an upper triangle [K, K]."""
        found = np.zeros((self.num_policies, self.num_policies))
        found[np.triu_indices(self.num_policies, 1)] = weights
        return found

    def values(self, columns: np.ndarray, weights: np.ndarray) -> Values:
        """All f_k at these weights on these pairs, slopes and curvature on them."""
        pairs, shifts = self._nearest(columns, weights)
        along = shifts @ pairs.z.T
        cost = self.cost.value(pairs.logits, along)

        def curvature(q: np.ndarray) -> np.ndarray:
            roots = self.rivals.roots(pairs, self.cost.curvature(pairs.logits, along))
            return _curvature(q, self.cost.slope(pairs.logits, along), pairs.z, roots)

        return Values(cost @ weights, cost, curvature)

    def bracket(self, weights: np.ndarray, prices: np.ndarray) -> tuple[float, float]:
        """Certified lower and upper bound on 1 / T*, from proportions [P] and a distribution over rivals [R].

        `min_k f_k(w) <= 1 / T* <= max_p sum_k q_k cost_k[p]`, the left from below by `alternatives.least`.
        """
        pairs, shifts = self._nearest(np.arange(len(self.z)), weights)
        lower = alternatives.least(self.cost, pairs, self.rivals, shifts).min()
        upper = (prices @ self.cost.value(pairs.logits, shifts @ pairs.z.T)).max()
        return float(lower) * (1 - self.rounding), float(upper) * (1 + self.rounding)

    def _nearest(self, columns: np.ndarray, weights: np.ndarray) -> tuple[Pairs, np.ndarray]:
        """These pairs, and the nearest alternatives [R, d]; each search begins where the last one ended."""
        pairs = Pairs(self.z[columns], self.products[columns], self.logits[columns], weights)
        start = self._last.get("shifts", np.zeros_like(self.rivals.contrasts))
        self._last["shifts"] = alternatives.nearest(self.cost, pairs, self.rivals, start)
        return pairs, self._last["shifts"]


def _gaps(features: np.ndarray, theta: np.ndarray, winner: int) -> np.ndarray:
    """[R], the exact gaps of the rivals, rounded once: a small one is the difference of two large scores."""
    exact = [sum(Fraction(x) * Fraction(t) for x, t in zip(row, theta, strict=True)) for row in features]
    return np.array([float(exact[winner] - score) for k, score in enumerate(exact) if k != winner])


def _curvature(q: np.ndarray, slope: np.ndarray, z: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """`-sum_k q_k` Hessians of `f_k(w) = min over c_k . s = -g_k of sum_p w_p cost_p(s)`, [P, P].

    Each is `(J_k S_k) (J_k S_k)^T` with S a square root of the inverse Hessian in s within the plane and J_k the rows
    `slope_kp z_p`, the gradients of the costs in s.
    """
    total = np.zeros((len(z), len(z)))
    for price, row, root in zip(q, slope, roots, strict=True):
        if price > 1e-14:
            rows = (row[:, None] * z) @ root * np.sqrt(price)
            total += rows @ rows.T
    return total


def _check(form: str, regularisation: float, tolerance: float) -> None:
    if form not in FORMS:
        raise ValueError(f"form = {form!r}{nearest(str(form), FORMS)}")
    if not (regularisation >= 0 and math.isfinite(regularisation)):
        raise ValueError(f"regularisation = {regularisation!r}, expected a finite number >= 0")
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance = {tolerance!r}, expected a number in (0, 1)")
