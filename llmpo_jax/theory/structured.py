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

import numpy as np
from scipy.special import expit, log_expit

from llmpo_jax.models import identified
from llmpo_jax.registry import nearest
from llmpo_jax.theory import allocation
from llmpo_jax.theory.allocation import Values

FORMS = ("exact", "fisher")
_NEWTON_STEPS = 60
_NEWTON_GAP = 1e-13


@dataclass(frozen=True, eq=False)
class StructuredTime:
    """Characteristic time of a linear Bradley-Terry model, and how a best procedure divides its comparisons.

    Attributes:
        time: T* of the returned proportions, `1 / min_k f_k(w)`: at least the true one, and at most
            `1 + relative_gap` times it.
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
        ValueError: bad form, regularisation or tolerance, features as `llmpo_jax.models.identified`, or several
            policies with the top score.
    """
    _check(form, regularisation, tolerance)
    program = Program.of(features, theta, form)
    scale = program.values(np.arange(len(program.z)), np.full(len(program.z), 1 / len(program.z))).value.min()

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
    found = program.values(np.arange(len(program.z)), solution.weights)
    lower = found.value.min()
    upper = (solution.prices @ found.slope).max()
    gap = max(0.0, upper / lower - 1) if lower > 0 else math.inf
    return StructuredTime(
        time=float(1 / lower) if lower > 0 else math.inf,
        proportions=program.matrix(solution.weights),
        winner=program.winner,
        form=form,
        regularisation=regularisation,
        status="optimal" if gap <= tolerance + regularisation else "inaccurate",
        relative_gap=float(gap),
    )


