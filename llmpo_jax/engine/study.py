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

from llmpo_jax import models
from llmpo_jax.engine import lanes, processes
from llmpo_jax.engine.preparation import Prepared, Settings, default_space, prepare
from llmpo_jax.engine.result import Result
from llmpo_jax.engine.simulate import result
from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.engine.tables import write_tables
from llmpo_jax.engine.workers import Arrays, Progress, chunk_size, layout, stream
from llmpo_jax.spaces import space


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


def _blocks(arguments: Arguments, size: int) -> list[range]:
    """The chunks of replications of every cell."""
    starts = range(0, arguments.replications, size)
    return [range(start, min(start + size, arguments.replications)) for start in starts]


def run_study(
    arguments: Arguments,
    folder: StudyFolder,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[tuple[Cell, Result]]:
    """Run what is still missing of a study, write its tables, and return the results cell by cell.

    Where several processes have joined (`llmpo_jax.engine.processes`), all of them call this with the same arguments;
    the folder is that of process 0, and so are the results.

    Args:
        arguments: what to do.
        folder: where it is kept.
        resume: go on with the study that the folder holds.
        overwrite: replace the study that the folder holds.
        progress: called as `progress(cell label, finished replications, replications of the whole study)`.

    Raises:
        ValueError: bad arguments, a folder that holds something else, or one that cannot be written (the chunks that
            are finished are kept).
    """
    started = time.time()
    cells = prepare_cells(arguments)
    blocks, unfinished = _begun(arguments, folder, cells, resume, overwrite)
    missing = [(cell, indices) for cell, indices in zip(cells, unfinished, strict=True) if indices]
    total = len(cells) * arguments.replications
    finished = total - sum(len(blocks[index]) for indices in unfinished for index in indices)
    compiler = ThreadPoolExecutor(os.cpu_count())
    # The next programs are compiled side by side, and while the present one runs.
    for cell, indices in missing:
        compiler.submit(_compile, cell, sum(len(processes.share(blocks[index])) for index in indices))
    try:
        for cell, indices in missing:
            report = None
            if progress is not None:
                progress(cell.label, finished, total)
                report = _reporter(progress, cell.label, finished, total)
            for index, arrays in _finished_chunks(cell, [blocks[index] for index in indices], report):
                if processes.is_first():
                    folder.save_chunk(_name(cell, blocks[indices[index]]), arrays)
            finished += sum(len(blocks[index]) for index in indices)
    finally:
        compiler.shutdown(wait=False, cancel_futures=True)
    return _closed(arguments, folder, cells, blocks, started) if processes.is_first() else []


def _begun(
    arguments: Arguments, folder: StudyFolder, cells: list[Cell], resume: bool, overwrite: bool
) -> tuple[list[range], list[list[int]]]:
    """The chunks of the study, and for each cell which of them are still to be run; agreed among all processes."""
    error, plan = None, None
    if processes.is_first():
        try:
            facts = machine_facts() | {"chunk": chunk_size() * jax.process_count()}
            size = folder.begin(_plain(arguments), facts, resume=resume, overwrite=overwrite)["chunk"]
            blocks = _blocks(arguments, size)
            missing = [[i for i, b in enumerate(blocks) if not folder.has_chunk(_name(cell, b))] for cell in cells]
            plan = blocks, missing
        except (ValueError, OSError) as problem:
            error = problem  # the others wait for word of it
    error, plan = processes.agreed((error, plan))
    if error is not None:
        raise error
    return plan


def _finished_chunks(cell: Cell, missing: list[range], report: Progress | None) -> Iterator[tuple[int, Arrays]]:
    """The chunks of a cell as they are completed, whole in process 0."""
    parts = [processes.share(block) for block in missing]
    done = stream(cell.prepared.procedure, cell.prepared.plan, parts, report)
    if jax.process_count() == 1:
        yield from done
        return
    # All processes must exchange the same chunk at the same time, so here they come in order.
    ready: dict[int, Arrays] = {}
    for index in range(len(missing)):
        while index not in ready:
            ready.update([next(done)])
        yield index, processes.gathered(ready.pop(index))


def _closed(
    arguments: Arguments, folder: StudyFolder, cells: list[Cell], blocks: list[range], started: float
) -> list[tuple[Cell, Result]]:
    """Tables and manifest from all chunks."""
    results = []
    for cell in cells:
        parts = [folder.load_chunk(_name(cell, block)) for block in blocks]
        results.append((cell, result(cell.prepared, Arrays.joined(parts))))
    write_tables(folder, [(cell.source, found) for cell, found in results])
    simulated = sum(found.simulated for _, found in results)
    needed = sum(found.needed for _, found in results)
    end = {
        "complete": True,
        "seconds": round(time.time() - started, 1),
        "comparisons": int(simulated),
        "useful": round(needed / max(simulated, 1), 4),
    }
    folder.write_manifest({**folder.read_manifest(), **end})
    return results


def _compile(cell: Cell, replications: int) -> None:
    _, width = layout(replications)
    settings = cell.prepared.settings
    lanes.program(cell.prepared.procedure, len(settings.deltas), len(settings.budgets), width)


def _reporter(progress: Callable[[str, int, int], None], label: str, finished: int, total: int) -> Progress:
    number = jax.process_count()  # the others are about as far
    return lambda more, comparisons: progress(label, finished + more * number, total)


def _name(cell: Cell, block: range) -> str:
    return f"{cell.label}__{block.start}"


def _plain(arguments: Arguments) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(arguments).items()}


def machine_facts() -> dict[str, Any]:
    """Versions, code state and device, for the manifest."""
    names = ("llmpo-jax", "jax", "jaxlib", "numpy", "polars")
    return {
        "versions": {name: _version(name) for name in names} | {"python": platform.python_version()},
        "git": _git_state(),
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}, {jax.process_count()} processes",
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
