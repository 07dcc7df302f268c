"""Broken versions of the toolkit, each of which a claim has to find."""

from __future__ import annotations

from typing import NamedTuple

from llmpo_jax.validation.runs import Runs
from llmpo_jax.validation.scope import Scope


class Defect(NamedTuple):
    """A planted defect.

    Attributes:
        name, what: of it, and what is broken.
        by: the claim or test that has to find it.
        caught: whether it did.
        evidence: what it saw.
    """

    name: str
    what: str
    by: str
    caught: bool
    evidence: str


def caught(scope: Scope, runs: Runs) -> list[Defect]:
    """What became of every planted defect."""
    return []
