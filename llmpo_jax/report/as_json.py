"""Findings as JSON that every reader accepts."""

from __future__ import annotations

import json
import math
from typing import Any


def as_json(finding: Any) -> str:
    """A finding of mappings, sequences, texts and numbers; numbers that JSON does not have (infinite, NaN) are null."""
    return json.dumps(_plain(finding), indent=1, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
