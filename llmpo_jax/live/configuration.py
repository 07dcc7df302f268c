"""EXPERIMENT.toml: the policies, inputs, judge and limits of a live experiment, all checked before any call."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tomllib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from llmpo_jax import models
from llmpo_jax.arithmetic import root_key
from llmpo_jax.live import grid
from llmpo_jax.live.endpoint import Endpoint
from llmpo_jax.live.judge_settings import JudgeSettings, read_judge
from llmpo_jax.live.protocol import PRESENTATIONS, Answer, Policy
from llmpo_jax.live.settings import EndpointSettings, read_endpoint
from llmpo_jax.live.tables import Table, rows
from llmpo_jax.live.templates import used
from llmpo_jax.protocol import EXISTENCE
from llmpo_jax.registry import nearest
from llmpo_jax.spaces import STRUCTURED, UNSTRUCTURED, told_nothing

_PACKAGED = resources.files("llmpo_jax.live")

EXAMPLE = (_PACKAGED / "example.toml").read_text(encoding="utf-8")
"""A commented EXPERIMENT.toml that needs only a URL and a model."""

EXAMPLE_INPUTS = (_PACKAGED / "example_inputs.jsonl").read_text(encoding="utf-8")
"""The file example_inputs.jsonl that it names."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A live experiment as its file describes it.

    Attributes:
        path: of the file.
        folder: where the experiment is kept.
        policies, inputs: what is compared, and on what.
        arguments: of `Experiment.create`, by name: delta, sampler, stopping, existence, features, seed, epsilon,
            presentation.
        limits: of `Experiment.run`, by name: in_flight, max_cost, max_comparisons.
        endpoint: where the policies are.
        judge_settings: who judges.
    """

    path: Path
    folder: Path
    policies: list[Policy]
    inputs: list[Any]
    arguments: Mapping[str, Any]
    limits: Mapping[str, Any]
    endpoint: EndpointSettings
    judge_settings: JudgeSettings

    def generate(self) -> Callable[[Policy, Any, int], Coroutine[Any, Any, Answer]]:
        """What makes a policy answer.

        Raises:
            ValueError: httpx is not there.
        """
        return Endpoint(self.endpoint).generate

    def judge(self) -> Callable[..., Any]:
        """What judges two answers; raises as `JudgeSettings.build`."""
        return self.judge_settings.build()

    @property
    def extra(self) -> dict[str, Any]:
        """What an experiment's header keeps besides: hashes and the judge in words. Where the endpoint is does not
        belong to it, since a server may move; nor does any key."""
        policies = [dataclasses.asdict(policy) for policy in self.policies]
        return {
            "mode": self.endpoint.mode,
            "judge": self.judge_settings.in_words(),
            "sha256": {
                "policies": _hash(policies),
                "inputs": _hash(self.inputs),
                "judge": _hash(self.judge_settings.identity()),
            },
        }


def read(path: str | os.PathLike[str]) -> Configuration:
    """The configuration that a file describes; the paths in it are relative to it.

    Raises:
        ValueError: whatever is wrong with it, in one line that names file, key, value and what was expected.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected a configuration in TOML (`llmpo-jax live init` writes one)")
    try:
        table = Table(tomllib.loads(path.read_text(encoding="utf-8")))
        return _read(table, path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: {error}, expected text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}, expected TOML") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(table: Table, path: Path) -> Configuration:
    base = path.parent
    folder = base / table.get("folder", str, path.stem)
    if folder == path:
        raise ValueError("folder is this file itself, expected the name of a folder as `folder`")
    inputs = rows(table.get("inputs", (str, list)), base, "inputs")
    if len(inputs) < 2:
        raise ValueError(f"inputs has {len(inputs)} rows, expected at least 2: what is proven is about their average")
    examples = grid.read_examples(table.get("examples", (str, list), []), base)
    at = table.table("endpoint")
    model = at.get("model", str, None)
    endpoint = read_endpoint(at)
    policies = grid.policies(table.get("policies", list), examples, inputs, model)
    judge = read_judge(table.table("judge"), inputs, base, endpoint, model)
    for policy in policies:
        if judge.kind == "exact" and used(policy.template, [judge.field]):
            raise ValueError(f"policy {policy.name!r} is shown the right answer, expected no {{{judge.field}}}")
    arguments = _arguments(table.table("experiment"), policies, base)
    limits = _limits(table.table("limits"), policies, endpoint, judge)
    table.done()
    return Configuration(
        path=path,
        folder=folder,
        policies=policies,
        inputs=inputs,
        arguments=arguments,
        limits=limits,
        endpoint=endpoint,
        judge_settings=judge,
    )


def _arguments(table: Table, policies: Sequence[Policy], base: Path) -> dict[str, Any]:
    """The arguments of `Experiment.create`."""
    features = table.get("features", str, None)
    space = UNSTRUCTURED if features is None else STRUCTURED
    samplers = [name for name in told_nothing(space.samplers) if not space.samplers.get(name).oracle]
    found = {
        "delta": table.get("delta", float, 0.05),
        "sampler": table.among("sampler", samplers, "llm-po"),
        "stopping": table.among("stopping", space.stopping.names(), "e-process"),
        "existence": table.among("existence", EXISTENCE, "assumed"),
        "seed": table.get("seed", int, 0),
        "epsilon": table.get("epsilon", float, None),
        "presentation": table.among("presentation", PRESENTATIONS, "random"),
        "features": None if features is None else _features(table, base / features, policies),
    }
    table.done()
    if not 0 < found["delta"] < 1:
        raise ValueError(f"{table.name('delta')} = {found['delta']:g}, expected a number strictly between 0 and 1")
    if found["epsilon"] is not None and not 0 < found["epsilon"] < 0.5:
        raise ValueError(f"{table.name('epsilon')} = {found['epsilon']:g}, expected a number between 0 and 1/2")
    if features is not None and found["existence"] != "assumed":
        raise ValueError(f"{table.name('existence')} = 'certify', expected 'assumed' with features")
    try:
        root_key(found["seed"])
    except ValueError as error:
        raise ValueError(f"{table.place}.{error}") from error
    return found


def _features(table: Table, path: Path, policies: Sequence[Policy]) -> Any:
    """[K, d], one row a policy."""
    try:
        names, features = models.read_features(path)
        return models.align_features(names, features, [policy.name for policy in policies])
    except (ValueError, OSError) as error:
        raise ValueError(f"{table.name('features')}: {error}") from error


def _limits(
    table: Table, policies: Sequence[Policy], endpoint: EndpointSettings, judge: JudgeSettings
) -> dict[str, Any]:
    """The limits of `Experiment.run`."""
    cost = table.get("max_cost", float, None)
    found = {
        "in_flight": table.least("in_flight", 1, 8),
        "max_cost": cost,
        "max_comparisons": table.least("max_comparisons", 1, None),
    }
    table.done()
    if cost is None:
        return found
    if cost <= 0:
        raise ValueError(f"{table.name('max_cost')} = {cost:g}, expected a number above 0")
    paid = [(endpoint, policy.model) for policy in policies]
    if judge.endpoint and judge.policy:
        paid.append((judge.endpoint, judge.policy.model))
    for settings, model in paid:
        if model not in settings.prices:
            known = nearest(model, settings.prices) if settings.prices else ", expected it there (0 if it is free)"
            place = f"{table.name('max_cost')} = {cost:g}"
            raise ValueError(f"{place} needs the price of {model!r} in endpoint.prices{known}")
    return found


def _hash(value: Any) -> str:
    """SHA-256 of a value as JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
