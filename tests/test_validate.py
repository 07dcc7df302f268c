"""`llmpo-jax validate` and `figures`, with claims without simulations."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from llmpo_jax.validation import defects, validate
from llmpo_jax.validation.claims import Claim
from tests.report import toy_claims as toy
from tests.test_cli import fails, run

Give = Callable[..., None]


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Give:
    """Has these claims in place of the toolkit's, and results in a folder for the test."""
    monkeypatch.chdir(tmp_path)

    def given(*found: Callable[[], Claim], caught: bool = True) -> None:
        toys = {make().number: (lambda scope, runs, make=make: make()) for make in found}
        monkeypatch.setattr(validate, "CLAIMS", toys)
        monkeypatch.setattr(defects, "caught", lambda scope, runs: [toy.defect(caught)])
        monkeypatch.setitem(validate.DRAWINGS, "C7", {"levels": toy.levels})

    return given


def test_the_verdicts_are_told_and_the_report_is_left(give: Give, capsys: pytest.CaptureFixture[str]) -> None:
    give(toy.holding, toy.undecided)
    assert run("validate", "cyclic:5", "--sampler", "rucb", "--seed", "3") == 0
    lines = capsys.readouterr().out.splitlines()
    progress = [re.split(r"[,(]", line)[0].strip() for line in lines[:5]]
    assert progress == ["C1: begins", "C1: holds", "C7: begins", "C7: undecided", "planted defects: begin"]
    (row,) = [line for line in lines if line.strip().startswith("C7 ")]
    assert row.split()[-7:-1] == ["undecided", "1", "/", "0", "/", "2"]
    assert "Of 2 claims 1 holds, 1 is undecided, 0 fail. Of 1 planted defects 1 were caught." in lines
    folder = Path("results", "validation-quick")
    assert lines[-2:] == [f"{folder}/report.md", f"{folder}/report.html"]
    text = (folder / "report.md").read_text()
    assert "```sh\nllmpo-jax validate cyclic:5 --quick --sampler rucb --seed 3\n```" in text
    assert "| sources | cyclic:5 |" in text

    _again(folder, capsys)
    _figures(folder, capsys)


def _again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder is taken for one validation, which is gone on with or replaced."""
    same = ("validate", "cyclic:5", "--sampler", "rucb", "--seed", "3")
    assert "--resume goes on with it" in fails(capsys, *same)
    assert "seed was 3, now 4" in fails(capsys, *same[:-1], "4", "--resume")
    (folder / "C9_old.parquet").touch()
    assert run(*same, "--overwrite") == 0
    assert not (folder / "C9_old.parquet").exists()
    capsys.readouterr()


def _figures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("figures", "--format", "svg", "--width", "column") == 0
    assert capsys.readouterr().out.split() == [f"{folder}/figures/C7_levels.svg"]
    assert "elsewhere holds no table of a validation, expected some of" in fails(capsys, "figures", "elsewhere")
    assert "expected both or none" in fails(capsys, "figures", "--full")


@pytest.mark.parametrize(("claims", "caught"), [((toy.holding, toy.failing), True), ((toy.holding,), False)])
def test_the_exit_code_tells_of_failures(give: Give, capsys: pytest.CaptureFixture[str], claims, caught: bool) -> None:
    give(*claims, caught=caught)
    assert run("validate") == 1
    output = capsys.readouterr().out
    assert ("fails" in output, "went through" in output) == (caught, not caught)
    assert Path("results/validation-quick/report.html").exists()


def test_figures_can_validate_first(give: Give, capsys: pytest.CaptureFixture[str]) -> None:
    give(toy.undecided)
    assert run("figures", "toy", "--run", "--format", "svg") == 0
    assert capsys.readouterr().out.split()[-1] == "toy/figures/C7_levels.svg"
    assert pl.read_parquet("toy/C7_levels.parquet").equals(toy.LEVELS)


def test_everything_that_is_named_is_checked_before_anything_runs(
    give: Give, capsys: pytest.CaptureFixture[str]
) -> None:
    give(toy.holding)
    for arguments, said in (
        (("--sampler", "rucp"), "did you mean 'rucb'?"),
        (("--stopping", "e-proces"), "did you mean 'e-process'?"),
        (("--sampler", "llm-po-budget"), "expected one that is told neither"),
        (("cyclik:5",), "did you mean 'cyclic'?"),
        (("cyclic:5", "cyclic:5"), "the same instance twice"),
        (("--quick", "--full"), "expected one of them"),
        (("--name", "a/b"), "expected the name of one folder"),
        (("--seed", "-1"), "seed = -1"),
        (("--import", "absent.py"), "import absent.py"),
    ):
        assert said in fails(capsys, "validate", *arguments)
    assert not Path("results").exists()


def test_ctrl_c_says_how_to_go_on(
    give: Give, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(code: int) -> None:
        raise SystemExit(code)

    def interrupted(*_: Any) -> Claim:
        raise KeyboardInterrupt

    give(toy.holding)
    monkeypatch.setattr(validate, "CLAIMS", {"C1": interrupted})
    monkeypatch.setattr(os, "_exit", stopped)
    assert run("validate") == 130
    assert "the same command with --resume goes on" in capsys.readouterr().out
    give(toy.holding)
    assert run("validate", "--resume") == 0
