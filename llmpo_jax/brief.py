"""Things in brief: arrays by type and shape, the first of many names."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Sequence
from typing import Any


def brief(self: Any) -> str:
    """The `repr` of a dataclass that holds arrays."""
    values = (f"{field.name}={_value(getattr(self, field.name))}" for field in dataclasses.fields(self))
    return f"{type(self).__name__}({', '.join(values)})"


def _value(value: Any) -> str:
    if dataclasses.is_dataclass(value):
        return repr(value)
    shape = getattr(value, "shape", ())
    return f"{value.dtype}{list(shape)}" if shape else reprlib.repr(value)


def few(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
