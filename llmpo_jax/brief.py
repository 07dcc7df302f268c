"""What things look like at the prompt: arrays by type and shape, in a line or two."""

from __future__ import annotations

import dataclasses
import reprlib
from typing import Any


def brief(self: Any) -> str:
    """The `repr` of a dataclass that holds arrays."""
    values = (f"{field.name}={_value(getattr(self, field.name))}" for field in dataclasses.fields(self))
    return f"{type(self).__name__}({', '.join(values)})"


def _value(value: Any) -> str:
    shape = getattr(value, "shape", ())
    return f"{value.dtype}{list(shape)}" if shape else reprlib.repr(value)
