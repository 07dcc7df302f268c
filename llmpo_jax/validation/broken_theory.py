"""Planted defects: bounds that are wrong in ways in which bounds go wrong, and the claims held to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from llmpo_jax import models
from llmpo_jax.models import PreferenceModel
from llmpo_jax.theory.structured import StructuredTime
from llmpo_jax.theory.unstructured import CharacteristicTime
from llmpo_jax.validation import certificate, closed_form, independent
from llmpo_jax.validation.claims import Claim
from llmpo_jax.validation.closed_form import Bound
from llmpo_jax.validation.runs import Runs
from llmpo_jax.validation.scope import Scope

Divergence = Callable[[np.ndarray, np.ndarray], np.ndarray]


def by_hand(
    model: PreferenceModel,
    existence: str = "assumed",
    *,
    assume: str = "unstructured",
    costs: np.ndarray | None = None,
    divergence: Divergence = independent.kl,
    place: int = 0,
) -> CharacteristicTime:
    """The closed form, opponent by opponent; right as it stands.

    Args:
        model, existence, assume, costs: as `llmpo_jax.characteristic_time`.
        divergence: what takes the place of `kl(x, y)`.
        place: of the opponent that gets the effort, in the order of how tough they are.
    """
    del assume
    mu, size = models.host_probabilities(model), model.num_policies
    winner = models.condorcet_winner(model)
    ties, by_pair = models.tie_probabilities(model), models.pair_costs(costs, size)
    worth = (1 - (0 if ties is None else ties)) / (1 if by_pair is None else by_pair)
    told = np.where(mu < 0.5, worth * divergence(mu, np.full_like(mu, 0.5)), 0)
    if existence == "certify":
        told = told * (np.arange(size) == winner)
    shares, time = np.zeros((size, size)), 0.0
    for k in range(size):
        if k != winner:
            effort = 1 / told[k].max()
            others = [j for j in np.argsort(-told[k], kind="stable") if j != k]
            shares[k, others[min(place, size - 2)]] = effort
            time += effort
    shares = np.triu(shares + shares.T, 1)
    proportions = shares if by_pair is None else shares / by_pair
    assert winner is not None
    return CharacteristicTime(time, proportions / proportions.sum(), existence, winner)


def of_fair_pairs(
    model: PreferenceModel, *, assume: str = "structured", form: str = "fisher", costs: np.ndarray | None = None
) -> StructuredTime:
    """Fisher's form with the weight 1/4 in place of `mu (1 - mu)`, as if all pairs were fair."""
    del assume
    program, by_pair = certificate.general_program(model, form, costs)
    return told(independent.structured(program._replace(logits=0 * program.logits)), model, form, by_pair)


def told(found: independent.Solved, model: PreferenceModel, form: str, costs: np.ndarray | None) -> StructuredTime:
    """What a solver found, costs by pair [K, K], as `llmpo_jax.characteristic_time` would tell it."""
    winner = models.condorcet_winner(model)
    assert winner is not None
    proportions = independent.proportions(found.shares, model.num_policies, costs)
    return StructuredTime(found.high, proportions, winner, form, 0.0, "optimal", found.high / found.low - 1)


def _next_opponent(*given: Any, **more: Any) -> CharacteristicTime:
    return by_hand(*given, **more, place=1)


def _backwards(*given: Any, **more: Any) -> CharacteristicTime:
    def swapped(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        # A rate of 0 would be infinitely telling.
        return independent.kl(y, np.clip(x, 1e-12, 1 - 1e-12))

    return by_hand(*given, **more, divergence=swapped)


def _of_closed_form(broken: Bound) -> Callable[[Scope, Runs], Claim]:
    def claim(scope: Scope, runs: Runs) -> Claim:
        del runs
        return closed_form.checked(list(closed_form.cases(_small(scope))), broken)

    return claim


def _of_fisher(broken: Bound) -> Callable[[Scope, Runs], Claim]:
    def claim(scope: Scope, runs: Runs) -> Claim:
        del runs
        fisher = [case for case in certificate.cases(_small(scope)) if case.form == "fisher"]
        return certificate.checked(fisher, broken)

    return claim


def _small(scope: Scope) -> Scope:
    """A defect that a quick validation of the usual instances catches is caught by all."""
    return dataclasses.replace(scope, quick=True, sources=())


DEFECTS: Mapping[str, Callable[[Scope, Runs], Claim]] = {
    "w* off by one opponent": _of_closed_form(_next_opponent),
    "kl the wrong way round": _of_closed_form(_backwards),
    "Fisher weights without mu (1 - mu)": _of_fisher(of_fair_pairs),
}
"""By what is broken: the claim that has to fail, held to the broken version."""
