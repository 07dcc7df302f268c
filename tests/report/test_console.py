"""The summary table in the terminal."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from llmpo_jax.report.console import allocation_table, summary_table
from llmpo_jax.report.stored import read_summary
from llmpo_jax.report.study_display import display


def _row(sampler: str, mean: float, **changes: Any) -> dict[str, Any]:
    row = {"source": "toy-4", "sampler": sampler, "stopping": "e-process", "delta": 0.1, "errors": 2}
    row |= {"replications": 200, "error_rate": 0.01, "error_low": 0.0012, "error_high": 0.0357, "censored": 0.0}
    row |= {"mean": mean, "mean_low": mean - 40, "mean_high": mean + 40, "median": mean}
    return {**row, "ratio": mean / 100, "bound": 80.0, "unit": "comparisons", **changes}


def _frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), infer_schema_length=None)


def _text(rows: pl.DataFrame, width: int = 100, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, **options)
    console.print(summary_table(rows))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _line(text: str, start: str) -> str:
    found = [line for line in text.splitlines() if line.strip().startswith(start)]
    assert len(found) == 1, (start, found)
    return found[0]


def test_a_row_states_mean_ratio_and_errors_with_their_intervals() -> None:
    line = _line(_text(_frame(_row("rucb", 12345.0))), "rucb")
    assert line.split() == ["rucb", "12,345", "±", "40", "123", "1", "(0.12-3.6)"]


def test_samplers_are_compared_at_the_same_rule_and_level_smallest_mean_first() -> None:
    rows = [
        _row(sampler, mean * scale, stopping=rule, delta=delta)
        for sampler, mean in (("rucb", 900.0), ("llm-po", 300.0), ("thompson", 500.0))
        for rule in ("e-process", "stylised")
        for delta, scale in ((0.01, 2), (0.1, 1))
    ]
    lines = [line.split()[0] for line in _text(_frame(*rows)).splitlines()[4:] if line.strip()]
    group = ["llm-po", "thompson", "rucb"]
    assert lines[:16] == [*["e-process,", *group] * 2, *["stylised,", *group] * 2]
    headings = [line.strip() for line in _text(_frame(*rows)).splitlines() if ", 0." in line]
    assert headings == ["e-process, 0.1", "e-process, 0.01", "stylised, 0.1", "stylised, 0.01"]


def test_only_the_smallest_mean_of_a_group_is_highlighted() -> None:
    rows = _frame(_row("rucb", 900.0), _row("llm-po", 300.0), _row("rucb", 200.0, delta=0.01))
    piped = _text(rows)
    marked = [line.split()[0] for line in piped.splitlines() if "*" in line and "±" in line and "%" not in line]
    assert marked == ["llm-po"]
    assert "\x1b" not in piped
    colours = _text(rows, force_terminal=True, color_system="standard")
    assert "32m" in _line(colours.replace("\x1b[1;32m", "32m"), "32m  llm-po")


def test_a_censored_mean_is_a_lower_bound_and_never_the_smallest() -> None:
    text = _text(_frame(_row("rucb", 900.0), _row("llm-po", 300.0, censored=0.25)))
    assert _line(text, "llm-po").split()[1] == "≥300"
    assert _line(text, "llm-po").rstrip().endswith("25 %")
    assert "fewest" not in text and "cut at the limit" in text
    assert "≥" not in _line(text, "rucb")


def test_censoring_and_ratio_have_a_column_only_where_they_occur() -> None:
    plain = _text(_frame(_row("rucb", 900.0)))
    assert "censored" not in plain and "≥" not in plain and "ratio" in plain
    assert "ratio" not in _text(_frame(_row("rucb", 900.0, ratio=None, bound=None)))


def test_an_error_rate_beyond_delta_is_marked() -> None:
    bad = _row("round-robin", 900.0, error_rate=0.73, error_low=0.66, error_high=0.79)
    text = _text(_frame(bad, _row("llm-po", 300.0)))
    assert "73 (66-79)!" in _line(text, "round-robin")
    assert "!" not in _line(text, "llm-po")
    assert "errs more often than δ allows" in text


def test_sources_are_kept_apart() -> None:
    text = _text(_frame(_row("rucb", 900.0), _row("rucb", 300.0, source="other-8", ratio=None)))
    lines = [line.strip().split()[0] for line in text.splitlines()[4:] if line.strip()]
    assert lines == ["toy-4", "e-process,", "rucb", "other-8", "e-process,", "rucb"]


def test_one_replication_has_no_interval_of_the_mean() -> None:
    line = _line(_text(_frame(_row("rucb", 900.0, mean_low=-math.inf, mean_high=math.inf))), "rucb")
    assert "±" not in line and "inf" not in line


@pytest.mark.parametrize(("width", "rule"), [(80, "stylised"), (100, "kaufmann-koolen")])
def test_a_full_table_fits_without_wrapping(width: int, rule: str) -> None:
    level = {"stopping": rule, "delta": 1e-50}
    rows = [_row(name, 36264.5, **level) for name in ("llm-po", "llm-po-d-tracking")]
    rows.append(_row("round-robin", 46264.5, censored=0.0781, mean_high=50379.0, **level))
    text = _text(_frame(*rows), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert _line(text, "llm-po-d-tracking") and _line(text, f"{rule}, 1e-50")
    assert "≥46,264 ± 4,114" in _line(text, "round-robin")


def test_an_encoding_without_the_signs_has_them_spelt_out() -> None:
    """In ASCII the table says the same, aligned; names that it does not hold are escaped."""
    rows = _frame(_row("café", 900.0, censored=0.25), _row("llm-po", 300.0))
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(file=file, width=100, highlight=False).print(summary_table(rows))
    file.seek(0)
    text = file.read()
    assert _line(text, "llm-po").split() == ["llm-po", "300", "+-", "40*", "3.00", "1", "(0.12-3.6)"]
    assert _line(text, "caf\\xe9").split()[1] == ">=900"
    assert "stopping rule, delta" in text and "T*log(1/delta)" in text and "\n>= some runs were cut" in text
    assert len({len(line) for line in text.splitlines() if "+-" in line}) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_in_a_narrow_terminal_nothing_is_cut(encoding: str) -> None:
    long = "a-policy-with-a-name-that-is-longer-than-a-line"
    level = {"censored": 0.5, "mean": 1234567.0, "mean_high": 1300000.0, "stopping": "kaufmann-koolen"}
    rows = _frame(*(_row(f"{long}-{i}", **level | {"error_rate": 0.123, "error_low": 0.112}) for i in (1, 2)))
    finding = {
        "assumed": [{"policy": long, "opponent": f"{long}-3", "proportion": 0.1234}],
        "certify": [{"policy": long, "opponent": f"{long}-4", "proportion": 0.5678}],
    }
    forms = {name: {"allocation": allocation} for name, allocation in finding.items()}
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    for table in (summary_table(rows), allocation_table({"forms": forms})):
        Console(file=file, width=40, highlight=False).print(table)
    file.seek(0)
    text = file.read()
    assert max(map(len, text.splitlines())) <= 40
    joined = "".join(text.split())
    for whole in (f"{long}-1", f"{long}-2", f"opponent:{long}-3", f"certify:opponent:{long}-4", "kaufmann-koolen,0.1"):
        assert whole in joined
    at_least = "≥" if encoding == "utf-8" else ">="
    for number in (f"{at_least}1,234,567", "(11.2-3.6)!", ": 50 %", ": 0.1234", ": 0.5678", f"{at_least}12,346"):
        assert number in text


def test_plain_lines_while_a_study_runs() -> None:
    """One at each new cell and at the end, else one in ten seconds; compilation does not count for what is left."""
    times = iter([0.0, 1.0, 2.0, 12.0, 13.0, 40.0, 41.0, 42.0])
    console = Console(file=io.StringIO(), width=40, highlight=False)
    with display(console, clock=lambda: next(times)) as show:
        for label, finished in (("a__b", 512), ("a__b", 600), ("a__b", 1024), ("a__c", 1024), ("a__c", 1536)):
            show(label, finished, 2048)
        show("a__c", 2048, 2048)
        show("a__c", 2048, 2048)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "a b: 512 of 2,048 replications, 25 %, 0:00:01",
        "a b: 1,024 of 2,048 replications, 50 %, 0:00:12, about 0:00:24 left",
        "a c: 1,024 of 2,048 replications, 50 %, 0:00:13, about 0:00:27 left",
        "a c: 1,536 of 2,048 replications, 75 %, 0:00:40, about 0:00:21 left",
        "a c: 2,048 of 2,048 replications, 100 %, 0:00:41, about 0:00:00 left",
    ]


def test_no_rows_no_trouble() -> None:
    assert "sampler" in _text(_frame(_row("rucb", 1.0)).clear())


def test_the_file_is_read_with_numbers_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    _frame(_row("rucb", 900.0, ratio=None, bound=None, mean_low=-math.inf, mean_high=math.inf)).write_csv(path)
    rows = read_summary(path)
    assert [rows.schema[name] for name in ("ratio", "bound", "mean_low")] == [pl.Float64] * 3
    assert rows["mean_low"][0] == -math.inf
