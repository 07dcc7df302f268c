"""`llmpo-jax study`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import tyro

from llmpo_jax.cli.console import console
from llmpo_jax.cli.folders import folder_name, stoppable

if TYPE_CHECKING:
    from llmpo_jax.engine.study import Arguments

DEFAULT_SOURCE = "bradley-terry:16"
PAPER = "paper"
PAPER_SOURCES = ("bradley-terry:16", "linear-bradley-terry:32,8,seed=2")
PAPER_SAMPLERS = ("llm-po", "round-robin", "random-pair", "epsilon-greedy", "thompson", "rucb")
PAPER_NOTE = (
    "The paper's setting as far as it is public: K = 16 (120 pairs) unstructured, K = 32 (496 pairs) linear "
    "Bradley-Terry, LLM-PO and five baselines. Its gaps, d, delta and replications are not public, so the numbers are "
    "this program's."
)
DEFAULT_BUDGETS = tuple(int(b) for b in np.unique(np.geomspace(50, 3000, 18).round()))


@dataclass(frozen=True)
class Study:
    """Run samplers against stopping rules on instances, and compare them with the lower bound.

    A SOURCE is an instance, such as `bradley-terry:16`, `cyclic:17,seed=3` or `linear-bradley-terry:32,8`, or a file
    (CSV, JSON lines, Parquet): a win matrix, or a log of comparisons whose win rates are then taken as the truth.

    Leaves table.parquet (one row per statement), pairs.parquet, summary.csv, manifest.json and figures/ in
    results/NAME/.

    For example:

    llmpo-jax study

    llmpo-jax study cyclic:17 hidden-winner:10 --samplers llm-po rucb --replications 1000

    llmpo-jax study wins.csv --delta 0.05 1e-10 --max-comparisons 10000000

    llmpo-jax study paper (the paper's setting as far as it is public)

    llmpo-jax study linear-bradley-terry:32,8,seed=2 --samplers llm-po round-robin

    llmpo-jax study bradley-terry:16 --ties 0.2 --costs costs.csv

    llmpo-jax study --import mine.py --samplers llm-po my-sampler

    llmpo-jax study --resume --replications 100000

    srun --ntasks=8 llmpo-jax study bradley-terry:64 --replications 1000000 --processes
    """

    sources: tyro.conf.Positional[tuple[str, ...]] = (DEFAULT_SOURCE,)
    """Instances or files, or `paper` for the paper's setting: both spaces, LLM-PO and five baselines."""
    samplers: tuple[str, ...] = ()
    """What chooses the pairs; by default llm-po with its variants and the paper's baselines. Further ones:
    llm-po-budget; unstructured sequential-halving, double-thompson, top-two-thompson, rmed1, beat-the-mean, swiss and
    dkwt; structured g-optimal and rage-glm."""
    stopping: tuple[str, ...] = ("e-process", "stylised")
    """When to stop: e-process, kaufmann-koolen (unstructured) and mixture (structured) are proven, stylised is what
    papers plot and is not; dkwt (unstructured, proven) is the end of the tournament that the sampler dkwt plays."""
    assume: Literal["unstructured", "structured"] | None = None
    """Policy space that the procedures assume; by default structured for linear instances and with --features."""
    features: str | None = None
    """CSV file with the features of the policies, one row each: name, numbers (structured space)."""
    columns: str | None = None
    """Columns of a log with names of their own, by role: first=NAME,second=NAME,winner=NAME or some of these."""
    ties: str | None = None
    """Chance that a comparison ends in a tie: a number, or a file with a matrix of them. Win rates are then those of
    the others."""
    costs: str | None = None
    """File with what comparisons cost: a row for each policy, name and cost, of which a pair costs the sum, or a
    matrix. Tables, figures and the bound are then in units of cost; budgets stay numbers of comparisons."""
    delta: tuple[float, ...] = (0.1, 0.05, 0.01)
    """Error levels in (0, 1), down to 1e-50 and below."""
    budgets: tuple[int, ...] = DEFAULT_BUDGETS
    """Numbers of comparisons at which the best guess is recorded; by default those up to max_comparisons."""
    replications: int = 128
    """Independent runs of every sampler under every stopping rule."""
    max_comparisons: int = 100_000
    """Where a run is given up as censored."""
    existence: str = "assumed"
    """"assumed": a Condorcet winner exists. "certify": the procedure has to show it, or that there is none."""
    seed: int = 0
    """Of all randomness, a whole number from 0 to 2^64 - 1."""
    module: Annotated[str | None, tyro.conf.arg(name="import", metavar="FILE.py|MODULE")] = None
    """A module of yours, in which samplers, stopping rules and instances are registered (see CONTRIBUTING.md)."""
    name: str | None = None
    """Name of the study's folder; by default the sources joined by "+"."""
    output: Path = Path("results")
    """Where studies are kept."""
    resume: bool = False
    """Go on with a study that was interrupted, or extend a finished one to more --replications."""
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
        from llmpo_jax import extension
        from llmpo_jax.engine import processes
        from llmpo_jax.engine.storage import StudyFolder
        from llmpo_jax.engine.study import run_study
        from llmpo_jax.report.console import summary_table
        from llmpo_jax.report.stored import read_summary
        from llmpo_jax.report.study_display import display

        where = (self.coordinator, self.num_processes, self.process_id)
        if self.processes or any(value is not None for value in where):
            processes.join(*where)
        console.quiet = not processes.is_first()
        if self._paper:
            console.print(PAPER_NOTE, soft_wrap=True)
        imported = extension.load(self.module) if self.module is not None else None
        arguments = self._arguments()
        folder = StudyFolder(self.output / self._folder_name(arguments))
        with stoppable(self.resume):
            with display(console) as show:
                how = {"resume": self.resume, "overwrite": self.overwrite}
                run_study(arguments, folder, **how, imported=imported, progress=show)
            if not processes.is_first():
                return
            with console.status("drawing"):
                drawn = draw_or_say(folder.path)
        levels = read_summary(folder.path / "summary.csv")
        if len(levels):
            console.print(summary_table(levels))
        tables = ("table.parquet", "pairs.parquet", *(["summary.csv"] if len(levels) else []), "manifest.json")
        console.print(f"{folder.path}/: {', '.join(tables)}", soft_wrap=True)
        for line in drawn:
            console.print(line, soft_wrap=True)

    @property
    def _paper(self) -> bool:
        """Whether the paper's setting is meant."""
        return self.sources == (PAPER,)

    def _arguments(self) -> Arguments:
        """What the study is asked to do."""
        from llmpo_jax.engine.study import Arguments

        if not self.delta:
            raise ValueError("delta is empty, expected at least one error level, such as 0.05")
        budgets = self.budgets
        if budgets == DEFAULT_BUDGETS:
            budgets = tuple(budget for budget in budgets if budget <= self.max_comparisons)
        return Arguments(
            sources=PAPER_SOURCES if self._paper else self.sources or (DEFAULT_SOURCE,),
            samplers=self.samplers or (PAPER_SAMPLERS if self._paper else ()),
            stopping=self.stopping,
            deltas=self.delta,
            budgets=budgets,
            replications=self.replications,
            max_comparisons=self.max_comparisons,
            existence=self.existence,
            seed=self.seed,
            assume=self.assume,
            features=self.features,
            columns=self.columns,
            ties=self.ties,
            costs=self.costs,
        )

    def _folder_name(self, arguments: Arguments) -> str:
        if self.name is not None:
            return folder_name(self.name)
        return PAPER if self._paper else "+".join(source.label for source in arguments.loaded)


def draw_or_say(folder: Path) -> list[str]:
    """Draw the figures; what to say of them, and where they cannot be drawn, that the tables are kept."""
    from llmpo_jax.report import figures

    try:
        return [str(path) for path in figures.draw(folder)]
    except Exception as error:  # whatever it is, it comes after the results
        reason = " ".join(str(error).split()) or type(error).__name__
        again = f"llmpo-jax plot {shlex.quote(str(folder))}"
        return [f"The figures could not be drawn ({reason}); the tables are complete, and `{again}` draws again."]
