"""The unstructured space (every win matrix with a Condorcet winner): characteristic time in closed form.

Theory, section 2. To show that k is not the winner, every pair that k loses must be told from a fair coin, so
k is best refuted by its toughest opponent alone, with an effort inversely proportional to how decisively it
loses:

    T* = sum_{k != i*} 1 / d_k,    w*[k, j(k)] = (1 / d_k) / T*,    d_k = max_{j: mu[k, j] < 1/2} d(mu[k, j])

Where the existence of a winner is not assumed but to be certified, every opponent must be the winner itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np

from llmpo_jax.arguments import one_of
from llmpo_jax.brief import brief
from llmpo_jax.models.linear import LinearBradleyTerry
from llmpo_jax.models.preference import (
    Array,
    BradleyTerry,
    PreferenceModel,
    Tabular,
    array_namespace,
    beats,
    beats_all,
    host_probabilities,
    policy_names,
)
from llmpo_jax.protocol import EXISTENCE
from llmpo_jax.theory.divergence import confidence_divergence, half_divergence

_TOGETHER = 1024
"""Instances of a batch, few enough to stay in the cache."""

#: Opponents whose win probabilities differ by at most this many eps of their dtype are equally tough.
_TIE_EPS = 4


@dataclass(frozen=True, eq=False)
class CharacteristicTime:
    """Characteristic time of an instance, and how a best procedure divides its comparisons.

    Attributes:
      time: T*, comparisons per nat of required evidence.
      proportions: w*, [K, K] float64, the pair (i, j) at i < j, zero elsewhere; sums to 1.
      existence: "assumed" or "certify".
      winner: the Condorcet winner i*.
    """

    time: float
    proportions: np.ndarray
    existence: str
    winner: int

    __repr__ = brief

    @property
    def certified(self) -> float:
        """T* itself, which is in closed form."""
        return self.time


def closed_form(mu: Array, winner: Array, existence: str = "assumed") -> tuple[Array, Array]:
    """Characteristic time and optimal proportions of a win matrix; pure, for NumPy and under jit and vmap.

    Opponents of k within `4 eps` of its least `mu[k, j]` (eps of the dtype, absolute, 9e-16 in float64) are
    tied, and share its effort evenly: that is what forming `mu[k, j]` as `1 - mu[j, k]` or by a sigmoid
    costs. The tolerance is on mu and not on d, whose relative error from the same rounding grows without
    bound towards 1/2.

    Args:
      mu: win matrix [..., K, K], floating.
      winner: the Condorcet winner i*, int [...]; or of an estimate, the policy to be defended.
      existence: "assumed" or "certify" (static).

    Returns:
      The time T*, [...], and the proportions [..., K, K], upper triangle, sum 1. Where some rival is beaten by
      nobody (by `winner`, for "certify") the time is infinite, and all effort goes evenly to the pairs of
      those with `winner`.

    Raises:
      ValueError: unknown existence.
    """
    one_of("existence", existence, EXISTENCE)
    xp = array_namespace(mu, winner)
    winner = xp.asarray(winner)
    is_winner = xp.arange(mu.shape[-1], dtype=winner.dtype) == winner[..., None]
    loses = beats(mu).mT
    if existence == "certify":
        loses = loses & is_winner[..., None, :]
    least = xp.min(xp.where(loses, mu, 0.5), axis=-1)
    toughest = loses & (mu <= least[..., None] + _TIE_EPS * xp.finfo(mu.dtype).eps)
    unbeaten = ~xp.any(loses, axis=-1) & ~is_winner
    opponents = xp.where(unbeaten[..., None], is_winner[..., None, :], toughest).astype(mu.dtype)
    share = opponents / xp.maximum(xp.sum(opponents, axis=-1, keepdims=True), 1)

    divergence = xp.where(is_winner | unbeaten, 1, half_divergence(least))
    effort = xp.where(is_winner, 0, 1 / divergence)
    refutable = ~xp.any(unbeaten, axis=-1)
    time = xp.where(refutable, xp.sum(effort, axis=-1), xp.inf)
    effort = xp.where(refutable[..., None], effort, unbeaten.astype(mu.dtype))
    proportions = (effort / xp.sum(effort, axis=-1, keepdims=True))[..., None] * share
    return time, xp.triu(proportions + proportions.mT, 1)


def characteristic_time(model: PreferenceModel, existence: str = "assumed") -> CharacteristicTime:
    """Characteristic time T* and optimal proportions w* of a model over the unstructured space, float64.

    Args:
      model: any preference model with a Condorcet winner.
      existence: "assumed": the class is the win matrices with a Condorcet winner. "certify": it is all win
        matrices, so that the winner must be shown to beat everyone; never less, equal where each policy loses
        most decisively to the winner (strong stochastic transitivity, so every Bradley-Terry model).

    Raises:
      ValueError: unknown existence, or no Condorcet winner.
    """
    return characteristic_times([model], existence)[0]


def characteristic_times(models: Sequence[PreferenceModel], existence: str = "assumed") -> list[CharacteristicTime]:
    """`characteristic_time` of each of many models; those of one kind and shape are computed together.

    Raises:
      ValueError: unknown existence, or the first model that has no Condorcet winner.
    """
    one_of("existence", existence, EXISTENCE)
    leaves = [jax.tree.leaves(model) for model in models]
    groups: dict[tuple, list[int]] = {}
    for index, model in enumerate(models):
        groups.setdefault((type(model), model.num_policies, *map(np.shape, leaves[index])), []).append(index)
    found: dict[int, CharacteristicTime] = {}
    for alike in groups.values():
        for begin in range(0, len(alike), _TOGETHER):
            some = alike[begin : begin + _TOGETHER]
            chosen = [models[index] for index in some]
            mu = _probabilities(chosen, [leaves[index] for index in some])
            found |= zip(some, _closed_forms(chosen, mu, existence), strict=True)
    return [found[index] for index in range(len(models))]


def _probabilities(models: list[PreferenceModel], leaves: list[list]) -> np.ndarray:
    """Win matrices [B, K, K] of models of one kind and shape; those of a user's own class need not take a batch."""
    if not isinstance(models[0], Tabular | BradleyTerry | LinearBradleyTerry):
        return np.stack([host_probabilities(model) for model in models])
    stacked = [np.array(each, np.float64) for each in zip(*leaves, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(models[0]), stacked).win_probabilities()


def _closed_forms(models: list[PreferenceModel], mu: np.ndarray, existence: str) -> list[CharacteristicTime]:
    champions = beats_all(mu)
    for index in np.flatnonzero(~champions.any(axis=-1))[:1]:
        raise ValueError(_no_winner_message(mu[index], policy_names(models[index])))
    winners = champions.argmax(axis=-1)
    times, proportions = closed_form(mu, winners, existence)
    return [
        CharacteristicTime(time, each, existence, winner)
        for time, each, winner in zip(times.tolist(), proportions, winners.tolist(), strict=True)
    ]


def lower_bound(model: PreferenceModel, delta: float, existence: str = "assumed") -> float:
    """Least mean number of comparisons of any delta-PAC procedure, `T* kl(delta, 1 - delta)`.

    Garivier and Kaufmann 2016 (arXiv 1602.04589), theorem 1. Accurate down to the least delta > 0 of float64;
    0 for delta >= 1/2, where guessing may be enough.

    Raises:
      ValueError: delta outside (0, 1), unknown existence, or no Condorcet winner.
    """
    cost = confidence_divergence(delta)
    return characteristic_time(model, existence).time * cost


def _no_winner_message(mu: np.ndarray, names: tuple[str, ...]) -> str:
    """Who comes closest to beating everyone, and whom it fails to beat."""
    wins = beats(mu)
    closest = int(np.argmax(wins.sum(axis=1)))
    failures = [f"{names[j]} ({mu[closest, j]:g})" for j in range(len(mu)) if j != closest and not wins[closest, j]]
    more = f" and {len(failures) - 3} more" if len(failures) > 3 else ""
    return (
        "model has no Condorcet winner, expected a policy that beats every other with probability above 1/2 "
        f"(closest: {names[closest]}, which does not beat {', '.join(failures[:3])}{more}); "
        "without a winner there is nothing to bound"
    )
