"""The summary of a study, and the proportions of a bound, as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
from rich.box import SIMPLE_HEAD, Box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from llmpo_jax.report.plain import spelt

SMALLEST = "*"
"""Mark of the smallest mean stopping time of a group."""
EXCEEDS = "!"
"""Mark of an error rate whose whole interval lies above delta."""
_PLAIN_HEAD = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)

_LEGIBLE = 12
"""Columns of the terminal below which names are not folded."""


@dataclass(frozen=True)
class Listing:
    """A table for whatever it is printed to.

    Where it does not fit, headers are folded, then names; where that is not enough, every cell gets a line of its own.
    Nothing is cut. Signs that the encoding does not hold are spelt out.

    Attributes:
        headers: of each column the text, and whether it holds numbers, which stand to the right.
        lines: the cells of each line; an empty line ends a section.
        caption: what stands below.
    """

    headers: list[tuple[str, bool]]
    lines: list[list[Text]]
    caption: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [[Text(spelt(cell.plain, options.encoding), style=cell.style) for cell in line] for line in self.lines]
        wide, tight = self._table(options, lines, tight=False), self._table(options, lines, tight=True)
        missing = [
            Measurement.get(console, options.update(max_width=10_000), table).maximum - options.max_width
            for table in (wide, tight)
        ]
        if min(missing) <= self._foldable(lines):
            yield wide if missing[0] <= 0 else tight
            return
        for line in lines:
            yield from self._unfolded(options, line)
        yield spelt(self.caption, options.encoding)

    def _foldable(self, lines: list[list[Text]]) -> int:
        """How much narrower the columns of names may become."""
        names = [index for index, (_, numbers) in enumerate(self.headers) if not numbers]
        return sum(max(0, _widest(lines, index) - _LEGIBLE) for index in names)

    def _unfolded(self, options: ConsoleOptions, line: list[Text]) -> Iterator[Text | Padding]:
        """A line for each cell of a line."""
        yield from line[:1] or [Text()]
        for (header, _), cell in zip(self.headers[1:], line[1:], strict=False):
            if cell.plain:
                label = spelt(f"{' '.join(header.split())}: ", options.encoding)
                yield Padding(Text.assemble(label, (cell.plain.rstrip(), cell.style)), (0, 0, 0, 4), expand=False)

    def _table(self, options: ConsoleOptions, lines: list[list[Text]], tight: bool) -> Table:
        """The table; in a `tight` one headers are folded between words, to the width of the cells."""
        table = Table(
            box=_PLAIN_HEAD if options.ascii_only else SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            caption=spelt(self.caption, options.encoding) or None,
            caption_justify="left",
        )
        for index, (header, numbers) in enumerate(self.headers):
            table.add_column(
                spelt(header, options.encoding),
                justify="right" if numbers else "left",
                overflow="fold",
                width=max(_widest(lines, index), *map(len, header.split())) if tight and numbers else None,
            )
        for line in lines:
            if line:
                table.add_row(*line)
            else:
                table.add_section()
        return table


def _widest(lines: list[list[Text]], index: int) -> int:
    """Columns of the terminal that the cells of a column take."""
    return max((line[index].cell_len for line in lines if index < len(line)), default=1)


def summary_table(rows: pl.DataFrame) -> Listing:
    """The rows of a study's summary.csv, so that samplers stand together at the same stopping rule and delta.

    One group per source, stopping rule and delta, in the order of the rows (delta descending); within it the samplers,
    smallest mean stopping time first. The smallest mean is highlighted, and marked with `*` so that this survives
    a pipe; none is where that mean is only a lower bound because runs were censored. `!` marks an error rate whose
    exact interval lies above delta.

    Args:
        rows: columns as in `llmpo_jax.engine.result.Level`, and source, sampler, stopping.

    Returns:
        A table that fits a terminal of 100 columns, and as a rule one of 80, without folding.
    """
    ratios = rows.height > 0 and not rows["ratio"].is_null().all()
    censored = rows.height > 0 and bool((rows["censored"] > 0).any())
    headers = [("stopping rule, δ\n  sampler", False), ("comparisons, mean\n± 95 %", True)]
    headers += [("ratio to\nT*log(1/δ)", True)] if ratios else []
    headers += [("errors, %\n(95 % interval)", True)]
    headers += [("censored", True)] if censored else []
    several = rows["source"].n_unique() > 1 if rows.height else False
    previous = None
    lines: list[list[Text]] = []
    for group in _groups(rows):
        first = group.row(0, named=True)
        if several and first["source"] != previous:
            lines.append([Text(first["source"], style="bold underline")])
            previous = first["source"]
        lines.append([Text(f"{first['stopping']}, {first['delta']:g}", style="bold")])
        best = _smallest(group)
        for index, row in enumerate(group.iter_rows(named=True)):
            lines.append(_cells(row, best and index == 0, ratios, censored))
        lines.append([])
    return Listing(headers, lines, _caption(rows, censored))


def _groups(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """The rows of each source, stopping rule and delta, smallest mean first."""
    if rows.height == 0:
        return []
    groups = []
    for block in rows.partition_by("source", "stopping", maintain_order=True):
        ordered = block.sort("delta", descending=True, maintain_order=True)
        for group in ordered.partition_by("delta", maintain_order=True):
            groups.append(group.sort("mean", maintain_order=True))
    return groups


def _smallest(group: pl.DataFrame) -> bool:
    """Whether the first row is known to have the smallest mean of several."""
    return group.height > 1 and group["censored"][0] == 0 and group["mean"][0] < group["mean"][1]


def _cells(row: dict[str, Any], best: bool, ratios: bool, censored: bool) -> list[Text]:
    strong = "bold green" if best else ""
    at_least = "≥" if row["censored"] > 0 else ""
    half = row["mean_high"] - row["mean"]
    spread = f" ± {half:,.0f}" if math.isfinite(half) else ""
    cells = [
        Text(f"  {row['sampler']}", style=strong),
        Text(f"{at_least}{row['mean']:,.0f}{spread}{SMALLEST if best else ' '}", style=strong),
    ]
    if ratios:
        cells.append(Text("-" if row["ratio"] is None else f"{at_least}{_digits(row['ratio'])}", style=strong))
    above = row["error_low"] > row["delta"]
    interval = f"({_percent(row['error_low'])}-{_percent(row['error_high'])})"
    text = f"{_percent(row['error_rate'])} {interval}{EXCEEDS if above else ' '}"
    cells.append(Text(text, style="bold red" if above else ""))
    if censored:
        cells.append(Text("" if row["censored"] == 0 else f"{_percent(row['censored'])} %"))
    return cells


def _caption(rows: pl.DataFrame, censored: bool) -> str:
    """What the marks in the table mean, those that occur."""
    notes = []
    if any(_smallest(group) for group in _groups(rows)):
        notes.append(f"{SMALLEST} fewest comparisons at this stopping rule and δ")
    if rows.height and (rows["error_low"] > rows["delta"]).any():
        notes.append(f"{EXCEEDS} errs more often than δ allows")
    if censored:
        notes.append("≥ some runs were cut at the limit, so it is at least this")
    return "\n".join(notes)


def _percent(share: float) -> str:
    """A share in percent, without its sign: three digits from ten on, two below."""
    value = 100 * share
    return f"{value:.3g}" if value >= 10 else f"{value:.2g}"


def _digits(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def allocation_table(finding: dict[str, Any]) -> Listing:
    """The optimal proportions of `llmpo_jax.report.words.bound`, those of its first form in order."""
    (_, main), (name, other) = finding["forms"].items()
    headers = [("policy", False), ("opponent", False), ("proportion", True)]
    if name == "fisher":
        headers += [("by the Fisher form", True)]
        beside = {(row["policy"], row["opponent"]): [f"{row['proportion']:.4f}"] for row in other["allocation"]}
    else:
        headers += [("to certify: opponent", False), ("proportion", True)]
        beside = {row["policy"]: [row["opponent"], f"{row['proportion']:.4f}"] for row in other["allocation"]}
    lines = []
    for row in main["allocation"]:
        key = (row["policy"], row["opponent"]) if name == "fisher" else row["policy"]
        cells = [row["policy"], row["opponent"], f"{row['proportion']:.4f}", *beside.get(key, [])]
        lines.append([Text(cell) for cell in cells])
    return Listing(headers, lines)
