"""A study: instances x samplers x stopping rules, run chunk by chunk into a folder from which it can be resumed."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import jax

from llmpo_jax import models
from llmpo_jax.engine import lanes, processes
from llmpo_jax.engine.chunks import Identity
from llmpo_jax.engine.facts import file_facts, machine_facts
from llmpo_jax.engine.preparation import Prepared, Settings, default_space, prepare
from llmpo_jax.engine.replication import parts
from llmpo_jax.engine.result import Result
from llmpo_jax.engine.simulate import result
from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.engine.tables import write_tables
from llmpo_jax.engine.workers import Arrays, Progress, chunk_size, layout, stream
from llmpo_jax.machine import cores
from llmpo_jax.spaces import space


@dataclass(frozen=True)
class Arguments:
    """What a study is asked to do. `sources` are instances or files as in `llmpo_jax.models.load`.

    `samplers` or `stopping` may be empty, for the usual ones of a source's policy space; `assume` and `features` (a
    file) are as in `llmpo_jax.simulate`; `columns` as in `llmpo_jax.models.load`, `ties` (a number or a file) as in
    `llmpo_jax.models.with_ties` and `costs` (a file) as in `llmpo_jax.models.load_costs`.
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
    columns: str | None = None
    ties: str | None = None
    costs: str | None = None

    @functools.cached_property
    def loaded(self) -> list[models.Source]:
        """The sources, each read once.

        Raises:
            ValueError, OSError: one cannot be read.
        """
        sources = [models.load(source, self.columns) for source in self.sources]
        return sources if self.ties is None else [models.with_ties(source, self.ties) for source in sources]


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
        ValueError: for an unknown source, sampler or stopping rule, settings out of range, or anything given twice.
    """
    _check_once(arguments)
    settings = Settings(
        arguments.deltas,
        arguments.budgets,
        arguments.max_comparisons,
        arguments.existence,
        arguments.replications,
        arguments.seed,
    )
    sources = arguments.loaded
    labels = [source.label for source in sources]
    if len(set(labels)) < len(labels):
        raise ValueError(f"sources name the same instance twice: {', '.join(labels)}")
    cells = []
    for source in sources:
        features = models.features_for(source.model, arguments.features) if arguments.features else None
        costs = models.load_costs(arguments.costs, source.model) if arguments.costs else None
        assumed = arguments.assume or ("structured" if arguments.features else default_space(source.model))
        for sampler in arguments.samplers or _usual_samplers(source.model, assumed):
            for stopping in arguments.stopping or USUAL_STOPPING:
                prepared = prepare(source.model, sampler, stopping, settings, assumed, features, costs)
                cells.append(Cell(source, prepared))
    return cells


USUAL_STOPPING = ("e-process", "stylised")


def _usual_samplers(model: models.PreferenceModel, assumed: str) -> tuple[str, ...]:
    """The usual samplers of a space, without the oracle where the model is not known to have an optimum in it."""
    known, chosen = assumed == default_space(model), space(assumed)
    return tuple(name for name in chosen.usual if known or not chosen.samplers.get(name).oracle)


def _check_once(arguments: Arguments) -> None:
    """Whether no procedure is listed twice."""
    for name in ("samplers", "stopping"):
        listed = getattr(arguments, name)
        for value in listed:
            if listed.count(value) > 1:
                raise ValueError(f"{name} contains {value} more than once, expected each once")


def run_study(
    arguments: Arguments,
    folder: StudyFolder,
    *,
    resume: bool = False,
    overwrite: bool = False,
    imported: dict[str, str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[tuple[Cell, Result]]:
    """Run what is still missing of a study, write its tables, and return the results cell by cell.

    Where several processes have joined (`llmpo_jax.engine.processes`), all of them call this with the same arguments;
    the folder is that of process 0, and so are the results.

    Args:
        arguments: what to do.
        folder: where it is kept.
        resume: go on with the study that the folder holds, with the same arguments or more replications.
        overwrite: replace the study that the folder holds.
        imported: the file and the checksum of a user's module (`llmpo_jax.extension.load`), for the manifest.
        progress: called as `progress(cell label, finished replications, replications of the whole study)`.

    Raises:
        ValueError: bad arguments, a folder that holds something else or is in use, or one that cannot be written (the
            chunks that are finished are kept).
    """
    started = time.monotonic()
    if resume and overwrite:
        raise ValueError("resume and overwrite are both given, expected one of them")
    cells = prepare_cells(arguments)
    with ExitStack() as held:
        plan = _begun(arguments, folder, cells, held, resume=resume, overwrite=overwrite, imported=imported)
        _run(plan, cells, folder, progress, started)
        return _closed(plan, cells, folder, started) if processes.is_first() else []


class _Plan(NamedTuple):
    """What is to be done, the same in all processes.

    Attributes:
        chunks: of every cell, those of all its replications.
        missing: of every cell, the indices of the chunks that are still to be run.
        seconds: of work on the study before.
    """

    chunks: list[list[Identity]]
    missing: list[list[int]]
    seconds: float


def _begun(
    arguments: Arguments,
    folder: StudyFolder,
    cells: list[Cell],
    held: ExitStack,
    *,
    resume: bool,
    overwrite: bool,
    imported: dict[str, str] | None,
) -> _Plan:
    """The plan of the study, agreed among all processes, for the first of which the folder is `held`."""
    error, plan = None, None
    if processes.is_first():
        try:
            asked = _plain(arguments)
            beside = (arguments.features, arguments.ties, arguments.costs)
            files = file_facts([*arguments.sources, *(path for path in beside if path)])
            facts = {**machine_facts(), "files": files, "import": imported}
            facts["chunk"] = chunk_size() * jax.process_count()
            held.enter_context(folder.held())
            manifest = folder.begin(asked, facts, resume=resume, overwrite=overwrite)
            blocks = _blocks(arguments.replications, manifest["chunk"], manifest["extended"])
            # That the number of replications is no part of it is what lets a study be extended.
            study = {name: value for name, value in asked.items() if name != "replications"} | {"files": files}
            chunks = [[Identity(study, cell.label, block.start, block.stop) for block in blocks] for cell in cells]
            missing = [[i for i, chunk in enumerate(of_cell) if not folder.has_chunk(chunk)] for of_cell in chunks]
            plan = _Plan(chunks, missing, manifest["seconds"])
        except (ValueError, OSError) as problem:
            error = problem  # the others wait for word of it
    error, plan = processes.agreed((error, plan))
    if error is not None:
        raise error
    return plan


def _blocks(replications: int, size: int, extended: Sequence[int]) -> list[range]:
    """The replications of each chunk of a cell, cut anew wherever the study was extended."""
    ends = [*extended, replications]
    return [
        range(start, min(start + size, end))
        for begin, end in zip([0, *extended], ends, strict=True)
        for start in range(begin, end, size)
    ]


def _run(
    plan: _Plan,
    cells: list[Cell],
    folder: StudyFolder,
    progress: Callable[[str, int, int], None] | None,
    started: float,
) -> None:
    """Run the missing chunks, and keep each as soon as it is complete."""
    every = zip(cells, plan.chunks, plan.missing, strict=True)
    todo = [(cell, [chunks[index] for index in indices]) for cell, chunks, indices in every if indices]
    total = len(cells) * plan.chunks[0][-1].stop
    finished = total - sum(len(_block(chunk)) for _, missing in todo for chunk in missing)
    compiler = ThreadPoolExecutor(cores())
    # The next programs are compiled side by side, and while the present one runs.
    for cell, missing in todo:
        compiler.submit(_compile, cell, sum(len(processes.share(_block(chunk))) for chunk in missing))
    try:
        for cell, missing in todo:
            report = None
            if progress is not None:
                progress(cell.label, finished, total)
                report = _reporter(progress, cell.label, finished, total)
            for index, arrays in _finished_chunks(cell, [_block(chunk) for chunk in missing], report):
                if processes.is_first():
                    folder.save_chunk(missing[index], arrays)
                    folder.amend_manifest(seconds=_seconds(plan, started))
            finished += sum(len(_block(chunk)) for chunk in missing)
    finally:
        compiler.shutdown(wait=False, cancel_futures=True)


def _block(chunk: Identity) -> range:
    return range(chunk.start, chunk.stop)


def _seconds(plan: _Plan, started: float) -> float:
    """Of work on the study until now: of all runs that had something to do, each up to its last chunk at least."""
    return round(plan.seconds + (time.monotonic() - started if any(plan.missing) else 0.0), 1)


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


def _closed(plan: _Plan, cells: list[Cell], folder: StudyFolder, started: float) -> list[tuple[Cell, Result]]:
    """Tables and manifest from all chunks."""
    results = []
    for cell, chunks in zip(cells, plan.chunks, strict=True):
        parts = [folder.load_chunk(chunk) for chunk in chunks]
        results.append((cell, result(cell.prepared, Arrays.joined(parts))))
    write_tables(folder, [(cell.source, found) for cell, found in results])
    simulated = sum(found.simulated for _, found in results)
    needed = sum(found.needed for _, found in results)
    folder.amend_manifest(
        complete=True,
        seconds=_seconds(plan, started),
        comparisons=int(simulated),
        useful=round(needed / max(simulated, 1), 4),
    )
    return results


def _compile(cell: Cell, replications: int) -> None:
    _, width = layout(replications)
    part = parts(cell.prepared.procedure, cell.prepared.plan)[0]
    lanes.program(cell.prepared.procedure, part.nats.shape[0], part.budgets.shape[0], width)


def _reporter(progress: Callable[[str, int, int], None], label: str, finished: int, total: int) -> Progress:
    number = jax.process_count()  # the others are about as far
    return lambda more, comparisons: progress(label, finished + more * number, total)


def _plain(arguments: Arguments) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(arguments).items()}
