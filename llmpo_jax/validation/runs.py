"""Simulations for the claims: each is run once, kept on disk, and shared by all claims that ask for it."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmpo_jax.engine.chunks import Identity
from llmpo_jax.engine.preparation import Settings, prepare
from llmpo_jax.engine.result import Result
from llmpo_jax.engine.simulate import result
from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.engine.workers import Arrays, stream
from llmpo_jax.models import PreferenceModel, host_probabilities, instances
from llmpo_jax.models.given import given
from llmpo_jax.models.sources import file_label
from llmpo_jax.protocol import Existence, Sampler, StoppingRule
from llmpo_jax.validation.claims import Progress

_CHUNK = 2560
"""Replications that are kept together: what is lost at most when a validation is killed."""
_SIDE_BY_SIDE = 2
"""Simulations at a time: one is often being compiled, which keeps a single core busy."""


def in_words(source: str) -> str:
    """An instance as it is asked for but for the colon, or a file by its name."""
    return source.replace(":", "-", 1) if source.partition(":")[0] in instances.names() else file_label(source)


@dataclass(frozen=True, eq=False)
class Run:
    """A simulation that a claim asks for; fields as in `llmpo_jax.simulate`.

    Attributes:
        model: a source such as "bradley-terry:16", or a model.
        features: [K, d], for a structured procedure on a model that has none.
        name: of the model, where it is no source.
        procedure: of sampler and stopping rule together, where one of them is no registered name.
        renumbered: whether replications number the policies anew (in the unstructured space); not for a procedure that
            is told of them by number.
    """

    model: PreferenceModel | str
    sampler: str | Sampler = "llm-po"
    stopping: str | StoppingRule = "e-process"
    deltas: tuple[float, ...] = ()
    budgets: tuple[int, ...] = ()
    replications: int = 100
    max_comparisons: int = 1_000_000
    existence: Existence = "assumed"
    assume: str | None = None
    features: np.ndarray | None = None
    name: str | None = None
    procedure: str | None = None
    renumbered: bool = True

    @property
    def source(self) -> str:
        """The instance, in words."""
        if self.name is not None:
            return self.name
        assert isinstance(self.model, str), "a model that is no source has a name"
        return in_words(self.model)

    @property
    def procedure_name(self) -> str:
        """Sampler and stopping rule, in words."""
        return self.procedure or f"{self.sampler}, {self.stopping}"

    @property
    def label(self) -> str:
        """All that determines the outcome, but for the seed."""
        parts = [
            f"{self.source}; {self.procedure_name}",
            " ".join(f"{delta:g}" for delta in self.deltas),
            " ".join(map(str, self.budgets)),
            f"{self.max_comparisons} {self.existence} {self.assume}",
        ]
        return "; ".join(parts)


class Runs:
    """Simulations by what they are; those that are asked for again, in this process or a later one, are read."""

    def __init__(self, folder: StudyFolder, asked: dict[str, Any], seed: int, progress: Progress) -> None:
        self._folder = folder
        self._asked = asked
        self._seed = seed
        self._progress = progress
        self._results: dict[tuple[str, int], Result] = {}
        self._turns: dict[tuple[str, int], threading.Lock] = {}
        self._lock = threading.Lock()

    def one(self, run: Run) -> Result:
        """The outcome of a run."""
        key = (run.label, run.replications)
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:  # one that is asked for twice at the same time is run once
            if key not in self._results:
                self._results[key] = self._run(run)
        return self._results[key]

    def all(self, runs: Sequence[Run]) -> list[Result]:
        """The outcomes of several runs, in their order, some of them side by side."""
        pool = ThreadPoolExecutor(_SIDE_BY_SIDE)
        try:
            return list(pool.map(self.one, runs))
        finally:  # who stops it does not wait for what else runs
            pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, run: Run) -> Result:
        settings = Settings(run.deltas, run.budgets, run.max_comparisons, run.existence, run.replications, self._seed)
        prepared = prepare(given(run.model), run.sampler, run.stopping, settings, run.assume, run.features)
        if not run.renumbered:
            procedure = prepared.procedure
            space = procedure.space._replace(shuffled=False)
            prepared = dataclasses.replace(prepared, procedure=procedure._replace(space=space))
        end = run.replications
        blocks = [range(start, min(start + _CHUNK, end)) for start in range(0, end, _CHUNK)]
        identities = self._identities(run, prepared.model, blocks)
        missing = [index for index, identity in enumerate(identities) if not self._folder.has_chunk(identity)]
        if missing:
            self._progress(f"{run.source}: {run.procedure_name}")
            chunks = [blocks[index] for index in missing]
            for index, arrays in stream(prepared.procedure, prepared.plan, chunks):
                self._folder.save_chunk(identities[missing[index]], arrays)
        return result(prepared, Arrays.joined([self._folder.load_chunk(identity) for identity in identities]))

    def _identities(self, run: Run, model: PreferenceModel, blocks: Sequence[range]) -> list[Identity]:
        """What is kept of a run, block by block."""
        # What the win rates are is part of it: a file, or an instance of the user's, may have changed.
        known = b"" if run.features is None else run.features.tobytes()
        rates = hashlib.sha256(host_probabilities(model).tobytes() + known).hexdigest()
        study = {**self._asked, "run": run.label, "rates": rates}
        digest = hashlib.sha256(run.label.encode()).hexdigest()[:8]
        name = f"{run.source}__{digest}"[-80:]
        return [Identity(study, name, block.start, block.stop) for block in blocks]
