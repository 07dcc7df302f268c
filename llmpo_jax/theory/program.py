"""The structured program `max over the simplex of min_k f_k(w)`: its functions, their gradients and its certificate.

Pure JAX but for `make`, for one instance; in the notation of `llmpo_jax.theory.structured`. Each `f_k(w)` is the least
of `sum_p w_p cost_k[p]` over the alternatives of rival k, so that its gradient is `cost_k` at the nearest one. Fisher's
is in closed form, which the bound and the samplers share. `cost_k[p]` has the pair's worth in it: `(1 - t_p) / c_p`.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.models import identified
from llmpo_jax.models.preference import sigmoid
from llmpo_jax.theory.alternatives import Cost, Pairs, Rivals

_ROUNDING = 1e-12
"""Allowed for the rounding of sums, relative to either end of the certificate."""


class Program(NamedTuple):
    """An instance in identified coordinates.

    Attributes:
        pairs: P of them. rivals: R of them, in the order of their numbers.
        scale: the least of Fisher's f_k at equal proportions, to compute with numbers of the order of 1.
        rounding: share by which either end of the certificate may be off, as features that all but lie in a subspace
            lose digits on the way to identified coordinates.
    """

    pairs: Pairs
    rivals: Rivals
    scale: jax.Array
    rounding: jax.Array

    def on(self, columns: jax.Array) -> Program:
        """The program on a few pairs alone."""
        return self._replace(pairs=Pairs(*(x[columns] for x in self.pairs)))


class Instance(NamedTuple):
    """What a program is made of, NumPy float64.

    Attributes:
        features: [K, d]. theta: [d].
        ties: chances of a tie [K, K], symmetric. costs: of comparisons [K, K], symmetric. None where there are none.
    """

    features: np.ndarray
    theta: np.ndarray
    ties: np.ndarray | None = None
    costs: np.ndarray | None = None

    def worth(self) -> np.ndarray:
        """`Pairs.worth`."""
        decided = 1.0 if self.ties is None else 1 - self.ties
        shape = (len(self.features), len(self.features))
        worth = np.broadcast_to(decided if self.costs is None else decided / self.costs, shape)
        return worth[np.triu_indices(len(worth), 1)]


def make(instance: Instance) -> tuple[Program, int]:
    """The program of an instance, NumPy float64 on the host, and the winner.

    Differences are taken before anything else, so that two policies which nearly agree keep the digits of theirs.

    Raises:
        ValueError: features as `llmpo_jax.models.identified`, several policies with the top score, or scores beyond the
            range of float64.
    """
    features, theta, worth = instance.features, instance.theta, instance.worth()
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
    z, logits = differences @ known.map, differences @ theta
    products = (z[:, :, None] * z[:, None, :]).reshape(len(z), -1)
    contrasts = np.delete(features[winner] - features, winner, axis=0) @ known.map
    gaps = _gaps(features, theta, winner)
    # Orthonormal bases of the planes by a QR decomposition of each contrast.
    planes = np.linalg.qr(contrasts[:, :, None], mode="complete")[0][:, :, 1:]
    lost = (np.linalg.norm(np.abs(differences) @ np.abs(known.map), axis=1) / np.linalg.norm(z, axis=1)).max()
    rounding = _ROUNDING + 8 * len(theta) * np.finfo(float).eps * lost
    scale = _scale(z, sigmoid(logits) * sigmoid(-logits) * worth, contrasts, gaps)
    pairs, rivals = (z, products, logits, worth), (contrasts, gaps, planes)
    array: Any = functools.partial(np.asarray, dtype=np.float64)  # stands for JAX's arrays, which it becomes
    return Program(Pairs(*map(array, pairs)), Rivals(*map(array, rivals)), array(scale), array(rounding)), winner


def _gaps(features: np.ndarray, theta: np.ndarray, winner: int) -> np.ndarray:
    """[R], the exact gaps of the rivals, rounded once: a small one is the difference of two large scores."""
    true = [Fraction(t) for t in theta.tolist()]
    exact = [sum(Fraction(x) * t for x, t in zip(row, true, strict=True)) for row in features.tolist()]
    return np.array([float(exact[winner] - score) for k, score in enumerate(exact) if k != winner])


def _scale(z: np.ndarray, spread: np.ndarray, contrasts: np.ndarray, gaps: np.ndarray) -> float:
    """`Program.scale`, 1 where the information of all pairs together underflows."""
    try:
        inverse = np.linalg.inv((z.T * spread) @ z / len(z))
    except np.linalg.LinAlgError:
        return 1.0
    found = (gaps**2 / (2 * ((contrasts @ inverse) * contrasts).sum(axis=1))).min()
    return float(found) if found > 0 else 1.0


def softmin(values: jax.Array, temperature: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The prices of the f_k [R], a distribution, and their soft minimum, `-T log sum_k exp(-f_k / T)`.

    The prices are the gradient of the soft minimum, which falls short of the minimum by `T log R` at most.
    """
    least = jnp.min(values)
    weights = jnp.exp((least - values) / temperature)
    total = jnp.sum(weights)
    return weights / total, least - temperature * jnp.log(total)


def fisher(inverse: jax.Array, contrasts: jax.Array, gaps: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Fisher's f_k, `g_k^2 / (2 c_k . H^-1 c_k)` [R], and the nearest shifts [R, d], from H^-1 [d, d].

    Infinite with no shift where c_k = 0, so that the winner may be among its rivals.
    """
    directions = contrasts @ inverse
    variance = jnp.sum(directions * contrasts, axis=1)
    own = variance <= 0
    variance = jnp.where(own, 1, variance)
    return jnp.where(own, jnp.inf, gaps**2 / (2 * variance)), -directions * (gaps / variance)[:, None]


def fisher_gains(products: jax.Array, spread: jax.Array, prices: jax.Array, shifts: jax.Array) -> jax.Array:
    """[P], `sum_k q_k cost_k[p]` in Fisher's form, `mu_p (1 - mu_p) z_p . M z_p / 2` with `M = sum_k q_k s_k s_k^T`.

    Args:
        products: [P, d d], `z_p z_p^T`. spread: [P], `mu_p (1 - mu_p)`. prices: [R]. shifts: [R, d].
    """
    moment = (shifts * prices[:, None]).T @ shifts
    return spread * (products @ moment.ravel()) / 2


def gains(cost: Cost, pairs: Pairs, prices: jax.Array, shifts: jax.Array) -> jax.Array:
    """[P], `sum_k q_k cost_k[p]` in either form, for any distribution q and any shifts on the planes.

    The gradient where the shifts are the nearest ones; the largest entry is never below 1 / T*.
    """
    return prices @ cost.value(pairs.logits, shifts @ pairs.z.T) * pairs.worth
