"""What a simulation returns, and its summary with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from llmpo_jax.engine import glance
from llmpo_jax.models import PreferenceModel, condorcet_winner
from llmpo_jax.protocol import CENSORED, NO_WINNER
from llmpo_jax.theory.divergence import confidence_divergence
from llmpo_jax.theory.intervals import clopper_pearson, mean_interval


@dataclass(frozen=True)
class Level:
    """Summary at one delta.

    Attributes:
        delta: error level.
        errors: replications with a wrong statement: a policy that is not the Condorcet winner was named, or the
            absence of a winner was claimed where there is one.
        replications: all of them; the error rate counts censored ones as no error.
        error_rate, error_low, error_high: errors / replications with its exact 95 % interval.
        censored: share of replications that reached the comparison limit undecided.
        mean, mean_low, mean_high: mean stopping time with its 95 % interval; censored runs enter at the limit, so with
            any censoring these are lower bounds.
        median: of the stopping time (censored runs at the limit).
        ratio: mean / (T* log(1 / delta)), None where there is no T* (see `Result.time`) or none certified.
        bound: T* kl(delta, 1 - delta) with the certified lower end of T*; None where there is no T*.
        unit: of mean, median and bound: "comparisons", or "cost" where comparisons have costs.
    """

    delta: float
    errors: int
    replications: int
    error_rate: float
    error_low: float
    error_high: float
    censored: float
    mean: float
    mean_low: float
    mean_high: float
    median: float
    ratio: float | None
    bound: float | None
    unit: Literal["comparisons", "cost"] = "comparisons"


@dataclass(frozen=True, eq=False)
class Result:
    """Outcome of R replications at D deltas and B budgets. Policies are numbered as in the model.

    Two results are equal only if they are the same object, as models are; `numpy.array_equal` compares the arrays.

    Attributes:
        model, assume, sampler, stopping, existence, deltas, budgets, max_comparisons, seed: what was run; `assume` is
            the policy space that the procedure assumed.
        time: T*, comparisons per nat (where there are `costs`, units of cost per nat), over the assumed space; None
            where the model has no Condorcet winner or lies outside of that space.
        certified: at most T*, by the certificate of its solver (0 where it has none); None likewise.
        proportions: float64 [K, K] upper triangle, the optimal proportions; None likewise.
        costs: float64 [K, K], what a comparison of each pair costs; None where it was not said.
        stopping_time: int64 [R, D] comparisons, -1 where the limit came first (censored).
        stopping_cost: float64 [R, D], what they cost, to 1e-7 of it; until the limit where censored. None without
            costs.
        recommendation: int64 [R, D], a policy; -1 where censored; -2 where the absence of a winner was certified.
        budget_recommendation: int64 [R, B], the least refuted policy after that many comparisons.
        counts: float64 [K, K] upper triangle, mean comparisons of each pair until the stop at the last delta.
        group_counts: int64 [8, K, K], the comparisons behind `counts`, all those of the replications whose numbers are
            equal modulo 8 together; for intervals.
        simulated: comparisons that the machine simulated, those of lanes that waited for others included.
    """

    model: PreferenceModel
    assume: str
    sampler: str
    stopping: str
    existence: str
    deltas: tuple[float, ...]
    budgets: tuple[int, ...]
    max_comparisons: int
    seed: int
    time: float | None
    certified: float | None
    proportions: np.ndarray | None
    costs: np.ndarray | None
    stopping_time: np.ndarray
    stopping_cost: np.ndarray | None
    recommendation: np.ndarray
    budget_recommendation: np.ndarray
    counts: np.ndarray
    group_counts: np.ndarray
    simulated: int

    def __repr__(self) -> str:
        return glance.text(self)

    def _repr_html_(self) -> str:
        return glance.table(self)

    def errors(self) -> np.ndarray:
        """bool [R, D], where a wrong statement was made; a censored run made none."""
        winner = condorcet_winner(self.model)
        truth = NO_WINNER if winner is None else winner
        return (self.recommendation != truth) & (self.recommendation != CENSORED)

    def correct_selection(self) -> np.ndarray:
        """bool [R, B], where the best guess at a budget is the Condorcet winner."""
        winner = condorcet_winner(self.model)
        return self.budget_recommendation == (NO_WINNER if winner is None else winner)

    @property
    def needed(self) -> int:
        """Comparisons until each replication was over, together: the useful ones among `simulated`."""
        spent = np.where(self.stopping_time < 0, self.max_comparisons, self.stopping_time)
        last = spent.max(axis=1, initial=max(self.budgets, default=0))
        return int(last.sum())

    def summary(self) -> tuple[Level, ...]:
        """One `Level` per delta."""
        errors = self.errors().sum(axis=0)
        return tuple(
            self._level(delta, self.stopping_time[:, index], self.spent(index), int(errors[index]))
            for index, delta in enumerate(self.deltas)
        )

    def spent(self, index: int) -> np.ndarray:
        """[R], comparisons until the stop at `deltas[index]`, or what they cost; until the limit where censored."""
        if self.stopping_cost is not None:
            return self.stopping_cost[:, index]
        return np.where(self.stopping_time[:, index] < 0, self.max_comparisons, self.stopping_time[:, index])

    def _level(self, delta: float, stopping_time: np.ndarray, spent: np.ndarray, errors: int) -> Level:
        censored = stopping_time < 0
        low, high = clopper_pearson(errors, len(spent), 0.95)
        mean, mean_low, mean_high = mean_interval(spent, 0.95)
        return Level(
            delta=delta,
            errors=errors,
            replications=len(spent),
            error_rate=errors / len(spent),
            error_low=low,
            error_high=high,
            censored=float(censored.mean()),
            mean=mean,
            mean_low=mean_low,
            mean_high=mean_high,
            median=float(np.median(spent)),
            ratio=None if self.time is None or not self.certified else mean / (-self.time * float(np.log(delta))),
            bound=None if self.certified is None else self.certified * confidence_divergence(delta),
            unit="comparisons" if self.costs is None else "cost",
        )
