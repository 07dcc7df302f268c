"""States of structured runs that are hard on a proof, and the least wealth in them by an independent solver."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from llmpo_jax import models

KINDS = ("one pair", "one pair, 2 elsewhere", "one pair, 20 elsewhere", "few pairs", "all pairs")
DESIGNS = ("normal", "rescaled", "near-collinear", "near-duplicates", "one-hot")
TRUTHS = ("even", "moderate", "large", "separable")
SHARES = ("half", "e-process", "any")
RADIUS = 1e4
"""Of the class of models: |theta| at most this."""


class State(NamedTuple):
    """What was compared and staked, in 3 epochs; see `llmpo_jax.stopping.structured.wealth.Stakes`.

    Attributes:
        coordinates: [K, d].
        z: [P, d].
        contrast: [d].
        wins, losses, on_win, on_loss: [3, P].
        label: kind, design, truth and shares.
    """

    coordinates: np.ndarray
    z: np.ndarray
    contrast: np.ndarray
    wins: np.ndarray
    losses: np.ndarray
    on_win: np.ndarray
    on_loss: np.ndarray
    label: tuple[str, ...]


def draw(rng: np.random.Generator, num_policies: int, dimension: int) -> State:
    """A random state with K policies in d coordinates, d <= K - 1."""
    kind, design, truth, shares = (str(rng.choice(names)) for names in (KINDS, DESIGNS, TRUTHS, SHARES))
    x = models.identified(_features(rng, design, num_policies, dimension)).coordinates
    first, second = np.triu_indices(num_policies, 1)
    z = x[first] - x[second]
    counts = _counts(rng, kind, len(z))
    theta = rng.normal(size=x.shape[1])
    size = {"even": 0.0, "moderate": 1.0, "large": 10.0 ** rng.uniform(1, 3), "separable": 1.0}[truth]
    theta *= size / np.linalg.norm(theta)
    chance = (z @ theta > 0).astype(float) if truth == "separable" else expit(z @ theta)
    wins = rng.binomial(counts, chance)
    on_win, on_loss = _shares(rng, shares, z, theta)
    leader, rival = rng.choice(num_policies, 2, replace=False)
    return State(x, z, x[leader] - x[rival], wins, counts - wins, on_win, on_loss, (kind, design, truth, shares))


def _features(rng: np.random.Generator, design: str, num_policies: int, dimension: int) -> np.ndarray:
    features = rng.normal(size=(num_policies, dimension))
    if design == "one-hot":
        return np.eye(num_policies)
    if design == "rescaled":
        features = features * 10.0 ** rng.uniform(-6, 6, dimension)
    if design == "near-collinear" and dimension > 1:
        features[:, 1] = features[:, 0] + 10.0 ** rng.uniform(-6, -1) * features[:, 1]
    if design == "near-duplicates":
        features[1] = features[0] + 10.0 ** rng.uniform(-6, -1) * features[1]
    return features


def _counts(rng: np.random.Generator, kind: str, pairs: int) -> np.ndarray:
    """[3, P], comparisons of each epoch."""
    number = int(10.0 ** rng.uniform(2, 6))
    if kind == "all pairs":
        total = rng.multinomial(number, rng.dirichlet(np.ones(pairs)))
    elif kind == "few pairs":
        total = np.where(rng.uniform(size=pairs) < 0.4, rng.integers(0, 40, pairs), 0)
    else:
        rest = {"one pair": 0, "one pair, 2 elsewhere": 2, "one pair, 20 elsewhere": 20}[kind]
        total = np.bincount(rng.integers(0, pairs, rest), minlength=pairs)
        total[rng.integers(pairs)] += number
    return rng.multinomial(total, rng.dirichlet(np.ones(3))).T


def _shares(rng: np.random.Generator, shares: str, z: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[3, P], float32 numbers as the package stakes them."""
    if shares == "half":
        on_win = on_loss = np.full((3, len(z)), 0.5)
    elif shares == "any":
        on_win, on_loss = rng.uniform(size=(2, 3, len(z)))
    else:
        near = theta / max(1.0, np.linalg.norm(theta))
        shift = rng.normal(size=(3, len(near))) / 2
        p, q = (np.clip(expit((near - move) @ z.T), 2.0**-20, 1 - 2.0**-20) for move in (shift, shift / 3))
        kelly = np.maximum((q - p) / (1 - p), (p - q) / p)
        on_win = np.where(q > p, kelly, 0) + 0.05 * (1 - kelly) * p
        on_loss = np.where(q < p, kelly, 0) + 0.05 * (1 - kelly) * (1 - p)
    return on_win.astype(np.float32).astype(float), on_loss.astype(np.float32).astype(float)


def log_wealth(state: State, theta: np.ndarray) -> float:
    """F(theta), float64, without overflow."""
    return _derivatives(state, theta)[0]


def _derivatives(state: State, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """F, its gradient [d] and its Hessian [d, d]."""
    x = state.z @ theta
    with np.errstate(divide="ignore"):
        win = np.log(1 - state.on_loss), np.log(state.on_win) - x
        loss = np.log(1 - state.on_win), np.log(state.on_loss) + x
    won, lost = np.logaddexp(*win), np.logaddexp(*loss)
    r, s = np.exp(win[1] - won), np.exp(loss[1] - lost)
    value = np.where(state.wins > 0, state.wins * won, 0) + np.where(state.losses > 0, state.losses * lost, 0)
    slope = (state.losses * s - state.wins * r).sum(axis=0)
    curvature = (state.wins * r * (1 - r) + state.losses * s * (1 - s)).sum(axis=0)
    return float(value.sum()), slope @ state.z, (state.z.T * curvature) @ state.z


def least(state: State, steps: int = 400) -> float:
    """F at the best feasible theta that damped Newton finds in `steps`: the infimum over `contrast . theta <= 0` and
    |theta| <= `RADIUS` is at most that, and mostly nearly that."""
    d = len(state.contrast)
    free, theta = _descend(state, np.eye(d), steps)
    if state.contrast @ theta <= 0:
        return free
    # Convex: then the least value lies on the border, c . theta = 0.
    border = np.linalg.svd(state.contrast[None])[2][1:].T
    return _descend(state, border, steps)[0]


def _descend(state: State, basis: np.ndarray, steps: int) -> tuple[float, np.ndarray]:
    """The least F over the span of `basis` [d, r] that Levenberg and Marquardt's damping reaches from 0."""
    theta, damping = np.zeros(len(basis)), 1e-3
    value, gradient, hessian = _derivatives(state, theta)
    for _ in range(steps if basis.shape[1] else 0):
        g, h = basis.T @ gradient, basis.T @ hessian @ basis
        scale = np.trace(h) / len(h) + 1e-12
        values, vectors = np.linalg.eigh(h)
        step = -vectors @ ((vectors.T @ g) / (np.maximum(values, 0) + damping * scale + 1e-300))
        trial = theta + basis @ step
        found = _derivatives(state, trial)
        if found[0] <= value and np.linalg.norm(trial) <= RADIUS:
            done = damping < 1e-12 and value - found[0] < 1e-10
            theta, (value, gradient, hessian), damping = trial, found, max(damping / 8, 1e-17)
            if done:
                break
        else:
            damping *= 4
            if damping > 1e12:
                break
    return value, theta
