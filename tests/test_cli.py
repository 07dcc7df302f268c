"""The command line as a person meets it: help with examples, results, and one clear line for bad input."""

from __future__ import annotations

import io
import json
import random
import sys
from importlib import metadata
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from llmpo_jax import cli
from llmpo_jax.cli.study import Study, draw_or_say
from llmpo_jax.engine.study import Arguments, prepare_cells
from llmpo_jax.report import figures
from llmpo_jax.spaces import STRUCTURED
from tests.report.toy_study import make_study
from tests.shared_files import shared

SMALL = ("--samplers", "llm-po", "round-robin", "--stopping", "e-process", "--budgets", "20", "50")
SMALL = (*SMALL, "--delta", "0.1", "0.01", "--replications", "20", "--max-comparisons", "2000")


def run(*arguments: str) -> int:
    """Exit code of a command."""
    try:
        cli.main(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command with bad input leaves on standard error."""
    assert run(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("llmpo-jax: error: ")
    return lines[0]


@pytest.mark.parametrize("command", ["study", "plot", "bound", "identify", "instances", "validate", "figures"])
def test_help_shows_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run(command, "--help") == 0
    assert f"llmpo-jax {command} " in capsys.readouterr().out.split("options", 1)[0].split("\n", 1)[1]


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"llmpo-jax {metadata.version('llmpo-jax')}\n"
    assert run() == 0
    assert "--version" in capsys.readouterr().out


def test_default_budgets_go_up_to_the_limit() -> None:
    assert Study(max_comparisons=100)._arguments().budgets == (50, 64, 81)
    assert Study(max_comparisons=100, budgets=(50, 200))._arguments().budgets == (50, 200)
    assert Study()._arguments().budgets[-1] == 3000


def test_study_leaves_tables_and_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("study", "bradley-terry-line:4", *SMALL) == 0
    folder = tmp_path / "results" / "bradley-terry-line-4"
    table = pl.read_parquet(folder / "table.parquet")
    assert len(table) == 2 * 20 * (2 + 2)
    assert json.loads((folder / "manifest.json").read_text())["complete"]
    assert len(pl.read_csv(folder / "summary.csv")) == 2 * 2
    for name in ("correct_selection", "stopping_time", "ratio", "proportions"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 10_000
    output = capsys.readouterr().out
    assert "round-robin" in output
    assert "bradley-terry-line-4 llm-po e-process: 0 of 40 replications, 0 %, 0:00:0" in output

    kept = (folder / "table.parquet").read_bytes()
    assert "--resume" in fails(capsys, "study", "bradley-terry-line:4", *SMALL)
    assert run("study", "bradley-terry-line:4", *SMALL, "--resume") == 0
    assert (folder / "table.parquet").read_bytes() == kept
    capsys.readouterr()
    assert "seed was 0, now 1" in fails(capsys, "study", "bradley-terry-line:4", *SMALL, "--resume", "--seed", "1")
    assert run("study", "bradley-terry-line:4", *SMALL, "--overwrite", "--seed", "1") == 0
    assert (folder / "table.parquet").read_bytes() != kept


def test_plot_draws_again(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_study(tmp_path / "a study", deltas=())
    assert run("plot", str(folder), "--format", "svg", "--width", "column", "--samplers", "mine") == 0
    assert [path.name for path in sorted((folder / "figures").iterdir())] == [
        "correct_selection.svg",
        "correct_selection.txt",
    ]
    assert capsys.readouterr().out == f"{folder}/figures/correct_selection.svg\n"
    assert "expected one of llm-po, round-robin, mine" in fails(capsys, "plot", str(folder), "--samplers", "rucb")
    assert "holds no study" in fails(capsys, "plot", str(tmp_path))

    def broken(folder: Path) -> None:
        raise RuntimeError("no\nfont")

    monkeypatch.setattr(figures, "draw", broken)
    (line,) = draw_or_say(folder)  # what `study` ends with
    assert "(no font)" in line and f"`llmpo-jax plot '{folder}'` draws again" in line


def test_bound_in_words_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bound", "cyclic:17", "--delta", "0.1", "1e-10", "--json") == 0
    finding = json.loads(capsys.readouterr().out)
    assert finding["forms"]["assumed"]["characteristic_time"] == pytest.approx(43.4706762797919)
    assert finding["forms"]["certify"]["characteristic_time"] == pytest.approx(3194.6541638894955)
    assert run("bound", "cyclic:17", "--delta", "0.1") == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "fewer than 76 comparisons on average (5,615 to certify)" in words


def test_bound_with_ties_and_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the comparisons tied, each at a cost of 0.05: a tenth of the number of comparisons."""
    costs = tmp_path / "costs.csv"
    costs.write_text("".join(f"policy-{k},0.025\n" for k in range(17)))
    both = ("--ties", "0.5", "--costs", str(costs), "--delta", "0.1")
    assert run("bound", "cyclic:17", *both, "--json") == 0
    finding = json.loads(capsys.readouterr().out)
    assert finding["forms"]["assumed"]["characteristic_time"] == pytest.approx(4.34706762797919)
    assert (finding["unit"], finding["ties"]) == ("cost", [0.5, 0.5])
    assert run("bound", "cyclic:17", *both) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "4.34707 units of cost per nat of evidence" in words and "50.0% end in a tie, which says nothing" in words
    assert "costs less than 7.641 on average (561.5 to certify)" in words
    assert "ties = 1, expected a number in [0, 1)" in fails(capsys, "bound", "cyclic:17", "--ties", "1")
    assert "no cost for policy-17" in fails(capsys, "bound", "cyclic:18", "--costs", str(costs))


def test_what_an_encoding_lacks_is_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Output forced to ASCII: names are escaped, and nothing fails after the work is done."""
    (tmp_path / "wins.csv").write_text(",café,b\ncafé,0.5,0.8\nb,0.2,0.5\n", encoding="utf-8")
    with io.TextIOWrapper(io.BytesIO(), encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert run("bound", str(tmp_path / "wins.csv")) == 0
        stream.seek(0)
        text = stream.read()
        monkeypatch.undo()
    assert "the winner is caf\\xe9" in text
    assert len({len(line) for line in text.splitlines() if "1.0000" in line or "proportion " in line}) == 1


def battles(path: Path, rows: list[str]) -> str:
    file = path / "battles.csv"
    file.write_text("model_a,model_b,winner\n" + "\n".join(rows) + "\n")
    return str(file)


def identify(capsys: pytest.CaptureFixture[str], log: str | Path, *arguments: str) -> str:
    assert run("identify", str(log), "--replications", "20", *arguments) == 0
    return " ".join(capsys.readouterr().out.split())


def test_identify_names_a_winner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["good,bad,model_a"] * 30 + ["bad,good,tie"] * 3 + ["bad,good,model_a"] * 2
    words = identify(capsys, battles(tmp_path, rows))
    assert "If one policy beats all others (a Condorcet winner), it is good, at error level 0.05" in words
    assert "Proven without that assumption, too, at error level 0.05: good beats every other policy." in words
    assert "35 comparisons of 2 policies, 3 of them ties" in words
    assert "LLM-PO would have needed" in words and "never compared" not in words
    assert "good not refuted 0.00" in words and "good +" in words and "Compare next" not in words


def test_identify_and_bound_say_the_same_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """3.82 decided comparisons; with a tie in 3, by `tie_shares` 7 in 26, 5.23: no procedure needs fewer than 5."""
    log = battles(tmp_path, ["a,b,model_a", "b,a,model_b", "a,b,tie"])
    words = identify(capsys, log)
    assert "Replaying the log as the simulator, ties included, LLM-PO" in words and "the lower bound is 5)" in words
    assert run("bound", log, "--ties", log) == 0
    assert "needs fewer than 5 comparisons" in " ".join(capsys.readouterr().out.split())


def test_identify_as_json_with_a_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All that is printed, in JSON that every reader accepts; names as given, whole, in a narrow terminal, too."""
    names = ["[/models/run1/ckpt-200]", "[/models/run1/ckpt-400] with a long name"]
    log = battles(tmp_path, [f"{names[0]},{names[1]},model_a"] * 32)
    assert run("identify", log, "--replications", "20", "--json") == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert found["verdict"] == "winner" and found["winner"] == names[0] and found["proven"] and found["next"] == []
    assert found["policies"][1]["log10_level"] < -7 and found["policies"][1]["refuted"]
    assert found["ranking"]["policies"][0]["best"] == 1 and found["ranking"]["policies"][0]["high"] == 1
    assert found["replay"]["bound"] == pytest.approx(3.823, abs=1e-3)

    log = battles(tmp_path, ["a,b,model_a", "b,a,model_a"])
    assert run("identify", log, "--replications", "20", "--json", "--next", "8") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "undecided" and found["winner"] is None and found["remaining"] is None
    assert sum(row["times"] for row in found["next"]) == 8 and "the pairs below" in " ".join(found["words"])
    assert "next = 0" in fails(capsys, "identify", log, "--next", "0")


def test_identify_folds_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "summarize [openai:gpt-4o] with examples and at temperature 0."
    monkeypatch.setattr("llmpo_jax.cli.identify.console", Console(width=40, highlight=False))
    log = battles(tmp_path, [f"{name}1,{name}2,model_a", f"{name}2,{name}1,model_a"])
    table = "".join(identify(capsys, log).split("refute it at level")[1].split())
    assert all(part in table for part in ("[open", "ai:gp", "0.1", "0.2"))


def test_identify_is_undecided_and_says_what_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = identify(capsys, battles(tmp_path, ["a,b,model_a", "b,c,model_a"]))
    assert "Undecided at error level 0.05: 3 of 3 policies are not refuted" in words
    assert "Never compared: a - c." in words
    assert "Compare next: " in words
    assert "who wins by them hangs on pairs that were never compared (a - c)" in words
    assert "no Condorcet winner" not in words


CYCLE = ["a,b,model_a", "b,c,model_a", "c,a,model_a"]


def test_identify_finds_that_there_is_no_winner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = identify(capsys, battles(tmp_path, CYCLE * 40))
    assert "No policy beats all others (no Condorcet winner), at error level 0.05: every one is refuted" in words
    assert "No policy wins against all others by the win rates of the log, so LLM-PO is not replayed" in words


def test_identify_tells_what_rests_on_the_assumption(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a - c hardly anything is known: that a beats all others follows only if some policy does. The pairs that
    were never compared matter to nobody who may win by the rates."""
    rows = ["a,b,model_a", "b,c,model_a", "b,d,model_a"] * 30 + ["a,c,model_a", "a,d,model_a"]
    words = identify(capsys, battles(tmp_path, rows))
    assert "If one policy beats all others (a Condorcet winner), it is a, at error level 0.05" in words
    assert "Not proven without that assumption: a is not yet proven to beat c, d. Compare next: a with c." in words
    assert "Never compared: c - d." in words
    assert "never compared, none of them with the winner by the rates, were taken to be even" in words


def test_bound_and_study_need_the_pairs_that_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = battles(tmp_path, ["a,b,model_a", "c,d,model_a"] * 5)
    for command in ("bound", "study"):
        assert "never compared (a - c, a - d, b - c), expected" in fails(capsys, command, log)
    # No policy wins, whatever a - d is: nothing is said of it.
    assert run("bound", battles(tmp_path, [*CYCLE, "b,d,model_a", "c,d,model_a"])) == 2
    error = capsys.readouterr().err
    assert "whatever the pairs never compared would show" in error and "(0.5)" not in error
    # d loses to everybody it met, so a - d does not matter for the winner b.
    assert run("bound", battles(tmp_path, ["b,a,model_a", "b,c,model_a", "b,d,model_a", "a,c,model_a"] * 3)) == 0
    captured = capsys.readouterr()
    assert "the winner is b" in captured.out and "taken to be even" in captured.err


def test_identify_does_not_weigh_sorted_rows_in_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = battles(tmp_path, ["new,old,model_a"] * 55 + ["new,old,model_b"] * 45)
    words = identify(capsys, log)
    assert "No verdict: outcomes repeat" in words and "one log of 1,000,000" in words and "--order any" in words
    assert "refuted" not in words and "beats" not in words
    words = identify(capsys, log, "--order", "any")
    assert "Undecided at error level 0.05: 2 of 2 policies" in words and "in no particular order" in words
    words = identify(capsys, battles(tmp_path, ["new,old,model_a"] * 80 + ["new,old,model_b"] * 20), "--order", "any")
    assert "it is new, at error level 0.05" in words


def test_identify_does_not_weigh_several_rows_of_one_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    winners = random.Random(0).choices(range(4), k=120)
    rows = [f"v{winner},v{other},model_a" for winner in winners for other in range(4) if other != winner]
    for order in ("log", "any"):
        words = identify(capsys, battles(tmp_path, rows), "--order", order)
        assert "several rows stem from one verdict" in words and "keep one row of each verdict" in words
        assert "refuted" not in words


@pytest.mark.parametrize(
    ("name", "order", "expected", "absent"),
    [
        ("c11_disconnected", "log", "2 parts that were never compared with each other: a, b | c, d.", "has no"),
        ("c12_gauntlet", "log", "hangs on pairs that were never compared (CT800 - Chal, ", "No policy"),
        (
            "c14_knockout",
            "log",
            "hangs on pairs that were never compared (p1 - p4, p1 - p6, p1 - p7, p1 - p8)",
            "parts",
        ),
        ("c16_nway", "log", "several rows stem from one verdict", "refuted"),
        ("c16_nway", "any", "several rows stem from one verdict", "refuted"),
        ("c13b_counts", "log", "the order of the comparisons is lost. What to do: --order any", "refuted"),
        ("c17_sorted", "log", "the rows are sorted by outcome", "refuted"),
        ("c17_sorted", "any", "Undecided", "is new"),
        ("c17_shuffled", "log", "Undecided", "is new"),
        ("c17_shuffled", "any", "Undecided", "is new"),
    ],
)
def test_identify_on_files_that_people_have(
    capsys: pytest.CaptureFixture[str], name: str, order: str, expected: str, absent: str
) -> None:
    words = identify(capsys, shared(f"cases/{name}.csv"), "--order", order)
    assert expected in words and absent not in words


def test_columns_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "votes.csv"
    log.write_text("old,new,choice\nx,y,A\nx,y,A\nx,y,B\n")
    assert "no columns for the two policies among old, new, choice" in fails(capsys, "bound", str(log))
    assert "columns = 'old,new', expected first=NAME" in fails(capsys, "bound", str(log), "--columns", "old,new")
    assert run("bound", str(log), "--columns", "first=old,second=new,winner=choice") == 0
    assert "the winner is x" in capsys.readouterr().out


def features(path: Path, rows: list[str]) -> str:
    file = path / "features.csv"
    file.write_text("policy,length,tone\n" + "\n".join(rows) + "\n")
    return str(file)


def test_structured_study(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear instance is run in the structured space without being told to, by default with its usual samplers."""
    monkeypatch.chdir(tmp_path)
    asked = ("--replications", "4", "--max-comparisons", "500", "--stopping", "stylised", "--delta", "0.1", "0.01")
    asked = (*asked, "--budgets", "20", "50", "--samplers", "llm-po", "llm-po-oracle")
    assert run("study", "linear-bradley-terry:8,3", *asked) == 0
    folder = tmp_path / "results" / "linear-bradley-terry-8-3"
    arguments = json.loads((folder / "manifest.json").read_text())["arguments"]
    cells = prepare_cells(Arguments(**{**arguments, "samplers": ()}))
    assert tuple(cell.prepared.sampler for cell in cells) == STRUCTURED.usual
    assert (folder / "figures" / "proportions.png").stat().st_size > 10_000
    assert "llm-po-oracle" in capsys.readouterr().out


def test_study_with_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A win matrix with features from a file; a feature too many is noted in one line, and the study goes on."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wins.csv").write_text(",a,b,c\na,0.5,0.6,0.9\nb,0.4,0.5,0.8\nc,0.1,0.2,0.5\n")
    file = features(tmp_path, ["c,0,0", "b,1,1", "a,2,2"])
    asked = ("--replications", "4", "--max-comparisons", "500", "--samplers", "llm-po", "--budgets", "20", "50")
    assert run("study", "wins.csv", "--features", file, *asked, "--delta", "0.1", "0.01") == 0
    note = [line for line in capsys.readouterr().err.splitlines() if line.startswith("llmpo-jax: note: ")]
    assert len(note) == 1 and "rank 1 of 2" in note[0]
    manifest = json.loads((tmp_path / "results" / "wins" / "manifest.json").read_text())
    assert manifest["complete"] and manifest["arguments"]["features"] == file


def test_structured_bound(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bound", "linear-bradley-terry:8,3", "--json") == 0
    finding = json.loads(capsys.readouterr().out)
    assert finding["space"] == "structured" and set(finding["forms"]) == {"exact", "fisher"}
    assert finding["forms"]["exact"]["status"] == "optimal" and finding["forms"]["exact"]["relative_gap"] <= 1e-4
    assert run("bound", "bradley-terry:5", "--assume", "structured") == 0
    assert "by the Fisher form" in capsys.readouterr().out


def test_identify_with_features(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Policies that never met are told apart by what their features share with others."""
    rows = ["a,b,model_a"] * 60 + ["c,d,model_a"] * 60 + ["a,b,model_b"] * 8 + ["c,d,model_b"] * 8
    random.Random(0).shuffle(rows)
    file = features(tmp_path, ["a,3,0", "b,1,0.1", "c,2,0", "d,0,0.3"])
    log = battles(tmp_path, rows)
    assert run("identify", log, "--replications", "20") == 0
    assert "Undecided" in capsys.readouterr().out
    assert run("identify", log, "--features", file, "--replications", "20") == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "taken to follow a linear Bradley-Terry model of the features" in words
    assert "Undecided" in words or "If the linear model holds, the best policy is a" in words
    without_d = features(tmp_path, ["a,1,0", "b,1,1", "c,2,1"])
    assert "no features for d" in fails(capsys, "identify", log, "--features", without_d)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("study", "bradley-tery:16"), "did you mean 'bradley-terry'?"),
        (("study", "bradley-terry:1"), "num_policies = 1"),
        (("study", "bradley-terry:4,spred=2"), "did you mean 'spread'?"),
        (("study", "missing.csv"), "missing.csv"),
        (("study", "--samplers", "llm-pro"), "did you mean 'llm-po'?"),
        (("study", "--stopping", "eprocess"), "did you mean 'e-process'?"),
        (("study", "--delta", "0.1", "1.5"), "deltas contains 1.5"),
        (("study", "--budgets", "0"), "budgets contains 0"),
        (("study", "--delta"), "delta is empty, expected at least one"),
        (("study", "--delta", "0.1", "0.1"), "deltas contains 0.1 more than once"),
        (("study", "--samplers", "rucb", "rucb"), "samplers contains rucb more than once"),
        (("study", "--budgets", "50", "--max-comparisons", "49"), "budgets contains 50"),
        (("study", "--name", "../../x"), "name = '../../x', expected the name of one folder"),
        (("study", "--name", ".."), "name = '..', expected the name of one folder"),
        (("study", "--name", ""), "name = '', expected the name of one folder"),
        (("study", "."), ". is a directory, expected a file"),
        (("study", "--resume", "--overwrite"), "resume and overwrite are both given"),
        (("study", "--import", "missing.py"), "missing.py"),
        (("study", "--import", "missing"), "No module named 'missing'"),
        (("study", "--replications", "0"), "replications = 0"),
        (("study", "--existence", "asumed"), "did you mean 'assumed'?"),
        (("study", "cyclic:6", "cyclic:6"), "twice"),
        (("bound", "no-winner:5"), "no Condorcet winner"),
        (("bound", "cyclic:6", "--delta", "0"), "delta"),
        (("identify", "missing.csv"), "missing.csv"),
        (("bound", "cyclic:6", "--assume", "structured"), "no Bradley-Terry model"),
        (("bound", "linear-bradley-terry:8,3,dimension=2"), "dimension"),
        (("study", "cyclic:6", "--assume", "structured"), "the model has no features"),
        (("study", "cyclic:6", "--features", "missing.csv"), "missing.csv"),
        (("study", "linear-bradley-terry:6,2", "--existence", "certify"), "existence = 'certify'"),
        (("study", "linear-bradley-terry:6,2", "--samplers", "llm-po-d-tracking"), "unknown structured sampler"),
    ],
)
def test_bad_arguments(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in fails(capsys, *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "empty"),
        ("0.5,0.6\n0.4,0.5\n0.1,0.9\n", "square"),
        ("0.5,1.2\n-0.2,0.5\n", "probability"),
        ("0.5,nan\nnan,0.5\n", "blank, both ways"),
        ("0.5,0.6\n0.6,0.5\n", ""),
        (",a,a\na,0.5,0.6\na,0.4,0.5\n", ""),
        ("0.5\n", ""),
        ("model_a,model_b,winer\nx,y,model_a\n", "winner"),
        ("model_a,model_b,winner\nx,y,z\n", "model_a"),
    ],
)
def test_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, expected: str) -> None:
    file = tmp_path / "file.csv"
    file.write_text(content)
    message = fails(capsys, "bound", str(file))
    assert "file.csv" in message
    assert expected in message


def test_study_leaves_other_folders_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    precious = tmp_path / "mine" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("x")
    arguments = ("study", "cyclic:5", *SMALL, "--output", str(tmp_path), "--name", "mine", "--overwrite")
    assert "no study" in fails(capsys, *arguments)
    assert precious.read_text() == "x"


def test_the_papers_setting_is_a_study_of_its_own() -> None:
    """Both spaces and five baselines under one name; samplers that are named replace them."""
    from llmpo_jax.cli.study import Study

    arguments = Study(sources=("paper",))._arguments()
    assert [source.model.num_policies for source in arguments.loaded] == [16, 32]
    assert len(arguments.samplers) == 6 and Study(sources=("paper",))._folder_name(arguments) == "paper"
    assert Study(sources=("paper",), samplers=("llm-po",))._arguments().samplers == ("llm-po",)
