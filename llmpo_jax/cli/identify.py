"""`llmpo-jax identify`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from rich.table import Table

from llmpo_jax import models
from llmpo_jax.cli.console import console


@dataclass(frozen=True)
class Identify:
    """What real comparisons already prove, and what LLM-PO would have needed.

    BATTLES is a CSV file with the columns model_a, model_b, winner (model_a, model_b or tie), one row for each
    comparison. With --features a linear Bradley-Terry model is assumed: all comparisons then tell something about all
    policies.

    How the rows are read (--order):

    log: in the order in which the comparisons were made, whatever chose the pairs (LLM-PO, an arena, a gauntlet).

    any: in no particular order, because it is lost or the rows are sorted; only where the pairs were chosen without
    looking at outcomes (each pair equally often, say).

    Rows that look sorted, or as if several of them came from one verdict, are told and not weighed.

    For example:

    llmpo-jax identify battles.csv --delta 0.05

    llmpo-jax identify sorted_by_winner.csv --order any

    llmpo-jax identify battles.csv --features features.csv
    """

    battles: tyro.conf.Positional[Path]
    """The log of comparisons."""
    features: str | None = None
    """CSV file with the features of the policies, one row each: name, numbers."""
    delta: float = 0.05
    """Error level in (0, 1)."""
    order: Literal["log", "any"] = "log"
    """How the rows are read."""
    replications: int = 200
    """Replays of the log."""
    max_comparisons: int = 1_000_000
    """Where a replay is given up."""
    seed: int = 0
    """Of the replays, and of the random orders with --order any."""

    def run(self) -> None:
        from llmpo_jax.engine.audit import audit
        from llmpo_jax.engine.preparation import Settings
        from llmpo_jax.engine.simulate import simulate
        from llmpo_jax.report import words

        Settings((self.delta,), (), self.max_comparisons)
        battles = models.read_battles(self.battles)
        model = models.empirical_model(battles)
        features = models.features_for(model, self.features) if self.features else None
        found = audit(battles, features, self.order, self.seed)
        for line in words.log_in_words(battles, features is not None):
            console.print(line, soft_wrap=True)
        for line in words.audit_in_words(battles, found, self.delta):
            console.print(line, soft_wrap=True)
        if found.alarm is not None:
            return
        table = Table("policy", "refuted at level", "mostly by")
        for k in np.argsort(found.refutation):
            level = np.exp(-found.refutation[k])
            refuter = battles.names[found.refuter[k]] if found.refuter[k] >= 0 else ""
            mark = "refuted, " if found.refuted(self.delta)[k] else ""
            table.add_row(battles.names[k], f"{mark}{level:.2g}", refuter)
        console.print(table)
        if models.condorcet_winner(model) is None:
            console.print(words.no_replay_in_words(battles), soft_wrap=True)
            return
        result = simulate(
            model,
            deltas=(self.delta,),
            replications=self.replications,
            max_comparisons=self.max_comparisons,
            features=features,
            seed=self.seed,
        )
        console.print(words.replay_in_words(battles, result), soft_wrap=True)
