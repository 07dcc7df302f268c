"""Who judges, as a configuration says it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmpo_jax.live import judges, templates
from llmpo_jax.live.endpoint import Endpoint
from llmpo_jax.live.protocol import Policy
from llmpo_jax.live.settings import EndpointSettings, read_endpoint
from llmpo_jax.live.tables import Table

JUDGES = ("exact", "regex", "llm", "python")
"""Kinds of judges."""


@dataclass(frozen=True, kw_only=True)
class JudgeSettings:
    """Who judges.

    Attributes:
        kind: one of `JUDGES`.
        field: of the input, with which "exact" compares.
        pattern: of "regex".
        policy: how the LLM is asked.
        endpoint: where.
        function: "module:name".
        folder: where its module may lie.
    """

    kind: str
    field: str = "output"
    pattern: str = ""
    policy: Policy | None = None
    endpoint: EndpointSettings | None = None
    function: str = ""
    folder: Path = Path()

    def build(self) -> Callable[..., Any]:
        """The judge, a function of the input and the two answers (and of a seed, for an LLM).

        Raises:
            ValueError: httpx is not there, or no such function.
        """
        if self.kind == "exact":
            return judges.exact_match(self.field)
        if self.kind == "regex":
            return judges.regular_expression(self.pattern)
        if self.policy is not None and self.endpoint is not None:
            return judges.llm(Endpoint(self.endpoint), self.policy)
        return judges.python_function(self.function, self.folder)

    def in_words(self) -> str:
        """The judge in a sentence of a report."""
        if self.kind == "exact":
            return f"an answer is right if it equals the field {self.field!r}, case and punctuation apart"
        if self.kind == "regex":
            return f"an answer is right if the regular expression {self.pattern!r} is found in it"
        if self.policy is not None:
            return f"the model {self.policy.model!r} at temperature {self.policy.temperature:g} compares the answers"
        return f"the Python function {self.function!r} compares the answers"

    def identity(self) -> Any:
        """All that a verdict depends on, as JSON can hold it."""
        mode = self.endpoint.mode if self.endpoint else None
        policy = dataclasses.asdict(self.policy) if self.policy else None
        source = _source(self.build()) if self.kind == "python" else None
        return [self.kind, self.field, self.pattern, policy, mode, self.function, source]


def read_judge(
    table: Table, inputs: Sequence[Any], base: Path, endpoint: EndpointSettings, model: str | None
) -> JudgeSettings:
    """The judge that a table describes.

    Args:
        table: `[judge]`.
        inputs: that it must be able to judge.
        base: folder in which a Python function's module may lie.
        endpoint, model: of an LLM, where the table names no others.

    Raises:
        ValueError: a bad key or value, or an input that it cannot judge.
    """
    kind = table.among("kind", JUDGES)
    if kind == "exact":
        settings = JudgeSettings(kind=kind, field=table.get("field", str, "output"))
        _check_rows(inputs, lambda input: judges.references(input, settings.field), table.place)
    elif kind == "regex":
        settings = JudgeSettings(kind=kind, pattern=table.get("pattern", str))
        _check_rows(inputs, lambda input: judges.pattern_for(settings.pattern, input), table.place)
    elif kind == "llm":
        settings = _llm_judge(table, inputs, endpoint, model)
    else:
        settings = JudgeSettings(kind=kind, function=table.get("function", str), folder=base.resolve())
        try:
            settings.build()
        except ValueError as error:
            raise ValueError(f"{table.place}.{error}") from error
    table.done()
    return settings


def _llm_judge(table: Table, inputs: Sequence[Any], endpoint: EndpointSettings, model: str | None) -> JudgeSettings:
    at = table.table("endpoint")
    if "endpoint" in table:
        model = at.get("model", str, model)
        endpoint = read_endpoint(at)
    template = table.get("template", str)
    templates.check(template, inputs, table.name("template"), ("first", "second"))
    temperature = table.get("temperature", float, 0.0)
    if temperature < 0:
        raise ValueError(f"{table.name('temperature')} = {temperature:g}, expected a number from 0")
    asked = table.get("model", str, model)
    if asked is None:
        raise ValueError(f"{table.name('model')} is missing, expected it there or as endpoint.model")
    tokens = table.least("max_tokens", 1, 1024)
    policy = Policy(name="judge", template=template, model=asked, temperature=temperature, max_tokens=tokens)
    return JudgeSettings(kind="llm", policy=policy, endpoint=endpoint)


def _check_rows(inputs: Sequence[Any], check: Callable[[Any], object], place: str) -> None:
    """That the judge can do with every input."""
    for number, input in enumerate(inputs, 1):
        try:
            check(input)
        except ValueError as error:
            raise ValueError(f"{place}, input {number}: {error}") from error


def _source(function: Callable[..., Any]) -> str:
    """The source of a function's module; its name where there is none to read."""
    try:
        return Path(inspect.getsourcefile(inspect.unwrap(function)) or "").read_text(encoding="utf-8")
    except (TypeError, OSError, UnicodeDecodeError):
        return getattr(function, "__qualname__", type(function).__qualname__)
