"""Findings in words: who must be compared with whom, and what a log of comparisons proves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmpo_jax.engine.audit import Audit
from llmpo_jax.engine.result import Result
from llmpo_jax.models import Battles, Source, policy_names
from llmpo_jax.theory.unstructured import CharacteristicTime, characteristic_time, lower_bound


def count(value: float) -> str:
    """A number of comparisons for people: whole, with thousands separated."""
    return f"{value:,.0f}"


def allocation(source: Source, time: CharacteristicTime) -> list[tuple[str, str, float]]:
    """The pairs that an optimal procedure compares, as (policy, opponent, proportion), largest first.

    The policy named first is the one to be refuted, the loser of the pair.
    """
    names = policy_names(source.model)
    mu = np.asarray(source.model.win_probabilities(), float)
    first, second = np.nonzero(time.proportions)
    rows = []
    for i, j in zip(first, second, strict=True):
        loser, other = (i, j) if mu[i, j] < 0.5 else (j, i)
        rows.append((names[loser], names[other], float(time.proportions[i, j])))
    return sorted(rows, key=lambda row: -row[2])


def bound(source: Source, deltas: Sequence[float]) -> dict:
    """All that the theory says of an instance, ready for JSON.

    Raises:
        ValueError: no Condorcet winner, or a delta outside (0, 1).
    """
    names = policy_names(source.model)
    assumed = characteristic_time(source.model)
    certify = characteristic_time(source.model, existence="certify")
    return {
        "source": source.label,
        "policies": len(names),
        "winner": names[assumed.winner],
        "forms": {
            form.existence: {
                "characteristic_time": form.time,
                "lower_bounds": {f"{delta:g}": lower_bound(source.model, delta, form.existence) for delta in deltas},
                "allocation": [
                    {"policy": policy, "opponent": opponent, "proportion": proportion}
                    for policy, opponent, proportion in allocation(source, form)
                ],
            }
            for form in (assumed, certify)
        },
    }


def bound_in_words(finding: dict) -> list[str]:
    """The finding of `bound` as sentences."""
    assumed = finding["forms"]["assumed"]
    certify = finding["forms"]["certify"]
    lines = [
        f"{finding['source']}: {finding['policies']} policies, the winner is {finding['winner']}.",
        f"Characteristic time {assumed['characteristic_time']:.6g} comparisons per nat of evidence "
        f"({certify['characteristic_time']:.6g} if the existence of a winner must be certified).",
    ]
    for delta, comparisons in assumed["lower_bounds"].items():
        lines.append(
            f"No procedure that errs with probability at most {delta} needs fewer than {count(np.ceil(comparisons))} "
            f"comparisons on average ({count(np.ceil(certify['lower_bounds'][delta]))} to certify)."
        )
    top = assumed["allocation"][0]
    lines.append(
        f"The best way to spend them: {top['proportion']:.1%} on {top['policy']} against {top['opponent']}, "
        "and so on down the table; all other pairs are a waste."
    )
    return lines


def audit_in_words(battles: Battles, audit: Audit, delta: float) -> list[str]:
    """What the log proves at level delta, and what to compare next."""
    names = battles.names
    refuted = audit.refuted(delta)
    ties = int((battles.outcome == 0.5).sum())
    lines = [
        f"{len(battles.first):,} comparisons of {len(names)} policies, {ties:,} of them ties. "
        "A tie counts as a fair coin flip: half a win for each, and no evidence.",
    ]
    if audit.never_compared:
        shown = ", ".join(f"{names[i]} - {names[j]}" for i, j in audit.never_compared[:5])
        more = len(audit.never_compared) - 5
        lines.append(f"Never compared: {shown}" + (f" and {more} more pairs" if more > 0 else "") + ".")
    left = [names[k] for k in np.flatnonzero(~refuted)]
    if len(left) == 1:
        lines.append(f"The best policy is {left[0]}, at error level {delta:g}: every other one is refuted.")
    elif not left:
        lines.append(f"There is no Condorcet winner, at error level {delta:g}: every policy is refuted.")
    else:
        first, second = audit.next_pair
        lines.append(
            f"Undecided at error level {delta:g}: {len(left)} of {len(names)} policies are not refuted "
            f"({', '.join(left[:8])}{', ...' if len(left) > 8 else ''})."
        )
        lines.append(f"Compare next: {names[first]} with {names[second]}.")
    return lines


def replay_in_words(result: Result) -> str:
    """How many comparisons LLM-PO would have needed, had it drawn them from the log."""
    level = result.summary()[0]
    sentence = (
        f"Replaying the log as the simulator, LLM-PO would have needed {count(level.mean)} comparisons on average "
        f"(95 % interval {count(level.mean_low)} to {count(level.mean_high)}, {level.replications} replications; "
        f"the lower bound is {count(level.bound or 0)})"
    )
    if level.censored:
        sentence += (
            f"; {level.censored:.0%} of the runs were cut at {count(result.max_comparisons)}, so it is at least that"
        )
    return sentence + "."
