"""Templates: texts with the fields of an input in braces; all other braces stay as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmpo_jax.registry import nearest


def fields(input: Any) -> dict[str, str]:
    """The fields of an input as texts: those of a mapping, else `input` alone. What is no text is written as JSON."""
    values = input if isinstance(input, Mapping) else {"input": input}
    return {
        str(name): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
    }


def filled(template: str, values: Mapping[str, str]) -> str:
    """`template` with every `{name}` replaced by its value, in one pass: braces in a value mean nothing."""
    if not values:
        return template
    pattern = "|".join(re.escape(f"{{{name}}}") for name in values)
    return re.sub(pattern, lambda match: values[match[0][1:-1]], template)


def used(template: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that the template asks for."""
    return [name for name in names if f"{{{name}}}" in template]


def check(template: str, inputs: Sequence[Any], place: str, needed: Sequence[str] = ()) -> None:
    """That a template asks for something of the inputs that all of them have, and for the fields `needed`.

    Raises:
        ValueError: it does not; the message begins with `place`.
    """
    for name in needed:
        if not used(template, [name]):
            raise ValueError(f"{place} = {shown(template)} lacks {{{name}}}, expected it where that text belongs")
    known = {name: None for input in inputs for name in fields(input) if name not in needed}
    asked = used(template, known)
    if not asked:
        typed = next((name for name in re.findall(r"\{(\w+)\}", template) if name not in needed), "")
        choices = nearest(f"{{{typed}}}", [f"{{{name}}}" for name in known])
        raise ValueError(f"{place} = {shown(template)} asks for no field of the inputs{choices}")
    for number, input in enumerate(inputs, 1):
        for name in asked:
            if name not in fields(input):
                raise ValueError(f"{place} = {shown(template)}: input {number} has no field {name!r}, expected it")


def shown(text: str) -> str:
    """A text as a message quotes it."""
    quoted = repr(text)
    return quoted if len(quoted) <= 60 else quoted[:56] + "...'"
