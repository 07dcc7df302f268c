"""Many replications of a procedure on an instance: the front door of the Monte Carlo engine."""

from __future__ import annotations

from typing import LiteralString, TypedDict, Unpack, overload

from numpy.typing import ArrayLike

from llmpo_jax.arguments import Numbers, Whole, Wholes, shown, whole
from llmpo_jax.engine.preparation import LARGEST_NUMBER, Prepared, Settings, prepare
from llmpo_jax.engine.result import Result
from llmpo_jax.engine.workers import Arrays, Progress, run
from llmpo_jax.models import PreferenceModel, given
from llmpo_jax.progress import bar
from llmpo_jax.protocol import Existence, Sampler, SpaceName, StoppingRule
from llmpo_jax.spaces import SamplerName, StoppingName


class UnknownName:
    """What type checkers take `simulate` to return for a name written out that is not registered: nothing of use.

    In truth it raises. A name of one's own is taken in a variable of type `str`, or the object itself.
    """


class Options(TypedDict, total=False):
    """The other arguments of `simulate`, for type checkers."""

    deltas: Numbers
    budgets: Wholes
    replications: Whole
    max_comparisons: Whole
    existence: Existence
    assume: SpaceName | None
    features: ArrayLike | None
    costs: ArrayLike | None
    seed: Whole
    first_replication: Whole
    progress: Progress | bool | None


@overload
def simulate(
    model: PreferenceModel | str,
    sampler: SamplerName | Sampler = "llm-po",
    stopping: StoppingName | StoppingRule = "e-process",
    **options: Unpack[Options],
) -> Result: ...
@overload
def simulate(  # pyright: ignore[reportOverlappingOverload]
    model: PreferenceModel | str,
    sampler: LiteralString | Sampler = "llm-po",
    stopping: LiteralString | StoppingRule = "e-process",
    **options: Unpack[Options],
) -> UnknownName: ...
@overload
def simulate(
    model: PreferenceModel | str,
    sampler: str | Sampler = "llm-po",
    stopping: str | StoppingRule = "e-process",
    **options: Unpack[Options],
) -> Result: ...
def simulate(  # pyright: ignore[reportInconsistentOverload]
    model: PreferenceModel | str,
    sampler: str | Sampler = "llm-po",
    stopping: str | StoppingRule = "e-process",
    *,
    deltas: Numbers = (0.1, 0.01),
    budgets: Wholes = (),
    replications: Whole = 1000,
    max_comparisons: Whole = 1_000_000,
    existence: Existence = "assumed",
    assume: SpaceName | None = None,
    features: ArrayLike | None = None,
    costs: ArrayLike | None = None,
    seed: Whole = 0,
    first_replication: Whole = 0,
    progress: Progress | bool | None = None,
) -> Result:
    """Run a procedure many times on an instance.

    One run of a replication serves all deltas and all budgets: it goes on until the last delta is decided and the
    largest budget is spent. Results depend on the arguments alone, replication by replication.

    Args:
        model: what comparisons are drawn from, or a source of it such as "bradley-terry:16" (`llmpo_jax.models.load`).
        sampler: a name (`llmpo_jax.samplers`, `llmpo_jax.samplers.structured`) or a `Sampler` of your own.
        stopping: a name (`llmpo_jax.stopping`, `llmpo_jax.stopping.structured`) or a `StoppingRule` of your own.
        deltas: error levels in (0, 1), all different, down to 1e-50 and below; D of them.
        budgets: numbers of comparisons at which the best guess is recorded, all different; B of them.
        replications: independent runs, R.
        max_comparisons: where a run is given up as censored.
        existence: "assumed" if a Condorcet winner is known to exist, "certify" if the procedure must show it
            (unstructured space only).
        assume: the policy space that the PROCEDURE assumes, whatever the model is: "unstructured" (any win matrix with
            a Condorcet winner) or "structured" (linear Bradley-Terry). By default structured for `LinearBradleyTerry`
            and where `features` are given. A model outside of the assumed space voids the guarantee: to be studied.
        features: [K, d], what the structured procedure takes the features to be. By default those of
            `LinearBradleyTerry`; one-hot for `BradleyTerry`. Only their differences matter, not their units or basis.
        costs: what a comparison costs, in any unit: [K] by policy, so that a pair costs the sum of its two, or [K, K]
            by pair, symmetric. The procedure is told (`llm-po` then chooses by information per cost), and means, bound
            and ratios of the result are in units of cost. Budgets and `max_comparisons` stay numbers of comparisons,
            the ties of an `llmpo_jax.Tied` model among them.
        seed: of all randomness.
        first_replication: number of the first replication, to extend an earlier run with the same seed.
        progress: True for a bar, in a terminal or a notebook; or a function of one's own, called as
            `progress(finished replications, comparisons made)` after every segment.

    Returns:
        `Result` with stopping times and recommendations [R, D], budget recommendations [R, B].

    Raises:
        ValueError: for arguments outside what is stated above, named in the message.
        OSError: a source is a file that cannot be read.

    Example:
        >>> import llmpo_jax as lp
        >>> result = lp.simulate(lp.BradleyTerry([2.0, 0.0, 0.0]), deltas=(0.1,), replications=8)
        >>> result.stopping_time.shape
        (8, 1)
    """
    settings = Settings(deltas, budgets, max_comparisons, existence, replications, seed)  # pyright: ignore[reportArgumentType]
    first = whole("first_replication", first_replication, 0, LARGEST_NUMBER - settings.replications)
    if not (progress is None or isinstance(progress, bool) or callable(progress)):
        raise ValueError(f"progress = {shown(progress)}, expected True, False or a function of two counts")
    prepared = prepare(given(model), sampler, stopping, settings, assume, features, costs)
    numbers = range(first, first + settings.replications)
    if progress is not True:
        return result(prepared, run(prepared.procedure, prepared.plan, numbers, progress or None))
    with bar("replications", len(numbers)) as advance:
        arrays = run(prepared.procedure, prepared.plan, numbers, lambda finished, _: advance(finished))
    return result(prepared, arrays)


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
        costs=prepared.costs,
        stopping_time=arrays.stopping_time,
        stopping_cost=None if prepared.costs is None else arrays.stopping_cost,
        recommendation=arrays.recommendation,
        budget_recommendation=arrays.budget_recommendation,
        counts=arrays.counts.sum(axis=0) / settings.replications,
        group_counts=arrays.counts,
        simulated=arrays.simulated,
    )
