"""From a model and two names to what the engine runs: the procedure, the numbers of the run, and what bounds it."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from llmpo_jax import arguments, models
from llmpo_jax.arithmetic import root_key
from llmpo_jax.engine.replication import Plan, Procedure
from llmpo_jax.protocol import EXISTENCE, Problem, Sampler, SpaceName, StoppingRule
from llmpo_jax.registry import Registry
from llmpo_jax.spaces import STRUCTURED, space
from llmpo_jax.theory import bounds, linear

T = TypeVar("T", Sampler, StoppingRule)

LARGEST_LIMIT = 2**30
"""Comparisons per replication that the int32 clock can count with room to spare."""
LARGEST_NUMBER = 2**31 - 1
"""Of a replication, int32."""


@dataclass(frozen=True)
class Settings:
    """Checked arguments of a simulation, apart from the model and the procedure, as Python's own numbers.

    Raises:
        ValueError: one of them is out of range, or no number.
    """

    deltas: tuple[float, ...]
    budgets: tuple[int, ...]
    max_comparisons: int
    existence: str = "assumed"
    replications: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        checked = {
            "deltas": arguments.deltas(self.deltas),
            "budgets": arguments.budgets(self.budgets),
            "max_comparisons": arguments.whole("max_comparisons", self.max_comparisons, 1, LARGEST_LIMIT),
            "existence": arguments.one_of("existence", self.existence, EXISTENCE),
            "replications": arguments.whole("replications", self.replications, 1, LARGEST_NUMBER),
            "seed": arguments.seed(self.seed),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if not self.deltas and not self.budgets:
            raise ValueError("deltas and budgets are both empty, expected at least one delta or budget")
        if self.budgets and max(self.budgets) > self.max_comparisons:
            raise ValueError(
                f"budgets contains {max(self.budgets)}, expected at most max_comparisons = {self.max_comparisons}"
            )


@dataclass(frozen=True, eq=False)
class Prepared:
    """A procedure on an instance, ready to run: the unit that is compiled once.

    Attributes:
        model: what comparisons are drawn from.
        assume: name of the policy space that the procedure assumes.
        sampler, stopping: names; "custom" for an object that has none.
        settings: how long and how often it runs.
        procedure, plan: what the engine takes.
        time: the characteristic time T* over the assumed space, None where the model has none (no Condorcet winner, or
            it lies outside of the space).
        certified: at most T*, by the solver's certificate; None likewise.
        proportions: [K, K], the optimal proportions, None likewise.
        costs: [K, K], what a comparison of each pair costs; then T* is in units of cost. None where it is comparisons.
    """

    model: models.PreferenceModel
    assume: str
    sampler: str
    stopping: str
    settings: Settings
    procedure: Procedure
    plan: Plan
    time: float | None
    certified: float | None
    proportions: np.ndarray | None
    costs: np.ndarray | None


def default_space(model: models.PreferenceModel) -> SpaceName:
    """The policy space that a model belongs to: structured for `LinearBradleyTerry`."""
    return "structured" if isinstance(models.untied(model), models.LinearBradleyTerry) else "unstructured"


def prepare(
    model: models.PreferenceModel,
    sampler: str | Sampler,
    stopping: str | StoppingRule,
    settings: Settings,
    assume: str | None = None,
    features: ArrayLike | None = None,
    costs: ArrayLike | None = None,
) -> Prepared:
    """Check what goes together, and compute in float64 on the host what the run needs.

    What a user should know of the features comes as a `UserWarning`.

    Raises:
        ValueError: unknown names, features or costs that do not fit the model, or a combination that makes no sense.
    """
    if assume is None:
        assume = "structured" if features is not None else default_space(model)
    assumed = space(assume)
    if features is not None and assumed is not STRUCTURED:
        raise ValueError("features are given, expected assume = 'structured' with them")
    given = None if features is None else np.asarray(models.floating("features", features), np.float64)
    sampler_name, chosen = _chosen("sampler", sampler, Sampler, assumed.samplers)
    stopping_name, rule = _chosen("stopping", stopping, StoppingRule, assumed.stopping)
    settings = _asked_of(sampler_name, chosen.told, stopping_name, rule.told, settings)
    mu, ties = models.host_probabilities(model), models.tie_probabilities(model)
    prices = models.pair_costs(costs, len(mu))
    known = _identified(model, given, settings) if assumed is STRUCTURED else None
    bound = bounds.over_space(model, assumed.name, settings.existence, given, prices)
    if known is not None:
        for warning in known.warnings:
            warnings.warn(warning, stacklevel=3)
        if chosen.oracle and bound is None:
            raise ValueError(
                f"sampler {sampler_name!r} is told the optimum of a linear Bradley-Terry model, but this model has "
                "none: it is not linear in the features, or has no unique winner"
            )
        design = linear.make_design(known.coordinates, bound.proportions if chosen.oracle and bound else None)
        problem = Problem(len(mu), dimension=known.rank)
    else:
        design, problem = None, Problem(len(mu), settings.existence)
    problem = replace(problem, ties=ties is not None, priced=prices is not None)
    procedure = Procedure(problem, chosen, rule, assumed)
    return Prepared(
        model=model,
        assume=assumed.name,
        sampler=sampler_name,
        stopping=stopping_name,
        settings=settings,
        procedure=procedure,
        plan=make_plan(procedure, mu, settings, ties, prices)._replace(design=design),
        time=bound.time if bound else None,
        certified=bound.certified if bound else None,
        proportions=bound.proportions if bound else None,
        costs=prices,
    )


def _chosen(argument: str, given: Any, kind: type[T], registry: Registry[T]) -> tuple[str, T]:
    """A procedure's name ("custom" for one that has none) and the procedure."""
    if isinstance(given, kind):
        return registry.name_of(given) or "custom", given
    if not isinstance(given, str):
        expected = f"a {kind.__name__} or one of {', '.join(registry.names())}"
        raise ValueError(f"{argument} = {arguments.shown(given)}, expected {expected}")
    return given, registry.get(given)


