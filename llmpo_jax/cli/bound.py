"""`llmpo-jax bound`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import tyro

from llmpo_jax import models
from llmpo_jax.cli.console import console


@dataclass(frozen=True)
class Bound:
    """What no procedure can beat on an instance: characteristic time, lower bound, optimal proportions.

    For example:

    llmpo-jax bound bradley-terry:16 --delta 0.05

    llmpo-jax bound wins.csv --delta 0.1 1e-10 --json

    llmpo-jax bound linear-bradley-terry:32,8 --delta 0.05

    llmpo-jax bound wins.csv --ties 0.2 --costs costs.csv
    """

    source: tyro.conf.Positional[str]
    """An instance (`cyclic:17`) or a file: a win matrix, or a log of comparisons."""
    columns: str | None = None
    """Columns of a log with names of their own, by role: first=NAME,second=NAME,winner=NAME or some of these."""
    delta: tuple[float, ...] = (0.05,)
    """Error levels in (0, 1)."""
    assume: Literal["unstructured", "structured"] | None = None
    """Policy space; by default structured for linear instances. Plain Bradley-Terry has one-hot features there."""
    ties: str | None = None
    """Chance that a comparison ends in a tie, which says nothing: a number, or a file with a matrix or a log. Win rates
    are then those of decided comparisons."""
    costs: str | None = None
    """File with what comparisons cost, in any unit: a row for each policy, its name and its cost (a pair costs the sum
    of its two), or a matrix. All that is told is then in units of cost."""
    json: bool = False
    """Print JSON instead of words and a table; numbers that are infinite or unknown are null."""

    def run(self) -> None:
        from llmpo_jax.report import words
        from llmpo_jax.report.as_json import as_json
        from llmpo_jax.report.console import allocation_table

        source = models.load(self.source, self.columns)
        source = source if self.ties is None else models.with_ties(source, self.ties)
        costs = None if self.costs is None else models.load_costs(self.costs, source.model)
        missing = source.battles is not None and source.battles.never_compared
        if missing and models.condorcet_winner(source.model) is None:
            raise ValueError(
                f"source {self.source!r}: by the win rates no policy beats all others, whatever the pairs never "
                "compared would show; without a winner there is nothing to bound"
            )
        finding = words.bound(source, self.delta, self.assume, costs)
        if self.json:
            print(as_json(finding))
            return
        for line in words.bound_in_words(finding):
            console.print(line, soft_wrap=True)
        console.print(allocation_table(finding))
