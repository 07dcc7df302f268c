"""What the parts of a live experiment hand to each other: policies, asks, answers, verdicts, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

VERDICTS = ("first", "second", "tie", "void")
"""Who won, as the ask names the two. A tie is no evidence; void is a comparison without a verdict, and none either."""

Presentation = Literal["random", "both"]
PRESENTATIONS: tuple[Presentation, ...] = get_args(Presentation)
"""How two answers are put before the judge: in random order, or in both orders, where disagreement is a tie."""

STOPS = {
    "winner": "proven winner",
    "no-winner": "no winner",
    "equal": "equal within epsilon",
    "cost": "cost limit",
    "comparisons": "comparison limit",
    "judge": "judge unusable",
    "inputs": "inputs used up",
    "policy": "a policy fails too often",
}
"""Why an experiment ends, in short."""


class CallFailed(Exception):
    """A call of a policy or of the judge gave nothing usable, retries included: the comparison is void.

    What no retry can mend (a wrong key, an unknown model) is a ValueError, and ends the run.

    Attributes:
        usage: what it cost all the same, None where nothing is known of that.
    """

    def __init__(self, reason: str, usage: Usage | None = None) -> None:
        super().__init__(reason)
        self.usage = usage


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A way to make an LLM answer.

    Attributes:
        name: unique within an experiment.
        template: the prompt; `{input}`, or the fields of the input by name, are filled in.
        model: name at the endpoint.
        temperature: 0 for greedy decoding.
        examples: (input, answer) pairs that are shown before; an input is a text or its fields by name.
        max_tokens: of an answer.
        stop: texts at which an answer ends.
    """

    name: str
    template: str = "{input}"
    model: str = ""
    temperature: float = 1.0
    examples: tuple[tuple[Any, str], ...] = ()
    max_tokens: int = 256
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ask:
    """A comparison that is to be made, fixed before anything of it is known.

    Attributes:
        id: its number, from 1.
        first, second: the policies' names.
        input: what both are to answer.
        swapped: whether the judge sees the answer of `second` before that of `first`.
        seed: of the policies' and the judge's randomness, below 2^31.
    """

    id: int
    first: str
    second: str
    input: Any
    swapped: bool
    seed: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What calls cost; usages add up."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in vars(self)})


@dataclass(frozen=True)
class Answer:
    """What a policy answered; a plain string does where nothing is known of its cost."""

    text: str
    usage: Usage = field(default_factory=lambda: Usage(calls=1))


@dataclass(frozen=True)
class Judgement:
    """What a judge said of two answers in the order in which it saw them; a plain verdict does where that is all.

    Attributes:
        verdict: one of `VERDICTS`, "first" for the answer shown first.
        right: whether the answer shown first, and the one shown second, is right, where the judge can tell.
        usage: of the judge's own calls.
        detail: what else is to be kept in the journal.
    """

    verdict: str
    right: tuple[bool, bool] | None = None
    usage: Usage = field(default_factory=Usage)
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a policy stands.

    Attributes:
        wins, losses, ties, voids: over all opponents, of all comparisons told.
        evidence: nats against "it is the best", from the settled comparisons.
        refuted: whether that is enough at level delta.
        by: the opponent with most evidence against it, None where there is none.
        right, judged: answers that the judge found right, of those it could tell.
        failures: comparisons that are void because its call failed.
        usage: of its own calls.
    """

    name: str
    wins: int
    losses: int
    ties: int
    voids: int
    evidence: float
    refuted: bool
    by: str | None
    right: int
    judged: int
    failures: int
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether the judge follows the order of presentation.

    Attributes:
        shown_first: decided verdicts for the answer shown first, of `decided`.
        low, high: 95 % interval of that share; 1/2 for a judge that does not look at the order.
    """

    shown_first: int
    decided: int
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where an experiment stands.

    Attributes:
        leader: the least refuted policy.
        winner: the proven winner, None as long as there is none.
        standings: of all policies, in the order in which they were given.
        refuted: name of each refuted policy to the opponent with most evidence against it.
        evidence, threshold: nats against the least refuted rival of the leader, and how many end the run.
        asked, decided, ties, voids, in_flight: comparisons; `asked` is the sum of the other four.
        usage: of all calls, the judge's included.
        health: of the judge.
        left: estimate of the comparisons still needed, None where the present estimate has no winner.
        stop: a key of `STOPS`, None while the experiment goes on.
        reason: why it stopped, and what that assumes, as a sentence; None likewise.
    """

    leader: str
    winner: str | None
    standings: tuple[Standing, ...]
    refuted: Mapping[str, str | None]
    evidence: float
    threshold: float
    asked: int
    decided: int
    ties: int
    voids: int
    in_flight: int
    usage: Usage
    health: Health
    left: float | None
    stop: str | None
    reason: str | None

    @property
    def cost(self) -> float:
        """Of all calls, in the currency of the prices."""
        return self.usage.cost


@dataclass(frozen=True)
class Moment:
    """A point of an experiment's course: after `asked` settled asks, `decided` of them with a verdict, `leader` led and
    the evidence against its least refuted rival was `evidence` nats."""

    asked: int
    decided: int
    leader: str
    evidence: float
