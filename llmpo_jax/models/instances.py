"""The named instances: preference models for simulation, each a factory in a registry.

A factory takes `num_policies`, `seed` and its own keyword parameters, and returns a model. The first line of
its docstring is what `describe` shows.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from llmpo_jax import arguments
from llmpo_jax.models.linear import LinearBradleyTerry
from llmpo_jax.models.preference import BradleyTerry, PreferenceModel, Tabular
from llmpo_jax.registry import Registry, nearest

_Factory = TypeVar("_Factory", bound=Callable[..., PreferenceModel])

_FACTORIES: Registry[Callable[..., PreferenceModel]] = Registry("instance")


WITH_DIMENSION = ("linear-bradley-terry", "linear-embedded")
"""Instances whose parameter `dimension` may follow K without its name."""


def register(name: str) -> Callable[[_Factory], _Factory]:
    """Decorator that enters a factory `(num_policies, seed, *, parameter=default) -> model` under `name`.

    Raises:
      ValueError: the name is taken.
    """

    def enter(factory: _Factory) -> _Factory:
        _FACTORIES.register(name, factory)
        return factory

    return enter


def names() -> tuple[str, ...]:
    """The names of all instances, in the order of their registration."""
    return _FACTORIES.names()


def defaults(name: str) -> dict[str, float]:
    """The instance's own parameters and their defaults (without `num_policies` and `seed`)."""
    return {
        parameter.name: parameter.default
        for parameter in inspect.signature(_FACTORIES.get(name)).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def describe(name: str) -> str:
    """One line on what the instance is, and its parameters with their defaults."""
    summary = (inspect.getdoc(_FACTORIES.get(name)) or "").splitlines()[0]
    values = ", ".join(f"{parameter}={default:g}" for parameter, default in defaults(name).items())
    return f"{summary} ({values})" if values else summary


def make(
    name: str, /, num_policies: arguments.Whole = 16, seed: arguments.Whole = 0, **parameters: arguments.Number
) -> PreferenceModel:
    """The instance `name`, NumPy float64, a pure function of its arguments.

    Args:
      name: one of `names()`.
      num_policies: K >= 2 (some instances need more).
      seed: 0 to 2^64 - 1, of what the instance draws at random.
      **parameters: the instance's own, see `describe`.

    Raises:
      ValueError: unknown name or parameter (with the nearest valid one), or a value out of its range.
    """
    factory = _FACTORIES.get(name)
    num_policies, seed = arguments.whole("num_policies", num_policies, 2, 2**31 - 1), arguments.seed(seed)
    known = defaults(name)
    for parameter, value in parameters.items():
        if parameter not in known:
            choices = ("num_policies", "seed", *known)
            raise ValueError(f"instance {name!r} has no parameter {parameter!r}{nearest(parameter, choices)}")
        parameters[parameter] = arguments.real(parameter, value)
    return factory(num_policies, seed, **parameters)


def _check_range(argument: str, value: float, low: float, high: float) -> None:
    """Raise unless `low < value <= high`."""
    if not low < value <= high:
        raise ValueError(f"{argument} = {value:g}, expected a value in ({low:g}, {high:g}]")


def _shuffled(mu: np.ndarray, seed: int) -> Tabular:
    """`mu` with its policies in random order, or as it is for seed 0."""
    order = np.random.default_rng(seed).permutation(len(mu)) if seed else np.arange(len(mu))
    return Tabular(mu[np.ix_(order, order)])


def from_upper(upper: np.ndarray) -> np.ndarray:
    """The win matrix with these probabilities above the diagonal."""
    return np.triu(upper, 1) + np.tril(1 - upper.T, -1) + np.eye(len(upper)) / 2


def _circle(size: int, successor: float, others: float) -> np.ndarray:
    """Win matrix of a circle: `successor` against the next one, `others` against the rest of the half ahead.

    Opposite policies of an even circle are equally far both ways: there the larger index beats the other.
    """
    index = np.arange(size)
    ahead = (index[None, :] - index[:, None]) % size
    behind_if_opposite = (2 * ahead == size) & (index[:, None] < index[None, :])
    mu = np.where((2 * ahead <= size) & ~behind_if_opposite, others, 1 - others)
    mu = np.where(ahead == 1, successor, mu)
    mu = np.where(ahead == size - 1, 1 - successor, mu)
    return np.where(ahead == 0, 0.5, mu)


@register("bradley-terry")
def bradley_terry(num_policies: int, seed: int, *, spread: float = 1.0) -> BradleyTerry:
    """Bradley-Terry with independent normal scores of mean 0 and standard deviation `spread`."""
    _check_range("spread", spread, 0.0, math.inf)
    return BradleyTerry(np.random.default_rng(seed).normal(size=num_policies) * spread)


@register("bradley-terry-line")
def bradley_terry_line(num_policies: int, seed: int, *, top: float = 2.0) -> BradleyTerry:
    """Bradley-Terry with equally spaced scores from `top` down to 0; nothing is random, policy 0 wins."""
    del seed  # every factory takes one
    _check_range("top", top, 0.0, math.inf)
    return BradleyTerry(np.linspace(top, 0.0, num_policies))


@register("cyclic")
def cyclic(
    num_policies: int,
    seed: int,
    *,
    winner_probability: float = 0.55,
    decisive_probability: float = 0.9,
    other_probability: float = 0.55,
) -> Tabular:
    """A winner that beats all narrowly; the others on a circle, each beaten decisively by the next one only.

    Policy 0 wins each comparison with `winner_probability`. On the circle each loses to the next with
    `decisive_probability`, beats the rest of the half ahead of it with `other_probability`, and loses to the
    rest of the half behind with the same. So the toughest opponent of nobody is the winner. K >= 4. Seed 0
    keeps the order, another shuffles the labels.
    """
    arguments.whole("num_policies", num_policies, least=4)
    _check_range("winner_probability", winner_probability, 0.5, 1.0)
    _check_range("other_probability", other_probability, 0.5, 1.0)
    least_decisive = max(winner_probability, other_probability)
    _check_range("decisive_probability", decisive_probability, least_decisive, 1.0)
    mu = np.full((num_policies, num_policies), 1 - winner_probability)
    mu[0, :] = winner_probability
    mu[0, 0] = 0.5
    mu[1:, 1:] = _circle(num_policies - 1, 1 - decisive_probability, other_probability)
    return _shuffled(mu, seed)


@register("random-condorcet")
def random_condorcet(num_policies: int, seed: int, *, gap: float = 0.02) -> Tabular:
    """Uniform random probabilities; a random winner beats each other by at least `gap` above 1/2."""
    _check_range("gap", gap, 0.0, 0.5)
    rng = np.random.default_rng(seed)
    winner = rng.integers(num_policies)
    mu = from_upper(rng.uniform(size=(num_policies, num_policies)))
    mu[winner, :] = rng.uniform(0.5 + gap, 1.0, size=num_policies)
    mu[:, winner] = 1 - mu[winner, :]
    mu[winner, winner] = 0.5
    return Tabular(mu)


@register("hidden-winner")
def hidden_winner(num_policies: int, seed: int, *, gap: float = 0.05, other_gap: float = 0.4) -> Tabular:
    """Policy 0 beats each other by only `gap` above 1/2; the others differ by `other_gap`, at random."""
    _check_range("gap", gap, 0.0, 0.5)
    _check_range("other_gap", other_gap, 0.0, 0.5)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(num_policies, num_policies))
    upper = 0.5 + other_gap * signs
    upper[0, :] = 0.5 + gap
    return Tabular(from_upper(upper))


