"""What a configuration is read from: tables of TOML whose every key is checked, and files of rows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmpo_jax.live.templates import shown
from llmpo_jax.models.reading import read_sheet
from llmpo_jax.registry import nearest

MISSING: Any = object()
SUFFIXES = (".jsonl", ".csv", ".txt")

KINDS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    dict: "a table",
    list: "a list",
}


class Table:
    """A table of a TOML file that knows where it stands and which of its keys were read.

    `get` takes a value out; `done` refuses what nobody asked for.
    """

    def __init__(self, values: Any, place: str = "") -> None:
        if not isinstance(values, Mapping):
            raise ValueError(f"{place} = {_value(values)}, expected a table [{place}]")
        self.place = place
        self._values = values
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def name(self, key: str) -> str:
        """A key as messages name it."""
        return f"{self.place}.{key}" if self.place else key

    def get(self, key: str, kinds: type | tuple[type, ...], default: Any = MISSING) -> Any:
        """The value of a key; a whole number does for a float.

        Raises:
            ValueError: it is not there and has no default, or is of another kind.
        """
        self._known.append(key)
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        expected = " or ".join(KINDS[kind] for kind in kinds)
        if key not in self._values:
            if default is MISSING:
                raise ValueError(f"{self.name(key)} is missing, expected {expected}")
            return default
        return typed(self._values[key], kinds, self.name(key))

    def among(self, key: str, choices: Sequence[str], default: Any = MISSING) -> str:
        """The value of a key that is one of `choices`."""
        value = self.get(key, str, default)
        if value not in choices:
            raise ValueError(f"{self.name(key)} = {value!r}{nearest(value, choices)}")
        return value

    def least(self, key: str, least: int, default: Any = MISSING) -> Any:
        """The value of a key that is a whole number from `least`, or the default."""
        value = self.get(key, int, default)
        if key in self and value < least:
            raise ValueError(f"{self.name(key)} = {value}, expected a whole number from {least}")
        return value

    def table(self, key: str) -> Table:
        """The table of a key, an empty one where there is none."""
        self._known.append(key)
        return Table(self._values.get(key, {}), self.name(key))

    def done(self) -> None:
        """That every key was read.

        Raises:
            ValueError: one was not; its value, which may be a secret, is not shown.
        """
        for key in self._values:
            if key not in self._known:
                raise ValueError(f"unknown key {self.name(key)}{nearest(key, dict.fromkeys(self._known))}")


def typed(value: Any, kinds: Sequence[type], place: str) -> Any:
    """`value` as the first of `kinds` that it is.

    Raises:
        ValueError: it is none of them; the message begins with `place`.
    """
    for kind in kinds:
        if kind is float and type(value) in (int, float) and math.isfinite(value):
            return float(value)
        if type(value) is kind and kind is not float:
            return value
    raise ValueError(f"{place} = {_value(value)}, expected {' or '.join(KINDS[kind] for kind in kinds)}")


def _value(value: Any) -> str:
    return shown(value) if isinstance(value, str) else repr(value)[:60]


def rows(given: str | list[Any], folder: Path, place: str) -> list[Any]:
    """Inputs or examples: a list as it is, or the rows of a file (its path relative to `folder`), texts or mappings.

    JSON lines (.jsonl, each a text or an object), CSV with a header (.csv, each row an object), or lines (.txt).

    Raises:
        ValueError: no such file, or one that cannot be read so; the message says where.
    """
    if isinstance(given, list):
        for number, row in enumerate(given, 1):
            typed(row, (str, dict), f"{place}[{number}]")
        return given
    path = folder / given
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{place} = {given!r}{nearest(path.suffix, SUFFIXES)} at the end of the file's name")
    if not path.is_file():
        raise ValueError(f"{place} = {given!r}: no such file, expected {path}")
    if path.suffix == ".csv":
        return _csv_rows(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: {error}, expected text in UTF-8") from None
    found = [(number, line.rstrip("\r")) for number, line in enumerate(lines, 1) if line.strip()]
    return [line if path.suffix == ".txt" else _json_row(path, number, line) for number, line in found]


def _json_row(path: Path, number: int, line: str) -> Any:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}, expected a text or an object in JSON") from None
    if not isinstance(row, str | dict):
        raise ValueError(f"{path}, line {number}: {_value(row)}, expected a text or an object in JSON")
    return row


def _csv_rows(path: Path) -> list[dict[str, str]]:
    (_, header), *lines = read_sheet(path).rows()
    for name in header:
        if not name or header.count(name) > 1:
            raise ValueError(f"{path}, line 1: column {name!r}, expected a header of names that differ")
    return [dict(zip(header, cells, strict=True)) for _, cells in lines]
