"""The host's side of the Monte Carlo engine: hands replications to lanes and collects their outcomes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import jax
import numpy as np

from llmpo_jax.engine import lanes as lanes_module
from llmpo_jax.engine.preparation import Prepared, Settings, prepare
from llmpo_jax.engine.replication import Plan, Procedure
from llmpo_jax.engine.result import Result
from llmpo_jax.models import PreferenceModel
from llmpo_jax.protocol import CENSORED, Sampler, StoppingRule

_CPU_LANES = 128
"""Lanes of a worker on CPU: their records stay in the cache of one core; XLA splits wider arrays over all cores, which
are busy with lanes of their own."""


def simulate(
    model: PreferenceModel,
    sampler: str | Sampler = "llm-po",
    stopping: str | StoppingRule = "e-process",
    *,
    deltas: Sequence[float] = (0.1, 0.01),
    budgets: Sequence[int] = (),
    replications: int = 1000,
    max_comparisons: int = 1_000_000,
    existence: str = "assumed",
    assume: str | None = None,
    features: np.ndarray | None = None,
    seed: int = 0,
    first_replication: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Run a procedure many times on an instance.

    One run of a replication serves all deltas and all budgets: it goes on until the last delta is decided and the
    largest budget is spent. Results depend on the arguments alone, replication by replication.

    Args:
        model: what comparisons are drawn from.
        sampler: a name (`llmpo_jax.samplers`, `llmpo_jax.samplers.structured`) or a `Sampler` of your own.
        stopping: a name (`llmpo_jax.stopping`, `llmpo_jax.stopping.structured`) or a `StoppingRule` of your own.
        deltas: error levels in (0, 1), down to 1e-50 and below; D of them.
        budgets: numbers of comparisons at which the best guess is recorded; B of them.
        replications: independent runs, R.
        max_comparisons: where a run is given up as censored.
        existence: "assumed" if a Condorcet winner is known to exist, "certify" if the procedure must show it
            (unstructured space only).
        assume: the policy space that the PROCEDURE assumes, whatever the model is: "unstructured" (any win matrix with
            a Condorcet winner) or "structured" (linear Bradley-Terry). By default structured for `LinearBradleyTerry`
            and where `features` are given. A model outside of the assumed space voids the guarantee: to be studied.
        features: [K, d], what the structured procedure takes the features to be. By default those of
            `LinearBradleyTerry`; one-hot for `BradleyTerry`. Only their differences matter, not their units or basis.
        seed: of all randomness.
        first_replication: number of the first replication, to extend an earlier run with the same seed.
        progress: called as `progress(finished replications, comparisons made)` after every segment.

    Returns:
        `Result` with stopping times and recommendations [R, D], budget recommendations [R, B].

    Raises:
        ValueError: for arguments outside what is stated above.

    Example:
        >>> import llmpo_jax as lp
        >>> result = lp.simulate(lp.BradleyTerry([2.0, 0.0, 0.0]), deltas=(0.1,), replications=8)
        >>> result.stopping_time.shape
        (8, 1)
    """
    settings = Settings(tuple(deltas), tuple(budgets), max_comparisons, existence, replications, seed)
    prepared = prepare(model, sampler, stopping, settings, assume, features)
    numbers = range(first_replication, first_replication + replications)
    return result(prepared, run(prepared.procedure, prepared.plan, numbers, progress))


def result(prepared: Prepared, arrays: Arrays) -> Result:
    """The outcome of a prepared run."""
    settings = prepared.settings
    return Result(
        model=prepared.model,
        assume=prepared.assume,
        sampler=prepared.sampler,
        stopping=prepared.stopping,
        existence=settings.existence,
        deltas=settings.deltas,
        budgets=settings.budgets,
        max_comparisons=settings.max_comparisons,
        seed=settings.seed,
        time=prepared.time,
        proportions=prepared.proportions,
        stopping_time=arrays.stopping_time,
        recommendation=arrays.recommendation,
        budget_recommendation=arrays.budget_recommendation,
        counts=arrays.counts / settings.replications,
        simulated=arrays.simulated,
    )


@dataclass
class Arrays:
    """What comes out of a run: see `Result`; `counts` is the sum over replications, int64 [K, K]."""

    stopping_time: np.ndarray
    recommendation: np.ndarray
    budget_recommendation: np.ndarray
    counts: np.ndarray
    simulated: int


