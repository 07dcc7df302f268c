"""What was told and paid in an experiment, counted: nothing of it proves anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmpo_jax.live.protocol import Ask, Usage


class Tally:
    """Counts of an experiment with these policies.

    Attributes:
        names: of the policies; `index` is their numbers.
        wins, ties, voids: int [K, K], comparisons told; `wins[i, j]` of i over j, the others symmetric.
        right, judged: int [K], answers found right, of those the judge could tell.
        failures: comparisons void because of a policy, or of the "judge".
        usage: of each policy, and of the "judge" and whatever else was told.
        outputs: what each call gave, by its key.
        shown: place of the decided comparisons' winners as presented, whether the first; None where there is none.
    """

    def __init__(self, names: Sequence[str]) -> None:
        count = len(names)
        self.names = names
        self.index = {name: k for k, name in enumerate(names)}
        self.wins, self.ties, self.voids = (np.zeros((count, count), int) for _ in range(3))
        self.right, self.judged = np.zeros(count, int), np.zeros(count, int)
        self.failures = dict.fromkeys((*names, "judge"), 0)
        self.usage = dict.fromkeys((*names, "judge"), Usage())
        self.outputs: dict[str, Any] = {}
        self.shown: dict[int, bool | None] = {}

    @property
    def total(self) -> Usage:
        """Of all calls."""
        return sum(self.usage.values(), Usage())

    def called(self, who: str, key: str, output: Any, usage: Usage) -> None:
        """Count a call of a policy or of the judge."""
        self.outputs[key] = output
        self.usage[who] += usage

    def told(self, ask: Ask, record: Mapping[str, Any]) -> None:
        """Count the verdict that a `tell` record holds."""
        verdict, detail = record["verdict"], record.get("detail", {})
        pair = self.index[ask.first], self.index[ask.second]
        if verdict == "first":
            self.wins[pair] += 1
        elif verdict == "second":
            self.wins[pair[::-1]] += 1
        else:
            counts = self.ties if verdict == "tie" else self.voids
            counts[pair] += 1
            counts[pair[::-1]] += 1
        for k, right in zip(pair, detail.get("right") or (), strict=False):
            self.right[k] += bool(right)
            self.judged[k] += 1
        if "failed" in record:
            self.failures[record["failed"]] += 1
        if "usage" in record:
            self.usage["judge"] += Usage(**record["usage"])
        decided = verdict in ("first", "second")
        place = detail.get("shown", verdict if not ask.swapped else {"first": "second", "second": "first"}.get(verdict))
        self.shown[ask.id] = place == "first" if decided or place in ("first", "second") else None
