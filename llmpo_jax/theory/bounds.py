"""Characteristic time and lower bound of a model over either policy space."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from llmpo_jax import models
from llmpo_jax.arguments import Number, items, one_of
from llmpo_jax.models import BradleyTerry, LinearBradleyTerry, PreferenceModel, given
from llmpo_jax.protocol import EXISTENCE, Existence, SpaceName
from llmpo_jax.theory import structured, unstructured
from llmpo_jax.theory.divergence import confidence_divergence
from llmpo_jax.theory.program import Instance
from llmpo_jax.theory.structured import Form, StructuredTime
from llmpo_jax.theory.unstructured import CharacteristicTime


def characteristic_time(
    model: PreferenceModel | str,
    existence: Existence = "assumed",
    *,
    assume: SpaceName | None = None,
    form: Form = "exact",
    regularisation: Number = 0.0,
    tolerance: Number = 1e-4,
    costs: ArrayLike | None = None,
) -> CharacteristicTime | StructuredTime:
    """Characteristic time T* and optimal proportions w* of a model, float64.

    Args:
        model: any preference model with a Condorcet winner, or a source of one such as "bradley-terry:16". Of a
            `Tied` one, ties are comparisons that say nothing (theory, section 10).
        existence: "assumed" or "certify" (unstructured space: see `llmpo_jax.theory.unstructured`).
        assume: the policy space, "unstructured" or "structured"; by default that of the model: structured for
            `LinearBradleyTerry` only. `BradleyTerry` has one-hot features there.
        form: "exact", or "fisher" for the second order in the gaps (structured space; theory, section 3).
        regularisation: rho of the penalty (rho / 2) |w|^2, relative to the value of the program (structured space).
        tolerance: relative duality gap at which the solver stops (structured space).
        costs: what comparisons cost, in any unit: by policy [K], so that a pair costs the sum of its two, or by pair
            [K, K], symmetric (its diagonal is ignored).

    Returns:
        `.time`, in comparisons, or with costs in units of cost, per nat of required evidence; `.proportions` [K, K], of
        the comparisons (upper triangle, sum 1), with costs, too; and `.winner`; in the structured space also `.form`,
        `.status` and `.relative_gap`, the certificate. `.certified` is at most the true T*.

    Raises:
        ValueError: bad arguments, no Condorcet winner, or a model without features in the structured space.
    """
    how = {"assume": assume, "form": form, "regularisation": regularisation, "tolerance": tolerance, "costs": costs}
    return characteristic_times([given(model)], existence, **how)[0]


def characteristic_times(
    models: Sequence[PreferenceModel | str],
    existence: Existence = "assumed",
    *,
    assume: SpaceName | None = None,
    form: Form = "exact",
    regularisation: Number = 0.0,
    tolerance: Number = 1e-4,
    costs: ArrayLike | None = None,
) -> list[CharacteristicTime | StructuredTime]:
    """`characteristic_time` of each of many models, in their order; those of one shape are computed together.

    Raises:
        ValueError: as `characteristic_time`, for the first model for which it is raised.
    """
    one_of("existence", existence, EXISTENCE)
    asked = structured.checked(form, regularisation, tolerance)
    several = items("models", models, "a sequence of preference models, such as [model]")
    several = [given(model, f"models[{index}]") for index, model in enumerate(several)]
    found: dict[int, CharacteristicTime | StructuredTime] = {}
    linear = [index for index, model in enumerate(several) if _structured(model, assume)]
    if linear:
        if existence != "assumed":
            raise ValueError(f"existence = {existence!r}, expected 'assumed' in the structured space")
        instances = [_instance(several[index], costs) for index in linear]
        found |= zip(linear, structured.solve_all(instances, *asked), strict=True)
    others = [index for index in range(len(several)) if index not in found]
    closed = unstructured.characteristic_times([several[index] for index in others], existence, costs)
    found |= zip(others, closed, strict=True)
    return [found[index] for index in range(len(several))]


def lower_bound(
    model: PreferenceModel | str,
    delta: Number,
    existence: Existence = "assumed",
    *,
    assume: SpaceName | None = None,
    costs: ArrayLike | None = None,
) -> float:
    """Least mean number of comparisons, or mean cost, of any delta-PAC procedure, `T* kl(delta, 1 - delta)`.

    Garivier and Kaufmann 2016 (arXiv 1602.04589), theorem 1. Accurate down to the least delta > 0 of float64;
    0 for delta >= 1/2, where guessing may be enough. In the structured space T* is the lower end that the solver
    certifies (`StructuredTime.certified`).

    Raises:
        ValueError: delta outside (0, 1), or as `characteristic_time`.
    """
    evidence = confidence_divergence(delta)
    return characteristic_time(model, existence, assume=assume, costs=costs).certified * evidence


def over_space(
    model: PreferenceModel,
    assume: str,
    existence: str,
    features: np.ndarray | None,
    costs: ArrayLike | None = None,
) -> CharacteristicTime | StructuredTime | None:
    """T* over the space that a procedure assumes; None where the model has no winner or lies outside of it."""
    if models.condorcet_winner(model) is None:
        return None
    if assume == "unstructured":
        return unstructured.characteristic_time(model, existence, costs)
    linear = within(model, features)
    if linear is None:
        return None
    instance = Instance(*_parameters(linear), *_beside(model, costs))
    return _solved(*(None if x is None else _bytes(x) for x in instance), shape=instance.features.shape)


def within(model: PreferenceModel, features: np.ndarray | None) -> LinearBradleyTerry | None:
    """The model (but for ties) as a linear one over `features` (its own by default), None where it is none, to 1e-9 a
    logit."""
    model = models.untied(model)
    if features is None:
        if not isinstance(model, LinearBradleyTerry | BradleyTerry):
            return None
        return LinearBradleyTerry(*_parameters(model))
    mu = models.host_probabilities(model)
    if not np.all((mu > 0) & (mu < 1)):
        return None
    logits = np.log(mu) - np.log(mu.T)
    coordinates = models.identified(features).coordinates
    theta = np.linalg.lstsq(coordinates, logits.mean(axis=1), rcond=None)[0]
    scores = coordinates @ theta
    if np.abs(scores[:, None] - scores[None] - logits).max() > 1e-9:
        return None
    return LinearBradleyTerry(coordinates, theta)


def _structured(model: PreferenceModel, assume: str | None) -> bool:
    if assume is not None:
        one_of("assume", assume, get_args(SpaceName))
    return isinstance(models.untied(model), LinearBradleyTerry) if assume is None else assume == "structured"


def _instance(model: PreferenceModel, costs: ArrayLike | None) -> Instance:
    """What the structured program of a model is made of."""
    return Instance(*_parameters(models.untied(model)), *_beside(model, costs))


def _beside(model: PreferenceModel, costs: ArrayLike | None) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Ties and costs [K, K], or None."""
    return models.tie_probabilities(model), models.pair_costs(costs, model.num_policies)


def _parameters(model: PreferenceModel) -> tuple[np.ndarray, np.ndarray]:
    """Features [K, d] and theta [d] in float64."""
    if isinstance(model, LinearBradleyTerry):
        return np.asarray(model.features, np.float64), np.asarray(model.theta, np.float64)
    if isinstance(model, BradleyTerry):
        return np.eye(model.num_policies), np.asarray(model.scores, np.float64)
    raise ValueError(
        "model is no Bradley-Terry model, expected LinearBradleyTerry or BradleyTerry where assume='structured'"
    )


def _bytes(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


@functools.lru_cache(maxsize=64)
def _solved(
    features: bytes, theta: bytes, ties: bytes | None, costs: bytes | None, shape: tuple[int, int]
) -> StructuredTime:
    """Solved once for all procedures on an instance."""
    by_pair = (None if x is None else np.frombuffer(x).reshape(shape[0], -1) for x in (ties, costs))
    (found,) = structured.solve_all([Instance(np.frombuffer(features).reshape(shape), np.frombuffer(theta), *by_pair)])
    return found
