"""The collection of instances: its table as it is kept, and how the project is to be cited."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from llmpo_jax.cli import main
from llmpo_jax.models import instances
from llmpo_jax.models.collection import COLLECTION, STRUCTURED
from llmpo_jax.validation import closed_form, collection

ROOT = Path(__file__).resolve().parents[2]
KEPT = json.loads((ROOT / "benchmarks" / "results" / "instances.json").read_text())
CHEAP = [source for source in COLLECTION if "linear" not in source and not source.startswith("bradley")]
"""Without a structured program, which takes long to compile."""


def test_every_named_instance_is_in_the_collection() -> None:
    assert {source.partition(":")[0] for source in COLLECTION} == set(instances.names())
    assert len(set(COLLECTION)) == len(COLLECTION) and set(STRUCTURED) < set(COLLECTION)


def test_the_table_is_of_the_collection() -> None:
    assert [row["source"] for row in KEPT["rows"]] == list(COLLECTION)
    assert (ROOT / "benchmarks" / "instances.md").read_text() == collection.markdown(KEPT)


@pytest.mark.parametrize("source", CHEAP)
def test_rows_as_they_are_kept(source: str) -> None:
    (kept,) = (row for row in KEPT["rows"] if row["source"] == source)
    found = collection.row(source)
    assert found.keys() == kept.keys() == collection.COLUMNS.keys()
    for row in (found, kept):  # rounding, which differs between machines
        assert (row.pop("program_difference") or 0.0) <= closed_form.MOST
    assert found == pytest.approx(kept, rel=1e-5)


def test_linear_rows_as_they_are_kept() -> None:
    """But for the structured programs: the interval that is kept holds what a linear program over more than the linear
    models cannot go below."""
    for source in ("linear-bradley-terry:32,8", "linear-embedded:32,8"):
        (kept,) = (row for row in KEPT["rows"] if row["source"] == source)
        assert kept["exact"] / (1 + kept["exact_gap"]) <= kept["assumed"] and kept["policies"] == 32
        assert max(kept["exact_gap"], kept["fisher_gap"]) <= 1e-4


def test_the_command_prints_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    some = [row for row in KEPT["rows"] if row["source"] in CHEAP]
    monkeypatch.setattr(collection, "finding", lambda: {**KEPT, "rows": some})
    main(["instances", "--json"])
    assert json.loads(capsys.readouterr().out)["rows"] == some
    main(["instances", "--markdown"])
    assert capsys.readouterr().out == collection.markdown({**KEPT, "rows": some})
    main(["instances"])
    told = capsys.readouterr().out
    assert all(row["source"] in told for row in some) and "1797" in told
    with pytest.raises(SystemExit, match="2"):
        main(["instances", "--json", "--markdown"])
    assert "expected one of them" in capsys.readouterr().err


def test_a_finding_is_made_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = collection.finding(["no-winner:4", "cyclic:5"])
    assert [row["winner"] for row in found["rows"]] == [None, 0]
    assert found["versions"]["llmpo-jax"] and "| no-winner:4 | 4 | - |" in collection.markdown(found)


def test_citation() -> None:
    """Simple YAML: every line is a key with a value or an entry of a list, and the version is the project's."""
    text = (ROOT / "CITATION.cff").read_text()
    assert all(re.fullmatch(r"( *)(- )?[a-z-]+:( \S.*)?|  - \S.*|  \S.*", line) for line in text.splitlines())
    top = dict(re.findall(r"^([a-z-]+): *(.*)$", text, re.MULTILINE))
    assert {"cff-version", "message", "title", "authors", "abstract", "references"} <= top.keys()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (top["version"], top["license"]) == (project["version"], project["license"])
    assert "arXiv:2604.08779" in text
