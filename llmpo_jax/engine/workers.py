"""The host's side of the Monte Carlo engine: hands replications to lanes, chunk after chunk, and collects outcomes."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import jax
import numpy as np

from llmpo_jax.engine import lanes as lanes_module
from llmpo_jax.engine.lanes import BATCH, GROUPS, SLOTS, Fresh
from llmpo_jax.engine.replication import Plan, Procedure, parts
from llmpo_jax.machine import cores, on_cpu
from llmpo_jax.protocol import CENSORED

_CPU_LANES = 128
"""Lanes of a worker on CPU: their records stay in the cache of one core; XLA splits wider arrays over all cores, which
are busy with lanes of their own."""
_DEVICE_LANES = 2**15
"""Lanes of an accelerator: enough work in every small operation to hide its launch."""

Progress = Callable[[int, int], None]
"""Called as `progress(finished replications, comparisons made)` after every segment."""


_OUTCOME = ("stopping_time", "recommendation", "budget_recommendation", "stopping_cost")


@dataclass
class Arrays:
    """What comes out of a run: see `Result`; `counts` are sums over groups of replications, int64 [GROUPS, K, K].

    `stopping_cost` is zero where nothing is known of costs.
    """

    stopping_time: np.ndarray
    recommendation: np.ndarray
    budget_recommendation: np.ndarray
    stopping_cost: np.ndarray
    counts: np.ndarray
    simulated: int

    @staticmethod
    def beside(parts: Sequence[Arrays]) -> Arrays:
        """Runs of the same replications for one budget or level each as one; `counts` are those of the last."""
        return Arrays(
            *(np.concatenate([getattr(part, name) for part in parts], axis=1) for name in _OUTCOME),
            counts=parts[-1].counts,
            simulated=sum(part.simulated for part in parts),
        )

    @staticmethod
    def joined(parts: Sequence[Arrays]) -> Arrays:
        """The runs of consecutive replications as one."""
        return Arrays(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in _OUTCOME),
            counts=np.sum([part.counts for part in parts], axis=0),
            simulated=sum(part.simulated for part in parts),
        )


def layout(replications: int) -> tuple[int, int]:
    """How many worker threads run how many lanes each: up to two per core on CPU, one for all devices elsewhere.

    Several devices of a process, accelerators or CPU devices that the user has split off, share the lanes of one
    worker evenly.
    """
    devices = jax.local_device_count()
    if not on_cpu() or devices > 1:
        widest = _CPU_LANES if on_cpu() else _DEVICE_LANES
        share = -(-replications // devices)
        return 1, devices * min(widest, max(16, 2 ** (share - 1).bit_length()))
    number = cores()
    # A lane that has several replications to go through wastes little on waiting for the slowest one.
    share = max(1, replications // (4 * number))
    lanes = min(_CPU_LANES, max(16, 2 ** (share - 1).bit_length()))
    # Between two segments a worker leaves its core idle for a moment: a second one takes it.
    workers = min(2 * number, max(number, replications // (4 * lanes)))
    return max(1, min(workers, -(-replications // lanes))), lanes


def chunk_size() -> int:
    """Replications per chunk on this machine: enough for the lanes to take turns."""
    workers, lanes = layout(2**30)
    return max(512, workers * lanes)


def run(procedure: Procedure, plan: Plan, replications: range, progress: Progress | None = None) -> Arrays:
    """Run the given replications on the whole machine and collect their outcomes."""
    ((_, arrays),) = stream(procedure, plan, [replications], progress)
    return arrays


def stream(
    procedure: Procedure, plan: Plan, chunks: Sequence[range], progress: Progress | None = None
) -> Iterator[tuple[int, Arrays]]:
    """Run chunks of replications on the whole machine; each comes out, with its index, as soon as it is complete.

    A procedure that is told its budget or level runs a chunk once for each.
    """
    plans = parts(procedure, plan)
    if len(plans) == 1:
        yield from _stream(procedure, plans[0], chunks, progress)
        return
    done = 0
    for index, chunk in enumerate(chunks):
        found = []
        for number, part in enumerate(plans):
            report = progress and _share_of(progress, done, number * len(chunk), len(plans))
            found += [arrays for _, arrays in _stream(procedure, part, [chunk], report)]
        done += len(chunk)
        yield index, Arrays.beside(found)


def _share_of(progress: Progress, done: int, before: int, number: int) -> Progress:
    """Of one of the `number` runs of a chunk: after `done` replications of other chunks, `before` in other runs."""
    return lambda finished, comparisons: progress(done + (before + finished) // number, comparisons)


def _stream(
    procedure: Procedure, plan: Plan, chunks: Sequence[range], progress: Progress | None
) -> Iterator[tuple[int, Arrays]]:
    """`stream` of one run.

    Lanes go on with the next chunk while the slowest replications of the last ones are still running; at most `SLOTS`
    chunks are in flight.
    """
    deltas, budgets = plan.winner_thresholds.shape[0], plan.budgets.shape[0]
    workers, num_lanes = layout(sum(map(len, chunks)))
    program = lanes_module.program(procedure, deltas, budgets, num_lanes)
    identify = functools.partial(program.identify, plan)
    queue = _Queue(chunks, (deltas, budgets, procedure.problem.num_policies), identify, progress)
    plan = program.place(plan)
    with ThreadPoolExecutor(workers) as pool:
        for _ in range(workers):
            pool.submit(_guarded, queue, procedure, plan, program, num_lanes)
        try:
            yield from queue.completed()
        finally:
            queue.stop()


class _Queue:
    """The replications still to be run and the results so far, shared by the workers.

    A replication is known by its position in all chunks together.
    """

    def __init__(
        self,
        chunks: Sequence[range],
        shape: tuple[int, int, int],
        identify: Callable[[np.ndarray], Fresh],
        progress: Progress | None,
    ) -> None:
        deltas, budgets, k = shape
        # Positions are handed out in order, so a few batches are all that is ever asked for.
        self._batch = functools.lru_cache(maxsize=4)(lambda b: identify(self._numbers[b * BATCH : (b + 1) * BATCH]))
        self._arrays = [
            Arrays(
                stopping_time=np.full((len(chunk), deltas), CENSORED, np.int64),
                recommendation=np.full((len(chunk), deltas), CENSORED, np.int64),
                budget_recommendation=np.full((len(chunk), budgets), CENSORED, np.int64),
                stopping_cost=np.zeros((len(chunk), deltas)),
                counts=np.zeros((GROUPS, k, k), np.int64),
                simulated=0,
            )
            for chunk in chunks
        ]
        self._numbers = np.concatenate([np.arange(chunk.start, chunk.stop, dtype=np.int32) for chunk in chunks])
        self._policies = k
        self._left = np.array([len(chunk) for chunk in chunks])
        self._ends = np.cumsum(self._left)
        self._chunk = np.repeat(np.arange(len(chunks)), self._left)
        self._next = self._finished = self._simulated = 0
        self._complete = np.flatnonzero(self._left == 0).tolist()  # where there are more processes than replications
        self._oldest = self._first_unfinished()
        self._error: BaseException | None = None
        self._progress = progress
        self._changed = threading.Condition()
        self.stopped = False

    def stop(self) -> None:
        """Let the workers end after their present segment."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """A worker ended with an error, which ends the run."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def completed(self) -> Iterator[tuple[int, Arrays]]:
        """Chunks in the order in which they are completed; those of before an error come out, then it is raised."""
        for _ in self._arrays:
            with self._changed:
                while not self._complete and self._error is None:
                    self._changed.wait(timeout=1)  # wakes up for Ctrl-C
                if self._error is not None and not self._complete:
                    raise self._error
                index = self._complete.pop(0)
            yield index, self._arrays[index]

    def take(self, free: np.ndarray, busy: bool) -> np.ndarray | None:
        """Fill the free lanes: their positions, -1 for lanes that get none; None once nothing is left for the worker.

        A worker that is not `busy` with anything else waits where too many chunks are in flight.
        """
        with self._changed:
            while not busy and not self.stopped and self._ready() == self._next < len(self._numbers):
                self._changed.wait(timeout=1)
            taken = np.full(len(free), -1)
            positions = self._next + np.arange(free.sum())
            positions[positions >= self._ready()] = -1
            self._next += int((positions >= 0).sum())
            taken[free] = positions
            return None if self.stopped or not (busy or (taken >= 0).any()) else taken

    def _first_unfinished(self) -> int:
        unfinished = np.flatnonzero(self._left)
        return int(unfinished[0]) if len(unfinished) else len(self._left)

    def _ready(self) -> int:
        """The end of the last chunk that may be in flight."""
        return int(self._ends[min(self._oldest + SLOTS, len(self._ends)) - 1])

    def fresh(self, positions: np.ndarray) -> Fresh:
        """Who the replications at these positions are; anything where there is none."""
        found = Fresh(np.zeros((len(positions), 2), np.uint32), np.zeros((len(positions), self._policies), np.int32))
        for batch in np.unique(positions[positions >= 0] // BATCH):
            mine = positions // BATCH == batch
            for mine_of, all_of in zip(found, self._batch(int(batch)), strict=True):
                np.asarray(mine_of)[mine] = all_of[positions[mine] % BATCH]
        return found

    def slots(self, positions: np.ndarray) -> np.ndarray:
        """Where their comparisons are counted: no two chunks in flight share a slot, in it each group has its place."""
        places = self._chunk[positions] % SLOTS * GROUPS + self._numbers[positions] % GROUPS
        return np.where(positions < 0, 0, places).astype(np.int32)

    def count(self, counts: np.ndarray, simulated: int) -> None:
        """Add the comparisons [SLOTS, GROUPS, K, K] of one segment."""
        with self._changed:
            for index in range(self._oldest, min(self._oldest + SLOTS, len(self._arrays))):
                self._arrays[index].counts += counts[index % SLOTS]
            self._arrays[min(self._oldest, len(self._arrays) - 1)].simulated += simulated
            self._simulated += simulated

    def put(self, positions: np.ndarray, outcome: dict[str, np.ndarray]) -> None:
        """Store the outcomes of finished replications (arrays of `Outcome` with the lanes in front, by name)."""
        with self._changed:
            for index in np.unique(self._chunk[positions]):
                mine = self._chunk[positions] == index
                rows = positions[mine] - (self._ends[index] - len(self._arrays[index].stopping_time))
                for name, values in outcome.items():
                    getattr(self._arrays[index], name)[rows] = values[mine]
                self._left[index] -= len(rows)
                if not self._left[index]:
                    self._complete.append(int(index))
            self._oldest = self._first_unfinished()
            self._finished += len(positions)
            self._changed.notify_all()

    def report(self) -> None:
        """Tell how far it is."""
        if self._progress is not None:
            with self._changed:
                self._progress(self._finished, self._simulated)


def _guarded(queue: _Queue, *arguments) -> None:
    try:
        _work(queue, *arguments)
    except BaseException as error:
        queue.fail(error)


def _work(queue: _Queue, procedure: Procedure, plan: Plan, program: lanes_module.Program, num_lanes: int) -> None:
    """One worker: segment after segment until the queue is empty and all its lanes are over."""
    lanes = program.place(lanes_module.blank(procedure, plan, num_lanes), split=True)
    positions = np.full(num_lanes, -1)
    free = np.ones(num_lanes, bool)
    while (taken := queue.take(free, busy=bool((positions >= 0).any()))) is not None:
        positions = np.where(free, taken, positions)
        idle = free & (taken < 0)
        lanes, over, counts = program(plan, lanes, free, idle, queue.slots(positions), queue.fresh(taken))
        over = np.asarray(over)
        done = over & (positions >= 0)
        queue.count(np.asarray(counts), lanes_module.SEGMENT * num_lanes)
        if done.any():
            outcome = {name: x for name, x in lanes.outcome._asdict().items() if x is not None}
            queue.put(positions[done], {name: np.asarray(x)[done] for name, x in outcome.items()})
        queue.report()
        positions = np.where(over, -1, positions)
        free = over
