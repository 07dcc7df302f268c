"""Which column of a log of comparisons holds what, by the names that the field gives them.

No guess ever turns a side around: columns are recognised by the words in their names, a side by its own word, and what
is not recognised is refused with all that is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmpo_jax.models.reading.sheet import words

ROLES = ("first", "second", "winner")

SIDES = {"a": 0, "1": 0, "left": 0, "first": 0, "b": 1, "2": 1, "right": 1, "second": 1}
"""Words for the first and for the second of a pair."""

_SCHEMES = ({"a", "b"}, {"1", "2"}, {"left", "right"}, {"first", "second"})

POLICY_WORDS = frozenset(
    words("model player policy system llm generator candidate competitor agent bot method assistant team variant")
)
"""Words for what is compared. A column's name may also be nothing but a side, or have `name` or `id` beside it."""

_TEXT_WORDS = frozenset(("prompt", "option", "item"))
"""Words for what is compared, where no other columns are there: elsewhere they hold texts."""

_WINNER_COLUMNS = frozenset(
    words("winner outcome verdict result preference preferred choice chosen vote label judgment judgement decision")
)
_COUNT_WORDS = frozenset(words("win wins winner won"))
_BESIDE_COUNT = _COUNT_WORDS | POLICY_WORDS | frozenset(words("n num number count total is"))
_TIE_WORDS = frozenset(words("tie ties tied draw draws equal"))
_BESIDE_TIE = _BESIDE_COUNT | {"both"}
_VALID_COLUMNS = frozenset((("is", "valid"), ("valid",)))

_EXPECTED = (
    "expected columns for both policies and the winner, such as model_a, model_b, winner; "
    "--columns first=...,second=...,winner=... names others"
)


@dataclass(frozen=True)
class Columns:
    """The columns of a log, by their numbers.

    Attributes:
      first, second: names of the policies.
      verdict: what tells who won; None where `wins` does, or where the winner stands in `first`.
      wins: numbers of comparisons won by the first and by the second, or one 1 among 0s.
      tie: with `wins`, the number of ties; with `verdict`, whether it is one. None where there is no such column.
      valid: whether the row is valid at all, None where there is no such column.
      digits: whether the sides are called 1 and 2.
    """

    first: int
    second: int
    verdict: int | None = None
    wins: tuple[int, int] | None = None
    tie: int | None = None
    valid: int | None = None
    digits: bool = False


def side(name: Sequence[str]) -> tuple[tuple[str, ...], int] | None:
    """What is left of the words of a name without its side, and the side, 0 or 1; None where it has not just one."""
    found = [index for index, word in enumerate(name) if word in SIDES]
    if len(found) != 1:
        return None
    return (*name[: found[0]], *name[found[0] + 1 :]), SIDES[name[found[0]]]


def _side_of(column: str) -> int | None:
    found = side(words(column))
    return None if found is None else found[1]


def columns_in(given: Mapping[str, str] | str | None) -> Mapping[str, str] | None:
    """The columns by role, also of a text like `first=old,second=new,winner=label`, whose names may hold commas.

    Raises:
      ValueError: another text, or a role named twice.
    """
    if not isinstance(given, str):
        return given
    parts = re.split(rf"(?:^|,)({'|'.join(ROLES)})=", given)
    named = dict(zip(parts[1::2], parts[2::2], strict=True))
    if parts[0] or not named or len(named) < len(parts) // 2:
        raise ValueError(f"columns = {given!r}, expected first=NAME,second=NAME,winner=NAME or some of these")
    return named


def find_columns(header: Sequence[str], given: Mapping[str, str] | None = None) -> Columns:
    """The columns of a log with this header; `given` names some of them, by role (`ROLES`).

    Raises:
      ValueError: a role that is unknown, a column that is missing, there twice, or one of several that it might be.
    """
    given = given or {}
    named = {role: _given(header, role, column) for role, column in given.items()}
    if ("first" in named) != ("second" in named):
        raise ValueError("columns: first and second belong together, expected both or none")
    if [_side_of(given.get(role, "")) for role in ROLES[:2]] == [1, 0]:
        raise ValueError(
            f"columns: first is {given['first']!r} and second {given['second']!r}, expected them the other way round, "
            "or verdicts would be turned around"
        )
    tie = _only(header, "tie", lambda name: len(_TIE_WORDS & set(name)) == 1 and set(name) <= _TIE_WORDS | _BESIDE_TIE)
    valid = _only(header, "valid", lambda name: name in _VALID_COLUMNS)
    if "first" in named:
        pair, digits = (named["first"], named["second"]), False
    else:
        pair = policy_columns(header)
        if pair is None:
            return _winner_and_loser(header, valid)
        digits = bool({"1", "2"} & set(words(header[pair[0]])))
    if "winner" in named:
        return Columns(*pair, named["winner"], tie=tie, valid=valid, digits=digits)
    verdict = _only(header, "winner", _tells_the_winner, preferred="winner")
    if verdict is None:
        wins = _pair(header, lambda stem: bool(_COUNT_WORDS & set(stem)) and set(stem) <= _BESIDE_COUNT)
        if wins is None:
            raise ValueError(f"no column that tells the winner among {', '.join(header)}; {_EXPECTED}")
        return Columns(*pair, wins=wins, tie=tie, valid=valid)
    return Columns(*pair, verdict, tie=tie, valid=valid, digits=digits)


