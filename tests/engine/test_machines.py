"""The same results for any number of devices, processes and chunks; and nothing is lost when a study dies."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl
import pytest

from llmpo_jax import cli, models, simulate
from llmpo_jax.engine import storage, study, workers
from llmpo_jax.engine.preparation import Settings, prepare
from llmpo_jax.engine.processes import join
from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.engine.study import Arguments, run_study

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("table.parquet", "pairs.parquet", "summary.csv")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_ENABLE_X64": "0"}

# Devices.


def outcome(space: str) -> list[Any]:
    """What is compared: a run in this space, on the devices of this process."""
    if space == "structured":
        model, procedure = models.instances.make("linear-bradley-terry", 8, 0, dimension=3), ("llm-po", "stylised")
    else:
        model = models.instances.make("random-condorcet", num_policies=5, seed=4, gap=0.1)
        procedure = "epsilon-greedy", "e-process"
    asked: dict[str, Any] = {"deltas": (0.1, 0.01), "budgets": (10, 100), "replications": 50, "max_comparisons": 600}
    result = simulate(model, *procedure, **asked)
    found = (result.stopping_time, result.recommendation, result.budget_recommendation, result.counts)
    return [jax.local_device_count(), *(each.tolist() for each in found)]


@pytest.mark.parametrize(("devices", "space"), [(4, "unstructured"), (2, "structured")])
def test_devices(devices: int, space: str) -> None:
    """The lanes split over several devices (here of the host) give what one device gives, bit for bit."""
    code = f"import json; from tests.engine.test_machines import outcome; print(json.dumps(outcome({space!r})))"
    environment = {**ENVIRONMENT, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=200)
    number, *split = json.loads(done.stdout)
    one, *whole = outcome(space)
    assert (number, one) == (devices, 1)
    assert split == whole
    assert len({tuple(times) for times in whole[0]}) > 25, "equality of constants would prove nothing"


# Chunks.


@pytest.mark.parametrize("size", [1, 7, 64])
def test_chunks(size: int) -> None:
    """However the replications are cut into chunks, and in whatever order these are completed."""
    model = models.instances.make("random-condorcet", num_policies=5, seed=4, gap=0.1)
    prepared = prepare(model, "llm-po", "e-process", Settings((0.1, 0.01), (10, 100), 600, replications=40))
    whole = workers.run(prepared.procedure, prepared.plan, range(40))
    chunks = [range(start, min(start + size, 40)) for start in range(0, 40, size)]
    parts = dict(workers.stream(prepared.procedure, prepared.plan, chunks))
    assert sorted(parts) == list(range(len(chunks)))
    joined = workers.Arrays.joined([parts[index] for index in range(len(chunks))])
    for name in ("stopping_time", "recommendation", "budget_recommendation", "counts"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))


def test_most_of_the_work_is_useful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes that are over take up the next replications: over 85 % of what is simulated counts, though stopping times
    spread over more than 10x. Measured: 89.7 %, from 83 to 4,928 comparisons."""
    monkeypatch.setattr(workers, "layout", lambda replications: (2, 16))
    model = models.instances.make("hidden-winner", num_policies=5)
    result = simulate(model, "llm-po", "e-process", deltas=(0.1, 0.01), budgets=(10, 100), replications=1000)
    times = result.stopping_time[:, -1]
    assert times.max() > 10 * times.min()
    assert 0.85 < result.needed / result.simulated <= 1


# Processes.

SOURCES = ("random-condorcet:5,gap=0.2", "linear-bradley-terry:8,3")
STUDY = ("--samplers", "llm-po", "--stopping", "stylised", "--delta", "0.1", "0.2", "--budgets", "10", "20")
STUDY = (*STUDY, "--replications", "31", "--max-comparisons", "1000", "--name", "x", "--output")


