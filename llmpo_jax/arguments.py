"""Checks of what a user gives: a number as Python's own, or one line that says what was wrong and what was expected.

NumPy's and JAX's numbers are taken, arrays of no dimension too; truth values and texts are no numbers.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from llmpo_jax.registry import nearest

T = TypeVar("T", int, float)

Whole: TypeAlias = int | np.integer[Any]
Number: TypeAlias = float | np.floating[Any] | np.integer[Any]
Wholes: TypeAlias = Sequence[Whole] | np.ndarray
Numbers: TypeAlias = Sequence[Number] | np.ndarray

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60


def shown(value: Any) -> str:
    """`value` for an error message: on one line, and not at length."""
    plain = _scalar(value)
    return " ".join(_REPR.repr(value if plain is None else plain).split())


def whole(argument: str, value: Any, least: int, most: int | None = None) -> int:
    """A whole number (2.0 is one) from `least` to `most`.

    Raises:
        ValueError: anything else.
    """
    found = _scalar(value)
    if found is None or not _is_whole(found) or found < least or (most is not None and found > most):
        bounds = f">= {least}" if most is None else f"from {least} to {_readable(most)}"
        raise ValueError(f"{argument} = {shown(value)}, expected a whole number {bounds}")
    return int(found)


def seed(value: Any) -> int:
    """A seed: a whole number of 64 bits.

    Raises:
        ValueError: anything else.
    """
    return whole("seed", value, 0, 2**64 - 1)


def real(argument: str, value: Any, least: float = -math.inf, most: float = math.inf) -> float:
    """A finite number from `least` to `most`, an integer as such.

    Raises:
        ValueError: anything else.
    """
    found = _scalar(value)
    if found is None or not math.isfinite(found) or not least <= found <= most:
        bounds = f" from {least:g} to {most:g}" if most < math.inf else f" >= {least:g}" if least > -math.inf else ""
        raise ValueError(f"{argument} = {shown(value)}, expected a finite number{bounds}")
    return found


def between(argument: str, value: Any, low: float, high: float) -> float:
    """A number strictly between `low` and `high`.

    Raises:
        ValueError: anything else.
    """
    found = _scalar(value)
    if found is None or not low < found < high:
        raise ValueError(f"{argument} = {shown(value)}, expected a number strictly between {low:g} and {high:g}")
    return float(found)


def deltas(values: Any) -> tuple[float, ...]:
    """Different numbers strictly between 0 and 1.

    Raises:
        ValueError: anything else.
    """
    return _series("deltas", values, "numbers strictly between 0 and 1", 0.1, lambda x: 0 < x < 1)


def budgets(values: Any) -> tuple[int, ...]:
    """Different positive whole numbers.

    Raises:
        ValueError: anything else.
    """
    expected = "positive whole numbers of comparisons"
    return _series("budgets", values, expected, 100, lambda x: _is_whole(x) and x >= 1)


def items(argument: str, values: Any, expected: str) -> tuple[Any, ...]:
    """The entries of a sequence.

    Raises:
        ValueError: a single thing (a text is one, too).
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        raise ValueError(f"{argument} = {shown(values)}, expected {expected}")
    return tuple(values)


def one_of(argument: str, value: Any, choices: Iterable[str]) -> Any:
    """One of some words.

    Raises:
        ValueError: anything else (with the nearest one).
    """
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{argument} = {shown(value)}{nearest(str(value), choices)}")
    return value


def _scalar(value: Any) -> int | float | None:
    """`value` as Python's number, None where it is none."""
    if getattr(value, "ndim", None) == 0:
        value = value.item()
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_whole(value: float) -> bool:
    return math.isfinite(value) and value == int(value)


def _readable(bound: int) -> str:
    """A large bound as what it is: one less than a power of two."""
    bits = bound.bit_length()
    return f"2^{bits} - 1" if bits > 30 and bound == 2**bits - 1 else str(bound)


def _series(argument: str, values: Any, expected: str, example: T, holds: Callable[[float], bool]) -> tuple[T, ...]:
    """The entries of a sequence, of the type of `example`, all different."""
    found: list[T] = []
    for value in items(argument, values, f"a sequence of {expected}, such as ({example},)"):
        plain = _scalar(value)
        if plain is None or not holds(plain):
            raise ValueError(f"{argument} contains {shown(value)}, expected {expected}")
        entry = type(example)(plain)
        if entry in found:
            raise ValueError(f"{argument} contains {entry} more than once, expected different ones")
        found.append(entry)
    return tuple(found)
