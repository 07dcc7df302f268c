"""Findings in words: who must be compared with whom, and how many comparisons it takes."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from llmpo_jax.models import Source, policy_names, tie_probabilities
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


def at_least_cost(cost: float) -> str:
    """A lower bound on a mean cost, for people: to four digits, rounded down."""
    if not 0 < cost < math.inf:
        return "0" if cost <= 0 else "infinitely much"
    decimals = max(3 - math.floor(math.log10(cost)), 0)
    return f"{math.floor(cost * 10**decimals) / 10**decimals:,.{decimals}f}"


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


def bound(
    source: Source, deltas: Sequence[float], assume: SpaceName | None = None, costs: np.ndarray | None = None
) -> dict:
    """All that the theory says of an instance, ready for JSON.

    Two forms: "assumed" and "certify" in the unstructured space, "exact" and "fisher" in the structured one. Times and
    lower bounds are in comparisons, with costs in units of cost ("unit"); proportions are shares of the comparisons.
    "ties": the least and the largest chance of one, None where there are none.

    Args:
        source: whose model may have ties.
        costs: as in `llmpo_jax.characteristic_time`.

    Raises:
        ValueError: no Condorcet winner, a delta outside (0, 1), bad costs, or a model without features in the
            structured space.
    """
    names, ties = policy_names(source.model), tie_probabilities(source.model)
    find = functools.partial(characteristic_time, source.model, assume=assume, costs=costs)
    first = find()
    if isinstance(first, StructuredTime):
        forms = {"exact": first, "fisher": find(form="fisher")}
    else:
        forms = {"assumed": first, "certify": find(existence="certify")}
    by_pair = None if ties is None else ties[np.triu_indices(len(ties), 1)]
    return {
        "source": source.label,
        "policies": len(names),
        "winner": names[first.winner],
        "space": "structured" if isinstance(first, StructuredTime) else "unstructured",
        "unit": "comparisons" if costs is None else "cost",
        "ties": None if by_pair is None else [float(by_pair.min()), float(by_pair.max())],
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
    structured, costly = finding["space"] == "structured", finding["unit"] == "cost"
    unit, shown = ("units of cost", at_least_cost) if costly else ("comparisons", at_least)
    aside = "by the Fisher form" if structured else "if the existence of a winner must be certified"
    lines = [
        f"{finding['source']}: {finding['policies']} policies, the winner is {finding['winner']}.",
        f"Characteristic time {main['characteristic_time']:.6g} {unit} per nat of evidence "
        f"({other['characteristic_time']:.6g} {aside}).",
    ]
    if finding["ties"] is not None:
        least, most = (f"{share:.1%}" for share in finding["ties"])
        lines.append(
            f"Of the comparisons {least if least == most else f'{least} to {most}'} end in a tie, which says nothing."
        )
    if structured:
        lines.append(f"Solved to a relative duality gap of {main['relative_gap']:.1e} ({main['status']}).")
    for delta, least in main["lower_bounds"].items():
        more = "" if structured else f" ({shown(other['lower_bounds'][delta])} to certify)"
        spends = f"costs less than {shown(least)}" if costly else f"needs fewer than {shown(least)} comparisons"
        lines.append(f"No procedure that errs with probability at most {delta} {spends} on average{more}.")
    top = main["allocation"][0]
    rest = "the pairs left out are not needed" if structured else "all other pairs are a waste"
    what, of = ("it", " of the comparisons") if costly else ("them", "")
    lines.append(
        f"The best way to spend {what}: {top['proportion']:.1%}{of} on "
        f"{top['policy']} against {top['opponent']}, and so on down the table; {rest}."
    )
    return lines
