"""`llmpo-jax live` as a person meets it, with an endpoint on loopback."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import llmpo_jax as lp
from llmpo_jax.live.protocol import Policy
from llmpo_jax.report import live_display, live_report, live_words
from tests.live.fake_server import FakeServer, Reply, asked, completion, refusal
from tests.test_cli import fails, run

ROOT = Path(__file__).parents[2]

FILE = """
inputs = "inputs.jsonl"
folder = "out"
[endpoint]
url = "{url}"
model = "tiny"
key = "LLMPO_TEST_KEY"
tries = 2
prices.tiny = {{ prompt = 1.0, completion = 2.0 }}
[[policies]]
temperature = 0.7
[policies.template]
good = "plural of {{input}}?"
"fair [v2] | x" = "many {{input}}"
"<b>poor</b>" = "{{input}}"
[judge]
kind = "exact"
[experiment]
delta = {delta}
[limits]
in_flight = 4
"""
CHANCES = {"plural": 0.95, "many": 0.4}
SECRET = "sk-very-secret-0123456789"


def answering(body: dict[str, Any]) -> Reply:
    """The right plural with a chance that depends on the prompt."""
    words = asked(body).rstrip("?").split()
    luck = zlib.crc32(f"{words[-1]} {body['seed']} {words[0]}".encode()) / 2**32
    return completion(words[-1] + "s" if luck < CHANCES.get(words[0], 0.1) else "no idea")


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A function that writes an experiment for a server, and its path."""
    monkeypatch.setenv("LLMPO_TEST_KEY", SECRET)

    def write(url: str, delta: Any = 0.05, text: str = FILE) -> str:
        rows = [{"input": word, "output": word + "s"} for word in ("cat", "dog", "cow", "hen", "pig")]
        (tmp_path / "inputs.jsonl").write_text("\n".join(map(json.dumps, rows)))
        (tmp_path / "e.toml").write_text(text.format(url=url, delta=delta))
        return str(tmp_path / "e.toml")

    return write


@pytest.mark.parametrize("command", ["init", "run", "status", "ask", "tell", "export"])
def test_help_shows_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run("live", command, "--help") == 0
    assert f"llmpo-jax live {command} " in capsys.readouterr().out.split("usage:", 1)[1].split("\n", 1)[1]


