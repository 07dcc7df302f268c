"""`llmpo-jax identify`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from llmpo_jax import models
from llmpo_jax.cli.console import console


@dataclass(frozen=True)
class Identify:
    """What real comparisons already prove, and what LLM-PO would have needed.

    BATTLES is a log of comparisons, one row each: CSV, JSON lines or Parquet, with columns such as model_a, model_b
    and winner (a side, a name or a tie), or a table of numbers of wins. With --features a linear Bradley-Terry model is
    assumed: all comparisons then tell something about all policies.

    How the rows are read (--order):

    log: in the order in which the comparisons were made, whatever chose the pairs (LLM-PO, an arena, a gauntlet).

    any: in no particular order, because it is lost or the rows are sorted; only where the pairs were chosen without
    looking at outcomes (each pair equally often, say).

    Rows that look sorted, or as if several of them came from one verdict, are told and not weighed.

    A Bradley-Terry table (strengths, intervals, ranks) and the number of comparisons left are estimates; all else is
    proven at level --delta.

    For example:

    llmpo-jax identify battles.csv --delta 0.05

    llmpo-jax identify sorted_by_winner.csv --order any

    llmpo-jax identify votes.jsonl --columns first=old,second=new,winner=choice

    llmpo-jax identify battles.csv --next 8 --json

    llmpo-jax identify battles.csv --features features.csv
    """

    battles: tyro.conf.Positional[Path]
    """The log of comparisons."""
    features: str | None = None
    """CSV file with the features of the policies, one row each: name, numbers."""
    columns: str | None = None
    """Columns of a log with names of their own, by role: first=NAME,second=NAME,winner=NAME or some of these."""
    delta: float = 0.05
    """Error level in (0, 1)."""
    order: Literal["log", "any"] = "log"
    """How the rows are read; of numbers of wins, whose order is lost, only `any` proves something."""
    next: int = 1
    """How many pairs to compare next, as one batch for people or judges to work on at once."""
    json: bool = False
    """Print one JSON object instead of words and tables (its keys: `llmpo_jax.report.identify_json.finding`)."""
    replications: int = 200
    """Replays of the log."""
    max_comparisons: int = 1_000_000
    """Where a replay is given up."""
    seed: int = 0
    """Of the replays, of the random orders with --order any, and of the verdicts drawn where a judge only leans."""

    def run(self) -> None:
        from rich.console import Console
        from rich.text import Text

        from llmpo_jax.engine.identification import identify
        from llmpo_jax.engine.preparation import Settings
        from llmpo_jax.report.as_json import as_json
        from llmpo_jax.report.identify_json import finding
        from llmpo_jax.report.identify_words import told

        Settings((self.delta,), (), self.max_comparisons, replications=self.replications, seed=self.seed)
        if self.next < 1:
            raise ValueError(f"next = {self.next}, expected at least 1")
        with Console(stderr=True, markup=False).status(Text(f"reading {self.battles}")) as status:
            battles = models.read_battles(self.battles, self.columns)
            features = models.features_for(models.empirical_model(battles), self.features) if self.features else None
            found = identify(
                battles,
                features,
                delta=self.delta,
                order=self.order,
                seed=self.seed,
                following=self.next,
                replications=self.replications,
                max_comparisons=self.max_comparisons,
                stage=status.update,
            )
        if self.json:
            print(as_json(finding(found)))
            return
        for part in told(found):
            console.print(part, soft_wrap=isinstance(part, Text))
