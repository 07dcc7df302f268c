"""Findings in words: who must be compared with whom, and what a log of comparisons proves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmpo_jax.engine.audit import Audit
from llmpo_jax.engine.result import Result
from llmpo_jax.models import Battles, Source, policy_names
from llmpo_jax.models.battles import listed
from llmpo_jax.theory.bounds import characteristic_time
from llmpo_jax.theory.divergence import confidence_divergence
from llmpo_jax.theory.independence import FALSE_ALARMS, JUDGES, SORTED, VERDICTS
from llmpo_jax.theory.structured import StructuredTime
from llmpo_jax.theory.unstructured import CharacteristicTime

ANY_ORDER = (
    "The rows are read in no particular order: this holds where the pairs were chosen without looking at outcomes, and "
    "each row is a comparison of its own."
)

ALARMS = {
    SORTED: (
        "outcomes repeat, or avoid, the last one on their pair",
        "the rows are sorted by outcome, or their order is lost",
        "--order any, if the pairs were chosen without looking at outcomes; else restore the order",
    ),
    VERDICTS: (
        "a policy that two rows running share has the same result in both, or the other one,",
        "several rows stem from one verdict over many answers",
        "keep one row of each verdict, chosen at random; no order of the rows mends this",
    ),
    JUDGES: (
        "outcomes repeat, or avoid, the last one on their pair all along the log",
        "several rows judge the same two answers",
        "keep one row of each comparison, chosen at random; no order of the rows mends this",
    ),
}
"""Of each alarm: what the rows show, what is behind it, and what to do."""

SHOWN_NAMES = 8

SHOWN = 1e-6
"""Optimal proportions below this, left by a solver, are not listed."""


def count(value: float) -> str:
    """A number of comparisons for people: whole, with thousands separated."""
    return f"{value:,.0f}"


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


def bound(source: Source, deltas: Sequence[float], assume: str | None = None) -> dict:
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
        more = "" if structured else f" ({count(np.floor(other['lower_bounds'][delta]))} to certify)"
        lines.append(
            f"No procedure that errs with probability at most {delta} needs fewer than {count(np.floor(comparisons))} "
            f"comparisons on average{more}."
        )
    top = main["allocation"][0]
    rest = "the pairs left out are not needed" if structured else "all other pairs are a waste"
    lines.append(
        f"The best way to spend them: {top['proportion']:.1%} on {top['policy']} against {top['opponent']}, "
        f"and so on down the table; {rest}."
    )
    return lines


def log_in_words(battles: Battles, structured: bool = False) -> list[str]:
    """What a log holds, and what is missing in it."""
    names = battles.names
    ties = int((battles.outcome == 0.5).sum())
    meaning = (
        "Ties are left out; the others are taken to follow a linear Bradley-Terry model of the features."
        if structured
        else "A tie counts as a fair coin flip: half a win for each, and no evidence."
    )
    lines = [f"{len(battles.first):,} comparisons of {len(names)} policies, {ties:,} of them ties. {meaning}"]
    if battles.never_compared:
        lines.append(f"Never compared: {listed(battles.never_compared, names)}.")
    parts = battles.parts
    if len(parts) > 1:
        shown = " | ".join(_some([names[k] for k in part]) for part in parts[:SHOWN_NAMES])
        more = " | ..." if len(parts) > SHOWN_NAMES else ""
        lines.append(f"The log falls into {len(parts)} parts that were never compared with each other: {shown}{more}.")
    return lines


def audit_in_words(battles: Battles, audit: Audit, delta: float) -> list[str]:
    """What the log proves at level delta, and what to compare next.

    All that is said is true together with probability 1 - delta (see `llmpo_jax.engine.audit.audit`).
    """
    if audit.alarm is not None:
        return _alarm_in_words(audit)
    names = battles.names
    level = f"at error level {delta:g}"
    left = np.flatnonzero(~audit.refuted(delta))
    lines = [] if audit.order == "log" else [ANY_ORDER]
    if len(left) > 1:
        lines.append(
            f"Undecided {level}: {len(left)} of {len(names)} policies are not refuted "
            f"({_some([names[k] for k in left])})."
        )
        return [*lines, _next_in_words(audit, names, audit.next_pairs[0])]
    if not len(left):
        nothing = "No policy beats all others (no Condorcet winner)", "every one is refuted"
        if audit.proofs is None:
            nothing = "The linear model does not fit", "it always has a best policy, and every policy is refuted"
        return [*lines, f"{nothing[0]}, {level}: {nothing[1]}."]
    winner = names[left[0]]
    if audit.proofs is None:
        return [*lines, f"If the linear model holds, the best policy is {winner}, {level}: every other one is refuted."]
    lines.append(
        f"If one policy beats all others (a Condorcet winner), it is {winner}, {level}: every other one is refuted."
    )
    missing = np.flatnonzero(~audit.proven(delta)[left[0]])
    if not len(missing):
        return [*lines, f"Proven without that assumption, too, {level}: {winner} beats every other policy."]
    weakest = missing[np.argmin(audit.proofs[left[0], missing])]
    lines.append(
        f"Not proven without that assumption: {winner} is not yet proven to beat {_some([names[k] for k in missing])}."
    )
    return [*lines, _next_in_words(audit, names, (int(left[0]), int(weakest)))]


def _next_in_words(audit: Audit, names: Sequence[str], pair: tuple[int, int] | None) -> str:
    """The pair to be compared next."""
    first, second = (names[k] for k in pair or ())
    # What is compared now is chosen by outcomes, which `order = "any"` does not allow.
    aside = "" if audit.order == "log" else " (in a new log, to be read by itself and in its own order)"
    return f"Compare next: {first} with {second}{aside}."


def _alarm_in_words(audit: Audit) -> list[str]:
    """Why nothing is claimed, and what to do."""
    symptom, cause, remedy = ALARMS[audit.alarm or ""]
    joined = (
        "A file joined from several sorted ones looks the same. If each row is a comparison of its own, shuffle the "
        "rows and use --order any."
    )
    return [
        f"No verdict: {symptom} too often for independent comparisons in the order in which they were made. "
        f"(Independent rows give a false alarm in at most one log of {1 / FALSE_ALARMS:,.0f}.)",
        f"Most likely {cause}. What a verdict stands on does not hold then.",
        f"What to do: {remedy}.",
        *([] if audit.alarm == SORTED else [joined]),
    ]


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more


def no_replay_in_words(battles: Battles) -> str:
    """Why a log whose rates have no known winner is not replayed."""
    if battles.open_pairs:
        return (
            "LLM-PO is not replayed on the win rates of the log: who wins by them hangs on pairs that were never "
            f"compared ({listed(battles.open_pairs, battles.names)})."
        )
    whatever = ", whatever the pairs never compared would show" if battles.never_compared else ""
    return (
        f"No policy wins against all others by the win rates of the log{whatever}, so LLM-PO is not replayed on them."
    )


def replay_in_words(battles: Battles, result: Result) -> str:
    """How many comparisons LLM-PO would have needed, had it drawn them from the log."""
    level = result.summary()[0]
    if level.bound is None:
        bound = "the win rates lie outside of the linear model"
    else:
        bound = f"the lower bound is {count(level.bound)}" if level.bound > 0 else "no lower bound is certified"
    sentence = (
        f"Replaying the log as the simulator, LLM-PO would have needed {count(level.mean)} comparisons on average "
        f"(95 % interval {count(level.mean_low)} to {count(level.mean_high)}, {level.replications} replications; "
        f"{bound})"
    )
    if level.censored:
        sentence += (
            f"; {level.censored:.0%} of the runs were cut at {count(result.max_comparisons)}, so it is at least that"
        )
    if battles.never_compared:
        sentence += "; pairs that were never compared, none of them with the winner by the rates, were taken to be even"
    return sentence + "."
