"""A study's folder: killed and resumed it ends with the same bytes, and it is never mixed up with another one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from llmpo_jax.engine import study
from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.engine.study import Arguments, run_study

ARGUMENTS = Arguments(
    sources=("random-condorcet:5,gap=0.3",),
    samplers=("llm-po", "epsilon-greedy"),
    stopping=("e-process",),
    deltas=(0.1, 0.01),
    budgets=(10, 100),
    replications=20,
    max_comparisons=1500,
    existence="assumed",
    seed=5,
)
TABLES = ("table.parquet", "pairs.parquet", "summary.csv")


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "chunk_size", lambda: 8)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of the study, run in one go and in one chunk per cell."""
    path = tmp_path_factory.mktemp("whole") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "chunk_size", lambda: 2048)
        run_study(ARGUMENTS, StudyFolder(path))
    assert sorted(file.name for file in path.iterdir()) == sorted([*TABLES, "chunks", "manifest.json", ".lock"])
    assert StudyFolder(path).read_manifest()["complete"] is True
    return {name: (path / name).read_bytes() for name in TABLES}


class Killed(Exception):
    """Stands for whatever ends a process."""


def killed_study(path: Path, after: int) -> list[str]:
    """A study whose progress callback raises once more than `after` replications are finished; the chunks left."""

    def progress(label: str, done: int, comparisons: int) -> None:
        if done > after:
            raise Killed

    with pytest.raises(Killed):
        run_study(ARGUMENTS, StudyFolder(path), progress=progress)
    return sorted(file.name for file in (path / "chunks").iterdir())


@pytest.mark.parametrize("after", [17, 25])
def test_resume_ends_with_the_same_bytes(tmp_path: Path, finished: dict[str, bytes], after: int) -> None:
    """Killed while it ran, with a chunk lost on top: resumed, the tables are those of an undisturbed study."""
    path = tmp_path / "study"
    left = killed_study(path, after)
    assert 1 <= len(left) < 6 and all(name.endswith(".npz") for name in left)
    assert StudyFolder(path).read_manifest()["complete"] is False
    assert not any((path / name).exists() for name in TABLES)
    if len(left) > 1:
        (path / "chunks" / left.pop(0)).unlink()
    kept = sum(4 if name.endswith("__16.npz") else 8 for name in left)
    run: list[int] = []
    run_study(ARGUMENTS, StudyFolder(path), resume=True, progress=lambda label, done, _: run.append(done))
    assert run[0] == kept, "a finished chunk was run again"
    assert {name: (path / name).read_bytes() for name in TABLES} == finished
    assert StudyFolder(path).read_manifest()["complete"] is True


def test_tables_say_what_was_run(tmp_path: Path) -> None:
    """The tidy tables hold every statement, censored ones as nulls, and agree with the results."""
    path = tmp_path / "study"
    results = run_study(ARGUMENTS, StudyFolder(path))
    table = pl.read_parquet(path / "table.parquet")
    assert table.shape[0] == 2 * 20 * (2 + 2)
    for cell, result in results:
        mine = table.filter(pl.col("sampler") == cell.prepared.sampler)
        for index, delta in enumerate(ARGUMENTS.deltas):
            times = mine.filter(pl.col("delta") == delta).sort("replication")["comparisons"].fill_null(-1)
            np.testing.assert_array_equal(times, result.stopping_time[:, index])
            correct = mine.filter(pl.col("delta") == delta)["correct"].drop_nulls()
            assert (~correct).sum() == result.summary()[index].errors
        guesses = mine.filter(pl.col("budget") == 100).sort("replication")["recommendation"]
        assert guesses.to_list() == [f"policy-{i}" for i in result.budget_recommendation[:, 1]]
    pairs = pl.read_parquet(path / "pairs.parquet")
    assert pairs.shape[0] == 2 * 10
    assert pairs.group_by("sampler").agg(pl.col("optimal").sum())["optimal"].to_list() == pytest.approx([1, 1])
    assert pl.read_csv(path / "summary.csv")["delta"].to_list() == [0.1, 0.01, 0.1, 0.01]


CHANGES: list[tuple[str, Any]] = [("seed", 6), ("deltas", (0.1,)), ("samplers", ("llm-po",))]


@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_other_arguments_are_refused(tmp_path: Path, name: str, value: Any) -> None:
    """Resumed with other arguments the chunks of two studies would be mixed; the message names the difference."""
    path = tmp_path / "study"
    left = killed_study(path, 17)
    changed = dataclasses.replace(ARGUMENTS, **{name: value})
    with pytest.raises(ValueError, match=f"other arguments: {name} was .*, now .*--overwrite"):
        run_study(changed, StudyFolder(path), resume=True)
    assert sorted(file.name for file in (path / "chunks").iterdir()) == left


def test_existing_studies_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    """Nothing that is already there is deleted or overwritten unasked, and never what is no study."""
    path = tmp_path / "study"
    left = killed_study(path, 17)
    with pytest.raises(ValueError, match=r"holds a study already; --resume .* --overwrite"):
        run_study(ARGUMENTS, StudyFolder(path))
    assert sorted(file.name for file in (path / "chunks").iterdir()) == left
    run_study(dataclasses.replace(ARGUMENTS, samplers=("llm-po",)), StudyFolder(path), overwrite=True)
    assert pl.read_csv(path / "summary.csv")["sampler"].unique().to_list() == ["llm-po"]

    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    for resume, overwrite in ((False, False), (True, False), (False, True)):
        with pytest.raises(ValueError, match="files that are no study"):
            run_study(ARGUMENTS, StudyFolder(foreign), resume=resume, overwrite=overwrite)
    assert [file.name for file in foreign.iterdir()] == ["thesis.txt"]


def test_bad_arguments_leave_no_folder(tmp_path: Path) -> None:
    """All cells are checked before anything is run or written."""
    for change in ({"samplers": ("llm-po", "nope")}, {"deltas": (2.0,)}, {"sources": ("cyclic:8", "cyclic:8")}):
        with pytest.raises(ValueError):
            run_study(dataclasses.replace(ARGUMENTS, **change), StudyFolder(tmp_path / "study"))
    assert not (tmp_path / "study").exists()


def test_resuming_a_finished_study_runs_nothing(
    tmp_path: Path, finished: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study that is complete only has its tables written again, the same to the byte."""
    folder = StudyFolder(tmp_path / "study")
    run_study(ARGUMENTS, folder)

    def fail(*arguments: object) -> None:
        raise AssertionError("a finished study was run again")

    monkeypatch.setattr(study, "stream", fail)
    run_study(ARGUMENTS, folder, resume=True)
    assert {name: (folder.path / name).read_bytes() for name in TABLES} == finished
