"""A study: instances x samplers x stopping rules, run chunk by chunk into a folder from which it can be resumed."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from llmpo_jax import models
from llmpo_jax.engine import lanes
from llmpo_jax.engine.preparation import Prepared, Settings, default_space, prepare
from llmpo_jax.engine.result import Result
from llmpo_jax.engine.simulate import Arrays, layout, result, run
from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.engine.tables import write_tables
from llmpo_jax.spaces import space

CHUNK = 2048
"""Replications per chunk: what a killed study loses at most."""


@dataclass(frozen=True)
class Arguments:
    """What a study is asked to do. `sources` are instances or files as in `llmpo_jax.models.load`.

    `samplers` or `stopping` may be empty, for all samplers of a source's policy space and for its usual rules; `assume`
    and `features` (a file) are as in `llmpo_jax.simulate`.
    """

    sources: tuple[str, ...]
    samplers: tuple[str, ...]
    stopping: tuple[str, ...]
    deltas: tuple[float, ...]
    budgets: tuple[int, ...]
    replications: int
    max_comparisons: int
    existence: str
    seed: int
    assume: str | None = None
    features: str | None = None


@dataclass(frozen=True)
class Cell:
    """One instance under one procedure: the unit that is compiled once."""

    source: models.Source
    prepared: Prepared

    @property
    def label(self) -> str:
        return f"{self.source.label}__{self.prepared.sampler}__{self.prepared.stopping}"


def prepare_cells(arguments: Arguments) -> list[Cell]:
    """All cells of a study, with every argument checked before anything is run.

    Raises:
        ValueError: for an unknown source, sampler or stopping rule, or settings out of range.
    """
    settings = Settings(
        arguments.deltas,
        arguments.budgets,
        arguments.max_comparisons,
        arguments.existence,
        arguments.replications,
        arguments.seed,
    )
    sources = [models.load(source) for source in arguments.sources]
    labels = [source.label for source in sources]
    if len(set(labels)) < len(labels):
        raise ValueError(f"sources name the same instance twice: {', '.join(labels)}")
    cells = []
    for source in sources:
        features = models.features_for(source.model, arguments.features) if arguments.features else None
        assumed = arguments.assume or ("structured" if arguments.features else default_space(source.model))
        for sampler in arguments.samplers or _usual_samplers(source.model, assumed):
            for stopping in arguments.stopping or USUAL_STOPPING:
                cells.append(Cell(source, prepare(source.model, sampler, stopping, settings, assumed, features)))
    return cells


USUAL_STOPPING = ("e-process", "stylised")


def _usual_samplers(model: models.PreferenceModel, assumed: str) -> tuple[str, ...]:
    """All samplers of a space, without the oracle where the model is not known to have an optimum in that space."""
    known = assumed == default_space(model)
    registry = space(assumed).samplers
    return tuple(name for name in registry.names() if known or not registry.get(name).oracle)


def chunks(arguments: Arguments) -> Iterator[range]:
    """The blocks of replications of every cell."""
    for start in range(0, arguments.replications, CHUNK):
        yield range(start, min(start + CHUNK, arguments.replications))


def run_study(
    arguments: Arguments,
    folder: StudyFolder,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[tuple[Cell, Result]]:
    """Run what is still missing of a study, write its tables, and return the results cell by cell.

    Args:
        arguments: what to do.
        folder: where it is kept.
        resume: go on with the study that the folder holds.
        overwrite: replace the study that the folder holds.
        progress: called as `progress(cell label, finished replications, replications of the whole study)`.

    Raises:
        ValueError: bad arguments, or a folder that holds something else.
    """
    cells = prepare_cells(arguments)
    started = time.time()
    facts = machine_facts()
    folder.begin(_plain(arguments), facts, resume=resume, overwrite=overwrite)
    pending = [
        (cell, block) for cell in cells for block in chunks(arguments) if not folder.has_chunk(_name(cell, block))
    ]
    total = len(cells) * arguments.replications
    finished = total - sum(len(block) for _, block in pending)
    with ThreadPoolExecutor(os.cpu_count()) as compiler:
        # The next programs are compiled side by side, and while the present one runs.
        jobs = [compiler.submit(_compile, cell, len(block)) for cell, block in pending]
        try:
            for cell, block in pending:
                report = None
                if progress is not None:
                    progress(cell.label, finished, total)
                    report = _reporter(progress, cell.label, finished, total)
                folder.save_chunk(_name(cell, block), run(cell.prepared.procedure, cell.prepared.plan, block, report))
                finished += len(block)
        finally:
            for job in jobs:
                job.cancel()
    results = [(cell, result(cell.prepared, _joined(arguments, cell, folder))) for cell in cells]
    write_tables(folder, [(cell.source, found) for cell, found in results])
    simulated = sum(found.simulated for _, found in results)
    folder.write_manifest(
        {
            **folder.read_manifest(),
            "complete": True,
            "seconds": round(time.time() - started, 1),
            "comparisons": int(simulated),
        }
    )
    return results


def _compile(cell: Cell, replications: int) -> None:
    _, width = layout(replications)
    settings = cell.prepared.settings
    lanes.program(cell.prepared.procedure, len(settings.deltas), len(settings.budgets), width)


def _reporter(
    progress: Callable[[str, int, int], None], label: str, finished: int, total: int
) -> Callable[[int, int], None]:
    return lambda more, comparisons: progress(label, finished + more, total)


def _name(cell: Cell, block: range) -> str:
    return f"{cell.label}__{block.start}"


def _plain(arguments: Arguments) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(arguments).items()}


def _joined(arguments: Arguments, cell: Cell, folder: StudyFolder) -> Arrays:
    """All chunks of a cell as one run."""
    parts = [folder.load_chunk(_name(cell, block)) for block in chunks(arguments)]

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return Arrays(
        stopping_time=joined("stopping_time"),
        recommendation=joined("recommendation"),
        budget_recommendation=joined("budget_recommendation"),
        counts=np.sum([part.counts for part in parts], axis=0),
        simulated=sum(part.simulated for part in parts),
    )


def machine_facts() -> dict[str, Any]:
    """Versions, code state and device, for the manifest."""
    names = ("llmpo-jax", "jax", "jaxlib", "numpy", "polars")
    return {
        "versions": {name: _version(name) for name in names} | {"python": platform.python_version()},
        "git": _git_state(),
        "device": str(jax.devices()[0]),
        "machine": platform.machine(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_state() -> str | None:
    """The commit of the source tree, marked where it has changes; None outside a checkout."""
    try:
        command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
