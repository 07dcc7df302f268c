"""All claims, one after the other, then the planted defects."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from llmpo_jax.engine.facts import file_facts, machine_facts
from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.validation import (
    budgets,
    certificate,
    closed_form,
    comparison,
    convergence,
    defects,
    errors,
    growth,
    misfit,
    optimality,
    settlement,
)
from llmpo_jax.validation.claims import Claim, Draw, failed
from llmpo_jax.validation.defects import Defect
from llmpo_jax.validation.runs import Runs
from llmpo_jax.validation.scope import Scope

CLAIMS: Mapping[str, Callable[[Scope, Runs], Claim]] = {
    "C1": closed_form.claim,
    "C2": certificate.claim,
    "C3": errors.claim,
    "C4": optimality.claim,
    "C5": convergence.claim,
    "C6": comparison.claim,
    "C7": growth.claim,
    "C8": misfit.claim,
    "C9": budgets.claim,
    "C10": settlement.claim,
}
"""By number, in the order in which they are checked."""
DRAWINGS: Mapping[str, Mapping[str, Draw]] = {
    "C2": certificate.DRAWINGS,
    "C3": errors.DRAWINGS,
    "C4": optimality.DRAWINGS,
    "C5": convergence.DRAWINGS,
    "C6": comparison.DRAWINGS,
    "C7": growth.DRAWINGS,
    "C8": misfit.DRAWINGS,
    "C9": budgets.DRAWINGS,
}
"""Of each claim that has figures its `Claim.drawings`, for `llmpo-jax figures`, which has the tables alone."""
PLANTED = "planted defects"

Show = Callable[[str, str], None]
"""Called as `show(claim, what is being done)`."""


class Finished(NamedTuple):
    """A claim and the seconds that it took."""

    claim: Claim
    seconds: float


class Report(NamedTuple):
    """What came of a validation; seconds of this call, without what was read from an earlier one."""

    finished: tuple[Finished, ...]
    defects: tuple[Defect, ...]
    seconds: float

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(each.claim for each in self.finished)

    @property
    def passed(self) -> bool:
        """Whether no claim fails and no planted defect went through."""
        return not failed(self.claims) and all(defect.caught for defect in self.defects)


def validate(
    scope: Scope,
    folder: StudyFolder,
    *,
    resume: bool = False,
    overwrite: bool = False,
    imported: dict[str, str] | None = None,
    progress: Show,
) -> Report:
    """Check all claims; simulations are kept in the folder, from which a validation that was stopped goes on.

    Args:
        imported: of a module with procedures of the user's, `file` and `sha256` (`llmpo_jax.extension.load`).

    Raises:
        ValueError: unknown sources, samplers or rules, before anything runs; a folder that holds something else or is
            in use.
    """
    scope.check()
    started = time.monotonic()
    found = []
    with folder.held():
        facts = {**machine_facts(), "files": file_facts(scope.sources), "import": imported, "chunk": 0}
        folder.begin(scope.asked(), facts, resume=resume, overwrite=overwrite)
        at = ""
        runs = Runs(folder, scope.asked(), scope.seed, lambda what: progress(at, what))
        for at, claim in CLAIMS.items():
            progress(at, "begins")
            began = time.monotonic()
            found.append(Finished(claim(scope, runs), time.monotonic() - began))
            progress(at, f"{found[-1].claim.verdict} ({found[-1].seconds:.0f} s)")
        at = PLANTED
        progress(at, "begin")
        planted = tuple(defects.caught(scope, runs))
        report = Report(tuple(found), planted, time.monotonic() - started)
        folder.amend_manifest(complete=True, seconds=round(report.seconds, 1))
    return report
