"""What `identify` tells, as one JSON object."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from rich.text import Text

from llmpo_jax.engine.identification import Identification
from llmpo_jax.report.identify_words import MISFIT, batch, told


def finding(found: Identification) -> dict[str, Any]:
    """All that is printed, for `llmpo_jax.report.as_json`.

    Keys:
        comparisons, ties, leaning, skipped: rows of the log (of `leaning` the judge only leans to one side; `skipped`
            are counted by reason).
        policies: one object each, in the order of their names: `policy`; `evidence`, nats against it; `log10_level`, it
            is refuted at level 10^log10_level and at any larger one; `refuted`, at `delta`; `by`, mostly.
        never_compared, parts: pairs, and the groups of policies between which there are no comparisons.
        delta, order, features: how the log was read.
        verdict: "winner" (if any policy beats all others, or the linear model holds, it is `winner`), "no winner" (with
            features: the linear model does not fit), "undecided" or "alarm" (the rows do not look independent, or have
            no order; `alarm` says why, and what would rest on them is null or empty).
        proven: with a winner, whether it is proven to beat every other policy without that assumption; `unproven` are
            those it is not proven to beat. Null with features.
        next: what to compare next, as one batch: `policy`, `opponent`, `times`.
        remaining: the estimated number of comparisons still needed, null where none or unknown.
        ranking: the Bradley-Terry estimate: `level`, `fit` (`statistic`, `freedom`, `p_value`; null where too little is
            known), `fits`, and `policies`, each with `policy`, `part`, `strength` (logits), `rate` (mean chance of
            winning against the others of its part) from `low` to `high`, ranks from `best` to `worst`.
        replay: LLM-PO on the win rates: `mean`, `mean_low`, `mean_high`, `replications`, `censored`, `bound`; or null.
        words: the sentences.
    """
    battles, audit = found.battles, found.audit
    names = battles.names
    alarm = audit.alarm is not None
    refuted = audit.refuted(found.delta)
    return {
        "comparisons": len(battles.first),
        "ties": int((battles.outcome == 0.5).sum()),
        "leaning": battles.leaning,
        "skipped": dict(battles.skipped),
        "never_compared": [[names[i], names[j]] for i, j in battles.never_compared],
        "parts": [[names[k] for k in part] for part in battles.parts],
        "delta": found.delta,
        "order": audit.order,
        "features": found.structured,
        "verdict": _verdict(found),
        "alarm": audit.alarm,
        "winner": None if found.winner is None else names[found.winner],
        "proven": None if found.winner is None or found.structured else not len(found.unproven),
        "unproven": [names[k] for k in found.unproven],
        "policies": [
            {
                "policy": name,
                "evidence": None if alarm else float(audit.refutation[k]),
                "log10_level": None if alarm else -float(audit.refutation[k]) / math.log(10),
                "refuted": None if alarm else bool(refuted[k]),
                "by": names[audit.refuter[k]] if audit.refuter[k] >= 0 else None,
            }
            for k, name in enumerate(names)
        ],
        "next": [
            {"policy": names[i], "opponent": names[j], "times": times}
            for i, j, times in ([] if alarm else batch(found.next_pairs))
        ],
        "remaining": found.remaining,
        "ranking": _ranking(found),
        "replay": _replay(found),
        "words": [part.plain for part in told(found) if isinstance(part, Text)],
    }


def _verdict(found: Identification) -> str:
    if found.audit.alarm is not None:
        return "alarm"
    if found.winner is not None:
        return "winner"
    return "undecided" if len(found.left) else "no winner"


def _ranking(found: Identification) -> dict[str, Any] | None:
    table = found.ranking
    if table is None:
        return None
    columns = ("part", "strength", "rate", "low", "high", "best", "worst")
    values = zip(*(np.asarray(getattr(table, column)).tolist() for column in columns), strict=True)
    return {
        "level": table.level,
        "fit": None if table.fit is None else dataclasses.asdict(table.fit),
        "fits": None if table.fit is None else table.fit.p_value >= MISFIT,
        "policies": [
            {"policy": name, **dict(zip(columns, row, strict=True))}
            for name, row in zip(found.battles.names, values, strict=True)
        ],
    }


def _replay(found: Identification) -> dict[str, Any] | None:
    if found.replay is None:
        return None
    summary = dataclasses.asdict(found.replay.summary()[0])
    return {key: summary[key] for key in ("mean", "mean_low", "mean_high", "replications", "censored", "bound")}
