"""Nothing is lost: torn lines, damage, kills, a full disk, another process, another configuration."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import llmpo_jax as lp
from tests.live.driving import Answers, create, drive, names
from tests.live.test_experiment import MU

ROOT = Path(__file__).parents[2]


def journal(folder: Path) -> Path:
    return folder / "journal.jsonl"


def test_what_was_told_is_there_again(tmp_path):
    answers = Answers(MU, 0, names(5))
    with drive(create(tmp_path / "e", 5, delta=0.1), answers, 40) as experiment:
        for ask in experiment.ask(8)[3:6]:
            experiment.tell(ask.id, answers(ask))
        status, pending, history = experiment.status(), experiment.pending, experiment.history
    with lp.Experiment.open(tmp_path / "e") as again:
        assert (again.status(), again.pending, again.history, again.notes) == (status, pending, history, [])
        (one,) = again.ask()
        assert one.id == 49


def test_a_torn_last_line_is_cut_off(tmp_path):
    with drive(create(tmp_path / "e", 5), Answers(MU, 0, names(5)), 5) as experiment:
        status = experiment.status()
    whole = journal(tmp_path / "e").read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in (last + 1, len(whole) - 1):
        journal(tmp_path / "e").write_bytes(whole[:cut])
        with lp.Experiment.open(tmp_path / "e") as again:
            assert [ask.id for ask in again.pending] == [5]
            again.tell(5, experiment.comparisons[4][1])
            assert again.status() == status
        assert journal(tmp_path / "e").read_bytes() == whole


@pytest.mark.parametrize("change", [b"x", b"", b"\xff"])
def test_damage_in_the_middle_is_placed(tmp_path, change: bytes):
    drive(create(tmp_path / "e", 5), Answers(MU, 0, names(5)), 5).close()
    lines = journal(tmp_path / "e").read_bytes().split(b"\n")
    lines[4] = lines[4][:20] + change + lines[4][21:]
    journal(tmp_path / "e").write_bytes(b"\n".join(lines))
    with pytest.raises(ValueError, match="line 5 of the journal is damaged"):
        lp.Experiment.open(tmp_path / "e")
    assert journal(tmp_path / "e").read_bytes() == b"\n".join(lines)


def test_a_record_that_makes_no_sense_is_placed(tmp_path):
    drive(create(tmp_path / "e", 5), Answers(MU, 0, names(5)), 3).close()
    lines = journal(tmp_path / "e").read_bytes().splitlines(keepends=True)
    journal(tmp_path / "e").write_bytes(b"".join([*lines, lines[2]]))
    with pytest.raises(ValueError, match=r"line 8 of the journal makes no sense: id = 1 is told already"):
        lp.Experiment.open(tmp_path / "e")


def test_the_journal_is_json_lines_without_secrets(tmp_path):
    with create(tmp_path / "e", 5) as experiment:
        experiment.tell(experiment.ask()[0].id, "tie", detail={"why": "日本 \ud800 \u2028"})
    records = [json.loads(line) for line in journal(tmp_path / "e").read_text().split("\n")[:-1]]
    assert [record["type"] for record in records] == ["header", "ask", "tell"]
    with lp.Experiment.open(tmp_path / "e") as again:
        assert again.status().ties == 1


def test_a_second_one_is_refused_and_may_look(tmp_path):
    with create(tmp_path / "e", 5) as experiment:
        experiment.ask(2)
        code = f"import llmpo_jax as lp; lp.Experiment.open({str(tmp_path / 'e')!r})"
        refused = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        assert "is in use by another process" in refused.stderr
        with lp.Experiment.open(tmp_path / "e", read_only=True) as other:
            assert len(other.pending) == 2
            with pytest.raises(ValueError, match="open for reading only"):
                other.ask()
    with lp.Experiment.open(tmp_path / "e") as again:
        again.ask()
    with pytest.raises(ValueError, match="is closed"):
        again.ask()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"delta": 0.01}, "delta was 0.05, now 0.01"),
        ({"policies": ["a", "c"]}, r"policies\[1\] was 'b', now 'c'"),
        ({"policies": ["a", "b", "c"]}, "policies had 2 entries, now 3"),
        ({"inputs": ["x", "z"]}, r"inputs\[1\] was 'y', now 'z'"),
        ({"extra": {"judge": "other"}}, "extra was"),
        ({"seed": 1}, "seed was 0, now 1"),
    ],
)
def test_another_configuration_is_refused_with_the_difference(tmp_path, change: dict, message: str):
    given: dict = {"policies": ["a", "b"], "inputs": ["x", "y"]}
    lp.Experiment.create(tmp_path / "e", **given).close()
    lp.Experiment.create(tmp_path / "e", **given, resume=True).close()
    with pytest.raises(ValueError, match="holds an experiment already; expected a new folder"):
        lp.Experiment.create(tmp_path / "e", **given)
    for resume in (False, True):
        with pytest.raises(ValueError, match=message):
            lp.Experiment.create(tmp_path / "e", **given | change, resume=resume)


def test_nothing_is_no_experiment(tmp_path):
    with pytest.raises(ValueError, match="holds no experiment"):
        lp.Experiment.open(tmp_path)
    journal(tmp_path).write_text("some text\n")
    with pytest.raises(ValueError, match="line 1 of the journal is damaged"):
        lp.Experiment.open(tmp_path)


def test_a_full_disk_is_told_and_leaves_a_whole_journal(tmp_path):
    """The file may not grow beyond a limit, as on a full disk: a part of a record is written, then an error comes."""
    with create(tmp_path / "e", 5) as experiment:
        (ask,) = experiment.ask()
        size = journal(tmp_path / "e").stat().st_size
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
            with pytest.raises(ValueError, match=r"cannot write .*journal.jsonl: File too large; what was told before"):
                experiment.tell(ask.id, "first")
            with pytest.raises(ValueError, match="cannot write"):
                experiment.ask()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        assert journal(tmp_path / "e").stat().st_size == size
        experiment.tell(ask.id, "first")
    with lp.Experiment.open(tmp_path / "e") as again:
        assert again.status().decided == 1


WORKER = """
import asyncio, hashlib, os, sys
import jax
import llmpo_jax as lp
from llmpo_jax.live.protocol import Answer, Usage