@register("no-winner")
def no_winner(num_policies: int, seed: int, *, probability: float = 0.7) -> Tabular:
    """A circle without a Condorcet winner: each beats the half of the others ahead of it with `probability`.

    K >= 3. Seed 0 keeps the order, another shuffles the labels.
    """
    arguments.whole("num_policies", num_policies, least=3)
    _check_range("probability", probability, 0.5, 1.0)
    return _shuffled(_circle(num_policies, probability, probability), seed)


@register("linear-bradley-terry")
def linear_bradley_terry(
    num_policies: int, seed: int, *, dimension: float = 8, scale: float = 1.0
) -> LinearBradleyTerry:
    """Linear Bradley-Terry: random features on the unit sphere, a random parameter of length `scale`."""
    width = arguments.whole("dimension", dimension, least=1)
    if width < 2:
        raise ValueError(f"dimension = {width}, expected at least 2: on a line the unit sphere has two points")
    _check_range("scale", scale, 0.0, math.inf)
    rng = np.random.default_rng(seed)
    features = _unit(rng.normal(size=(num_policies, width)))
    return LinearBradleyTerry(features, scale * _unit(rng.normal(size=width)))


@register("linear-embedded")
def linear_embedded(
    num_policies: int,
    seed: int,
    *,
    dimension: float = 8,
    scale: float = 1.0,
    correlation: float = 0.7,
    length_weight: float = 0.5,
) -> LinearBradleyTerry:
    """Linear Bradley-Terry with embeddings that correlate with the length of the answers, as judges' favour does.

    The first feature is the standardised log length of a policy's answers; each of the others, an embedding's, is
    `correlation` times that plus independent noise, of variance 1 in all. The parameter has length `scale`, a share
    `length_weight` of it (in squares) on the length, the rest in a random direction of the embedding.
    """
    width = arguments.whole("dimension", dimension, least=1)
    _check_range("scale", scale, 0.0, math.inf)
    if not 0 <= correlation < 1:
        raise ValueError(f"correlation = {correlation:g}, expected a value in [0, 1)")
    if not 0 <= length_weight <= 1:
        raise ValueError(f"length_weight = {length_weight:g}, expected a value in [0, 1]")
    if width < 2:
        raise ValueError(f"dimension = {width}, expected at least 2: the length and an embedding")
    rng = np.random.default_rng(seed)
    length = rng.normal(size=(num_policies, 1))
    noise = rng.normal(size=(num_policies, width - 1))
    features = np.hstack([length, correlation * length + math.sqrt(1 - correlation**2) * noise])
    weights = np.append(math.sqrt(length_weight), math.sqrt(1 - length_weight) * _unit(rng.normal(size=width - 1)))
    return LinearBradleyTerry(features, scale * weights)


def _unit(rows: np.ndarray) -> np.ndarray:
    """Each row scaled to length 1."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
