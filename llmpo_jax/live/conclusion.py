"""What is concluded from the settled comparisons of an experiment, and whether that ends it."""

from __future__ import annotations

from typing import Any

import numpy as np

from llmpo_jax.engine.replication import Procedure, Replication
from llmpo_jax.live.arrangement import Arrangement
from llmpo_jax.live.course import View
from llmpo_jax.live.protocol import Ask, Policy
from llmpo_jax.live.shares import ORDER_SHARE, Equivalence, OrderFollowing
from llmpo_jax.live.state import MOST_TIES
from llmpo_jax.protocol import CENSORED, NO_WINNER


class Conclusion:
    """Of the comparisons settled so far, in ask order.

    Attributes:
        decided: settled comparisons with a winner.
        leader: the number of the policy that leads.
        evidence: nats against its least refuted rival; `threshold` of them end the experiment.
        refutation: float64 [K] nats against each policy, `refuted` bool [K].
        stop: a key of `STOPS` and a sentence that states its assumptions, None while the experiment goes on.
        shown_first: of the `presented` decided verdicts, those for the answer shown first.
    """

    def __init__(self, arrangement: Arrangement, procedure: Procedure, order: np.ndarray) -> None:
        count = len(order)
        self._arrangement, self._procedure, self._order = arrangement, procedure, order
        thresholds = procedure.stopping.thresholds(procedure.problem, arrangement.level)
        self.threshold = thresholds.winner
        self._refuted_at = thresholds.winner if arrangement.existence == "assumed" else thresholds.absence
        self.decided, self.leader, self.evidence = 0, int(order[0]), 0.0
        self.refutation, self.refuted = np.zeros(count), np.zeros(count, bool)
        self.stop: tuple[str, str] | None = None
        self.winner: int | None = None
        self.shown_first, self.presented = 0, 0
        epsilon = arrangement.epsilon
        self._equal = None if epsilon is None else Equivalence(count, epsilon, arrangement.delta / 2)
        self._order_following = OrderFollowing()
        self._tied: dict[frozenset[str], list[int] | None] = {}
        self._distinct = len({arrangement.inputs.index(given) for given in arrangement.inputs})

    def settle(self, ask: Ask, verdict: str, shown_first: bool | None, rep: Replication, view: View | None) -> None:
        """Weigh the next comparison; `view` is what follows from it where it is decided."""
        if view is not None:
            self._weigh(ask, verdict, rep, view)
        if shown_first is not None:
            self._order_following.observe(shown_first)
            self.shown_first, self.presented = self.shown_first + shown_first, self.presented + 1
        if self.stop is None and self._order_following.proven:
            self.stop = "judge", self._judge_in_words()
        if self.stop is None and verdict != "void":
            self._watch_ties(ask, verdict)

    def _weigh(self, ask: Ask, verdict: str, rep: Replication, view: View) -> None:
        self.decided += 1
        self.leader, self.evidence = int(self._order[int(view.verdict.winner)]), float(view.verdict.score)
        self.refutation[self._order] = view.refutation
        self.refuted = self.refutation >= self._refuted_at
        named = int(np.asarray(rep.outcome.recommendation)[0])
        if named == NO_WINNER:
            self.stop = "no-winner", f"No policy beats all others (no Condorcet winner), {self._level()}."
        elif named != CENSORED:
            self.winner = named
            self.stop = "winner", self._winner_in_words(self._arrangement.names[named])
        elif self._equal is not None:
            index = self._arrangement.names.index
            self._equal.observe(index(ask.first), index(ask.second), verdict == "first")
            self._watch_equality(self._equal)

    def _watch_equality(self, equal: Equivalence) -> None:
        """All that are left are equal to the leader: who of them is best makes a difference of less than epsilon.

        The best policy is refuted with probability at most delta / 2 and any pair is called equal wrongly with
        probability at most delta / 2, so both hold with probability 1 - delta.
        """
        left = [k for k in np.flatnonzero(~self.refuted) if k != self.leader]
        if self.refuted[self.leader] or not left or not all(equal.proven(self.leader, int(k)) for k in left):
            return
        names = [self._arrangement.names[k] for k in (self.leader, *left)]
        self.stop = (
            "equal",
            f"If one policy beats all others, it is among {_listed(names)}, and {names[0]} is equal to the others of "
            f"them: they win against it with chances within {self._arrangement.epsilon:g} of 1/2, {self._level()}.",
        )

    def _watch_ties(self, ask: Ask, verdict: str) -> None:
        """The two least refuted policies always give the same answers: no comparison will tell them apart.

        The sampler had time to look for an opponent that does: it is asked for their pair over and over.
        """
        pair, inputs = frozenset((ask.first, ask.second)), self._arrangement.inputs
        tied = self._tied.setdefault(pair, [] if self._deterministic(pair) else None)
        if tied is None:
            return
        if verdict != "tie":
            self._tied[pair] = None
            return
        tied.append(inputs.index(ask.input))
        least = [self._arrangement.names[k] for k in np.argsort(self.refutation, kind="stable")[:2]]
        if pair == set(least) and len(set(tied)) == self._distinct and len(tied) >= max(MOST_TIES, 2 * len(inputs)):
            self.stop = (
                "inputs",
                f"{least[0]} and {least[1]}, the two least refuted policies, both at temperature 0, tie on each of the "
                f"{len(inputs)} inputs: nothing tells them apart.",
            )

    def _deterministic(self, pair: frozenset[str]) -> bool:
        named = zip(self._arrangement.names, self._arrangement.policies, strict=True)
        return all(isinstance(policy, Policy) and policy.temperature == 0 for name, policy in named if name in pair)

    def _level(self) -> str:
        if self._procedure.stopping.proven:
            return f"at error level {self._arrangement.delta:g}"
        return (
            f"by a heuristic rule ({self._arrangement.stopping}) at {self._arrangement.delta:g}: no error is guaranteed"
        )

    def _winner_in_words(self, name: str) -> str:
        if self._arrangement.features is not None:
            return f"If the linear model holds, the best policy is {name}, {self._level()}: every other one is refuted."
        if self._arrangement.existence == "certify":
            return f"{name} beats every other policy, {self._level()}."
        return f"If one policy beats all others, it is {name}, {self._level()}: every other one is refuted."

    def _judge_in_words(self) -> str:
        share = self.shown_first / self.presented
        place = "first" if share > 0.5 else "second"
        return (
            f"The judge follows the order of presentation: {max(share, 1 - share):.0%} of its {self.presented} decided "
            f"verdicts are for the answer shown {place} (more than {ORDER_SHARE:.0%} is proven). Nothing can be learnt "
            "from it; expected another judge."
        )


def _listed(names: list[Any]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
