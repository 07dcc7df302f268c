"""From a model and two names to what the engine runs: the procedure, the numbers of the run, and what bounds it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax import models
from llmpo_jax.arithmetic import root_key
from llmpo_jax.engine.replication import Plan, Procedure
from llmpo_jax.protocol import Problem, Sampler, StoppingRule
from llmpo_jax.spaces import STRUCTURED, space
from llmpo_jax.theory import bounds, linear
from llmpo_jax.theory.unstructured import check_existence

LARGEST_LIMIT = 2**30
"""Comparisons per replication that the int32 clock can count with room to spare."""


@dataclass(frozen=True)
class Settings:
    """Checked arguments of a simulation, apart from the model and the procedure."""

    deltas: tuple[float, ...]
    budgets: tuple[int, ...]
    max_comparisons: int
    existence: str = "assumed"
    replications: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.deltas and not self.budgets:
            raise ValueError("deltas and budgets are both empty, expected at least one delta or budget")
        for delta in self.deltas:
            if not 0 < delta < 1:
                raise ValueError(f"deltas contains {delta}, expected numbers strictly between 0 and 1")
        for budget in self.budgets:
            if int(budget) != budget or budget < 1:
                raise ValueError(f"budgets contains {budget}, expected positive whole numbers of comparisons")
        if self.budgets and max(self.budgets) > self.max_comparisons:
            raise ValueError(
                f"budgets contains {max(self.budgets)}, expected at most max_comparisons = {self.max_comparisons}"
            )
        if not 1 <= self.max_comparisons <= LARGEST_LIMIT:
            raise ValueError(f"max_comparisons = {self.max_comparisons}, expected 1 to {LARGEST_LIMIT}")
        if self.replications < 1:
            raise ValueError(f"replications = {self.replications}, expected at least 1")
        check_existence(self.existence)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A procedure on an instance, ready to run: the unit that is compiled once.

    Attributes:
        model: what comparisons are drawn from.
        assume: name of the policy space that the procedure assumes.
        sampler, stopping: names; "custom" for a user's own object.
        settings: how long and how often it runs.
        procedure, plan: what the engine takes.
        time: the characteristic time T* over the assumed space, None where the model has none (no Condorcet winner, or
            it lies outside of the space).
        certified: at most T*, by the solver's certificate; None likewise.
        proportions: [K, K], the optimal proportions, None likewise.
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


def default_space(model: models.PreferenceModel) -> str:
    """The policy space that a model belongs to: structured for `LinearBradleyTerry`."""
    return "structured" if isinstance(model, models.LinearBradleyTerry) else "unstructured"


def prepare(
    model: models.PreferenceModel,
    sampler: str | Sampler,
    stopping: str | StoppingRule,
    settings: Settings,
    assume: str | None = None,
    features: np.ndarray | None = None,
) -> Prepared:
    """Check what goes together, and compute in float64 on the host what the run needs.

    What a user should know of the features comes as a `UserWarning`.

    Raises:
        ValueError: unknown names, features that do not fit the model, or a combination that makes no sense.
    """
    assumed = space(assume or ("structured" if features is not None else default_space(model)))
    if features is not None and assumed is not STRUCTURED:
        raise ValueError("features are given, expected assume = 'structured' with them")
    chosen = assumed.samplers.get(sampler) if isinstance(sampler, str) else sampler
    rule = assumed.stopping.get(stopping) if isinstance(stopping, str) else stopping
    names = [thing if isinstance(thing, str) else "custom" for thing in (sampler, stopping)]
    mu = models.host_probabilities(model)
    known = _identified(model, features, settings) if assumed is STRUCTURED else None
    bound = bounds.over_space(model, assumed.name, settings.existence, features)
    if known is not None:
        for warning in known.warnings:
            warnings.warn(warning, stacklevel=3)
        if chosen.oracle and bound is None:
            raise ValueError(
                f"sampler {names[0]!r} is told the optimum of a linear Bradley-Terry model, but this model has none: "
                "it is not linear in the features, or has no unique winner"
            )
        design = linear.make_design(known.coordinates, bound.proportions if chosen.oracle and bound else None)
        problem = Problem(len(mu), dimension=known.rank)
    else:
        design, problem = None, Problem(len(mu), settings.existence)
    procedure = Procedure(problem, chosen, rule, assumed)
    return Prepared(
        model=model,
        assume=assumed.name,
        sampler=names[0],
        stopping=names[1],
        settings=settings,
        procedure=procedure,
        plan=make_plan(procedure, mu, settings)._replace(design=design),
        time=bound.time if bound else None,
        certified=bound.certified if bound else None,
        proportions=bound.proportions if bound else None,
    )


def _identified(model: models.PreferenceModel, features: np.ndarray | None, settings: Settings) -> models.Identified:
    if settings.existence != "assumed":
        raise ValueError(
            f"existence = {settings.existence!r}, expected 'assumed' in the structured space, where there is a winner"
        )
    return models.identify_features(model, features)


def make_plan(procedure: Procedure, mu: np.ndarray, settings: Settings) -> Plan:
    """The numbers of a run, with thresholds and chances computed in float64 on the host."""
    thresholds = [procedure.stopping.thresholds(procedure.problem, delta) for delta in settings.deltas]
    # 2^32 itself does not fit: a sure win is lost once in 2^32 comparisons.
    chances = np.minimum(np.floor(mu * 2.0**32), 2.0**32 - 1).astype(np.uint32)
    return Plan(
        root=root_key(settings.seed),
        chances=jnp.asarray(chances),
        winner_thresholds=_rounded_up([t.winner for t in thresholds]),
        absence_thresholds=_rounded_up([t.absence for t in thresholds]),
        budgets=jnp.asarray(settings.budgets, jnp.int32),
        horizon=jnp.asarray(max(settings.budgets, default=0), jnp.int32),
        max_comparisons=jnp.asarray(settings.max_comparisons, jnp.int32),
    )


def _rounded_up(nats: list[float]) -> jax.Array:
    """float32, never below what they were: a proof must not become easier."""
    near = np.asarray(nats, np.float32)
    return jnp.asarray(np.where(near < np.asarray(nats), np.nextafter(near, np.float32(np.inf)), near))
