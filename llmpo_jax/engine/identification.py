"""All that can be told of a log of comparisons: what it proves, what to compare next, an estimate, a replay."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llmpo_jax.engine.audit import UNORDERED, Audit, audit
from llmpo_jax.engine.following import Pair
from llmpo_jax.engine.preparation import Settings
from llmpo_jax.engine.result import Result
from llmpo_jax.engine.simulate import simulate
from llmpo_jax.models import Battles, condorcet_winner, identified, tied_rates
from llmpo_jax.models.battles import drawn
from llmpo_jax.theory import remaining
from llmpo_jax.theory.ranking import Ranking, ranking


@dataclass(frozen=True, eq=False)
class Identification:
    """What is told of a log; `llmpo_jax.report.identify_words` and `identify_json` are two views of it.

    Attributes:
        battles: the log.
        delta: error level of all that is proven, together.
        audit: what is proven.
        remaining: an estimate of the comparisons, ties included, that are left until the log is decided (or, where
            only "X beats every other policy" is not proven, until it is), by `llmpo_jax.theory.remaining`; None where
            nothing is left, or nothing can be said.
        ranking: a Bradley-Terry table, an estimate. None where the rows do not look independent: its intervals
            would be too narrow.
        replay: LLM-PO on the win rates of the log, with as many ties (`llmpo_jax.models.tied_rates`); None there, too,
            and without a winner by these rates.
    """

    battles: Battles
    delta: float
    audit: Audit
    remaining: float | None = None
    ranking: Ranking | None = None
    replay: Result | None = None

    @property
    def structured(self) -> bool:
        """Whether the policies have features."""
        return self.audit.proofs is None

    @property
    def left(self) -> np.ndarray:
        """int, the policies that are not refuted."""
        return np.flatnonzero(~self.audit.refuted(self.delta))

    @property
    def winner(self) -> int | None:
        """The only policy that is not refuted."""
        return int(self.left[0]) if len(self.left) == 1 else None

    @property
    def unproven(self) -> np.ndarray:
        """int, the policies that the winner is not proven to beat without the assumption that there is one."""
        if self.winner is None or self.structured:
            return np.zeros(0, int)
        return np.flatnonzero(~self.audit.proven(self.delta)[self.winner])

    @property
    def next_pairs(self) -> tuple[Pair, ...]:
        """What to compare next, none where all is decided or nothing can be proven."""
        if len(self.left) > 1:
            return self.audit.next_pairs
        return self.audit.next_proofs if len(self.unproven) else ()


def identify(
    battles: Battles,
    features: np.ndarray | None = None,
    *,
    delta: float = 0.05,
    order: str = "log",
    seed: int = 0,
    following: int = 1,
    replications: int = 200,
    max_comparisons: int = 1_000_000,
    stage: Callable[[str], object] = lambda text: None,
) -> Identification:
    """Everything that is told of a log.

    Rows that only lean to one side are weighed as verdicts drawn with the chances that they state
    (`llmpo_jax.models.battles.drawn`), and count as those chances in the ranking and the replay.

    Args:
        battles, features, order, seed, following: as in `llmpo_jax.engine.audit.audit`.
        delta: in (0, 1).
        replications, max_comparisons: of the replay, as in `llmpo_jax.simulate`.
        stage: told what is being done, in a few words.

    Raises:
        ValueError: as `audit` and `simulate`.
    """
    Settings((delta,), (), max_comparisons, replications=replications, seed=seed)
    stage(f"weighing {len(battles.first):,} comparisons")
    verdicts = drawn(battles, seed)
    found = audit(verdicts, features, order, seed, following)
    if found.alarm not in (None, UNORDERED):
        return Identification(battles, delta, found)
    stage(f"ranking {len(battles.names):,} policies")
    coordinates = None if features is None else identified(features, battles.names).coordinates
    table = ranking(battles.counts, battles.wins, coordinates)
    model, replay = tied_rates(battles), None
    if condorcet_winner(model) is not None:
        stage(f"replaying LLM-PO {replications:,} times")
        replay = simulate(
            model,
            deltas=(delta,),
            replications=replications,
            max_comparisons=max_comparisons,
            features=features,
            seed=seed,
        )
    return Identification(battles, delta, found, _remaining(verdicts, found, delta), table, replay)


def _remaining(battles: Battles, audit: Audit, delta: float) -> float | None:
    """`Identification.remaining`. What was read in any order does not go on: a new log begins without evidence."""
    if audit.alarm is not None:
        return None
    decided, ties, left = battles.decided, battles.ties, np.flatnonzero(~audit.refuted(delta))
    rows, kept = int(decided.sum()), audit.order == "log"
    if len(left) > 1 and audit.proofs is None:
        threshold, evidence = -math.log(delta), float(np.sort(audit.refutation)[1])
        more = remaining.at_this_pace(rows, evidence, threshold)
        if more is None:
            return None
        return remaining.with_ties(more if kept else more + rows, rows, len(battles.first) - rows)
    if len(left) > 1:
        missing = -math.log(delta) - kept * audit.refutation
        estimates = [remaining.until_refuted(decided, ties, missing, int(k)) for k in left]
        return min((estimate for estimate in estimates if estimate is not None), default=None)
    if len(left) == 1 and audit.proofs is not None and not audit.proven(delta)[left[0]].all():
        missing = np.full(len(decided), math.log(len(decided)) - math.log(delta))
        missing = missing - audit.proofs[left[0]] if kept else missing
        return remaining.until_proven(decided, ties, missing, int(left[0]))
    return None
