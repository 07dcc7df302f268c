"""The best guess at a budget, literally: loops over pairs in float64, SciPy's conjugate gradients."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse.linalg import cg

from llmpo_jax.theory.recommendation import DEVIATION, DOUBT, INNER, STEPS


class Fit:
    """logit mu[i, j] = s_i - s_j + e_ij, fitted to a matrix of wins; deviations e of variance `variance`."""

    def __init__(self, wins: np.ndarray, variance: float) -> None:
        self.wins, self.variance, self.k = wins, variance, len(wins)
        self.strengths, self.deviations = np.zeros(self.k), np.zeros((self.k, self.k))

    def slopes(self, i: int, j: int) -> tuple[float, float]:
        """Slope and curvature of the pair's log likelihood in its logit."""
        n = self.wins[i, j] + self.wins[j, i]
        chance = 1 / (1 + math.exp(-self.logit(i, j)))
        return self.wins[i, j] - n * chance, n * chance * (1 - chance)

    def logit(self, i: int, j: int) -> float:
        return float(self.strengths[i] - self.strengths[j] + self.deviations[i, j])

    def system(self) -> np.ndarray:
        """Of the strengths, once the deviations are integrated out."""
        matrix = np.eye(self.k)
        for i in range(self.k):
            for j in set(range(self.k)) - {i}:
                curvature = self.slopes(i, j)[1]
                weight = curvature / (1 + self.variance * curvature)
                matrix[i, i] += weight
                matrix[i, j] -= weight
        return matrix

    def step(self, inner: int = INNER) -> None:
        matrix, right = self.system(), np.zeros(self.k)
        old = {(i, j): (*self.slopes(i, j), self.logit(i, j)) for i in range(self.k) for j in range(self.k) if i != j}
        for (i, _), (slope, curvature, logit) in old.items():
            right[i] += (curvature * logit + slope) / (1 + self.variance * curvature)
        scale = np.diag(1 / np.diagonal(matrix))
        self.strengths = cg(matrix, right, x0=self.strengths, maxiter=inner, M=scale, rtol=1e-12)[0]
        for (i, j), (slope, curvature, logit) in old.items():
            short = curvature * (logit - (self.strengths[i] - self.strengths[j])) + slope
            self.deviations[i, j] = self.variance * short / (1 + self.variance * curvature)

    def likelihood(self) -> float:
        """Log marginal likelihood by Laplace, the determinant of the strengths by its diagonal."""
        total = -float(self.strengths @ self.strengths) / 2 - np.log(np.diagonal(self.system())).sum() / 2
        for i in range(self.k):
            for j in range(i):
                chance = 1 / (1 + math.exp(-self.logit(i, j)))
                total += self.wins[i, j] * math.log(chance) + self.wins[j, i] * math.log1p(-chance)
                total -= math.log1p(self.variance * self.slopes(i, j)[1]) / 2
                total -= self.deviations[i, j] ** 2 / (2 * self.variance) if self.variance else 0
        return float(total)

    def refutation(self, k: int) -> float:
        """Evidence that k loses to somebody, under wide deviations."""
        total = 0.0
        for j in set(range(self.k)) - {k}:
            slope, curvature = self.slopes(k, j)
            spread = DOUBT / (1 + DOUBT * curvature)
            gap = float(self.strengths[k] - self.strengths[j])
            mean = gap + spread * (curvature * (self.logit(k, j) - gap) + slope)
            total += min(mean, 0) ** 2 / spread
        return total


def best_guess(wins: np.ndarray) -> int:
    """The policy to name after `wins` [K, K]."""
    plain, free = Fit(wins, 0.0), Fit(wins, DEVIATION)
    for _ in range(STEPS[0]):
        plain.step()
    free.strengths = plain.strengths
    for _ in range(STEPS[1]):
        free.step()
    if plain.likelihood() >= free.likelihood():
        return int(np.argmax(plain.strengths))
    return int(np.argmin([free.refutation(k) for k in range(len(wins))]))