def _asked_of(sampler: str, budget: bool, stopping: str, level: bool, settings: Settings) -> Settings:
    """The settings without what a procedure says nothing of: one that is told its budget has no levels, nor one that is
    told its level budgets."""
    if budget and level:
        raise ValueError(
            f"sampler {sampler!r} is told its budget and stopping rule {stopping!r} its level, "
            "expected one of them that is told nothing"
        )
    if budget and not settings.budgets:
        raise ValueError(f"budgets is empty, expected at least one budget, as sampler {sampler!r} is told its budget")
    if level and not settings.deltas:
        raise ValueError(f"deltas is empty, expected at least one level, as stopping rule {stopping!r} is told it")
    if budget:
        return replace(settings, deltas=())
    return replace(settings, budgets=()) if level else settings


def _identified(model: models.PreferenceModel, features: np.ndarray | None, settings: Settings) -> models.Identified:
    if settings.existence != "assumed":
        raise ValueError(
            f"existence = {settings.existence!r}, expected 'assumed' in the structured space, where there is a winner"
        )
    return models.identify_features(model, features)


def make_plan(
    procedure: Procedure,
    mu: np.ndarray,
    settings: Settings,
    ties: np.ndarray | None = None,
    costs: np.ndarray | None = None,
) -> Plan:
    """The numbers of a run, with thresholds and chances computed in float64 on the host."""
    thresholds = [procedure.stopping.thresholds(procedure.problem, delta) for delta in settings.deltas]
    return Plan(
        root=root_key(settings.seed),
        chances=_of_bits(mu if ties is None else mu * (1 - ties)),
        winner_thresholds=_rounded_up([t.winner for t in thresholds]),
        absence_thresholds=_rounded_up([t.absence for t in thresholds]),
        budgets=jnp.asarray(settings.budgets, jnp.int32),
        horizon=jnp.asarray(max(settings.budgets, default=0), jnp.int32),
        max_comparisons=jnp.asarray(settings.max_comparisons, jnp.int32),
        nats=_rounded_up([-math.log(delta) for delta in settings.deltas]),
        ties=None if ties is None else _of_bits(ties),
        costs=None if costs is None else jnp.asarray(costs, jnp.float32),
    )


def _of_bits(chances: np.ndarray) -> jax.Array:
    """uint32, how many of the 2^32 numbers there are make up a chance."""
    # 2^32 itself does not fit: a sure win is lost once in 2^32 comparisons.
    return jnp.asarray(np.minimum(np.floor(chances * 2.0**32), 2.0**32 - 1).astype(np.uint32))


def _rounded_up(nats: list[float]) -> jax.Array:
    """float32, never below what they were: a proof must not become easier."""
    near = np.asarray(nats, np.float32)
    return jnp.asarray(np.where(near < np.asarray(nats), np.nextafter(near, np.float32(np.inf)), near))
