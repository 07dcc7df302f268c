"""All claims, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from llmpo_jax.engine.facts import machine_facts
from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.report import style
from llmpo_jax.validation import comparison, convergence, errors, growth, misfit, optimality
from llmpo_jax.validation.claims import Claim, Progress
from llmpo_jax.validation.runs import Runs
from llmpo_jax.validation.scope import Scope

CLAIMS: Mapping[str, Callable[[Scope, Runs], Claim]] = {
    "C3": errors.claim,
    "C4": optimality.claim,
    "C5": convergence.claim,
    "C6": comparison.claim,
    "C7": growth.claim,
    "C8": misfit.claim,
}


class Finished(NamedTuple):
    """A claim and the seconds that it took."""

    claim: Claim
    seconds: float


def validate(
    scope: Scope, folder: StudyFolder, *, resume: bool = False, overwrite: bool = False, progress: Progress
) -> list[Finished]:
    """Check all claims; simulations are kept in the folder, from which a validation that was stopped goes on.

    Raises:
        ValueError: a folder that holds something else or is in use, unknown sources, samplers or rules.
    """
    found = []
    with style.look(), folder.held():
        folder.begin(
            scope.asked(),
            {**machine_facts(), "files": {}, "import": None, "chunk": 0},
            resume=resume,
            overwrite=overwrite,
        )
        runs = Runs(folder, scope.asked(), scope.seed, progress)
        for number, claim in CLAIMS.items():
            started = time.monotonic()
            progress(number)
            found.append(Finished(claim(scope, runs), time.monotonic() - started))
        folder.amend_manifest(complete=True, seconds=round(sum(each.seconds for each in found), 1))
    return found
