"""What an experiment is, fixed at its start and kept in the journal's header: policies, inputs, procedure, seed."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmpo_jax.arguments import between, items, one_of, seed, shown
from llmpo_jax.arithmetic import pinned
from llmpo_jax.engine.preparation import LARGEST_LIMIT, Settings, make_plan
from llmpo_jax.engine.replication import Plan, Procedure
from llmpo_jax.live.protocol import PRESENTATIONS, Policy
from llmpo_jax.models import identified
from llmpo_jax.models.preference import checked_names, floating
from llmpo_jax.protocol import EXISTENCE, Problem
from llmpo_jax.registry import nearest
from llmpo_jax.spaces import STRUCTURED, UNSTRUCTURED, Space
from llmpo_jax.theory.linear import make_design


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrangement:
    """The configuration of an experiment; `Experiment.create` says what the fields mean.

    Raises:
        ValueError: whatever is wrong, what was expected.
    """

    policies: tuple[str | Policy, ...]
    inputs: tuple[Any, ...]
    delta: float
    sampler: str
    stopping: str
    existence: str
    features: np.ndarray | None
    seed: int
    epsilon: float | None
    presentation: str
    extra: Mapping[str, Any]

    def __post_init__(self) -> None:
        if len(self.policies) < 2:
            raise ValueError(f"policies has {len(self.policies)} entries, expected at least 2")
        checked_names(self.names, len(self.policies))
        if "judge" in self.names:
            raise ValueError(
                "policies has one named 'judge', expected another name: calls of the judge are kept under it"
            )
        specified = [policy for policy in self.policies if isinstance(policy, Policy)]
        if specified and len(specified) < len(self.policies):
            raise ValueError("policies holds names and specifications, expected either the ones or the others")
        if not self.inputs:
            raise ValueError("inputs is empty, expected at least one input")
        checked = {"delta": between("delta", self.delta, 0, 1), "seed": seed(self.seed)}
        if self.epsilon is not None:
            checked["epsilon"] = between("epsilon", self.epsilon, 0, 0.5)
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        one_of("presentation", self.presentation, PRESENTATIONS)
        one_of("existence", self.existence, EXISTENCE)
        sampler, stopping = self.space.samplers.get(self.sampler), self.space.stopping.get(self.stopping)
        if sampler.oracle:
            raise ValueError(f"sampler = {self.sampler!r} is told the truth, which nobody knows in a live experiment")
        if sampler.told:
            raise ValueError(f"sampler = {self.sampler!r} is told its budget, expected one that may stop at any time")
        if stopping.told:
            raise ValueError(f"stopping = {self.stopping!r} weighs no evidence, expected a rule that does")
        if self.features is None:
            return
        if self.existence != "assumed":
            raise ValueError(
                f"existence = {self.existence!r}, expected 'assumed' with features: there is a best policy"
            )
        if self.features.shape[:1] != (len(self.policies),):
            expected = f"expected one row for each of the {len(self.policies)} policies"
            raise ValueError(f"features has shape {self.features.shape}, {expected}")
        identified(self.features, self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the policies."""
        return tuple(policy.name if isinstance(policy, Policy) else policy for policy in self.policies)

    @property
    def space(self) -> Space:
        """The policy space."""
        return UNSTRUCTURED if self.features is None else STRUCTURED

    @property
    def level(self) -> float:
        """The error of refutations: delta, half of it where equality may be proven, too."""
        return self.delta if self.epsilon is None else self.delta / 2

    def prepared(self) -> tuple[Procedure, Plan]:
        """What the engine's functions take. What is to be known of the features comes as a `UserWarning`."""
        count, design = len(self.policies), None
        problem = Problem(count, self.existence)
        if self.features is not None:
            known = identified(self.features, self.names)
            for warning in known.warnings:
                warnings.warn(warning, stacklevel=4)
            design, problem = make_design(known.coordinates), Problem(count, dimension=known.rank)
        rules = self.space.samplers.get(self.sampler), self.space.stopping.get(self.stopping)
        procedure = Procedure(problem, *rules, self.space)
        settings = Settings((self.level,), (), LARGEST_LIMIT, self.existence, seed=self.seed)
        with pinned():
            return procedure, make_plan(procedure, np.full((count, count), 0.5), settings)._replace(design=design)

    def as_json(self) -> dict[str, Any]:
        """What the header holds."""
        policies = [dataclasses.asdict(p) if isinstance(p, Policy) else p for p in self.policies]
        features = None if self.features is None else self.features.tolist()
        return _plain(vars(self) | {"policies": policies, "features": features})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Arrangement:
        """The arrangement that a header holds."""
        return arranged(**stored)

    def difference(self, stored: Mapping[str, Any]) -> str | None:
        """The first thing in which a header's configuration differs from this one, in words; None where none does."""
        mine = self.as_json()
        for name in mine:
            was, now = stored.get(name), mine[name]
            if was == now:
                continue
            if isinstance(was, list) and isinstance(now, list):
                at = next((i for i, two in enumerate(zip(was, now, strict=False)) if two[0] != two[1]), None)
                if at is None:
                    return f"{name} had {len(was)} entries, now {len(now)}"
                return f"{name}[{at}] was {_short(was[at])}, now {_short(now[at])}"
            return f"{name} was {_short(was)}, now {_short(now)}"
        return None


def arranged(
    policies: Sequence[str | Policy | Mapping[str, Any]],
    inputs: Sequence[Any],
    *,
    features: Any = None,
    extra: Any = None,
    **others: Any,
) -> Arrangement:
    """An arrangement from what a user gives; a policy is a name, a `Policy`, or its fields by name."""
    policies = items("policies", policies, "a sequence of names or specifications")
    inputs = items("inputs", inputs, "a sequence of inputs")
    array = None if features is None else np.asarray(floating("features", features), np.float64)
    if not isinstance(extra, Mapping | None):
        raise ValueError(f"extra = {shown(extra)}, expected a mapping")
    chosen = tuple(_policy(policy) for policy in policies)
    return Arrangement(policies=chosen, inputs=tuple(_plain(list(inputs))), features=array, extra=extra or {}, **others)


def _policy(given: Any) -> str | Policy:
    if isinstance(given, str | Policy):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(f"policies contains {shown(given)}, expected names or specifications")
    known = [field.name for field in dataclasses.fields(Policy)]
    for name in given:
        if name not in known:
            raise ValueError(f"policies has a field {name!r}{nearest(name, known)}")
    if "name" not in given:
        raise ValueError(f"policies has an entry without a name: {dict(given)}")
    examples = tuple((question, answer) for question, answer in given.get("examples", ()))
    return Policy(**{**given, "examples": examples, "stop": tuple(given.get("stop", ()))})


def _plain(value: Any) -> Any:
    """`value` as JSON gives it back: what is resumed is what was begun.

    Raises:
        ValueError: JSON cannot hold it.
    """
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"inputs, policies and extra, expected what JSON can hold: {error}") from None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
