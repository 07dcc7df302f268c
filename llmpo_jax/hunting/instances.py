"""Instances on which guarantees are likely to break, made for a shape from a random generator."""

from __future__ import annotations

import numpy as np

from llmpo_jax import BradleyTerry, LinearBradleyTerry, Tabular, instances
from llmpo_jax.models import PreferenceModel
from llmpo_jax.models.instances import from_upper

GAP = 1e-3
"""Of the near-ties, in logits or in probability."""

EXTREME = 5.0
"""Standard deviation of the weights where theta is extreme."""

KILLERS = {
    "killer": LinearBradleyTerry(
        [[0, 0], [3.6110398038955784, -0.1470760925818996], [0.5971425370186546, 0.8490316077788209]],
        [-0.806716986875808, 0.5909379858208621],
    )
}
"""Instances that have broken a rule once; its first certificate erred there at all levels."""


def _usurper(k: int) -> Tabular:
    """Policy 0 barely beats all; policy 1 all but crushes the others, and so looks the stronger one."""
    upper = np.full((k, k), 0.5)
    upper[0], upper[1] = 0.5 + GAP, 0.99
    return Tabular(from_upper(upper))


def _twins(k: int, gap: float) -> BradleyTerry:
    """Two policies `gap` logits apart, far above the others."""
    return BradleyTerry([gap, 0.0, *[-2.0] * (k - 2)])


def with_winner(k: int, rng: np.random.Generator) -> dict[str, PreferenceModel]:
    """Models with a Condorcet winner, linear or not, by name."""
    even = np.full((k, k), 0.5)
    even[0] = 0.5 + GAP
    found: dict[str, PreferenceModel] = {
        "near tie": Tabular(from_upper(even)),
        "near tie, outliers": _twins(k, GAP),
        "extreme": BradleyTerry([40 + GAP, 40.0, *np.linspace(0.0, -40.0, k)[2:]]),
    }
    if k >= 3:
        seeds = rng.integers(2**31, size=3).tolist()
        found["usurper"] = _usurper(k)
        found["near duplicates"] = BradleyTerry(np.repeat([0.5, 0.0], [2, k - 2]) + GAP * np.arange(k))
        found["hidden winner"] = instances.make("hidden-winner", k, seeds[0], gap=GAP)
        found |= {f"random {seed}": instances.make("random-condorcet", k, seed, gap=GAP) for seed in seeds[1:]}
    if k >= 4:
        found["cyclic"] = instances.make("cyclic", k, winner_probability=0.5 + GAP)
    return found


def without_winner(k: int) -> dict[str, PreferenceModel]:
    """Models without a Condorcet winner, for the `certify` form. K >= 3."""
    return {
        "all even": Tabular(from_upper(np.full((k, k), 0.5))),
        "tie, outliers": _twins(k, 0.0),
        "no winner": instances.make("no-winner", k),
    }


def _with_gap(features: np.ndarray, theta: np.ndarray, gap: float) -> LinearBradleyTerry | None:
    """The model with theta moved so that the best policy leads the next one by `gap` logits; None if others get by."""
    second, first = np.argsort(features @ theta)[-2:]
    contrast = features[first] - features[second]
    theta = theta + contrast * ((gap - contrast @ theta) / (contrast @ contrast))
    scores = features @ theta
    best = np.argsort(scores)[-2:].tolist()
    return LinearBradleyTerry(features, theta) if best == [second, first] else None


def linear(k: int, d: int, rng: np.random.Generator, extra: int) -> dict[str, LinearBradleyTerry]:
    """Linear models of a shape by name, `extra` random ones beyond one of each kind."""

    def draw(gap: float, outlier: float = 1.0) -> LinearBradleyTerry:
        while True:
            features = rng.normal(size=(k, d))
            features[rng.integers(k)] *= outlier
            model = _with_gap(features, rng.normal(size=d), gap)
            if model is not None:
                return model

    def duplicated(distance: float) -> LinearBradleyTerry:
        """The worst policy becomes the best one's near-duplicate."""
        features, theta = rng.normal(size=(k, d)), rng.normal(size=d)
        worst, *_, best = np.argsort(features @ theta)
        features[worst] = features[best] + distance * rng.normal(size=d)
        return LinearBradleyTerry(features, theta)

    found = {
        "near tie": draw(GAP),
        "near tie, outlier": draw(GAP, outlier=4.0),
        "near duplicates, 1e-3": duplicated(1e-3),
        "near duplicates, 1e-6": duplicated(1e-6),
        "extreme": LinearBradleyTerry(rng.normal(size=(k, d)), EXTREME * rng.normal(size=d)),
        "all near": LinearBradleyTerry(rng.normal(size=(k, d)), GAP * rng.normal(size=d)),
    }
    for number in range(extra):
        gap = float(np.exp(rng.uniform(np.log(0.01), np.log(0.3))))
        found[f"random {number}"] = draw(gap, outlier=float(rng.choice([1.0, 4.0])))
    return found | {name: model for name, model in KILLERS.items() if model.features.shape == (k, d)}