@dataclass(frozen=True, eq=False)
class Program:
    """The functions f_k of an instance, in identified coordinates.

    Attributes:
        z: [P, d], pair differences; products: [P, d d], `z z^T`.
        theta: [d]. mu: [P], win probabilities.
        contrasts: [R, d], c_k of the rivals in the order of their numbers.
        winner, num_policies, form: as in `StructuredTime`.
    """

    z: np.ndarray
    products: np.ndarray
    theta: np.ndarray
    contrasts: np.ndarray
    winner: int
    num_policies: int
    form: str
    _last: dict[str, np.ndarray]

    @staticmethod
    def of(features: np.ndarray, theta: np.ndarray, form: str) -> Program:
        """The program of an instance."""
        known = identified(features)
        coordinates, parameter = known.coordinates, known.parameter(np.asarray(theta, np.float64))
        scores = coordinates @ parameter
        winner = int(np.argmax(scores))
        top = np.flatnonzero(scores >= scores[winner] - 1e-12 * max(1.0, np.abs(scores).max()))
        if len(top) > 1:
            raise ValueError(
                f"policies {', '.join(map(str, top))} share the best score, expected a unique winner: "
                "no number of comparisons tells which is best"
            )
        first, second = np.triu_indices(len(scores), 1)
        z = coordinates[first] - coordinates[second]
        products = (z[:, :, None] * z[:, None, :]).reshape(len(z), -1)
        contrasts = np.delete(coordinates[winner] - coordinates, winner, axis=0)
        return Program(z, products, parameter, contrasts, winner, len(scores), form, {})

    @property
    def mu(self) -> np.ndarray:
        """[P], the probability that the pair's first policy wins."""
        return expit(self.z @ self.theta)

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
        z, products = self.z[columns], self.products[columns]
        return self._fisher(z, products, weights) if self.form == "fisher" else self._exact(z, products, weights)

    def _information(self, products: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """`sum_p weights z z^T`, [..., d, d]."""
        size = len(self.theta)
        return (weights @ products).reshape(*weights.shape[:-1], size, size)

    def _fisher(self, z: np.ndarray, products: np.ndarray, weights: np.ndarray) -> Values:
        mu = expit(z @ self.theta)
        spread = mu * (1 - mu)
        inverse = np.linalg.inv(self._information(products, weights * spread))
        directions = self.contrasts @ inverse
        gaps, variance = self.contrasts @ self.theta, (directions * self.contrasts).sum(axis=1)
        shifts = directions * (gaps / variance)[:, None]
        along = shifts @ z.T

        def curvature(q: np.ndarray) -> np.ndarray:
            # f_k = min over shifts with c . shift = g of a quadratic: the Hessian is that of the exact form below.
            return _curvature(q, along * spread, z, np.broadcast_to(inverse, (len(q), *inverse.shape)), self.contrasts)

        return Values(gaps**2 / (2 * variance), spread * along**2 / 2, curvature)

    def _exact(self, z: np.ndarray, products: np.ndarray, weights: np.ndarray) -> Values:
        mu = expit(z @ self.theta)
        lam = self._nearest(z, products, weights, mu)
        logits = lam @ z.T
        cost = mu * (log_expit(z @ self.theta) - log_expit(logits))
        cost = np.maximum(cost + (1 - mu) * (log_expit(-z @ self.theta) - log_expit(-logits)), 0)
        chance = expit(logits)

        def curvature(q: np.ndarray) -> np.ndarray:
            inverse = np.linalg.inv(self._information(products, weights * chance * (1 - chance)))
            return _curvature(q, chance - mu, z, inverse, self.contrasts)

        return Values(cost @ weights, cost, curvature)

    def _nearest(self, z: np.ndarray, products: np.ndarray, weights: np.ndarray, mu: np.ndarray) -> np.ndarray:
        """[R, d], for each rival the alternative on `c_k . lambda = 0` of least cost, by damped Newton."""
        c = self.contrasts
        lam = self._last.get("alternatives")
        if lam is None:
            lam = self.theta - c * ((c @ self.theta) / (c * c).sum(axis=1))[:, None]
        for _ in range(_NEWTON_STEPS):
            chance = expit(lam @ z.T)
            gradient = ((chance - mu) * weights) @ z
            inverse = np.linalg.inv(self._information(products, weights * np.maximum(chance * (1 - chance), 1e-12)))
            free = -np.einsum("kij,kj->ki", inverse, gradient)
            normal = np.einsum("kij,kj->ki", inverse, c)
            multiplier = ((c * free).sum(axis=1)) / (c * normal).sum(axis=1)
            step = free - normal * multiplier[:, None]
            # Damped so that no logit moves by more than 1, where the model holds (generalised self-concordance).
            lam = lam + step / np.maximum(np.abs(step @ z.T).max(axis=1), 1)[:, None]
            if (-(gradient * step).sum(axis=1)).max() < _NEWTON_GAP * max(1e-3, weights @ (1 / 8 * np.ones(len(z)))):
                break
        self._last["alternatives"] = lam
        return lam


def _curvature(
    q: np.ndarray, slope: np.ndarray, z: np.ndarray, inverse: np.ndarray, contrasts: np.ndarray
) -> np.ndarray:
    """`-sum_k q_k` Hessians of `f_k(w) = min over c_k . lambda = 0 of sum_p w_p cost_p(lambda)`, [P, P].

    Each is `J_k (M - M c c M / c M c) J_k^T` with M the inverse Hessian in lambda and J_k the rows `slope_kp z_p`, the
    gradients of the costs in lambda.
    """
    total = np.zeros((len(z), len(z)))
    for price, row, m, c in zip(q, slope, inverse, contrasts, strict=True):
        if price > 1e-14:
            normal = m @ c
            reduced = m - np.outer(normal, normal) / (c @ normal)
            values, vectors = np.linalg.eigh(reduced)
            rows = (row[:, None] * z) @ (vectors * np.sqrt(np.maximum(values, 0) * price))
            total += rows @ rows.T
    return total


def _check(form: str, regularisation: float, tolerance: float) -> None:
    if form not in FORMS:
        raise ValueError(f"form = {form!r}{nearest(str(form), FORMS)}")
    if not (regularisation >= 0 and math.isfinite(regularisation)):
        raise ValueError(f"regularisation = {regularisation!r}, expected a finite number >= 0")
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance = {tolerance!r}, expected a number in (0, 1)")
