"""Findings in words: who must be compared with whom, and how many comparisons it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from llmpo_jax.models import Source, policy_names
from llmpo_jax.protocol import SpaceName
from llmpo_jax.theory.bounds import characteristic_time
from llmpo_jax.theory.divergence import confidence_divergence
from llmpo_jax.theory.structured import StructuredTime
from llmpo_jax.theory.unstructured import CharacteristicTime

SHOWN = 1e-6
"""Optimal proportions below this, left by a solver, are not listed."""


def count(value: float) -> str:
    """A number of comparisons for people: whole, with thousands separated."""
    return f"{value:,.0f}"


def at_least(comparisons: float) -> str:
    """A lower bound on a mean number of comparisons, for people: rounded down, so that it holds as it is printed."""
    return count(math.floor(comparisons)) if math.isfinite(comparisons) else "infinitely many"


def allocation(source: Source, time: CharacteristicTime | StructuredTime) -> list[tuple[str, str, float]]:
    """The pairs that an optimal procedure compares, as (policy, opponent, proportion), largest first.

    The policy named first is the one to be refuted, the loser of the pair.
    """
    names = policy_names(source.model)
    mu = np.asarray(source.model.win_probabilities(), float)
    first, second = np.nonzero(time.proportions > SHOWN)
    rows = []
    for i, j in zip(first, second, strict=True):
        loser, other = (i, j) if mu[i, j] < 0.5 else (j, i)
        rows.append((names[loser], names[other], float(time.proportions[i, j])))
    return sorted(rows, key=lambda row: -row[2])


def bound(source: Source, deltas: Sequence[float], assume: SpaceName | None = None) -> dict:
    """All that the theory says of an instance, ready for JSON.

    Two forms: "assumed" and "certify" in the unstructured space, "exact" and "fisher" in the structured one.

    Raises:
        ValueError: no Condorcet winner, a delta outside (0, 1), or a model without features in the structured space.
    """
    names = policy_names(source.model)
    first = characteristic_time(source.model, assume=assume)
    if isinstance(first, StructuredTime):
        second = characteristic_time(source.model, assume=assume, form="fisher")
        forms = {"exact": first, "fisher": second}
    else:
        forms = {"assumed": first, "certify": characteristic_time(source.model, existence="certify", assume=assume)}
    return {
        "source": source.label,
        "policies": len(names),
        "winner": names[first.winner],
        "space": "structured" if isinstance(first, StructuredTime) else "unstructured",
        "forms": {name: _form(source, form, deltas) for name, form in forms.items()},
    }


def _form(source: Source, time: CharacteristicTime | StructuredTime, deltas: Sequence[float]) -> dict:
    """One form of the bound, with the solver's certificate where there was something to solve."""
    solved = {"status": time.status, "relative_gap": time.relative_gap} if isinstance(time, StructuredTime) else {}
    return {
        "characteristic_time": time.time,
        **solved,
        "lower_bounds": {f"{delta:g}": time.certified * confidence_divergence(delta) for delta in deltas},
        "allocation": [
            {"policy": policy, "opponent": opponent, "proportion": proportion}
            for policy, opponent, proportion in allocation(source, time)
        ],
    }


def bound_in_words(finding: dict) -> list[str]:
    """The finding of `bound` as sentences."""
    (_, main), (_, other) = finding["forms"].items()
    structured = finding["space"] == "structured"
    aside = "by the Fisher form" if structured else "if the existence of a winner must be certified"
    lines = [
        f"{finding['source']}: {finding['policies']} policies, the winner is {finding['winner']}.",
        f"Characteristic time {main['characteristic_time']:.6g} comparisons per nat of evidence "
        f"({other['characteristic_time']:.6g} {aside}).",
    ]
    if structured:
        lines.append(f"Solved to a relative duality gap of {main['relative_gap']:.1e} ({main['status']}).")
    for delta, comparisons in main["lower_bounds"].items():
        more = "" if structured else f" ({at_least(other['lower_bounds'][delta])} to certify)"
        lines.append(
            f"No procedure that errs with probability at most {delta} needs fewer than {at_least(comparisons)} "
            f"comparisons on average{more}."
        )
    top = main["allocation"][0]
    rest = "the pairs left out are not needed" if structured else "all other pairs are a waste"
    lines.append(
        f"The best way to spend them: {top['proportion']:.1%} on {top['policy']} against {top['opponent']}, "
        f"and so on down the table; {rest}."
    )
    return lines
