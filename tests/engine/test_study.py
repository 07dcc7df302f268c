"""A study's folder: killed and resumed it ends with the same bytes, and it is never mixed up with another one."""

from __future__ import annotations

import dataclasses
import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from llmpo_jax.engine import chunks, study, workers
from llmpo_jax.engine.chunks import Identity
from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.engine.study import Arguments, run_study
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.spaces import UNSTRUCTURED

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
    return tables(path)


def test_the_default_study_has_the_usual_samplers_alone() -> None:
    """The further ones run where they are named, and are among those that an error lists."""
    cells = study.prepare_cells(dataclasses.replace(ARGUMENTS, samplers=()))
    assert tuple(cell.prepared.sampler for cell in cells) == UNSTRUCTURED.usual
    further = tuple(name for name in SAMPLERS.names() if name not in UNSTRUCTURED.usual)
    assert len(study.prepare_cells(dataclasses.replace(ARGUMENTS, samplers=further))) == len(further) > 0
    with pytest.raises(ValueError, match=", ".join(SAMPLERS.names())):
        study.prepare_cells(dataclasses.replace(ARGUMENTS, samplers=("rmed2",)))


def tables(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def _cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cut") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "chunk_size", lambda: 8)
        run_study(ARGUMENTS, StudyFolder(path))
    return path


@pytest.fixture
def cut(tmp_path: Path, _cut: Path) -> Path:
    """A copy of the study, finished in three chunks per cell."""
    return Path(shutil.copytree(_cut, tmp_path / "study"))


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


@pytest.mark.parametrize("after", [17, 21])
def test_resume_ends_with_the_same_bytes(
    tmp_path: Path, finished: dict[str, bytes], after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it ran, with a chunk lost on top: resumed, the tables are those of an undisturbed study."""
    path = tmp_path / "study"
    # One worker of fewer lanes than replications: a cell is never finished by the segment whose report kills the study.
    for module in (study, workers):
        monkeypatch.setattr(module, "layout", lambda replications: (1, 16))
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
    assert tables(path) == finished
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
    total = pairs.group_by("sampler", maintain_order=True).agg(pl.col("groups").explode().sum())["groups"]
    assert total.to_list() == [result.group_counts.sum() for _, result in results]
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


TWICE: list[dict[str, Any]] = [{"deltas": (0.1, 0.1)}, {"budgets": (9, 9)}, {"stopping": ("stylised", "stylised")}]


def test_bad_arguments_leave_no_folder(tmp_path: Path) -> None:
    """All cells are checked before anything is run or written."""
    for change in ({"samplers": ("llm-po", "nope")}, {"deltas": (2.0,)}, {"sources": ("cyclic:8", "cyclic:8")}, *TWICE):
        with pytest.raises(ValueError):
            run_study(dataclasses.replace(ARGUMENTS, **change), StudyFolder(tmp_path / "study"))
    assert not (tmp_path / "study").exists()


def runs(monkeypatch: pytest.MonkeyPatch) -> list[range]:
    """The blocks that are run from now on."""
    blocks: list[range] = []
    stream = study.stream

    def recorded(procedure: Any, plan: Any, chunks: list[range], report: Any) -> Any:
        blocks.extend(chunks)
        return stream(procedure, plan, chunks, report)

    monkeypatch.setattr(study, "stream", recorded)
    return blocks


def test_resuming_a_finished_study_runs_nothing(
    cut: Path, finished: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study that is complete only has its tables written again, the same to the byte, and spends no seconds; not
    even where its manifest was lost."""
    ran = runs(monkeypatch)
    before = StudyFolder(cut).read_manifest()["seconds"]
    run_study(ARGUMENTS, StudyFolder(cut), resume=True)
    assert StudyFolder(cut).read_manifest()["seconds"] == before > 0
    (cut / "manifest.json").unlink()
    with pytest.raises(ValueError, match="holds files that are no study"):
        run_study(ARGUMENTS, StudyFolder(cut), overwrite=True)
    run_study(ARGUMENTS, StudyFolder(cut), resume=True)
    assert not ran and tables(cut) == finished


def test_damaged_chunks_are_set_aside_and_run_again(
    tmp_path: Path, cut: Path, finished: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off, empty, changed in a byte, of another block or study: each is named, and none gets into a table."""
    chunks = cut / "chunks"
    cell, other = (f"random-condorcet-5-gap-0.3__{sampler}__e-process__" for sampler in ("llm-po", "epsilon-greedy"))
    good = {file.name: file.read_bytes() for file in chunks.iterdir()}
    assert len(good) == 6
    stranger = dataclasses.replace(ARGUMENTS, samplers=("llm-po",), seed=6)
    run_study(stranger, StudyFolder(tmp_path / "stranger"))
    flipped = bytearray(good[f"{cell}8.npz"])
    flipped[len(flipped) // 2] ^= 1
    damage = {
        f"{cell}0.npz": (good[f"{cell}0.npz"][:-100], r"is damaged \(BadZipFile: "),
        f"{cell}8.npz": (bytes(flipped), r"is damaged \("),
        f"{cell}16.npz": ((tmp_path / "stranger" / "chunks" / f"{cell}16.npz").read_bytes(), "of another study"),
        f"{other}0.npz": (b"", r"is damaged \(EOFError: "),
        f"{other}8.npz": (good[f"{other}0.npz"], "something else .*epsilon-greedy__e-process, replications 0 to 7"),
    }
    for name, (content, _) in damage.items():
        (chunks / name).write_bytes(content)
    ran = runs(monkeypatch)
    with pytest.warns(UserWarning) as told:
        run_study(ARGUMENTS, StudyFolder(cut), resume=True)
    for name, (content, why) in damage.items():
        pattern = f"{re.escape(name)} .*{why}.*: set aside as {re.escape(name)}.damaged and computed again"
        assert sum(re.search(pattern, str(each.message)) is not None for each in told) == 1, name
        assert (chunks / f"{name}.damaged").read_bytes() == content
    assert len(told) == len(ran) == len(damage)
    assert tables(cut) == finished


def test_no_flipped_bit_goes_unnoticed(cut: Path) -> None:
    """Wherever it is: the chunk is refused, or holds what it held (some bytes of a zip file mean nothing)."""
    manifest = StudyFolder(cut).read_manifest()
    determining = {name: value for name, value in manifest["arguments"].items() if name != "replications"}
    cell = "random-condorcet-5-gap-0.3__llm-po__e-process"
    identity = Identity({**determining, "files": {}}, cell, 0, 8)
    data = (cut / "chunks" / identity.file).read_bytes()
    whole = chunks.read(data, identity)
    random, refused = np.random.default_rng(0), 0
    for place in random.choice(len(data), 300, replace=False):
        flipped = bytearray(data)
        flipped[place] ^= 1 << random.integers(8)
        try:
            found = chunks.read(bytes(flipped), identity)
        except ValueError as error:
            assert "is damaged" in str(error) and "\n" not in str(error)
            refused += 1
        else:
            for name, value in vars(found).items():
                np.testing.assert_array_equal(value, getattr(whole, name))
    assert refused > 150


def test_a_damaged_manifest_is_named(cut: Path) -> None:
    file = cut / "manifest.json"
    whole = file.read_text()
    expected = {
        whole[:-20]: r"manifest.json is damaged \(.*; put back a copy, or move it away",
        "": "manifest.json is damaged",
        whole.replace('"seed": 5', '"seed": 7'): "manifest.json is damaged .*checksum",
        '{"name": "a page on the web"}': "manifest.json is not the manifest of a study",
    }
    for content, message in expected.items():
        file.write_text(content)
        for resume in (True, False):
            with pytest.raises(ValueError, match=message):
                run_study(ARGUMENTS, StudyFolder(cut), resume=resume, overwrite=not resume)
        assert file.read_text() == content and len(list((cut / "chunks").iterdir())) == 6


def test_a_finished_study_is_extended(tmp_path: Path, cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To more replications, twice, from ends that are no multiple of a chunk: nothing is run again, and the tables are
    those of a study of that many."""
    ran = runs(monkeypatch)
    monkeypatch.setattr(study.time, "monotonic", itertools.count().__next__)
    seconds = [StudyFolder(cut).read_manifest()["seconds"]]
    for replications in (21, 34):
        more = dataclasses.replace(ARGUMENTS, replications=replications)
        run_study(more, StudyFolder(cut), resume=True)
        seconds.append(StudyFolder(cut).read_manifest()["seconds"])
    assert ran == [range(20, 21)] * 2 + [range(21, 29), range(29, 34)] * 2
    assert seconds[0] < seconds[1] < seconds[2]
    run_study(more, StudyFolder(tmp_path / "fresh"))
    assert tables(cut) == tables(tmp_path / "fresh")
    with pytest.raises(ValueError, match=r"replications = 33, expected the 34 that .* was begun with, or more"):
        run_study(dataclasses.replace(ARGUMENTS, replications=33), StudyFolder(cut), resume=True)


def test_one_process_at_a_time(cut: Path) -> None:
    before = (cut / "manifest.json").read_bytes()
    with StudyFolder(cut).held():
        for resume in (True, False):
            with pytest.raises(ValueError, match=f"{cut} is in use by another process"):
                run_study(ARGUMENTS, StudyFolder(cut), resume=resume, overwrite=not resume)
    assert (cut / "manifest.json").read_bytes() == before


def test_files_that_a_study_was_made_from(tmp_path: Path) -> None:
    """A source that has changed is refused, a module that has changed is told of."""
    source, folder = tmp_path / "wins.csv", StudyFolder(tmp_path / "study")
    rows = [[0.5 if i == j else 0.7 if i < j else 0.3 for j in range(5)] for i in range(5)]
    source.write_text("\n".join(",".join(map(str, row)) for row in rows))
    small = dataclasses.replace(ARGUMENTS, sources=(str(source),), samplers=("llm-po",), replications=4)
    run_study(small, folder, imported={"file": "mine.py", "sha256": "0"})
    with pytest.warns(UserWarning, match=r"mine.py has changed since the study in .* was begun"):
        run_study(small, folder, resume=True, imported={"file": "mine.py", "sha256": "1"})
    source.write_text(source.read_text().replace("0.7", "0.70"))
    with pytest.raises(ValueError, match=r"wins.csv is not what it was when the study in .* was begun"):
        run_study(small, folder, resume=True)


def test_the_disk_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "study", tmp_path / ("long" * 100)):
        with pytest.raises((ValueError, OSError), match=str(path)):
            run_study(ARGUMENTS, StudyFolder(path))
