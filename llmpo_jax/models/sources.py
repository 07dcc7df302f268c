"""Where a model comes from, in one string: a named instance with its parameters, or a file."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmpo_jax.models import instances
from llmpo_jax.models.files import Battles, empirical_model, holds_battles, listed, read_battles, read_matrix
from llmpo_jax.models.preference import PreferenceModel
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


def load(source: str) -> Source:
    """The model that `source` describes.

    `NAME`, `NAME:K` or `NAME:K,parameter=value,...` is an instance (`cyclic:17,seed=3`; of the linear ones the
    dimension may come second, `linear-bradley-terry:32,8`); anything else is a file, a win matrix or a log of
    battles, told apart by its header. A file that is called like an instance is `./NAME`.

    Raises:
      FileNotFoundError: what looks like a path does not exist.
      ValueError: unknown instance or parameter (with the nearest valid name), a value that is not a number, a file
        that `read_matrix` or `read_battles` rejects, or a log without comparisons of a pair on which it hangs who the
        Condorcet winner is. Of other pairs that are missing a UserWarning tells.
    """
    name, _, arguments = source.partition(":")
    if name in instances.names():
        return Source(_label(source), _instance(source, name, arguments))
    if Path(source).is_file():
        label = _label(Path(source).stem)
        if not holds_battles(source):
            return Source(label, read_matrix(source))
        battles = read_battles(source)
        _check_rates(source, battles)
        return Source(label, empirical_model(battles), battles)
    if Path(source).is_dir():
        raise ValueError(f"source {source!r} is a directory, expected a file")
    if re.search(r"[/\\]|\.\w+$", name):
        raise FileNotFoundError(f"source {source!r}: the file does not exist")
    alternatives = nearest(name, instances.names())
    raise ValueError(f"source {source!r}: no file, and unknown instance {name!r}{alternatives}")


def _check_rates(source: str, battles: Battles) -> None:
    """Whether the rates of a log can stand for the truth, although some may be missing."""
    if battles.open_pairs:
        raise ValueError(
            f"source {source!r}: who beats all others hangs on pairs that were never compared "
            f"({listed(battles.open_pairs, battles.names)}), expected comparisons of these, too"
        )
    if battles.never_compared:
        warnings.warn(
            f"source {source!r}: pairs never compared are taken to be even, which does not matter for who beats all "
            f"others: {listed(battles.never_compared, battles.names)}",
            stacklevel=2,
        )


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