def test_from_a_file_to_a_verdict(tmp_path, written, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeServer(answering) as server:
        assert run("live", "run", written(server.url)) == 0
        seen = capsys.readouterr().out
        calls = len(server.calls)
        assert run("live", "run", written(server.url)) == 0
        assert len(server.calls) == calls
        assert all(call.headers["Authorization"] == f"Bearer {SECRET}" for call in server.calls)
    assert "Proven winner. If one policy beats all others, it is good, at error level 0.05" in seen
    assert "fair [v2] | x" in seen and "<b>poor</b>" in seen and " leads, " in seen
    report = (tmp_path / "out" / "report.md").read_text()
    assert "Proven winner." in report and r"fair \[v2\] \| x" in report
    assert "llmpo-jax live run" in report and "right (95 % interval)" in report
    page = (tmp_path / "out" / "report.html").read_text()
    HTMLParser().feed(page)
    assert "data:image/svg+xml" in page and "&lt;b&gt;poor&lt;/b&gt;" in page and "<b>poor" not in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    for path in (tmp_path / "out").iterdir():
        assert SECRET not in path.read_text()
    assert run("live", "status", str(tmp_path / "out")) == 0
    assert "Proven winner." in capsys.readouterr().out
    assert run("live", "status", str(tmp_path / "out"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["winner"] == "good"


def test_what_is_exported_is_read_by_identify(tmp_path, written, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeServer(answering) as server:
        run("live", "run", written(server.url))
    battles = tmp_path / "battles.csv"
    assert run("live", "export", str(tmp_path / "out"), str(battles)) == 0
    capsys.readouterr()
    assert run("live", "export", str(tmp_path / "out")) == 0
    assert capsys.readouterr().out == battles.read_text()
    assert run("identify", str(battles)) == 0
    assert "it is good, at error level 0.05" in capsys.readouterr().out


def test_people_judge_by_ask_and_tell(tmp_path, written, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    file, folder = written("http://127.0.0.1:9/v1"), str(tmp_path / "out")
    assert run("live", "ask", file, "-n", "3") == 0
    asks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [ask["id"] for ask in asks] == [1, 2, 3]
    assert set(asks[0]) == {"id", "first", "second", "input", "swapped", "seed"}
    told = '{"id": 2, "verdict": "first"}\n\n{"id": 1, "verdict": "tie", "detail": {"who": "me"}}\n'
    told += '{"id": 3, "verdict": "both"}\n'
    monkeypatch.setattr("sys.stdin", io.StringIO(told))
    assert "line 4 of the verdicts: verdict = 'both', expected one of first" in fails(capsys, "live", "tell", folder)
    monkeypatch.setattr("sys.stdin", io.StringIO("[1, 2]\n"))
    assert "line 1 of the verdicts is [1, 2], expected" in fails(capsys, "live", "tell", folder)
    monkeypatch.setattr("sys.stdin", io.StringIO('{"id": 3}\n'))
    assert "line 1 of the verdicts: 'verdict' is missing" in fails(capsys, "live", "tell", folder)
    assert run("live", "export", folder) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert run("live", "ask", folder, "--pending") == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == [3]
    monkeypatch.setattr("sys.stdin", io.StringIO('{"id": 3, "verdict": "void"}\n'))
    assert run("live", "tell", folder) == 0
    assert "3 comparisons: 1 decided, 1 ties, 1 void, 0 in flight." in capsys.readouterr().out


def test_what_is_told_behind_a_pending_ask_is_not_exported(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    with lp.Experiment.create(tmp_path / "e", ["a", "b"], ["x", "y"]) as experiment:
        for ask in experiment.ask(4):
            if ask.id != 2:
                experiment.tell(ask.id, "first")
    assert run("live", "export", str(tmp_path / "e")) == 0
    seen = capsys.readouterr()
    assert len(seen.out.splitlines()) == 2 and "2 verdicts behind ask 2, which is pending, are left out" in seen.err


def test_init_writes_what_runs_and_overwrites_nothing(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new" / "EXPERIMENT.toml"
    assert run("live", "init", str(file)) == 0
    assert "exists, expected a file that does not" in fails(capsys, "live", "init", str(file))
    with FakeServer(answering) as server:
        text = file.read_text().replace("http://127.0.0.1:8000/v1", server.url)
        file.write_text(text.replace("max_comparisons = 2000", "max_comparisons = 20"))
        assert run("live", "run", str(file)) == 0
    assert (tmp_path / "new" / "results" / "plurals" / "journal.jsonl").exists()


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (lambda body: refusal(401, f"Incorrect API key provided: {SECRET}"), "answered 401 Unauthorized"),
        (lambda body: refusal(404, "The model `tiny` does not exist", "model_not_found"), "does not exist"),
        (lambda body: refusal(500, "boom"), "failed in "),
    ],
)
def test_what_cannot_be_mended_is_one_line(tmp_path, written, capsys, reply: Any, message: str) -> None:
    with FakeServer(reply) as server:
        line = fails(capsys, "live", "run", written(server.url))
    assert message in line and SECRET not in line
    with FakeServer(answering) as server:
        assert run("live", "run", written(server.url)) == 0


def test_bad_files_leave_nothing_behind(tmp_path, written, capsys: pytest.CaptureFixture[str]) -> None:
    assert "delta" in fails(capsys, "live", "run", written("http://127.0.0.1:9/v1", delta=0))
    assert "no such file" in fails(capsys, "live", "run", str(tmp_path / "none.toml"))
    assert "holds no experiment" in fails(capsys, "live", "status", str(tmp_path))
    assert not (tmp_path / "out").exists()


def test_another_configuration_is_refused(written, capsys: pytest.CaptureFixture[str]) -> None:
    run("live", "ask", written("http://127.0.0.1:9/v1"))
    capsys.readouterr()
    assert "delta was 0.05, now 0.01" in fails(capsys, "live", "run", written("http://127.0.0.1:9/v1", delta=0.01))


def test_interrupted_it_says_how_to_go_on(tmp_path, written) -> None:
    def slow(body: dict[str, Any]) -> Reply:
        time.sleep(0.1)
        return answering(body)

    with FakeServer(slow) as server:
        command = [sys.executable, "-m", "llmpo_jax.cli", "live", "run", written(server.url, delta=1e-9)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
            deadline = time.time() + 120
            while len(server.calls) < 20 and time.time() < deadline:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate()
    assert process.returncode == 130
    assert "Stopped. What is paid for is kept: the same command goes on." in out and "Traceback" not in err
    with lp.Experiment.open(tmp_path / "out") as experiment:
        assert experiment.status().usage.calls > 0


def _experiment(folder: Path) -> lp.Experiment:
    """Eleven comparisons of policies with awkward names."""
    names = ("日本語 [x]", "a|b", "*c*")
    experiment = lp.Experiment.create(folder, [Policy(name=name, temperature=0.0) for name in names], ["x", "y"])
    for _ in range(11):
        (ask,) = experiment.ask()
        verdict = "tie" if ask.id == 4 else "first" if names.index(ask.first) < names.index(ask.second) else "second"
        experiment.tell(ask.id, verdict, detail={"right": [True, False]})
    return experiment


def test_the_display_on_a_terminal_and_without(tmp_path) -> None:
    with _experiment(tmp_path / "e") as experiment:
        status = experiment.status()
    terminal, plain = (
        Console(file=io.StringIO(), width=100, force_terminal=terminal, color_system=None) for terminal in (True, False)
    )
    now = iter([0.0, 1.0, 2.0])
    for console in (terminal, plain):
        with live_display.display(console, 0.05, lambda: next(now)) as show:
            for _ in range(3):
                show(status)
    seen, lines = terminal.file.getvalue(), plain.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "日本語 [x] leads" in seen and "━" in seen and "10 decided, 1 ties" in seen
    assert len(lines) == 1 and lines[0].startswith("日本語 [x] leads, ") and "of 3.00" in lines[0]


def test_a_judge_that_decides_nothing_is_remarked(tmp_path) -> None:
    with lp.Experiment.create(tmp_path / "e", ["a", "b"], ["x", "y"]) as experiment:
        for number in range(1, 21):
            assert "Nothing is decided" not in " ".join(live_words.lines(experiment.status())), number
            experiment.tell(experiment.ask()[0].id, "tie")
        assert "Nothing is decided" in " ".join(live_words.lines(experiment.status()))


def test_the_report_escapes_names(tmp_path) -> None:
    with _experiment(tmp_path / "e") as experiment:
        written = live_report.write(experiment, "llmpo-jax live run <x>", "exact match")
        text = written[0].read_text()
        table = [line for line in text.splitlines() if line.startswith("|")]
        assert len(table) == 5 and any(r"a\|b" in line for line in table)
        assert "about this table of answers" in text
        assert "&lt;x&gt;" in written[1].read_text()
        assert "right (95 %)" in str(live_words.table(experiment.status()).headers)
