"""The state of an experiment's procedure, with policies by their names: what the compiled programs work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmpo_jax.engine.replication import numbers
from llmpo_jax.live import course
from llmpo_jax.live.arrangement import Arrangement
from llmpo_jax.live.programs import programs
from llmpo_jax.live.protocol import Ask
from llmpo_jax.live.tally import Tally

FEWEST_TIES, MOST_TIES = 16, 64
"""Of a pair without any other verdict: from how many on they count in the sampler's eyes, and how many do."""

_OUTCOMES = {"first": course.WON, "second": course.LOST}


class State:
    """What is settled, and the sampler's own state.

    Attributes:
        procedure: of the engine.
        order: int [K], the policy that the procedure gives each number.
        rep: the engine's replication.
    """

    def __init__(self, arrangement: Arrangement) -> None:
        self.procedure, self._plan = arrangement.prepared()
        self._programs = programs(self.procedure)
        self.rep = self._programs.start(self._plan)
        self._names = arrangement.names
        self.order = np.asarray(numbers(self.procedure, self.rep.identity))
        self._number = {self._names[policy]: number for number, policy in enumerate(self.order)}

    def choose(
        self, number: int, unsettled: Sequence[Ask], verdicts: Mapping[int, str], sampler: Any, tally: Tally
    ) -> tuple[str, str, Any]:
        """The pair of ask `number`, which follows the `unsettled` ones, and the state that it leaves `sampler` in."""
        tail = self._never_decided(tally) + [
            (*self._numbers(ask), _OUTCOMES.get(verdicts.get(ask.id, ""), course.PENDING))
            for ask in unsettled
            if verdicts.get(ask.id, "first") in _OUTCOMES
        ]
        first, second, after = self._programs.ask(self._plan, self.rep._replace(sampler=sampler), tail, number)
        return self._names[self.order[first]], self._names[self.order[second]], after

    def settle(self, ask: Ask, verdict: str) -> course.View:
        """What follows once a decided comparison is weighed."""
        self.rep, view = self._programs.tell(self._plan, self.rep, *self._numbers(ask), verdict == "first")
        return view

    def chosen(self, sampler: Any) -> None:
        """Keep the sampler's state."""
        self.rep = self.rep._replace(sampler=sampler)

    def _never_decided(self, tally: Tally) -> list[tuple[int, int, int]]:
        """For pairs that only ever tie, as many wins as losses in the sampler's eyes: without a record, such a pair
        would be what it knows least of, and be asked for ever."""
        ties = np.where(tally.wins + tally.wins.T == 0, np.minimum(tally.ties, MOST_TIES), 0)
        tail = []
        for i, j in np.argwhere(np.triu(ties) >= FEWEST_TIES):
            pair = self._number[self._names[i]], self._number[self._names[j]]
            tail += [(*pair, outcome) for outcome in (course.WON, course.LOST)] * int(ties[i, j] // 2)
        return tail

    def _numbers(self, ask: Ask) -> tuple[int, int]:
        return self._number[ask.first], self._number[ask.second]
