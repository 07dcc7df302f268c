"""The unstructured space (every win matrix with a Condorcet winner): characteristic time in closed form.

Theory, section 2. To show that k is not the winner, every pair that k loses must be told from a fair coin, so
k is best refuted by its toughest opponent alone, with an effort inversely proportional to how decisively it
loses:

    T* = sum_{k != i*} 1 / d_k,    w*[k, j(k)] = (1 / d_k) / T*,    d_k = max_{j: mu[k, j] < 1/2} d(mu[k, j])

Where the existence of a winner is not assumed but to be certified, every opponent must be the winner itself.

Theory, section 10: where a comparison of k and j ends in a tie with probability t and costs c, the information of the
pair is `(1 - t) d(mu[k, j]) / c` a unit of cost, which takes the place of d. T* is then in units of cost, and the
proportions stay shares of the comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from numpy.typing import ArrayLike

from llmpo_jax.arguments import one_of
from llmpo_jax.brief import brief
from llmpo_jax.models.linear import LinearBradleyTerry
from llmpo_jax.models.pairs import pair_costs
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
from llmpo_jax.models.tied import Tied, untied
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
      time: T*, comparisons (with costs, units of cost) per nat of required evidence.
      proportions: w*, [K, K] float64, the pair (i, j) at i < j, zero elsewhere; sums to 1. Shares of the comparisons,
        with costs, too.
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


def closed_form(
    mu: Array, winner: Array, existence: str = "assumed", ties: Array | None = None, costs: Array | None = None
) -> tuple[Array, Array]:
    """Characteristic time and optimal proportions of a win matrix; pure, for NumPy and under jit and vmap.

    Opponents of k within `4 eps` of its least `mu[k, j]` (eps of the dtype, absolute, 9e-16 in float64) are
    tied, and share its effort evenly: that is what forming `mu[k, j]` as `1 - mu[j, k]` or by a sigmoid
    costs. The tolerance is on mu and not on d, whose relative error from the same rounding grows without
    bound towards 1/2. With ties or costs those are tied that would be toughest with so much less of mu.

    Args:
      mu: win matrix [..., K, K], floating.
      winner: the Condorcet winner i*, int [...]; or of an estimate, the policy to be defended.
      existence: "assumed" or "certify" (static).
      ties: chances of a tie [..., K, K], symmetric; None where there are none.
      costs: of comparisons [..., K, K], symmetric and positive (the diagonal, too); None where all are 1.

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
    toughest, information = _toughest(mu, loses, ties, costs)
    unbeaten = ~xp.any(loses, axis=-1) & ~is_winner
    opponents = xp.where(unbeaten[..., None], is_winner[..., None, :], toughest).astype(mu.dtype)
    share = opponents / xp.maximum(xp.sum(opponents, axis=-1, keepdims=True), 1)

    effort = xp.where(is_winner, 0, 1 / xp.where(is_winner | unbeaten, 1, information))
    refutable = ~xp.any(unbeaten, axis=-1)
    time = xp.where(refutable, xp.sum(effort, axis=-1), xp.inf)
    effort = xp.where(refutable[..., None], effort, unbeaten.astype(mu.dtype))
    proportions = (effort / xp.sum(effort, axis=-1, keepdims=True))[..., None] * share
    if costs is not None:
        comparisons = proportions / costs
        proportions = comparisons / xp.sum(comparisons, axis=(-2, -1), keepdims=True)
    return time, xp.triu(proportions + proportions.mT, 1)


def _toughest(mu: Array, loses: Array, ties: Array | None, costs: Array | None) -> tuple[Array, Array]:
    """The toughest opponents of each policy, bool [..., K, K], and the information against one, [..., K]."""
    xp = array_namespace(mu, loses)
    rounding = _TIE_EPS * xp.finfo(mu.dtype).eps
    if ties is None and costs is None:
        least = xp.min(xp.where(loses, mu, 0.5), axis=-1)
        return loses & (mu <= least[..., None] + rounding), half_divergence(least)
    worth = (1 if ties is None else 1 - ties) / (1 if costs is None else costs)
    most = xp.max(xp.where(loses, worth * half_divergence(mu), 0), axis=-1)
    nearly = worth * (1 + rounding) * half_divergence(xp.maximum(mu - rounding, 0))
    return loses & (nearly >= most[..., None]), most


def characteristic_time(
    model: PreferenceModel, existence: str = "assumed", costs: ArrayLike | None = None
) -> CharacteristicTime:
    """Characteristic time T* and optimal proportions w* of a model over the unstructured space, float64.

    Args:
      model: any preference model with a Condorcet winner, with ties or without.
      existence: "assumed": the class is the win matrices with a Condorcet winner. "certify": it is all win
        matrices, so that the winner must be shown to beat everyone; never less, equal where each policy loses
        most decisively to the winner (strong stochastic transitivity, so every Bradley-Terry model, unless ties or
        costs differ between pairs).
      costs: as `llmpo_jax.models.pair_costs`.

    Raises:
      ValueError: unknown existence, no Condorcet winner, or bad costs.
    """
    return characteristic_times([model], existence, costs)[0]


def characteristic_times(
    models: Sequence[PreferenceModel], existence: str = "assumed", costs: ArrayLike | None = None
) -> list[CharacteristicTime]:
    """`characteristic_time` of each of many models; those of one kind and shape are computed together.

    Raises:
      ValueError: unknown existence, the first model that has no Condorcet winner, or bad costs.
    """
    one_of("existence", existence, EXISTENCE)
    leaves = [jax.tree.leaves(model) for model in models]
    groups: dict[tuple, list[int]] = {}
    for index, model in enumerate(models):
        kind = (type(model), type(untied(model)), model.num_policies, *map(np.shape, leaves[index]))
        groups.setdefault(kind, []).append(index)
    found: dict[int, CharacteristicTime] = {}
    for alike in groups.values():
        for begin in range(0, len(alike), _TOGETHER):
            some = alike[begin : begin + _TOGETHER]
            chosen = [models[index] for index in some]
            mu = _probabilities(chosen, [leaves[index] for index in some])
            found |= zip(some, _closed_forms(chosen, mu, existence, costs), strict=True)
    return [found[index] for index in range(len(models))]


def _probabilities(models: list[PreferenceModel], leaves: list[list]) -> np.ndarray:
    """Win matrices [B, K, K] of models of one kind and shape; those of a user's own class need not take a batch."""
    if not isinstance(untied(models[0]), Tabular | BradleyTerry | LinearBradleyTerry):
        return np.stack([host_probabilities(model) for model in models])
    stacked = [np.array(each, np.float64) for each in zip(*leaves, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(models[0]), stacked).win_probabilities()


def _closed_forms(
    models: list[PreferenceModel], mu: np.ndarray, existence: str, costs: ArrayLike | None
) -> list[CharacteristicTime]:
    champions = beats_all(mu)
    for index in np.flatnonzero(~champions.any(axis=-1))[:1]:
        raise ValueError(_no_winner_message(mu[index], policy_names(models[index])))
    winners = champions.argmax(axis=-1)
    ties = [np.asarray(model.ties, np.float64) for model in models if isinstance(model, Tied)]  # of all or none
    times, proportions = closed_form(
        mu, winners, existence, np.stack(ties) if ties else None, pair_costs(costs, mu.shape[-1])
    )
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
