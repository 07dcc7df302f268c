"""What the table of generations says of the policies: who is best, and whether a linear model holds.

A comparison draws an input uniformly and an answer of each policy at random among those recorded; it is decided where
exactly one is right. Who is right more often overall wins more than half of its decided comparisons against each
other policy: P(i right, j wrong) - P(j right, i wrong) is the difference of their accuracies. So there is a Condorcet
winner wherever one policy alone has the highest accuracy.
"""

from __future__ import annotations

import numpy as np

from llmpo_jax import Tabular, fit_linear_bradley_terry

WIDE = 1e3  # the prior of the fit: none, but for pairs that one side always wins


def outcomes(right: np.ndarray) -> np.ndarray:
    """P(i right and j wrong) [K, K], from the shares of right answers [K, N]."""
    return right @ (1 - right).T / right.shape[1]


def model(right: np.ndarray) -> tuple[Tabular, np.ndarray]:
    """The win matrix of decided comparisons, and how often a pair is decided [K, K].

    1/2 for a pair that is never decided.
    """
    one = outcomes(right)
    decided = one + one.T
    np.fill_diagonal(decided, 0)
    mu = np.divide(one, decided, out=np.full_like(one, 0.5), where=decided > 0)
    np.fill_diagonal(mu, 0.5)
    return Tabular(mu), decided


def shares(table: dict, name: str) -> np.ndarray:
    """Shares of right answers [K, N] of a task."""
    return np.array(table["tasks"][name]["right"]) / table["samples"]


def gaps(table: dict) -> list[dict]:
    """How far apart the policies of each task are, and how often comparisons are decided."""
    rows = []
    for name, part in table["tasks"].items():
        right = shares(table, name)
        tabular, decided = model(right)
        accuracy = right.mean(axis=1)
        order = np.argsort(-accuracy, kind="stable")
        best = order[0]
        rivals = np.delete(np.asarray(tabular.mu)[best], best)
        rows.append(
            {
                "task": name,
                "policies": len(right),
                "winner": part["policies"][best] if accuracy[best] > accuracy[order[1]] else "none",
                "accuracy": accuracy[best],
                "second": accuracy[order[1]],
                "average": accuracy.mean(),
                "first listed": accuracy[0],
                "winner's least mu": rivals.min(),
                "ties, all pairs": 1 - decided[np.triu_indices(len(right), 1)].mean(),
                "ties, best two": 1 - decided[best, order[1]],
                "never decided": int((decided[np.triu_indices(len(right), 1)] == 0).sum()),
            }
        )
    return rows


def design(factors: list) -> dict[str, np.ndarray]:
    """Features of the policies: the factors [K, 5], and with the interaction of instruction and shots [K, 8]."""
    instruction, shots, temperature = np.array(factors).T
    others = (instruction[:, None] == np.arange(1, 1 + int(instruction.max()))).astype(float)
    plain = np.column_stack([others, shots, temperature])
    return {"factors": plain, "with instruction x shots": np.column_stack([plain, others * shots[:, None]])}


def misfit(table: dict) -> list[dict]:
    """How well linear Bradley-Terry models fit, as if every pair were compared once on each input.

    The deviance is twice the log-likelihood ratio against a free probability for each pair, in expectation: where the
    model held, its expectation would be near the degrees of freedom.
    """
    rows = []
    for name, part in table["tasks"].items():
        right = shares(table, name)
        tabular, decided = model(right)
        mu, counts = np.asarray(tabular.mu), decided * right.shape[1]
        counts = (counts + counts.T) / 2
        upper = np.triu(counts, 1) > 0
        for label, features in design(part["factors"]).items():
            wins = counts * mu
            fit = fit_linear_bradley_terry(features, counts, wins, WIDE)
            scores = features @ fit.theta
            fitted = 1 / (1 + np.exp(scores[None, :] - scores[:, None]))
            off = np.abs(mu - fitted)[upper]
            deviance = 2 * (counts[upper] * _divergence(mu[upper], fitted[upper])).sum()
            rows.append(
                {
                    "task": name,
                    "features": label,
                    "d": features.shape[1],
                    "mean |error| of mu": off.mean(),
                    "largest": off.max(),
                    "deviance": deviance,
                    "degrees of freedom": int(upper.sum()) - features.shape[1],
                    "model's winner is right": bool(np.argmax(scores) == np.argmax(right.mean(axis=1))),
                }
            )
    return rows


def _divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """kl(p, q) of two coins, nats."""
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(a > 0, a * np.log(a / b), 0) for a, b in ((p, q), (1 - p, 1 - q))]
    return parts[0] + parts[1]
