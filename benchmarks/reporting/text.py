"""Rows of benchmarks/results/ as tables and numbers of a text."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

RESULTS = Path(__file__).parents[1] / "results"

NAMES = {
    "wmt20_mqm_zhen_K8": "WMT20 systems, human judges (K = 8)",
    "wildbench_gpt4o0625_K8": "WildBench models (K = 8)",
    "alpacaeval2_spread10": "AlpacaEval 2 models (K = 10)",
    "qlora_oa_gpt4_K7": "QLoRA models (K = 7)",
    "slab_more_letters_vicuna-13b_K16": "prompts, letters task (K = 16)",
    "slab_movie_recommendation_ultralm-13b_K16": "prompts, movie task (K = 16)",
    "ted21_mqm_ende_K13": "TED21 systems, human judges (K = 13)",
}
"""Of the instances that are data."""

Row = dict[str, Any]


def content(name: str) -> Row:
    """All that results/NAME.json holds: machine, versions, seconds, rows."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def rows(name: str, **where: Any) -> list[Row]:
    """The rows of results/NAME.json whose columns (spaces as underscores) have these values."""
    return _where(content(name)["rows"], where)


def row(name: str, **where: Any) -> Row:
    """The only row of results/NAME.json with these values.

    Raises:
        ValueError: there is none, or there are several.
    """
    found = rows(name, **where)
    if len(found) != 1:
        raise ValueError(f"{name}.json has {len(found)} rows with {where}, expected 1")
    return found[0]


def validated(name: str, **where: Any) -> list[Row]:
    """The same of results/validation/NAME.parquet, a table of `llmpo-jax validate`."""
    return _where(pl.read_parquet(RESULTS / "validation" / f"{name}.parquet").to_dicts(), where)


def _where(found: Iterable[Row], where: Row) -> list[Row]:
    wanted = {column.replace("_", " "): value for column, value in where.items()}
    return [row for row in found if all(row[column] == value for column, value in wanted.items())]


def distinct(found: Iterable[Row], column: str) -> list[Any]:
    """The values of a column, in the order of their first appearance."""
    return list(dict.fromkeys(each[column] for each in found))


def instance(label: str) -> str:
    """An instance as a user writes it, or what the data are."""
    if label in NAMES:
        return NAMES[label]
    plain = re.sub("[:,=]", "-", label)  # as the label of a study has it
    parts = re.fullmatch(r"([a-z-]+)-(\d+)((?:-\d+)?)((?:-[a-z_]+-[\d.]+)*)", plain)
    if parts is None:
        return label
    name, size, dimension, more = parts.groups()
    given = re.sub(r"-([a-z_]+)-", r",\1=", more)
    return f"`{name}:{size}{dimension.replace('-', ',')}{given}`"


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    every = [list(header), ["---"] * len(header), *map(list, lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in every)


def number(value: float) -> str:
    """Three digits or all whole ones: 1.07, 12.4, 1,310; in small numbers two decimals."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def interval(value: float, low: float, high: float, cut: bool = False) -> str:
    """A value with its interval; a lower bound where runs were cut."""
    return f"{'at least ' if cut else ''}{number(value)} ({number(low)} to {number(high)})"


def times(row: Row) -> str:
    """What a sampler needs as a multiple of llm-po; a lower bound where its runs were cut."""
    return interval(row["times llm-po"], row["low"], row["high"], cut=row["censored"] > 0)


def percent(value: float) -> str:
    """A share in percent, two digits."""
    return f"{100 * value:.0f} %" if value >= 0.095 else f"{100 * value:.1f} %"


def rate(value: float) -> str:
    """Comparisons per second: 7.6e6."""
    return f"{value:.1e}".replace("e+0", "e")


def span(values: Iterable[float]) -> str:
    """The least and the largest of some numbers: 1.04 to 1.15."""
    values = list(values)
    return f"{number(min(values))} to {number(max(values))}"


def widest(found: Iterable[Row], value: str = "ratio") -> str:
    """Half the widest interval as a share of its value, in whole percent, rounded up."""
    return f"{max(-(-50 * (each['high'] - each['low']) // each[value]) for each in found):.0f} %"


def filled(page: str) -> str:
    """The page with its paragraphs and lists in lines of 120 letters; tables, headings and pictures as they are."""
    return "\n\n".join(_filled(block) for block in page.split("\n\n"))


def _filled(block: str) -> str:
    if block.startswith(("|", "#", "!")):
        return block
    items = re.split(r"\n(?=- )", block)
    inner = "  " if block.startswith("- ") else ""
    wrap = textwrap.TextWrapper(120, subsequent_indent=inner, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrap.fill(" ".join(item.split())) for item in items)
