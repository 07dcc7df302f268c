"""What is told to an experiment, checked before it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmpo_jax.live.protocol import VERDICTS, Usage
from llmpo_jax.registry import nearest


def check_tell(record: Mapping[str, Any], asked: int, verdicts: Mapping[int, str], names: Sequence[str]) -> None:
    """Whether a verdict can be counted, after `asked` asks with these `verdicts` so far.

    Raises:
        ValueError: what is wrong with it, and what was expected.
    """
    id, verdict = record["id"], record["verdict"]
    if not isinstance(id, int) or isinstance(id, bool) or not 1 <= id <= asked:
        raise ValueError(f"id = {id!r} was never asked, expected one of 1 to {asked}")
    if id in verdicts:
        raise ValueError(f"id = {id} is told already ({verdicts[id]}), expected a pending one")
    if verdict not in VERDICTS:
        raise ValueError(f"verdict = {verdict!r}{nearest(str(verdict), VERDICTS)}")
    if record.get("failed") not in (None, "judge", *names):
        raise ValueError(f"failed = {record['failed']!r}{nearest(str(record['failed']), ('judge', *names))}")
    detail = record.get("detail", {})
    if detail.get("shown") not in (None, *VERDICTS):
        raise ValueError(f"detail: shown = {detail['shown']!r}{nearest(str(detail['shown']), VERDICTS)}")
    right = detail.get("right")
    if right is not None and not (isinstance(right, list | tuple) and [type(x) for x in right] == [bool, bool]):
        raise ValueError(f"detail: right = {right!r}, expected two truth values, of first and of second")


def checked_usage(given: Mapping[str, float]) -> Usage:
    """A `Usage` from its fields by name.

    Raises:
        ValueError: an unknown field, or a value that is no number of at least 0.
    """
    fields = vars(Usage())
    for name, value in given.items():
        if name not in fields:
            raise ValueError(f"usage has a field {name!r}{nearest(name, fields)}")
        if not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise ValueError(f"usage: {name} = {value!r}, expected a number of at least 0")
    return Usage(**given)  # pyright: ignore[reportArgumentType]
