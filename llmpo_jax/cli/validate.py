"""`llmpo-jax validate`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from llmpo_jax.cli.console import console
from llmpo_jax.cli.folders import folder_name, stoppable

if TYPE_CHECKING:
    from llmpo_jax.validation.scope import Scope
    from llmpo_jax.validation.validate import Report


@dataclass(frozen=True)
class Validate:
    """Check every claim of the theory by experiment, and show that planted defects are found.

    Each claim has a null, a false-alarm rate and a verdict: holds, fails, or undecided (and how many replications would
    decide). Leaves report.html (one page that holds everything), report.md, checks.parquet, a table CLAIM_NAME.parquet
    for each figure, figures/ and manifest.json in results/NAME/. The exit code is 1 where a claim fails or a planted
    defect goes through.

    For example:

    llmpo-jax validate

    llmpo-jax validate --full --resume

    llmpo-jax validate --import mine.py --sampler my-sampler --stopping my-rule

    llmpo-jax validate cyclic:17 wins.csv --name mine
    """

    sources: tyro.conf.Positional[tuple[str, ...]] = ()
    """Instances or files on which the procedures are held to the claims; by default some of the collection."""
    quick: tyro.conf.FlagCreatePairsOff[bool] = False
    """In minutes; this is the default."""
    full: tyro.conf.FlagCreatePairsOff[bool] = False
    """With the replications of a study: about an hour on two cores."""
    samplers: Annotated[tuple[str, ...], tyro.conf.arg(name="sampler", metavar="NAME [NAME ...]")] = ()
    """Further samplers that are held to the same claims."""
    stopping: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Further stopping rules that are held to the same claims."""
    module: Annotated[str | None, tyro.conf.arg(name="import", metavar="FILE.py|MODULE")] = None
    """A module of yours, in which samplers, stopping rules and instances are registered (see CONTRIBUTING.md)."""
    name: str | None = None
    """Name of the folder; by default validation-quick or validation-full."""
    output: Path = Path("results")
    """Where folders are kept."""
    seed: int = 0
    """Of all randomness."""
    resume: bool = False
    """Go on with a validation that was interrupted; what it had simulated is read."""
    overwrite: bool = False
    """Replace the validation that the folder holds."""

    def run(self) -> None:
        if not self.carry_out().passed:
            raise SystemExit(1)

    def carry_out(self) -> Report:
        """Validate, write the report, and tell the verdicts."""
        from llmpo_jax import extension
        from llmpo_jax.engine.storage import StudyFolder
        from llmpo_jax.report import validation
        from llmpo_jax.report.validation_display import display
        from llmpo_jax.validation.validate import validate

        imported = extension.load(self.module) if self.module is not None else None
        scope = self._scope()
        folder = StudyFolder(self.output / self._folder_name())
        with stoppable(self.resume):
            with display(console) as show:
                how = {"resume": self.resume, "overwrite": self.overwrite}
                report = validate(scope, folder, **how, imported=imported, progress=show)
            with console.status("drawing"):
                written = validation.write(report, folder, self._command())
        _tell(report)
        for path in written:
            console.print(f"{path}", soft_wrap=True)
        return report

    def _scope(self) -> Scope:
        """What is to be validated."""
        from llmpo_jax.arguments import seed
        from llmpo_jax.validation.scope import Scope

        if self.quick and self.full:
            raise ValueError("quick and full are given, expected one of them")
        return Scope(not self.full, self.sources, self.samplers, self.stopping, seed(self.seed))

    def _folder_name(self) -> str:
        if self.name is None:
            return "validation-full" if self.full else "validation-quick"
        return folder_name(self.name)

    def _command(self) -> str:
        """The command that validates the same."""
        words = ["llmpo-jax", "validate", *self.sources, "--full" if self.full else "--quick"]
        for name, values in (("--sampler", self.samplers), ("--stopping", self.stopping)):
            words += [name, *values] if values else []
        words += ["--import", self.module] if self.module is not None else []
        return shlex.join([*words, "--seed", f"{self.seed}"])


def _tell(report: Report) -> None:
    """The verdicts on the console."""
    from llmpo_jax.report import validation
    from llmpo_jax.report.validation_display import defect_table, verdict_table

    console.print(verdict_table(report))
    if report.defects:
        console.print(defect_table(report.defects))
    console.print(validation.summary(report), soft_wrap=True)