def start(*arguments: str, code: str = "", environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """The command line in another process; `code` runs before it."""
    script = f"import sys\n{code}\nfrom llmpo_jax.cli import main\nmain(sys.argv[1:])"
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    place = {**ENVIRONMENT, **(environment or {})}
    return subprocess.Popen([sys.executable, "-c", script, *arguments], env=place, **pipes)


def tables(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TABLES}


def by_arguments(port: int, index: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """What tells a process its place: arguments and environment, here the former."""
    return ("--coordinator", f"localhost:{port}", "--num-processes", "2", "--process-id", str(index)), {}


def by_slurm(port: int, index: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """As Slurm tells it, with JAX_COORDINATOR_PORT in place of a port made from the number of the job."""
    told = {"JOB_ID": "1", "STEP_NODELIST": "localhost", "NTASKS": "2", "PROCID": str(index), "LOCALID": str(index)}
    variables = {f"SLURM_{name}": value for name, value in told.items()}
    return ("--processes",), {**variables, "JAX_COORDINATOR_PORT": str(port)}


@pytest.mark.parametrize(("place", "sources"), [(by_arguments, SOURCES[1:]), (by_slurm, SOURCES[:1])])
def test_two_processes(
    tmp_path: Path, place: Callable[[int, int], tuple[tuple[str, ...], dict[str, str]]], sources: tuple[str, ...]
) -> None:
    """Two processes that find each other at a port: one of them writes, and the tables are those of a single one."""
    command = ("study", *sources, *STUDY)
    cli.main([*command, str(tmp_path / "one")])
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = found.getsockname()[1]
    both = []
    for index in (0, 1):
        arguments, environment = place(port, index)
        both.append(start(*command, str(tmp_path / f"two-{index}"), *arguments, environment=environment))
    try:
        outputs = [process.communicate(timeout=200) for process in both]
    finally:
        for process in both:
            process.kill()
    assert [process.returncode for process in both] == [0, 0], outputs
    assert "e-process" not in outputs[1][0] and "stylised" in outputs[0][0]
    assert tables(tmp_path / "two-0" / "x") == tables(tmp_path / "one" / "x")
    assert not (tmp_path / "two-1").exists()
    assert "2 processes" in json.loads((tmp_path / "two-0" / "x" / "manifest.json").read_text())["device"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("localhost:1", None, None), "belong together"),
        (("localhost:1", 2, 2), "process_id = 2 of num_processes = 2"),
        (("localhost", 2, 0), "coordinator = 'localhost', expected HOST:PORT"),
        ((None, None, None), "expected a launcher that JAX knows, or coordinator, num_processes and process_id"),
    ],
)
def test_bad_processes(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        join(*arguments)


# Killed, full, interrupted.

SMALL_CHUNKS = """
from llmpo_jax.engine import study, workers
study.chunk_size = lambda: 8
workers.layout = lambda replications: (2, 16)
"""
"""And no more lanes than the few chunks in flight can fill."""
DYING = f"""
import os, signal
{SMALL_CHUNKS}
replace, left = os.replace, [3]
def dying(partial, target):
    left[0] -= target.suffix == ".npz"
    if left[0]:
        return replace(partial, target)
    os.truncate(partial, 10)
    os.kill(os.getpid(), signal.SIGKILL)
os.replace = dying
"""
"""Killed while the third chunk is written."""
LONG = ("study", "bradley-terry-line:4", "--samplers", "round-robin", "random-pair", "--stopping", "stylised")
LONG = (*LONG, "--delta", "1e-8", "--budgets", "50", "--replications", "480", "--name", "x", "--output")
LONG_CHUNKS = 2 * 480 // 8


def complete(*arguments: str) -> None:
    """The long study in this process, with small chunks: what is not to be killed needs no process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "chunk_size", lambda: 8)
        patch.setattr(workers, "layout", lambda replications: (2, 16))
        cli.main([*LONG, *arguments])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of the long study."""
    path = tmp_path_factory.mktemp("undisturbed")
    complete(str(path))
    return tables(path / "x")


def wait_for(chunks: Path, number: int) -> None:
    """Until the folder holds so many chunks."""
    until = time.time() + 100
    while len(list(chunks.glob("*.npz"))) < number:
        assert time.time() < until, f"{chunks} got no {number} chunks"
        time.sleep(0.01)


def test_killed_at_any_moment(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """SIGKILL in the middle of writing, then twice at a random moment, each time resumed: in the end the tables
    are those of an undisturbed run, and what was finished was never run again."""
    chunks = tmp_path / "killed" / "x" / "chunks"
    process = start(*LONG, str(tmp_path / "killed"), code=DYING)
    process.communicate(timeout=200)
    assert process.returncode == -signal.SIGKILL
    kept = {file.name: file.stat().st_mtime_ns for file in chunks.glob("*.npz")}
    assert len(kept) == 2
    moments = random.Random(0)
    for _ in range(2):
        process = start(*LONG, str(tmp_path / "killed"), "--resume", code=SMALL_CHUNKS)
        wait_for(chunks, len(kept) + moments.randrange(20))
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        now = {file.name: file.stat().st_mtime_ns for file in chunks.glob("*.npz")}
        assert kept.items() <= now.items(), "a finished chunk was run again"
        kept = now
    assert 10 < len(kept) < LONG_CHUNKS, "the kills came before or after the run"
    complete(str(tmp_path / "killed"), "--resume")
    assert tables(tmp_path / "killed" / "x") == undisturbed


SMALL = Arguments(
    sources=("bradley-terry-line:4",),
    samplers=("round-robin",),
    stopping=("stylised",),
    deltas=(0.1,),
    budgets=(50,),
    replications=40,
    max_comparisons=2000,
    existence="assumed",
    seed=0,
)


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third chunk does not fit: said in one line, the first two are kept, no half file is left; then it goes on."""
    monkeypatch.setattr(study, "chunk_size", lambda: 8)
    run_study(SMALL, StudyFolder(tmp_path / "whole"))
    written: list[Path] = []
    replace = os.replace

    def full(partial: Path, target: Path) -> None:
        if target.suffix == ".npz":
            written.append(target)
            if len(written) == 3:
                os.truncate(partial, 10)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(partial, target)

    folder = StudyFolder(tmp_path / "full")
    with monkeypatch.context() as patch:
        patch.setattr(storage.os, "replace", full)
        with pytest.raises(ValueError, match=r"cannot write .*: No space left on device; .* is kept, --resume goes on"):
            run_study(SMALL, folder)
    assert len(list((folder.path / "chunks").glob("*.npz"))) == 2
    assert not list(folder.path.rglob("*.partial"))
    run_study(SMALL, folder, resume=True)
    assert tables(folder.path) == tables(tmp_path / "whole")


def test_another_format_is_refused(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "study")
    run_study(SMALL, folder)
    folder.write_manifest({**folder.read_manifest(), "format": 1})
    with pytest.raises(ValueError, match="written by another version"):
        run_study(SMALL, folder, resume=True)


def test_interrupted(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """Ctrl-C ends the run long before it is complete, says how to go on, and it does go on to the same tables."""
    process = start(*LONG, str(tmp_path / "study"), code=SMALL_CHUNKS)
    chunks = tmp_path / "study" / "x" / "chunks"
    wait_for(chunks, 1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert not (tmp_path / "study" / "x" / "table.parquet").exists()
    assert "--resume goes on" in output
    complete(str(tmp_path / "study"), "--resume")
    assert tables(tmp_path / "study" / "x") == undisturbed
    assert len(pl.read_parquet(tmp_path / "study" / "x" / "table.parquet")) == 2 * 480 * 2
