"""Policies from tables: each table a grid of template x model x temperature x examples, all of them together."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmpo_jax.live import templates
from llmpo_jax.live.protocol import Policy
from llmpo_jax.live.tables import Table, rows, typed

ANSWER = "output"
"""The field of an example that holds its answer."""

Parts = tuple[str, str, str, str]
"""What distinguishes a policy in words: template, model, temperature, examples."""


@dataclasses.dataclass(frozen=True)
class _Grid:
    """The policies of one table, without their names."""

    name: str | None
    policies: list[Policy]
    parts: list[Parts]


def policies(
    tables: Sequence[Any], examples: Sequence[tuple[Any, str]], inputs: Sequence[Any], model: str | None
) -> list[Policy]:
    """All policies of the tables `[[policies]]`.

    A policy is called by the parts that vary: over all tables, or behind the table's `name`, within that table.

    Args:
        tables: as TOML holds them.
        examples: (input, answer) pairs, of which a policy is shown the first few.
        inputs: whose fields the templates ask for.
        model: where a table names none.

    Raises:
        ValueError: a bad table, fewer than two policies, two with the same specification or the same name.
    """
    numbering: dict[str, str] = {}
    grids = [
        _grid(Table(table, f"policies[{number}]"), examples, inputs, model, numbering)
        for number, table in enumerate(tables, 1)
    ]
    everywhere = [parts for grid in grids for parts in grid.parts]
    found = []
    for grid in grids:
        varying = _varying(everywhere if grid.name is None else grid.parts)
        for policy, parts in zip(grid.policies, grid.parts, strict=True):
            words = [grid.name or "", *(part for part, varies in zip(parts, varying, strict=True) if varies)]
            found.append(dataclasses.replace(policy, name=" ".join(filter(None, words)) or parts[0]))
    _check_different(found)
    return found


def _varying(parts: Sequence[Parts]) -> list[bool]:
    """Which of the four parts are not the same in all."""
    return [len(set(values)) > 1 for values in zip(*parts, strict=True)]


def _check_different(found: Sequence[Policy]) -> None:
    if len(found) < 2:
        raise ValueError(f"policies gives {len(found)} of them, expected at least 2 to compare")
    seen: list[Policy] = []
    for policy in found:
        for other in seen:
            if dataclasses.replace(policy, name=other.name) == other:
                raise ValueError(f"policies {other.name!r} and {policy.name!r} are the same, expected each one once")
            if policy.name == other.name:
                raise ValueError(f"policies has two called {policy.name!r}, expected a `name` in their tables")
        seen.append(policy)


def _grid(
    table: Table,
    examples: Sequence[tuple[Any, str]],
    inputs: Sequence[Any],
    model: str | None,
    numbering: dict[str, str],
) -> _Grid:
    """The product of what a table lists."""
    name = table.get("name", str, None)
    texts = _templates(table, inputs, numbering)
    models = _listed(table, "model", str, model)
    temperatures = _listed(table, "temperature", float, 1.0)
    for temperature in temperatures:
        if temperature < 0:
            raise ValueError(f"{table.name('temperature')} = {temperature:g}, expected a number from 0")
    shots = _listed(table, "examples", int, 0)
    for count in shots:
        if not 0 <= count <= len(examples):
            raise ValueError(
                f"{table.name('examples')} = {count}, expected a number of examples from 0 to {len(examples)}, "
                "as many as `examples` at the top of the file gives"
            )
    common = {"max_tokens": table.least("max_tokens", 1, 256), "stop": _stop(table)}
    table.done()
    grid = _Grid(name, [], [])
    for (label, text), at, temperature, count in itertools.product(texts.items(), models, temperatures, shots):
        shown = tuple(examples[:count])
        _check_examples(text, shown, inputs, table.name("template"))
        policy = Policy(name="", template=text, model=at, temperature=temperature, examples=shown, **common)
        grid.policies.append(policy)
        grid.parts.append((label, at, f"t={temperature:g}", f"{count}-shot"))
    return grid


def _check_examples(text: str, shown: Sequence[tuple[Any, str]], inputs: Sequence[Any], place: str) -> None:
    """That the examples have what the template asks of the inputs."""
    asked = templates.used(text, templates.fields(inputs[0]))
    for number, (example, _) in enumerate(shown, 1):
        for name in asked:
            if name not in templates.fields(example):
                raise ValueError(f"examples, row {number}: no field {name!r}, expected it for {place} = {text!r}")


def _templates(table: Table, inputs: Sequence[Any], numbering: dict[str, str]) -> dict[str, str]:
    """The templates by name; those without one are numbered through all tables."""
    given = table.get("template", (str, list, dict))
    place = table.name("template")
    if isinstance(given, Mapping):
        named = {label: typed(text, (str,), f"{place}.{label}") for label, text in given.items()}
    else:
        texts = given if isinstance(given, list) else [given]
        texts = [typed(text, (str,), f"{place}[{number}]") for number, text in enumerate(texts, 1)]
        named = {numbering.setdefault(text, f"template-{len(numbering) + 1}"): text for text in texts}
        if len(named) < len(texts):
            raise ValueError(f"{place} holds the same text twice, expected each one once")
    if not named:
        raise ValueError(f"{place} is empty, expected at least one text")
    for text in named.values():
        templates.check(text, inputs, place)
    return named


def _listed(table: Table, key: str, kind: type, default: Any) -> list[Any]:
    """The values of a key that holds one value or a list of them."""
    if default is None and key not in table:
        raise ValueError(f"{table.name(key)} is missing, expected it there or as endpoint.model")
    value = table.get(key, (kind, list), default)
    values = value if isinstance(value, list) else [value]
    values = [typed(entry, (kind,), f"{table.name(key)}[{number}]") for number, entry in enumerate(values, 1)]
    if not values or len(set(values)) < len(values):
        raise ValueError(f"{table.name(key)} = {value!r}, expected at least one value and each one once")
    return values


def _stop(table: Table) -> tuple[str, ...]:
    value = table.get("stop", (str, list), [])
    values = value if isinstance(value, list) else [value]
    return tuple(typed(text, (str,), table.name("stop")) for text in values)


def read_examples(given: str | list[Any], folder: Path) -> list[tuple[Any, str]]:
    """The examples: rows as inputs have them, whose field `output` holds the answer.

    Raises:
        ValueError: as `rows`, or a row that is not so.
    """
    found = []
    for number, row in enumerate(rows(given, folder, "examples"), 1):
        if not isinstance(row, Mapping) or ANSWER not in row or len(row) < 2:
            raise ValueError(f"examples, row {number}: {row!r}, expected the fields of an input and {ANSWER!r}")
        shown = {name: value for name, value in row.items() if name != ANSWER}
        found.append((shown["input"] if set(shown) == {"input"} else shown, templates.fields(row)[ANSWER]))
    return found