def policy_columns(header: Sequence[str]) -> tuple[int, int] | None:
    """The columns of the two policies, model_a and model_b before any others; None where there are none."""
    if "model_a" in header and "model_b" in header:
        _check_single(header, "model_a", "model_b")
        return header.index("model_a"), header.index("model_b")
    aside = {"name", "id"}
    found = _pair(header, lambda stem: set(stem) <= POLICY_WORDS | aside)
    return found or _pair(header, lambda stem: set(stem) <= POLICY_WORDS | aside | _TEXT_WORDS)


def _winner_and_loser(header: Sequence[str], valid: int | None) -> Columns:
    """Columns of the winner and of the loser of each comparison."""
    rest = POLICY_WORDS | {"name", "id"}
    found = [
        _only(header, role, lambda name, stems=stems: len(set(name) & stems) == 1 and set(name) <= stems | rest)
        for role, stems in (("winner", {"winner", "winning"}), ("loser", {"loser", "losing"}))
    ]
    if found[0] is None or found[1] is None:
        raise ValueError(f"no columns for the two policies among {', '.join(header)}; {_EXPECTED}")
    return Columns(found[0], found[1], valid=valid)


def _tells_the_winner(name: tuple[str, ...]) -> bool:
    rest = POLICY_WORDS | {"name", "id", "human"}
    return any(word in _WINNER_COLUMNS | {"winning"} for word in name) and all(
        word in _WINNER_COLUMNS | {"winning"} | rest for word in name
    )


def _pair(header: Sequence[str], fits) -> tuple[int, int] | None:
    """The only two columns whose names differ in nothing but their sides, and of which what is left fits.

    Raises:
      ValueError: several such pairs.
    """
    sides: dict[tuple, dict[int, int]] = {}
    for index, column in enumerate(header):
        name = words(column)
        found = side(name)
        if found is not None and fits(found[0]):
            scheme = next(number for number, scheme in enumerate(_SCHEMES) if scheme & set(name))
            sides.setdefault((found[0], scheme), {})[found[1]] = index
    pairs = [(both[0], both[1]) for both in sides.values() if len(both) == 2]
    if len(pairs) > 1:
        shown = " or ".join(f"{header[i]}, {header[j]}" for i, j in pairs)
        raise ValueError(f"several pairs of columns may be meant: {shown}; {_EXPECTED}")
    for i, j in pairs:
        _check_single(header, header[i], header[j])
    return pairs[0] if pairs else None


def _only(header: Sequence[str], role: str, fits, preferred: str | None = None) -> int | None:
    """The column whose words fit, the `preferred` one before others; None where there is none."""
    if preferred is not None and preferred in header:
        _check_single(header, preferred)
        return header.index(preferred)
    found = [index for index, column in enumerate(header) if fits(words(column))]
    if len(found) > 1:
        shown = ", ".join(header[index] for index in found)
        raise ValueError(f"several columns may tell the {role}: {shown}; {_EXPECTED}")
    return found[0] if found else None


def _given(header: Sequence[str], role: str, column: str) -> int:
    if role not in ROLES:
        raise ValueError(f"columns has {role!r}, expected {', '.join(ROLES)}")
    if column not in header:
        raise ValueError(f"no column {column!r}, expected the {role} among {', '.join(header)}")
    _check_single(header, column)
    return header.index(column)


def _check_single(header: Sequence[str], *columns: str) -> None:
    for column in columns:
        if header.count(column) > 1:
            raise ValueError(f"column {column!r} is there {header.count(column)} times, expected once")
