"""A table of named things, which answers a misspelt name with the nearest one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


def nearest(word: str, choices: Iterable[str]) -> str:
    """For the end of an error message: all the choices, and the one most like `word` where any is alike.

    None is named where two are equally alike: of `model_c` nobody knows whether it is `model_a` or `model_b`.
    """
    choices = list(choices)
    alike = difflib.get_close_matches(word, choices, n=2, cutoff=0.5)
    ratios = [difflib.SequenceMatcher(None, choice, word).ratio() for choice in alike]
    hint = f"; did you mean {alike[0]!r}?" if alike and ratios[0] > ratios[-1] * (len(alike) > 1) else ""
    return f", expected one of {', '.join(choices)}{hint}"


class Registry(Generic[T]):
    """Names to things of one kind; a name is given once."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._table: dict[str, T] = {}

    def register(self, name: str, thing: T) -> T:
        """Enter `thing` under `name`.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._table:
            raise ValueError(f"{self._kind} {name!r} is registered already, expected a new name")
        self._table[name] = thing
        return thing

    def get(self, name: str) -> T:
        """The thing called `name`.

        Raises:
            ValueError: unknown name (with the nearest valid one).
        """
        if not isinstance(name, str) or name not in self._table:
            raise ValueError(f"unknown {self._kind} {name!r}{nearest(str(name), self._table)}")
        return self._table[name]

    def name_of(self, thing: T) -> str | None:
        """What `thing` is called, None where it is not registered."""
        return next((name for name, known in self._table.items() if known is thing), None)

    def names(self) -> tuple[str, ...]:
        """All names, in the order of their registration."""
        return tuple(self._table)
