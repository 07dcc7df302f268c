"""The command line: `llmpo-jax study | bound | identify`."""

from __future__ import annotations

import json
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from llmpo_jax import models

DEFAULT_SOURCE = "bradley-terry:16"
DEFAULT_BUDGETS = tuple(int(b) for b in np.unique(np.geomspace(50, 3000, 18).round()))

console = Console(highlight=False)


@dataclass(frozen=True)
class Study:
    """Run samplers against stopping rules on instances, and compare them with the lower bound.

    A SOURCE is an instance, such as `bradley-terry:16`, `cyclic:17,seed=3` or `linear-bradley-terry:32,8`, or a CSV
    file: a win matrix, or a log of battles (columns model_a, model_b, winner) whose win rates are then taken as the
    truth.

    Leaves table.parquet (one row per statement), pairs.parquet, summary.csv, manifest.json and figures/ in
    results/NAME/.

    For example:

    llmpo-jax study

    llmpo-jax study cyclic:17 hidden-winner:10 --samplers llm-po rucb --replications 1000

    llmpo-jax study wins.csv --deltas 0.05 1e-10 --max-comparisons 10000000

    llmpo-jax study linear-bradley-terry:32,8,seed=2 --samplers llm-po round-robin

    srun --ntasks=8 llmpo-jax study bradley-terry:64 --replications 1000000 --processes
    """

    sources: tyro.conf.Positional[tuple[str, ...]] = (DEFAULT_SOURCE,)
    """Instances or files."""
    samplers: tuple[str, ...] = ()
    """What chooses the pairs; by default all samplers of the policy space."""
    stopping: tuple[str, ...] = ("e-process", "stylised")
    """When to stop: e-process, kaufmann-koolen (unstructured) and mixture (structured) are proven, stylised is what
    papers plot and is not."""
    assume: Literal["unstructured", "structured"] | None = None
    """Policy space that the procedures assume; by default structured for linear instances and with --features."""
    features: str | None = None
    """CSV file with the features of the policies, one row each: name, numbers (structured space)."""
    deltas: tuple[float, ...] = (0.1, 0.05, 0.01)
    """Error levels in (0, 1), down to 1e-50 and below."""
    budgets: tuple[int, ...] = DEFAULT_BUDGETS
    """Numbers of comparisons at which the best guess is recorded."""
    replications: int = 128
    """Independent runs of every sampler under every stopping rule."""
    max_comparisons: int = 100_000
    """Where a run is given up as censored."""
    existence: str = "assumed"
    """"assumed": a Condorcet winner exists. "certify": the procedure has to show it, or that there is none."""
    seed: int = 0
    """Of all randomness, a whole number from 0 to 2^64 - 1."""
    name: str | None = None
    """Name of the study's folder; by default the sources joined by "+"."""
    output: Path = Path("results")
    """Where studies are kept."""
    resume: bool = False
    """Go on with a study that was interrupted."""
    overwrite: bool = False
    """Replace the study that the folder holds."""
    processes: bool = False
    """One of several processes that share the work, started by a launcher that JAX knows (Slurm, Kubernetes)."""
    coordinator: str | None = None
    """HOST:PORT of process 0, where there is no such launcher; every process gets the same command but for its id."""
    num_processes: int | None = None
    """Of all processes (with --coordinator)."""
    process_id: int | None = None
    """0 to num_processes - 1 (with --coordinator). Process 0 alone writes and speaks."""

    def run(self) -> None:
        from llmpo_jax.engine import processes
        from llmpo_jax.engine.storage import StudyFolder
        from llmpo_jax.engine.study import Arguments, run_study
        from llmpo_jax.report import figures
        from llmpo_jax.report.console import summary_table
        from llmpo_jax.report.stored import read_summary

        where = (self.coordinator, self.num_processes, self.process_id)
        if self.processes or any(value is not None for value in where):
            processes.join(*where)
        console.quiet = not processes.is_first()
        sources = self.sources or (DEFAULT_SOURCE,)
        arguments = Arguments(
            sources=sources,
            samplers=self.samplers,
            stopping=self.stopping,
            deltas=self.deltas,
            budgets=self.budgets,
            replications=self.replications,
            max_comparisons=self.max_comparisons,
            existence=self.existence,
            seed=self.seed,
            assume=self.assume,
            features=self.features,
        )
        folder = StudyFolder(self.output / (self.name or "+".join(_folder_name(source) for source in sources)))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        bar = Progress(*columns, console=console)
        task = bar.add_task("starting")

        def progress(label: str, finished: int, total: int) -> None:
            bar.start()  # only now, so that bad arguments leave no empty bar behind
            bar.update(task, description=label.replace("__", " "), completed=finished, total=total)

        try:
            run_study(arguments, folder, resume=self.resume, overwrite=self.overwrite, progress=progress)
            if not processes.is_first():
                return
            bar.update(task, description="drawing")
            drawn = figures.draw(folder.path)
            bar.update(task, description="done")
        except KeyboardInterrupt:
            bar.stop()
            console.print("Stopped. What is finished is kept: the same command with --resume goes on.")
            sys.stdout.flush()
            # Not by SystemExit, which would wait for programs that are still being compiled.
            os._exit(130)
        finally:
            bar.stop()
        if self.deltas:
            console.print(summary_table(read_summary(folder.path / "summary.csv")))
        console.print(f"{folder.path}/: table.parquet, pairs.parquet, summary.csv, manifest.json")
        for path in drawn:
            console.print(str(path))


