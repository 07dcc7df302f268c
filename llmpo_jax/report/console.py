"""The summary of a study, and the proportions of a bound, as tables for the terminal."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
from rich.text import Text

from llmpo_jax.report.listing import Listing

SMALLEST = "*"
"""Mark of the smallest mean stopping time of a group."""
EXCEEDS = "!"
"""Mark of an error rate whose whole interval lies above delta."""


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
    unit = rows["unit"].first() if rows.height else "comparisons"
    headers = [("stopping rule, δ\n  sampler", False), (f"{unit}, mean\n± 95 %", True)]
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
        least = "least cost" if rows["unit"].first() == "cost" else "fewest comparisons"
        notes.append(f"{SMALLEST} {least} at this stopping rule and δ")
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