# In one piece even where Python does not buffer: who is killed in the middle of a line glues the next one to it.
def say(line):
    os.write(1, f"{line}\\n".encode())

QUALITY = {"p0": 0.85, "p1": 0.5, "p2": 0.4, "p3": 0.2, "p4": 0.1}

async def generate(policy, given, seed):
    luck = int(hashlib.sha256(f"{policy} {given} {seed}".encode()).hexdigest()[:8], 16)
    await asyncio.sleep(luck % 997 / 997 * 0.01)
    say(f"paid {policy} {given} {seed}")
    return Answer("right" if luck / 2**32 < QUALITY[policy] else "wrong", Usage(calls=1, cost=0.01))

def judge(given, first, second):
    return "tie" if first == second else "first" if first == "right" else "second"

def run():
    experiment = lp.Experiment.create(sys.argv[1], list(QUALITY), ["x", "y", "z"], seed=4, delta=1e-6, resume=True)
    status = asyncio.run(experiment.run(generate, judge, in_flight=8))
    say(f"end {status.winner} {status.stop}")

# Every line on stdin is a run of its own: what takes long to import is imported once.
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run()
        os._exit(0)
    say(f"child {child}")
    _, code = os.waitpid(child, 0)
    say(f"over {code}")
"""


def _lines(worker: subprocess.Popen) -> list[str]:
    """What a run printed, until it was over."""
    assert worker.stdout is not None
    lines = []
    for line in worker.stdout:
        lines.append(line.strip())
        if line.startswith("over"):
            return lines
    raise AssertionError("the worker died")


def test_killed_at_random_moments_it_goes_on_to_the_same_verdict(tmp_path):
    """Eight times by SIGKILL with eight comparisons in flight, once with a torn line; no call is paid for twice but
    those in flight when it was killed."""
    command = [sys.executable, "-c", WORKER]
    rng = random.Random(0)
    verdicts, killed = [], 0
    for folder, kills in ((tmp_path / "undisturbed", 0), (tmp_path / "killed", 8)):
        with subprocess.Popen(
            [*command, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as worker:
            assert worker.stdin is not None and worker.stdout is not None
            paid: list[str] = []
            while True:
                worker.stdin.write("go\n")
                worker.stdin.flush()
                child = int(worker.stdout.readline().split()[1])
                if killed < kills:
                    before = journal(folder).stat().st_size if journal(folder).exists() else 0
                    enough = before + rng.randrange(1, 4000)
                    while not journal(folder).exists() or journal(folder).stat().st_size < enough:
                        time.sleep(0.001)
                        if journal(folder).exists() and b'"stop"' in journal(folder).read_bytes()[-400:]:
                            break
                    os.kill(child, signal.SIGKILL)
                    killed += 1
                lines = _lines(worker)
                paid += [line for line in lines if line.startswith("paid")]
                if killed == kills // 2 and kills:
                    with journal(folder).open("ab") as file:
                        file.write(b'{"type": "tell", "id": 3, "verd')
                ends = [line for line in lines if line.startswith("end")]
                if ends:
                    verdicts.append(ends[0])
                    break
            worker.stdin.close()
        again = len(paid) - len(set(paid))
        assert again <= kills * 16
        assert kills in (0, killed)
        with lp.Experiment.open(folder) as experiment:
            assert experiment.status().usage.calls >= len(set(paid)) - 16 * (kills + 1)
    assert verdicts == ["end p0 winner"] * 2
