"""`llmpo-jax live`: LLM-PO on real policies and a real judge."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import dataclasses
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from llmpo_jax.cli.console import console

if TYPE_CHECKING:
    from llmpo_jax.live.configuration import Configuration
    from llmpo_jax.live.experiment import Experiment
    from llmpo_jax.live.protocol import Status as Standing

ENDED = ("winner", "no-winner", "equal", "inputs", "cost", "comparisons")
"""Why an experiment ends that is in order."""


@dataclass(frozen=True)
class Init:
    """Write a commented EXPERIMENT.toml, and the inputs that it names, to begin with. Nothing is overwritten.

    For example:

    llmpo-jax live init

    llmpo-jax live init plurals/EXPERIMENT.toml
    """

    file: tyro.conf.Positional[Path] = Path("EXPERIMENT.toml")
    """Where to write it."""

    def run(self) -> None:
        from llmpo_jax.live import configuration

        written = {self.file: configuration.EXAMPLE}
        written[self.file.with_name("example_inputs.jsonl")] = configuration.EXAMPLE_INPUTS
        for path in written:
            if path.exists():
                raise ValueError(f"{path} exists, expected a file that does not")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        for path, text in written.items():
            path.write_text(text, encoding="utf-8")
        console.print(f"{' and '.join(map(str, written))} written.", soft_wrap=True)
        console.print(f"Set url and model, then: llmpo-jax live run {self.file}", soft_wrap=True)


@dataclass(frozen=True)
class Run:
    """Compare the policies of an EXPERIMENT.toml until the best is proven or a limit is reached.

    Everything asked, answered and paid is kept in the experiment's folder: stopped or killed, the same command goes on
    and pays at most for the calls in flight again. At the end report.md and report.html are written there.

    For example:

    llmpo-jax live init && llmpo-jax live run EXPERIMENT.toml
    """

    file: tyro.conf.Positional[Path]
    """The experiment, as `llmpo-jax live init` writes one."""

    def run(self) -> None:
        from llmpo_jax.live import configuration
        from llmpo_jax.report import live_display, live_report

        configured = configuration.read(self.file)
        generate, judge = configured.generate(), configured.judge()
        with _experiment(configured) as experiment:
            _notes(experiment)
            status = None
            shown = live_display.display(console, experiment.arrangement.delta)
            with shown as show, contextlib.suppress(KeyboardInterrupt):
                status = asyncio.run(experiment.run(generate, judge, progress=show, **configured.limits))
            if status is None:
                console.print("Stopped. What is paid for is kept: the same command goes on.")
                raise SystemExit(130)
            written = live_report.write(
                experiment, f"llmpo-jax live run {self.file}", configured.judge_settings.in_words()
            )
        _speak(status)
        console.print(f"{written[0]}, {written[1]}", soft_wrap=True)
        if status.stop not in ENDED:
            raise ValueError(status.reason)


@dataclass(frozen=True)
class Status:
    """Where an experiment stands, also while it runs.

    For example:

    llmpo-jax live status results/plurals

    llmpo-jax live status results/plurals --json
    """

    folder: tyro.conf.Positional[Path]
    """Of the experiment."""
    json: bool = False
    """Print JSON instead of words and a table."""

    def run(self) -> None:
        from llmpo_jax.live.experiment import Experiment

        with Experiment.open(self.folder, read_only=True) as experiment:
            status = experiment.status()
        if self.json:
            print(json.dumps(dataclasses.asdict(status), indent=1))
            return
        _speak(status)


@dataclass(frozen=True)
class Ask:
    """What to compare next, as JSON lines, for people or other programs to judge; `llmpo-jax live tell` takes verdicts.

    {"id": 1, "first": "plain", "second": "plural", "input": ..., "swapped": true, "seed": 7}

    Have both policies answer the input (with that seed), show the answer of `second` before that of `first` where
    `swapped` is true, and tell which is better. Nothing is printed once the experiment has ended.

    For example:

    llmpo-jax live ask results/plurals -n 8

    llmpo-jax live ask EXPERIMENT.toml -n 8
    """

    experiment: tyro.conf.Positional[Path]
    """Its folder, or an EXPERIMENT.toml whose folder is made where it does not exist yet."""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 1
    """New comparisons."""
    pending: bool = False
    """Print what is asked and not told yet instead."""

    def run(self) -> None:
        with _opened(self.experiment) as experiment:
            for ask in experiment.pending if self.pending else experiment.ask(self.n):
                print(json.dumps(vars(ask), ensure_ascii=False))


@dataclass(frozen=True)
class Tell:
    """Who won, as JSON lines on the standard input; "first" and "second" as `llmpo-jax live ask` named them.

    {"id": 1, "verdict": "first"}

    The verdict is first, second, tie, or void where there is none. `usage` and `detail` may be given, too. Lines before
    one that is refused are kept.

    For example:

    llmpo-jax live tell results/plurals < verdicts.jsonl
    """

    folder: tyro.conf.Positional[Path]
    """Of the experiment."""

    def run(self) -> None:
        with _opened(self.folder) as experiment:
            for number, told in _told_lines():
                try:
                    experiment.tell(told.pop("id"), told.pop("verdict"), **told)
                except (KeyError, TypeError, ValueError) as error:
                    missing = f"{error} is missing" if isinstance(error, KeyError) else error
                    raise ValueError(f"line {number} of the verdicts: {missing}") from None
            _speak(experiment.status(), table=False)


@dataclass(frozen=True)
class Export:
    """The told comparisons in ask order as a CSV file (model_a, model_b, winner), which `llmpo-jax identify` reads.

    Void comparisons are left out, and what is told behind one that is pending.

    For example:

    llmpo-jax live export results/plurals battles.csv && llmpo-jax identify battles.csv
    """

    folder: tyro.conf.Positional[Path]
    """Of the experiment."""
    file: tyro.conf.Positional[Path | None] = None
    """Where to write; by default the standard output."""

    def run(self) -> None:
        from llmpo_jax.live.experiment import Experiment

        with Experiment.open(self.folder, read_only=True) as experiment:
            told, pending = experiment.comparisons, experiment.pending
        words = {"first": "model_a", "second": "model_b", "tie": "tie"}
        whole = [(ask, verdict) for ask, verdict in told if not pending or ask.id < pending[0].id]
        if len(whole) < len(told):
            text = f"{len(told) - len(whole)} verdicts behind ask {pending[0].id}, which is pending, are left out"
            print(f"llmpo-jax: note: {text}: those that come first are no random sample", file=sys.stderr)
        battles = [(ask.first, ask.second, words[verdict]) for ask, verdict in whole if verdict in words]
        rows = [("model_a", "model_b", "winner"), *battles]
        if self.file is None:
            csv.writer(sys.stdout, lineterminator="\n").writerows(rows)
            return
        with self.file.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


@dataclass(frozen=True)
class Live:
    """LLM-PO on real policies: prompts, models and temperatures are compared until the best is proven."""

    command: tyro.conf.OmitSubcommandPrefixes[
        Annotated[Init, tyro.conf.subcommand("init")]
        | Annotated[Run, tyro.conf.subcommand("run")]
        | Annotated[Status, tyro.conf.subcommand("status")]
        | Annotated[Ask, tyro.conf.subcommand("ask")]
        | Annotated[Tell, tyro.conf.subcommand("tell")]
        | Annotated[Export, tyro.conf.subcommand("export")]
    ]

    def run(self) -> None:
        self.command.run()


def _experiment(configured: Configuration) -> Experiment:
    """The experiment of a configuration, new or gone on with."""
    from llmpo_jax.live.experiment import Experiment

    return Experiment.create(
        configured.folder,
        configured.policies,
        configured.inputs,
        **configured.arguments,
        extra=configured.extra,
        resume=True,
    )


def _opened(path: Path) -> Experiment:
    """The experiment of a folder, or of an EXPERIMENT.toml."""
    from llmpo_jax.live import configuration
    from llmpo_jax.live.experiment import Experiment

    experiment = _experiment(configuration.read(path)) if path.suffix == ".toml" else Experiment.open(path)
    _notes(experiment)
    return experiment


def _notes(experiment: Experiment) -> None:
    for note in experiment.notes:
        print(f"llmpo-jax: note: {note}", file=sys.stderr)


def _told_lines() -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects on the standard input, with the numbers of their lines."""
    for number, line in enumerate(sys.stdin, 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number} of the verdicts is no JSON: {error}") from None
        if not isinstance(told, dict):
            raise ValueError(
                f'line {number} of the verdicts is {line.strip()}, expected {{"id": 1, "verdict": "first"}}'
            )
        yield number, told


def _speak(status: Standing, table: bool = True) -> None:
    from llmpo_jax.report import live_words

    for line in live_words.lines(status):
        console.print(line, soft_wrap=True)
    if table:
        console.print(live_words.table(status))
