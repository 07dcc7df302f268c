"""The host's side of the Monte Carlo engine: hands replications to lanes and collects their outcomes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.engine import lanes as lanes_module
from llmpo_jax.engine.replication import Plan, Procedure
from llmpo_jax.engine.result import Result
from llmpo_jax.models import PreferenceModel, host_probabilities
from llmpo_jax.protocol import CENSORED, Problem, Sampler, StoppingRule
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.stopping import STOPPING_RULES
from llmpo_jax.theory.unstructured import check_existence

LARGEST_LIMIT = 2**30
"""Comparisons per replication that the int32 clock can count with room to spare."""

_CPU_LANES = 64
"""Lanes of a worker on CPU: their records stay in the cache of one core, and wider ones are no faster per lane."""


@dataclass(frozen=True)
class Settings:
    """Checked arguments of a simulation, apart from the model and the seed."""

    deltas: tuple[float, ...]
    budgets: tuple[int, ...]
    max_comparisons: int
    existence: str = "assumed"

    def __post_init__(self) -> None:
        if not self.deltas and not self.budgets:
            raise ValueError("deltas and budgets are both empty, expected at least one delta or budget")
        for delta in self.deltas:
            if not 0 < delta < 1:
                raise ValueError(f"deltas contains {delta}, expected numbers strictly between 0 and 1")
        for budget in self.budgets:
            if int(budget) != budget or budget < 1:
                raise ValueError(f"budgets contains {budget}, expected positive whole numbers of comparisons")
        if self.budgets and max(self.budgets) > self.max_comparisons:
            raise ValueError(
                f"budgets contains {max(self.budgets)}, expected at most max_comparisons = {self.max_comparisons}"
            )
        if not 1 <= self.max_comparisons <= LARGEST_LIMIT:
            raise ValueError(f"max_comparisons = {self.max_comparisons}, expected 1 to {LARGEST_LIMIT}")
        check_existence(self.existence)


def _resolve(sampler: str | Sampler, stopping: str | StoppingRule) -> tuple[Sampler, str, StoppingRule, str]:
    """The two objects with their names; a user's own object goes by the name "custom"."""
    chosen = SAMPLERS.get(sampler) if isinstance(sampler, str) else sampler
    rule = STOPPING_RULES.get(stopping) if isinstance(stopping, str) else stopping
    names = [thing if isinstance(thing, str) else "custom" for thing in (sampler, stopping)]
    return chosen, names[0], rule, names[1]


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
    seed: int = 0,
    first_replication: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Run a procedure many times on an instance.

    One run of a replication serves all deltas and all budgets: it goes on until the last delta is decided and the
    largest budget is spent. Results depend on the arguments alone, replication by replication.

    Args:
        model: what comparisons are drawn from.
        sampler: a name (`llmpo_jax.samplers`) or a `Sampler` of your own.
        stopping: a name (`llmpo_jax.stopping`) or a `StoppingRule` of your own.
        deltas: error levels in (0, 1), down to 1e-50 and below; D of them.
        budgets: numbers of comparisons at which the best guess is recorded; B of them.
        replications: independent runs, R.
        max_comparisons: where a run is given up as censored.
        existence: "assumed" if a Condorcet winner is known to exist, "certify" if the procedure must show it.
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
    if replications < 1:
        raise ValueError(f"replications = {replications}, expected at least 1")
    settings = Settings(tuple(deltas), tuple(budgets), max_comparisons, existence)
    chosen, sampler_name, rule, stopping_name = _resolve(sampler, stopping)
    mu = host_probabilities(model)
    procedure = Procedure(Problem(len(mu), existence), chosen, rule)
    plan = make_plan(procedure, mu, settings, seed)
    numbers = range(first_replication, first_replication + replications)
    arrays = run(procedure, plan, numbers, progress)
    return Result(
        model=model,
        sampler=sampler_name,
        stopping=stopping_name,
        existence=existence,
        deltas=settings.deltas,
        budgets=settings.budgets,
        max_comparisons=max_comparisons,
        seed=seed,
        stopping_time=arrays.stopping_time,
        recommendation=arrays.recommendation,
        budget_recommendation=arrays.budget_recommendation,
        counts=arrays.counts / replications,
        simulated=arrays.simulated,
    )


def make_plan(procedure: Procedure, mu: np.ndarray, settings: Settings, seed: int) -> Plan:
    """The numbers of a run, with thresholds and chances computed in float64 on the host."""
    thresholds = [procedure.stopping.thresholds(procedure.problem, delta) for delta in settings.deltas]
    # 2^32 itself does not fit: a sure win is lost once in 2^32 comparisons.
    chances = np.minimum(np.floor(mu * 2.0**32), 2.0**32 - 1).astype(np.uint32)
    return Plan(
        root=jax.random.key(seed),
        chances=jnp.asarray(chances),
        winner_thresholds=jnp.asarray([t.winner for t in thresholds], jnp.float32),
        absence_thresholds=jnp.asarray([t.absence for t in thresholds], jnp.float32),
        budgets=jnp.asarray(settings.budgets, jnp.int32),
        horizon=jnp.asarray(max(settings.budgets, default=0), jnp.int32),
        max_comparisons=jnp.asarray(settings.max_comparisons, jnp.int32),
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
    if jax.default_backend() != "cpu":
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
            # The arrays have the lanes last (see lanes._axes).
            queue.put(indices[done], tuple(np.asarray(x)[:, done].T for x in lanes.outcome))
        indices = np.where(over, -1, indices)
        free = over
