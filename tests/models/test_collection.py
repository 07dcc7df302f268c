"""The collection of instances: its table as it is kept, and how the project is to be cited."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from llmpo_jax import models
from llmpo_jax.cli import main
from llmpo_jax.models import instances
from llmpo_jax.models.collection import COLLECTION, STRUCTURED
from llmpo_jax.validation import certificate, closed_form, collection, independent

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


def kept(source: str) -> dict[str, Any]:
    (row,) = (dict(row) for row in KEPT["rows"] if row["source"] == source)
    return row


@pytest.mark.parametrize("source", CHEAP)
def test_rows_as_they_are_kept(source: str) -> None:
    found, known = collection.row(source), kept(source)
    for row in (found, known):  # rounding, which differs between machines
        assert (row.pop("program_difference") or 0.0) <= closed_form.MOST
    assert found.keys() == known.keys()
    numbers = {key for key, value in known.items() if isinstance(value, float)}
    assert {key: found[key] for key in numbers} == pytest.approx({key: known[key] for key in numbers}, rel=1e-5)
    assert all(found[key] == known[key] for key in known.keys() - numbers)


def test_a_structured_row_as_it_is_kept() -> None:
    """By another solver, as compiling ours takes longer."""
    source = "linear-embedded:32,8"
    known = kept(source)
    program, _ = certificate.general_program(models.load(source).model, "fisher")
    found = independent.structured(program, precision=1e-2)
    assert found.low <= known["fisher"] * (1 + 1e-5)
    assert known["fisher"] / (1 + known["fisher_gap"]) <= found.high * (1 + 1e-5)
    assert known["dimension"] == program.z.shape[1] and known["policies"] == len(program.gaps) + 1


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


def test_a_finding_is_made_of_rows() -> None:
    found = collection.finding(["no-winner:4", "cyclic:5"])
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