@dataclass(frozen=True)
class Bound:
    """What no procedure can beat on an instance: characteristic time, lower bound, optimal proportions.

    For example:

    llmpo-jax bound bradley-terry:16 --delta 0.05

    llmpo-jax bound wins.csv --delta 0.1 1e-10 --json

    llmpo-jax bound linear-bradley-terry:32,8 --delta 0.05
    """

    source: tyro.conf.Positional[str]
    """An instance (`cyclic:17`) or a CSV file."""
    delta: tuple[float, ...] = (0.05,)
    """Error levels in (0, 1)."""
    assume: Literal["unstructured", "structured"] | None = None
    """Policy space; by default structured for linear instances. Plain Bradley-Terry has one-hot features there."""
    json: bool = False
    """Print JSON instead of words and a table."""

    def run(self) -> None:
        from llmpo_jax.report import words
        from llmpo_jax.report.console import allocation_table

        source = models.load(self.source)
        missing = source.battles is not None and source.battles.never_compared
        if missing and models.condorcet_winner(source.model) is None:
            raise ValueError(
                f"source {self.source!r}: by the win rates no policy beats all others, whatever the pairs never "
                "compared would show; without a winner there is nothing to bound"
            )
        finding = words.bound(source, self.delta, self.assume)
        if self.json:
            print(json.dumps(finding, indent=1))
            return
        for line in words.bound_in_words(finding):
            console.print(line, soft_wrap=True)
        console.print(allocation_table(finding))


@dataclass(frozen=True)
class Identify:
    """What real comparisons already prove, and what LLM-PO would have needed.

    BATTLES is a CSV file with the columns model_a, model_b, winner (model_a, model_b or tie), one row for each
    comparison. With --features a linear Bradley-Terry model is assumed: all comparisons then tell something about all
    policies.

    How the rows are read (--order):

    log: in the order in which the comparisons were made, whatever chose the pairs (LLM-PO, an arena, a gauntlet).

    any: in no particular order, because it is lost or the rows are sorted; only where the pairs were chosen without
    looking at outcomes (each pair equally often, say).

    Rows that look sorted, or as if several of them came from one verdict, are told and not weighed.

    For example:

    llmpo-jax identify battles.csv --delta 0.05

    llmpo-jax identify sorted_by_winner.csv --order any

    llmpo-jax identify battles.csv --features features.csv
    """

    battles: tyro.conf.Positional[Path]
    """The log of comparisons."""
    features: str | None = None
    """CSV file with the features of the policies, one row each: name, numbers."""
    delta: float = 0.05
    """Error level in (0, 1)."""
    order: Literal["log", "any"] = "log"
    """How the rows are read."""
    replications: int = 200
    """Replays of the log."""
    max_comparisons: int = 1_000_000
    """Where a replay is given up."""
    seed: int = 0
    """Of the replays, and of the random orders with --order any."""

    def run(self) -> None:
        from llmpo_jax.engine.audit import audit
        from llmpo_jax.engine.preparation import Settings
        from llmpo_jax.engine.simulate import simulate
        from llmpo_jax.report import words

        Settings((self.delta,), (), self.max_comparisons)
        battles = models.read_battles(self.battles)
        model = models.empirical_model(battles)
        features = models.features_for(model, self.features) if self.features else None
        found = audit(battles, features, self.order, self.seed)
        for line in words.log_in_words(battles, features is not None):
            console.print(line, soft_wrap=True)
        for line in words.audit_in_words(battles, found, self.delta):
            console.print(line, soft_wrap=True)
        if found.alarm is not None:
            return
        table = Table("policy", "refuted at level", "mostly by")
        for k in np.argsort(found.refutation):
            level = np.exp(-found.refutation[k])
            refuter = battles.names[found.refuter[k]] if found.refuter[k] >= 0 else ""
            mark = "refuted, " if found.refuted(self.delta)[k] else ""
            table.add_row(battles.names[k], f"{mark}{level:.2g}", refuter)
        console.print(table)
        if models.condorcet_winner(model) is None:
            console.print(words.no_replay_in_words(battles), soft_wrap=True)
            return
        result = simulate(
            model,
            deltas=(self.delta,),
            replications=self.replications,
            max_comparisons=self.max_comparisons,
            features=features,
            seed=self.seed,
        )
        console.print(words.replay_in_words(battles, result), soft_wrap=True)


def _folder_name(source: str) -> str:
    return models.load(source).label


def _note(message: Warning | str, *where: object) -> None:
    """A warning as a user of the command line reads it."""
    print(f"llmpo-jax: note: {message}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    """Best-policy identification from pairwise comparisons."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = _note
        _main(arguments)


def _main(arguments: list[str] | None) -> None:
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            {"study": Study, "bound": Bound, "identify": Identify},
            prog="llmpo-jax",
            description="Best-policy identification from pairwise comparisons: LLM-PO, its baselines, its lower bound.",
            args=arguments,
        )
        command.run()
    except BrokenPipeError:
        raise SystemExit(1) from None  # the reader, such as `head`, has had enough
    except (ValueError, OSError) as error:
        print(f"llmpo-jax: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
