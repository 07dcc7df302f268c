"""Where a live experiment stands, as sentences and as a table."""

from __future__ import annotations

from rich.text import Text

from llmpo_jax.live.protocol import STOPS, Standing, Status, Usage
from llmpo_jax.report.listing import Listing
from llmpo_jax.report.words import count
from llmpo_jax.theory.intervals import clopper_pearson

MANY = 20
"""Ties without any decision from which on this is remarked."""


def lines(status: Status) -> list[str]:
    """The status, verdict first."""
    rivals = len(status.standings) - 1
    found = [verdict(status)]
    if status.stop is None or status.winner is None:
        found.append(
            f"{status.leader} leads; {len(status.refuted)} of {rivals + 1} policies are refuted; evidence against the "
            f"least refuted rival: {status.evidence:.2f} of {status.threshold:.2f} nats."
        )
    found.append(comparisons(status))
    if not status.decided and status.ties >= MANY:
        found.append(
            "Nothing is decided: the judge finds both answers equal every time. See what they are in the journal."
        )
    found.append(spent(status.usage))
    if status.left is not None:
        found.append(f"About {count(status.left)} more comparisons, by the bound at the present estimate.")
    found.append(health(status))
    return found


def verdict(status: Status) -> str:
    """Why it ended, or that it goes on."""
    if status.stop is None:
        return "Undecided so far."
    reason = status.reason or ""
    short = STOPS[status.stop]
    return f"{short[0].upper()}{short[1:]}. {reason}"


def comparisons(status: Status) -> str:
    """How many comparisons of which kind."""
    return (
        f"{count(status.asked)} comparisons: {count(status.decided)} decided, {count(status.ties)} ties, "
        f"{count(status.voids)} void, {count(status.in_flight)} in flight."
    )


def spent(usage: Usage) -> str:
    """Calls, tokens and cost."""
    tokens = usage.prompt_tokens + usage.completion_tokens
    return f"{count(usage.calls)} calls, {count(tokens)} tokens, cost {usage.cost:.4g}."


def health(status: Status) -> str:
    """Whether the judge follows the order of presentation."""
    seen = status.health
    if not seen.decided:
        return "The judge has decided nothing yet."
    rate = seen.shown_first / seen.decided
    share = f"{rate:.0%} of {count(seen.decided)} decided verdicts are for the answer shown first"
    interval = f"(95 % interval {seen.low:.0%} to {seen.high:.0%}, 50 % for a judge that does not look at the order)"
    leaning = "" if seen.low <= 0.5 <= seen.high else "; it seems to lean to a side, which blurs, but favours no policy"
    return f"Judge: {share} {interval}{leaning}."


def ranked(status: Status) -> list[Standing]:
    """The policies, the leader first, then the least refuted ones."""
    return sorted(status.standings, key=lambda s: (s.name != status.leader, s.evidence))


def record(standing: Standing) -> str:
    """Wins, losses and ties."""
    return f"{standing.wins} - {standing.losses} - {standing.ties}"


def accuracy(standing: Standing) -> str:
    """Share of answers found right, with its exact 95 % interval; nothing where the judge cannot tell."""
    if not standing.judged:
        return ""
    low, high = clopper_pearson(standing.right, standing.judged)
    return f"{standing.right / standing.judged:.0%} ({low:.0%} - {high:.0%})"


def fate(standing: Standing, status: Status) -> str:
    """What is proven of a policy."""
    if standing.name == status.winner:
        return "winner"
    if standing.refuted:
        return f"refuted, mostly by {standing.by}" if standing.by else "refuted"
    return "leads" if standing.name == status.leader else f"{standing.evidence:.2f} nats"


def table(status: Status) -> Listing:
    """The policies for the terminal; names as they are, whole."""
    judged = any(standing.judged for standing in status.standings)
    headers = [("policy", False), ("won - lost - tied", True), *([("right (95 %)", True)] if judged else [])]
    lines = []
    for standing in ranked(status):
        strong = "bold green" if standing.name == status.winner else ""
        cells = [standing.name, record(standing), *([accuracy(standing)] if judged else []), fate(standing, status)]
        lines.append([Text(cell, style=strong) for cell in cells])
    return Listing([*headers, ("evidence against it", False)], lines)
