"""Where a model comes from, in one string: a named instance with its parameters, or a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmpo_jax.models import instances
from llmpo_jax.models.battles import Battles, rates
from llmpo_jax.models.preference import PreferenceModel, Tabular
from llmpo_jax.models.reading import columns_in, comparisons, read_sheet
from llmpo_jax.registry import nearest


@dataclass(frozen=True, eq=False)
class Source:
    """A model and where it came from.

    Attributes:
      label: a short name, safe as the name of a folder.
      model: the preference model.
      battles: the comparisons of which `model` is the empirical win matrix, where the source is a log of
        them.
    """

    label: str
    model: PreferenceModel
    battles: Battles | None = None


def load(source: str, columns: Mapping[str, str] | str | None = None) -> Source:
    """The model that `source` describes.

    `NAME`, `NAME:K` or `NAME:K,parameter=value,...` is an instance (`cyclic:17,seed=3`; of the linear ones the
    dimension may come second, `linear-bradley-terry:32,8`); anything else is a file, a win matrix or a log of
    battles (whose columns may be named by `columns`, as in `read_battles`), told apart by its header. A file that is
    called like an instance is `./NAME`.

    Raises:
      FileNotFoundError: what looks like a path does not exist.
      ValueError: unknown instance or parameter (with the nearest valid name), a value that is not a number, a file
        that `read_matrix` or `read_battles` rejects, or a log without comparisons of a pair on which it hangs who the
        Condorcet winner is. Of other pairs that are missing a UserWarning tells.
    """
    columns = columns_in(columns)
    name, _, arguments = source.partition(":")
    if name in instances.names():
        return Source(_label(source), _instance(source, name, arguments))
    if source and Path(source).exists():
        return _from_file(source, columns)
    if re.search(r"[/\\]|\.\w+$", name):
        raise FileNotFoundError(f"source {source!r}: the file does not exist")
    alternatives = nearest(name, instances.names())
    raise ValueError(f"source {source!r}: no file, and unknown instance {name!r}{alternatives}")


def _from_file(path: str, columns: Mapping[str, str] | None) -> Source:
    """The model in a file; the win rates of a log stand for the truth."""
    found = comparisons(read_sheet(path), columns)
    label = file_label(path)
    if isinstance(found, Tabular):
        return Source(label, found)
    return Source(label, rates(found, f"source {path!r}"), found)


def file_label(path: str) -> str:
    """What a file is called, whatever is in it: its name without the ending."""
    return _label(Path(path.removesuffix(".gz")).stem)


def _label(text: str) -> str:
    """`text` with all but letters, digits, dots, underscores and dashes replaced; not hidden, not empty."""
    return re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-.") or "source"


def _instance(source: str, name: str, arguments: str) -> PreferenceModel:
    """The instance `name` with `arguments` like `17,seed=3,spread=0.5`."""
    values: dict[str, Any] = {}
    positional = ["num_policies", *(["dimension"] if name in instances.WITH_DIMENSION else [])]
    for position, argument in enumerate(arguments.split(",") if arguments else []):
        key, equals, value = (part.strip() for part in argument.partition("="))
        if not equals:
            if position >= len(positional):
                raise ValueError(f"source {source!r}: {argument!r}, expected parameter=value")
            key, value = positional[position], key
        if key in values:
            raise ValueError(f"source {source!r}: {key!r} is given twice, expected once")
        values[key] = _parsed(source, key, value)
    try:
        return instances.make(name, **values)
    except ValueError as error:
        raise ValueError(f"source {source!r}: {error}") from error


def _parsed(source: str, key: str, value: str) -> int | float:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    raise ValueError(f"source {source!r}: {key} = {value!r}, expected a number")
