"""`llmpo-jax study`."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from llmpo_jax import models
from llmpo_jax.cli.console import console

DEFAULT_SOURCE = "bradley-terry:16"
DEFAULT_BUDGETS = tuple(int(b) for b in np.unique(np.geomspace(50, 3000, 18).round()))


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
            drawn = draw_or_say(folder.path)
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
        for line in drawn:
            console.print(line, soft_wrap=True)


def draw_or_say(folder: Path) -> list[str]:
    """Draw the figures; what to say of them, and where they cannot be drawn, that the tables are kept."""
    from llmpo_jax.report import figures

    try:
        return [str(path) for path in figures.draw(folder)]
    except Exception as error:  # whatever it is, it comes after the results
        reason = " ".join(str(error).split()) or type(error).__name__
        again = f"llmpo-jax plot {shlex.quote(str(folder))}"
        return [f"The figures could not be drawn ({reason}); the tables are complete, and `{again}` draws again."]


def _folder_name(source: str) -> str:
    return models.load(source).label
