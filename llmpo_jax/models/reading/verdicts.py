"""What the value of a verdict says: which side won, a tie, or nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from llmpo_jax.models.reading.columns import POLICY_WORDS, side
from llmpo_jax.models.reading.sheet import number, words

TIES = frozenset(words("tie tied draw drawn equal same both bothbad neither even"))
"""A verdict that begins with one of these words is a tie: `tie (bothbad)`, `both_bad`, `draw`."""

SILENT = frozenset(
    ("", "none", "null", "nan", "na", "n a", "unresolved", "invalid", "error", "failed", "skip", "skipped", "unknown")
) | {"void", "abstain", "no verdict", "no answer", "timeout"}
"""Verdicts that say nothing."""

_MORE = frozenset(words("wins win won winner is better much slightly significantly the"))
"""Words that may stand beside a side."""

_ARROWS = re.compile(r"\[*\s*([ab12])\s*(>+|<+|=+)\s*([ab12])\s*\]*")

EXPECTED = (
    "expected model_a, model_b, tie (in any case, or A, B, left, right, 1, 2, draw, both_bad), or the winner's name"
)


class UnclearVerdict(ValueError):
    """A verdict that is unknown, or may mean either side; `row` is the first one that is."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


def label(value: str) -> float:
    """1 where the label says that the first won, 0 the second, 1/2 a tie; nan where it says nothing, inf otherwise."""
    text = value.strip().lower()
    arrow = _ARROWS.fullmatch(text)
    if arrow is not None:
        return _arrow(*arrow.groups())
    name = words(value)
    if name and name[0] in TIES:
        return 0.5
    if " ".join(name) in SILENT:
        return math.nan
    found = side(tuple(word for word in name if word not in _MORE))
    return 1.0 - found[1] if found is not None and set(found[0]) <= POLICY_WORDS else math.inf


def _arrow(left: str, relation: str, right: str) -> float:
    """Of `A>>B`, `[[B=A]]` and the like."""
    if left == right or {left, right} not in ({"a", "b"}, {"1", "2"}):
        return math.inf
    if relation[0] == "=":
        return 0.5
    return float((left in "a1") == (relation[0] == ">"))


def outcomes(triples: Sequence[tuple[str, str, str]], policies: frozenset[str], digits: bool) -> np.ndarray:
    """The outcome for the first policy of each distinct (first, second, verdict), nan where the verdict says nothing.

    A verdict is the name of one of the two, a label (`label`), or, where all are numbers from 1 to 2, a preference:
    1 for the first, 2 for the second, between them how far the judge leans (AlpacaEval's).

    Args:
      triples: names and verdicts.
      policies: all policies of the file.
      digits: whether the file calls its sides 1 and 2.

    Raises:
      UnclearVerdict: an unknown verdict, or one that may mean either side.
    """
    verdicts = [verdict for _, _, verdict in triples]
    by_name = np.array([_by_name(*triple) for triple in triples])
    known = {value for value in map(number, policies) if value is not None}
    by_label = _numbers(verdicts, np.array([label(verdict) for verdict in verdicts]), digits, ~np.isnan(by_name), known)
    named, labelled = ~np.isnan(by_name), ~np.isinf(by_label)
    unknown = np.flatnonzero(~named & ~labelled)
    if len(unknown):
        first, second, verdict = triples[unknown[0]]
        if verdict in policies:
            reason = f"{verdict!r} is neither of the row's policies, {first!r} and {second!r}"
            raise UnclearVerdict(int(unknown[0]), reason)
        raise UnclearVerdict(int(unknown[0]), f"unknown verdict {verdict!r}, {EXPECTED}")
    clash = np.flatnonzero(named & labelled & (by_name != by_label))
    names_do = (named | (by_label == 0.5) | np.isnan(by_label)).all()
    # Where winners are named, a policy called "tie" is told from a tie by nothing.
    if len(clash) and (names_do == labelled.all() or (names_do and not np.isin(by_label[clash], (0.0, 1.0)).all())):
        reason = f"{verdicts[clash[0]]!r} may be the policy of that name or not, expected model_a, model_b or tie"
        raise UnclearVerdict(int(clash[0]), reason)
    return np.where(named, by_name, by_label) if names_do or not len(clash) else by_label


def _by_name(first: str, second: str, verdict: str) -> float:
    return 1.0 if verdict == first else 0.0 if verdict == second else math.nan


def _numbers(
    verdicts: Sequence[str], labels: np.ndarray, digits: bool, named: np.ndarray, known: set[float]
) -> np.ndarray:
    """`labels`, and what verdicts that are numbers say, unless all are names; `known` are the names that are numbers.

    Raises:
      UnclearVerdict: 0 and 1, or others of which nobody can know what they mean.
    """
    values = np.array([math.nan if found is None else found for found in map(number, verdicts)])
    numeric = np.isfinite(values)
    if not (numeric & ~named).any():
        return labels
    least, most = values[numeric].min(), values[numeric].max()
    if least < 1 or most > 2 or (most == 1 and not digits) or known & set(values[numeric]):
        row = int(np.flatnonzero(numeric)[0])
        raise UnclearVerdict(
            row,
            f"{verdicts[row]!r} may mean either side, expected 1 for the first and 2 for the second (a preference lies "
            "between them), or model_a, model_b and tie",
        )
    return np.where(numeric, 2 - values, labels)
