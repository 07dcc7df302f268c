"""Where an experiment stands, from what is concluded and what is counted."""

from __future__ import annotations

import numpy as np

from llmpo_jax.live.arrangement import Arrangement
from llmpo_jax.live.conclusion import Conclusion
from llmpo_jax.live.protocol import Health, Standing, Status
from llmpo_jax.live.tally import Tally
from llmpo_jax.theory import remaining
from llmpo_jax.theory.divergence import half_divergence
from llmpo_jax.theory.intervals import clopper_pearson


def status(
    arrangement: Arrangement, conclusion: Conclusion, tally: Tally, asked: int, stop: tuple[str, str] | None
) -> Status:
    """The status after `asked` asks."""
    names = arrangement.names
    decided, ties, voids = (int(counts.sum()) for counts in (tally.wins, tally.ties, tally.voids))
    ties, voids = ties // 2, voids // 2
    low, high = clopper_pearson(conclusion.shown_first, conclusion.presented)
    by = [_refuter(arrangement, conclusion, tally, k) for k in range(len(names))]
    return Status(
        leader=names[conclusion.leader],
        winner=None if conclusion.winner is None else names[conclusion.winner],
        standings=tuple(_standing(conclusion, tally, k, by[k]) for k in range(len(names))),
        refuted={names[k]: by[k] for k in np.flatnonzero(conclusion.refuted)},
        evidence=max(conclusion.evidence, 0.0),
        threshold=conclusion.threshold,
        asked=asked,
        decided=decided,
        ties=ties,
        voids=voids,
        in_flight=asked - decided - ties - voids,
        usage=tally.total,
        health=Health(shown_first=conclusion.shown_first, decided=conclusion.presented, low=low, high=high),
        left=_left(arrangement, conclusion, tally, decided, ties) if stop is None else None,
        stop=stop[0] if stop else None,
        reason=stop[1] if stop else None,
    )


def _standing(conclusion: Conclusion, tally: Tally, k: int, by: str | None) -> Standing:
    name = tally.names[k]
    return Standing(
        name=name,
        wins=int(tally.wins[k].sum()),
        losses=int(tally.wins[:, k].sum()),
        ties=int(tally.ties[k].sum()),
        voids=int(tally.voids[k].sum()),
        evidence=max(float(conclusion.refutation[k]), 0.0),
        refuted=bool(conclusion.refuted[k]),
        by=by,
        right=int(tally.right[k]),
        judged=int(tally.judged[k]),
        failures=tally.failures[name],
        usage=tally.usage[name],
    )


def _refuter(arrangement: Arrangement, conclusion: Conclusion, tally: Tally, k: int) -> str | None:
    """The opponent with most evidence against policy k; with features, where all evidence counts, the leader."""
    if arrangement.features is not None:
        return tally.names[conclusion.leader] if conclusion.refutation[k] > 0 and k != conclusion.leader else None
    wins, losses = tally.wins[k], tally.wins[:, k]
    n = np.maximum(wins + losses, 1)
    against = np.where(wins < losses, n * np.asarray(half_divergence(wins / n)), 0.0)
    return tally.names[int(against.argmax())] if against.max() > 0 else None


def _left(arrangement: Arrangement, conclusion: Conclusion, tally: Tally, decided: int, ties: int) -> float | None:
    """Comparisons still to be made, ties included; None where nothing can be said (`llmpo_jax.theory.remaining`)."""
    if arrangement.features is not None:
        left = remaining.at_this_pace(conclusion.decided, conclusion.evidence, conclusion.threshold)
        return None if left is None else remaining.with_ties(left, decided, ties)
    missing = conclusion.threshold - conclusion.refutation
    return remaining.until_refuted(tally.wins, tally.ties, missing, conclusion.leader)