def run(
    procedure: Procedure,
    plan: Plan,
    replications: range,
    progress: Callable[[int, int], None] | None = None,
) -> Arrays:
    """Run the given replications on all cores (or the accelerator) and collect their outcomes."""
    deltas, budgets = plan.winner_thresholds.shape[0], plan.budgets.shape[0]
    workers, num_lanes = layout(len(replications))
    program = lanes_module.program(procedure, deltas, budgets, num_lanes)
    k = procedure.problem.num_policies
    arrays = Arrays(
        stopping_time=np.full((len(replications), deltas), CENSORED, np.int64),
        recommendation=np.full((len(replications), deltas), CENSORED, np.int64),
        budget_recommendation=np.full((len(replications), budgets), CENSORED, np.int64),
        counts=np.zeros((k, k), np.int64),
        simulated=0,
    )
    queue = _Queue(replications, arrays, progress)
    with ThreadPoolExecutor(workers) as pool:
        tasks = [pool.submit(_work, procedure, plan, program, num_lanes, queue) for _ in range(workers)]
        try:
            for task in tasks:
                task.result()
        except BaseException:
            queue.stop()
            raise
    return arrays


def layout(replications: int) -> tuple[int, int]:
    """How many worker threads run how many lanes each: a thread per core on CPU, one wide one elsewhere."""
    if not lanes_module.on_cpu():
        return 1, min(2**15, max(256, 2 ** (replications - 1).bit_length()))
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A lane that has several replications to go through wastes little on waiting for the slowest one.
    share = max(1, replications // (4 * workers))
    lanes = min(_CPU_LANES, max(16, 2 ** (share - 1).bit_length()))
    return min(workers, -(-replications // lanes)), lanes


class _Queue:
    """The replications still to be run and the results so far, shared by the workers."""

    def __init__(self, replications: range, arrays: Arrays, progress: Callable[[int, int], None] | None) -> None:
        self._replications = replications
        self._next = 0
        self._finished = 0
        self._arrays = arrays
        self._progress = progress
        self._lock = threading.Lock()
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True

    def take(self, free: np.ndarray) -> np.ndarray:
        """Fill the free lanes with the next replications: their indices, -1 for lanes that get none."""
        with self._lock:
            indices = self._next + np.arange(free.sum())
            indices[indices >= len(self._replications)] = -1
            self._next = min(self._next + int(free.sum()), len(self._replications))
        taken = np.full(len(free), -1)
        taken[free] = indices
        return taken

    def numbers(self, indices: np.ndarray) -> np.ndarray:
        """Global numbers of the replications with these indices, -1 for none."""
        return np.where(indices < 0, -1, self._replications.start + indices).astype(np.int32)

    def put(self, indices: np.ndarray, outcome: tuple[np.ndarray, ...]) -> None:
        """Store the outcomes of finished replications (arrays with the lanes in front)."""
        with self._lock:
            self._arrays.stopping_time[indices] = outcome[0]
            self._arrays.recommendation[indices] = outcome[1]
            self._arrays.budget_recommendation[indices] = outcome[2]
            self._finished += len(indices)

    def count(self, counts: np.ndarray, simulated: int) -> None:
        """Add the comparisons of one segment."""
        with self._lock:
            self._arrays.counts += counts
            self._arrays.simulated += simulated
            if self._progress is not None:
                self._progress(self._finished, self._arrays.simulated)


def _work(procedure: Procedure, plan: Plan, program: lanes_module.Program, num_lanes: int, queue: _Queue) -> None:
    """One worker: segment after segment until the queue is empty and all its lanes are over."""
    lanes = lanes_module.blank(procedure, plan, num_lanes)
    indices = np.full(num_lanes, -1)
    free = np.ones(num_lanes, bool)
    while not queue.stopped:
        taken = queue.take(free)
        indices = np.where(free, taken, indices)
        if not (indices >= 0).any():
            return
        lanes, over, counts = program(plan, lanes, free, queue.numbers(taken))
        over = np.asarray(over)
        done = over & (indices >= 0)
        queue.count(np.asarray(counts), lanes_module.SEGMENT * num_lanes)
        if done.any():
            queue.put(indices[done], tuple(np.asarray(x)[done] for x in lanes.outcome))
        indices = np.where(over, -1, indices)
        free = over
