"""What `identify` tells, in words and tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from rich.text import Text

from llmpo_jax.brief import few
from llmpo_jax.engine.audit import UNORDERED, Audit
from llmpo_jax.engine.following import Pair
from llmpo_jax.engine.identification import Identification
from llmpo_jax.models import Battles
from llmpo_jax.models.battles import listed
from llmpo_jax.report.listing import Listing
from llmpo_jax.report.words import at_least, count
from llmpo_jax.theory.independence import FALSE_ALARMS, JUDGES, SORTED, VERDICTS
from llmpo_jax.theory.ranking import Ranking

ANY_ORDER = (
    "The rows are read in no particular order: this holds where the pairs were chosen without looking at outcomes, and "
    "each row is a comparison of its own."
)

NO_ORDER = (
    "No verdict: these are numbers of wins, and the order of the comparisons is lost. What to do: --order any, if the "
    "pairs were chosen without looking at outcomes."
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

UNKNOWN = "How many comparisons are left cannot be estimated yet: by the rates so far no policy is ahead of all others."

SHOWN_NAMES = 8

MISFIT = 1e-3
"""p-value of the fit below which it is said that the Bradley-Terry model does not hold."""


def told(found: Identification) -> Iterator[Text | Listing]:
    """All that is printed: sentences, and tables between them."""
    yield from map(Text, (*log_in_words(found.battles, found.structured), *audit_in_words(found)))
    if found.audit.alarm is None:
        if len(found.next_pairs) > 1:
            yield next_table(found)
        yield Text(evidence_in_words(found.delta))
        yield refutation_table(found)
    if found.ranking is not None:
        yield from map(Text, ranking_in_words(found.ranking, found.structured))
        yield ranking_table(found.ranking, found.battles.names)
        yield Text(replay_in_words(found))


def log_in_words(battles: Battles, structured: bool = False) -> list[str]:
    """What a log holds, and what is missing in it."""
    names = battles.names
    ties = int((battles.outcome == 0.5).sum())
    meaning = (
        "Ties are left out; the others are taken to follow a linear Bradley-Terry model of the features."
        if structured
        else "A tie is no evidence, and counts as half a win for each in the table of strengths."
    )
    lines = [f"{len(battles.first):,} comparisons of {len(names)} policies, {ties:,} of them ties. {meaning}"]
    if battles.leaning:
        lines.append(
            f"{battles.leaning:,} only lean to one side: each is weighed as a verdict drawn with the chance it states."
        )
    if battles.never_compared:
        lines.append(f"Never compared: {listed(battles.never_compared, names)}.")
    parts = battles.parts
    if len(parts) > 1:
        shown = " | ".join(few([names[k] for k in part], SHOWN_NAMES) for part in parts[:SHOWN_NAMES])
        more = " | ..." if len(parts) > SHOWN_NAMES else ""
        lines.append(f"The log falls into {len(parts)} parts that were never compared with each other: {shown}{more}.")
    return lines


def audit_in_words(found: Identification) -> list[str]:
    """What the log proves at level delta, what to compare next, and how much is left.

    All that is said to be proven is true together with probability 1 - delta (see `llmpo_jax.engine.audit.audit`).
    """
    if found.audit.alarm is not None:
        return _alarm_in_words(found.audit)
    names, level = found.battles.names, f"at error level {found.delta:g}"
    lines = [] if found.audit.order == "log" else [ANY_ORDER]
    if len(found.left) > 1:
        left = few([names[k] for k in found.left], SHOWN_NAMES)
        lines.append(f"Undecided {level}: {len(found.left)} of {len(names)} policies are not refuted ({left}).")
        return [*lines, *_next_in_words(found)]
    if found.winner is None:
        nothing = "No policy beats all others (no Condorcet winner)", "every one is refuted"
        if found.structured:
            nothing = "The linear model does not fit", "it always has a best policy, and every policy is refuted"
        return [*lines, f"{nothing[0]}, {level}: {nothing[1]}."]
    winner = names[found.winner]
    if found.structured:
        return [*lines, f"If the linear model holds, the best policy is {winner}, {level}: every other one is refuted."]
    lines.append(
        f"If one policy beats all others (a Condorcet winner), it is {winner}, {level}: every other one is refuted."
    )
    if not len(found.unproven):
        return [*lines, f"Proven without that assumption, too, {level}: {winner} beats every other policy."]
    missing = few([names[k] for k in found.unproven], SHOWN_NAMES)
    lines.append(f"Not proven without that assumption: {winner} is not yet proven to beat {missing}.")
    return [*lines, *_next_in_words(found)]


def _next_in_words(found: Identification) -> list[str]:
    """What is to be compared next, and how much is left."""
    (first, second), *others = [(found.battles.names[i], found.battles.names[j]) for i, j in found.next_pairs]
    # What is compared now is chosen by outcomes, which `order = "any"` does not allow.
    aside = "" if found.audit.order == "log" else " (in a new log, to be read by itself and in its own order)"
    what = f"Compare next: {first} with {second}{aside}"
    if others:
        what = f"Compare next, all {1 + len(others):,} at once{aside}: the pairs below"
    if found.remaining is None:
        return [f"{what}.", UNKNOWN]
    fresh = "" if found.audit.order == "log" else " for a new log"
    basis = "the pace so far" if found.structured else "the lower bound at the win rates so far"
    left = f"Comparisons left{fresh}, ties included: about {rounded(found.remaining)}, an estimate by {basis}."
    return [f"{what}.", left]


def evidence_in_words(delta: float) -> str:
    """What the table of the evidence shows."""
    return f"Evidence against each policy being the best; {-math.log(delta):.2f} nats refute it at level {delta:g}."


def batch(pairs: tuple[Pair, ...]) -> list[tuple[int, int, int]]:
    """The pairs of a batch, each once, with how many times it is to be compared, in the order in which they come."""
    first = {frozenset(pair): pair for pair in reversed(pairs)}
    return [(*first[pair], times) for pair, times in Counter(map(frozenset, pairs)).items()]


def rounded(comparisons: float) -> str:
    """An estimated number of comparisons: to two digits, 1 at least."""
    digits = max(len(count(comparisons).replace(",", "")) - 2, 0)
    return count(max(round(comparisons, -digits), 1))


def level(nats: float) -> str:
    """The level `exp(-nats)` to two digits, rounded up so that it is proven as it is printed; it never underflows."""
    exponent = math.floor(-nats / math.log(10))
    digits = math.ceil(10 * 10 ** (-nats / math.log(10) - exponent))
    digits, exponent = (10, exponent + 1) if digits > 99 else (digits, exponent)
    return f"{digits / 10 * 10.0**exponent:.2g}" if exponent >= -4 else f"{digits / 10:g}e{exponent:d}"


def _alarm_in_words(audit: Audit) -> list[str]:
    """Why nothing is claimed, and what to do."""
    if audit.alarm == UNORDERED:
        return [NO_ORDER]
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


def ranking_in_words(found: Ranking, structured: bool) -> list[str]:
    """What the table of a ranking is, and where it is not to be trusted."""
    name = "linear Bradley-Terry model of the features" if structured else "Bradley-Terry model"
    lines = [
        f"Strengths by the {name}: an estimate and no part of what is proven. It assumes that the model holds and "
        f"that rows are independent and many; intervals hold at {found.level:.0%} each, all ranks together."
    ]
    if found.part.any():
        lines.append("Policies of different parts were not compared, so that each part has ranks and rates of its own.")
    fit = found.fit
    if fit is not None and fit.p_value < MISFIT:
        lines.append(
            "The model does not fit this log, so do not rely on the table: the win rates of the pairs are further from "
            f"it than chance explains (Pearson's statistic {fit.statistic:,.1f} on {fit.freedom:,} degrees of freedom)."
        )
    return lines


def replay_in_words(found: Identification) -> str:
    """How many comparisons LLM-PO would have needed, had it drawn them from the log, or why it was not replayed."""
    battles, result = found.battles, found.replay
    if result is None and battles.open_pairs:
        return (
            "LLM-PO is not replayed on the win rates of the log: who wins by them hangs on pairs that were never "
            f"compared ({listed(battles.open_pairs, battles.names)})."
        )
    if result is None:
        whatever = ", whatever the pairs never compared would show" if battles.never_compared else ""
        return f"No policy wins against all others by the win rates of the log{whatever}, so LLM-PO is not replayed."
    summary = result.summary()[0]
    if summary.bound is None:
        bound = "the win rates lie outside of the linear model"
    else:
        bound = f"the lower bound is {at_least(summary.bound)}" if summary.bound > 0 else "no lower bound is certified"
    ties = ", ties included" if (battles.outcome == 0.5).any() else ""
    sentence = (
        f"Replaying the log as the simulator{ties}, LLM-PO would have needed {count(summary.mean)} comparisons on "
        f"average (95 % interval {count(summary.mean_low)} to {count(summary.mean_high)}, {summary.replications} "
        f"replications; {bound})"
    )
    if summary.censored:
        sentence += (
            f"; {summary.censored:.0%} of the runs were cut at {count(result.max_comparisons)}, so it is at least that"
        )
    if battles.never_compared:
        sentence += "; pairs that were never compared, none of them with the winner by the rates, were taken to be even"
    return sentence + "."


def next_table(found: Identification) -> Listing:
    """The batch of next pairs."""
    names = found.battles.names
    rows = [(names[i], names[j], f"{times:,}") for i, j, times in batch(found.next_pairs)]
    return _table(("compare", "with", "times"), rows)


def refutation_table(found: Identification) -> Listing:
    """What there is against each policy, the least refuted one first."""
    names, audit = found.battles.names, found.audit
    refuted, rows = audit.refuted(found.delta), []
    for k in np.argsort(audit.refutation, kind="stable"):
        nats = float(audit.refutation[k])
        by = names[audit.refuter[k]] if audit.refuter[k] >= 0 and nats > 0 else ""
        rows.append((names[k], level(nats) if refuted[k] else "not refuted", f"{nats:.2f}", by))
    return _table(("policy", "refuted at level", "nats", "mostly by"), rows, ("refuted at level", "nats"))


def ranking_table(found: Ranking, names: Sequence[str]) -> Listing:
    """Each policy's strength, mean chance of winning and possible ranks, part by part, the strongest first."""
    rows = []
    parts = found.part.any()
    for k in sorted(range(len(names)), key=lambda k: (found.part[k], -found.strength[k])):
        alone = math.isnan(found.rate[k])
        share = "" if alone else f"{found.rate[k]:.0%} ({found.low[k]:.0%} - {found.high[k]:.0%})"
        part = (f"{found.part[k] + 1}",) if parts else ()
        rows.append((*part, names[k], f"{found.strength[k].round(2) + 0.0:+.2f}", share, rank(found, int(k))))
    headers = (*(("part",) if parts else ()), "policy", "logits", "wins against the others", "rank")
    return _table(headers, rows, ("logits", "wins against the others"))


def rank(found: Ranking, k: int) -> str:
    """The ranks in its part that a policy may have."""
    best, worst = int(found.best[k]), int(found.worst[k])
    first = best == 1 and int(((found.best == 1) & (found.part == found.part[k])).sum()) > 1
    return (f"{best}" if best == worst else f"{best} to {worst}") + (", tied for first" if first else "")


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> Listing:
    return Listing([(header, header in numbers) for header in headers], [list(map(Text, row)) for row in rows])
