"""What is validated, and how thoroughly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmpo_jax import models
from llmpo_jax.engine.preparation import default_space
from llmpo_jax.models.collection import STRUCTURED, UNSTRUCTURED
from llmpo_jax.registry import nearest
from llmpo_jax.spaces import SPACES, space

BASELINES = ("round-robin", "random-pair", "epsilon-greedy", "thompson", "rucb")
"""The paper's, in both spaces."""


@dataclass(frozen=True)
class Scope:
    """What a validation is asked to do.

    Attributes:
        quick: whether it must be done in minutes; else sizes are those of a study.
        sources: instances or files on which procedures are held to the claims, both spaces; the collection's if empty.
        samplers, stopping: further procedures, registered names, that are held to the same claims.
        seed: of all randomness.
    """

    quick: bool = True
    sources: tuple[str, ...] = ()
    samplers: tuple[str, ...] = ()
    stopping: tuple[str, ...] = ()
    seed: int = 0

    def check(self) -> None:
        """Whether all that is named exists, and is told nothing that a claim would not tell it.

        Raises:
            ValueError, OSError: anything else (with the nearest name).
        """
        labels = [models.load(source).label for source in self.sources]
        if len(set(labels)) < len(labels):
            raise ValueError(f"sources name the same instance twice: {', '.join(labels)}")
        for kind in ("samplers", "stopping"):
            registries = [getattr(one, kind) for one in SPACES.values()]
            known = {name: registry.get(name) for registry in registries for name in registry.names()}
            for name in getattr(self, kind):
                if name not in known:
                    raise ValueError(f"{kind} contains {name!r}{nearest(name, known)}")
                if known[name].told:
                    raise ValueError(f"{kind} contains {name!r}, expected one that is told neither budget nor level")

    def replications(self, quick: int, full: int) -> int:
        """Of these two numbers the one that is meant."""
        return quick if self.quick else full

    def instances(self, assume: str) -> tuple[str, ...]:
        """The sources of a policy space."""
        usual = UNSTRUCTURED if assume == "unstructured" else STRUCTURED
        if not self.sources:
            return usual
        return tuple(source for source in self.sources if default_space(models.load(source).model) == assume)

    def baselines(self, assume: str) -> tuple[str, ...]:
        """The samplers that are held against LLM-PO: the paper's, and the user's that the space knows."""
        known = space(assume).samplers.names()
        further = [name for name in self.samplers if name in known and name != "llm-po"]
        return tuple(dict.fromkeys((*BASELINES, *further)))

    def rules(self, assume: str) -> tuple[str, ...]:
        """All stopping rules of the space that are told nothing of their level, the user's among them."""
        known = space(assume).stopping
        return tuple(name for name in known.names() if not known.get(name).told)

    def asked(self) -> dict[str, Any]:
        """As plain values, to recognise a validation by."""
        return {
            "quick": self.quick,
            "sources": list(self.sources),
            "samplers": list(self.samplers),
            "stopping": list(self.stopping),
            "seed": self.seed,
            "replications": 0,
        }
