"""How many comparisons are left until something is proven: estimates from what is known so far, no promises."""

from __future__ import annotations

import numpy as np

from llmpo_jax.models.battles import tie_shares
from llmpo_jax.theory.divergence import half_divergence


def until_refuted(decided: np.ndarray, ties: np.ndarray, missing: np.ndarray, leader: int) -> float | None:
    """Comparisons, ties included, until all rivals are refuted, by the bound at the present estimate.

    `sum over rivals k of missing_k / max_j ((1 - t_kj) d_kj)`, the terms of T* (theory, section 10) at the posterior
    means of the pairs and at their shares of ties, each times the nats that are missing. None where by these no policy
    beats some rival.

    Args:
        decided: [K, K], `decided[i, j]` comparisons that i won against j.
        ties: [K, K], symmetric, comparisons that ended in a tie.
        missing: [K] nats, what is missing to refute each policy; nothing where <= 0.
        leader: who is not to be refuted.
    """
    lost = np.where(_mean(decided) < 0.5, _information(decided, ties), 0)
    return _together(missing, lost.max(axis=1), leader)


def until_proven(decided: np.ndarray, ties: np.ndarray, missing: np.ndarray, winner: int) -> float | None:
    """Comparisons, ties included, until `winner` is proven to beat every other policy, `missing` [K] nats against each.

    None where by the posterior means it does not beat them all.
    """
    won = np.where(_mean(decided) > 0.5, _information(decided, ties), 0)
    return _together(missing, won[winner], winner)


def at_this_pace(decided: int, evidence: float, threshold: float) -> float | None:
    """Decided comparisons until `evidence` reaches `threshold`, if it grows as it has so far; None where it has not."""
    return decided * (threshold / evidence - 1) if evidence > 0 else None


def with_ties(decided: float, decided_so_far: int, ties: int) -> float:
    """Comparisons, ties included, for so many decided ones, at the share of ties so far."""
    return decided * (decided_so_far + ties + 1) / (decided_so_far + 1)


def _mean(decided: np.ndarray) -> np.ndarray:
    """[K, K], the posterior means of the chances, from Jeffreys' prior."""
    return (decided + 0.5) / (decided + decided.T + 1)


def _information(decided: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """[K, K], nats a comparison, ties included."""
    return (1 - tie_shares(decided + decided.T + ties, ties)) * np.asarray(half_divergence(_mean(decided)))


def _together(missing: np.ndarray, information: np.ndarray, without: int) -> float | None:
    """`sum of missing / information` (nats, nats a comparison) over those but `without` where something is missing."""
    asked = (np.arange(len(missing)) != without) & (missing > 0)
    if (information[asked] == 0).any():
        return None
    return float((missing[asked] / information[asked]).sum())
