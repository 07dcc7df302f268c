"""Many replications of a procedure on an instance: the front door of the Monte Carlo engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmpo_jax.engine.preparation import Prepared, Settings, prepare
from llmpo_jax.engine.result import Result
from llmpo_jax.engine.workers import Arrays, Progress, run
from llmpo_jax.models import PreferenceModel
from llmpo_jax.protocol import Sampler, StoppingRule


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
    progress: Progress | None = None,
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
        certified=prepared.certified,
        proportions=prepared.proportions,
        stopping_time=arrays.stopping_time,
        recommendation=arrays.recommendation,
        budget_recommendation=arrays.budget_recommendation,
        counts=arrays.counts.sum(axis=0) / settings.replications,
        group_counts=arrays.counts,
        simulated=arrays.simulated,
    )
