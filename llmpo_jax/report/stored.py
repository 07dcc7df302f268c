"""A finished study as the figures read it: its tables, source by source."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from llmpo_jax.engine.storage import FORMAT, StudyFolder

_NUMBERS = ("mean_low", "mean_high", "ratio", "bound")
"""Columns of summary.csv that may be empty or infinite, from which no type can be guessed."""


@dataclass(frozen=True)
class Findings:
    """What a study found on one source.

    Attributes:
        folder: the study's folder as figures name it, such as "results/bradley-terry-16".
        source: label of the source.
        samplers, rules: in the order in which the study ran them.
        deltas, budgets: error levels and comparisons; either may be empty.
        replications: runs of every sampler under every stopping rule.
        max_comparisons: where a run was given up as censored.
        table, pairs, summary: the rows of this source; columns as in `llmpo_jax.engine.tables`.
        full_names: those of the policies that `pairs` has in another form, fit to be drawn.
    """

    folder: str
    source: str
    samplers: tuple[str, ...]
    rules: tuple[str, ...]
    deltas: tuple[float, ...]
    budgets: tuple[int, ...]
    replications: int
    max_comparisons: int
    table: pl.DataFrame
    pairs: pl.DataFrame
    summary: pl.DataFrame
    full_names: dict[str, str] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """What is spent until a stop: "comparisons", or "cost" where comparisons have costs."""
        return self.summary["unit"].first()  # pyright: ignore[reportReturnType]

    def at_levels(self) -> Findings:
        """Only what ran until levels were reached: not the samplers that are told their budget."""
        return self._like(self.summary)

    def at_budgets(self) -> Findings:
        """Only what was asked at budgets: not the rules that are told their level."""
        return self._like(self.table.filter(pl.col("budget").is_not_null()))

    def _like(self, rows: pl.DataFrame) -> Findings:
        """Only the samplers and rules that `rows` have."""
        samplers, rules = (set(rows[name]) if len(rows) else set() for name in ("sampler", "stopping"))
        kept = pl.col("sampler").is_in(samplers) & pl.col("stopping").is_in(rules)
        frames = {"table": self.table, "pairs": self.pairs, "summary": self.summary}
        return replace(
            self,
            samplers=tuple(name for name in self.samplers if name in samplers),
            rules=tuple(name for name in self.rules if name in rules),
            **{name: frame.filter(kept) if len(frame) else frame for name, frame in frames.items()},
        )

    @property
    def policies(self) -> list[str]:
        """Their names, in the order of the source."""
        return pl.concat([self.pairs["first"].head(1), self.pairs["second"]]).unique(maintain_order=True).to_list()

    @property
    def num_policies(self) -> int:
        return len(self.policies)

    @property
    def setting(self) -> str:
        """Where it was found, for a caption."""
        runs = f"{self.replications:,} replication{'' if self.replications == 1 else 's'}"
        return f"{self.source}, K = {self.num_policies}, {runs} of every sampler"

    @property
    def has_winner(self) -> bool:
        """Whether the source has a Condorcet winner: only then are there optimal proportions."""
        return self.pairs["optimal"].is_not_null().any()


def load(folder: Path) -> list[Findings]:
    """The findings of a finished study, one per source.

    Raises:
        ValueError: the folder holds no study, one that is not complete, or one of another version.
    """
    manifest = StudyFolder(folder).read_manifest()
    if not manifest.get("complete"):
        raise ValueError(f"{folder} holds a study that is not complete, expected one that ran to its end")
    if manifest.get("format") != FORMAT:
        raise ValueError(
            f"{folder} was written by another version (format {manifest.get('format')}, now {FORMAT}), "
            "expected a study of this one"
        )
    arguments = manifest["arguments"]
    table = pl.read_parquet(folder / "table.parquet", glob=False)
    pairs = pl.read_parquet(folder / "pairs.parquet", glob=False)
    summary = read_summary(folder / "summary.csv")
    resolved = folder.resolve()
    found = []
    for label in table["source"].unique(maintain_order=True):
        of_source = pl.col("source") == label
        mine = table.filter(of_source)
        found.append(
            Findings(
                folder=f"{resolved.parent.name}/{resolved.name}",
                source=label,
                samplers=tuple(mine["sampler"].unique(maintain_order=True)),
                rules=tuple(mine["stopping"].unique(maintain_order=True)),
                deltas=tuple(arguments["deltas"]) if len(summary) else (),
                budgets=tuple(arguments["budgets"]),
                replications=arguments["replications"],
                max_comparisons=arguments["max_comparisons"],
                table=mine,
                pairs=pairs.filter(of_source),
                summary=summary.filter(of_source) if len(summary) else summary,
            )
        )
    return found


def read_summary(path: Path) -> pl.DataFrame:
    """The rows of a summary.csv, its numbers as numbers even where a column is empty; none where no level was asked."""
    if not path.is_file():
        return pl.DataFrame()
    # Without globbing, since brackets in a folder's name are no pattern.
    return pl.read_csv(path, glob=False, schema_overrides=dict.fromkeys(_NUMBERS, pl.Float64))
