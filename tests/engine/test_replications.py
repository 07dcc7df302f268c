"""`simulate` does what it says, replication by replication: against a literal loop, and by hand."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from scipy import stats

from llmpo_jax import models
from llmpo_jax.engine import simulate, workers
from llmpo_jax.engine.preparation import Settings, make_plan
from llmpo_jax.engine.replication import Procedure
from llmpo_jax.engine.result import Result
from llmpo_jax.engine.tables import statements
from llmpo_jax.protocol import Problem, Sampler, StoppingRule, Thresholds, Verdict
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.stopping import common
from llmpo_jax.stopping.e_process import E_PROCESS
from llmpo_jax.theory.unstructured import characteristic_time, lower_bound
from tests import reference
from tests.samplers import trajectory
from tests.shared_files import shared

# Against a literal loop.

EASY = models.Tabular(
    np.array([[0.5, 0.1, 0.3, 0.25], [0.9, 0.5, 0.85, 0.92], [0.7, 0.15, 0.5, 0.9], [0.75, 0.08, 0.1, 0.5]])
)
LITERAL = [
    ("round-robin", "e-process", "assumed"),
    ("random-pair", "e-process", "certify"),
    ("round-robin", "stylised", "assumed"),
    ("round-robin", "stylised", "certify"),
    ("round-robin", "kaufmann-koolen", "assumed"),
    ("round-robin", "kaufmann-koolen", "certify"),
]


@pytest.mark.parametrize(("sampler", "stopping", "existence"), LITERAL)
def test_a_literal_loop_gives_the_same(sampler: str, stopping: str, existence: str) -> None:
    """Stopping times, recommendations, budgets and counts of whole replications; some are censored at the limit."""
    limit = 1200 if stopping == "kaufmann-koolen" else 450
    asked: dict[str, Any] = {"deltas": (0.2, 0.01), "budgets": (5, 60), "max_comparisons": limit, "seed": 6}
    asked["existence"] = existence
    result = simulate.simulate(EASY, sampler, stopping, replications=6, **asked)
    mu = models.host_probabilities(EASY)
    runs = [reference.replicate(mu, sampler, stopping, replication=number, **asked) for number in range(6)]
    np.testing.assert_array_equal(result.stopping_time, [run.stopping_time for run in runs])
    np.testing.assert_array_equal(result.recommendation, [run.recommendation for run in runs])
    np.testing.assert_array_equal(result.budget_recommendation[:, 1], [run.budget_recommendation[1] for run in runs])
    np.testing.assert_allclose(result.counts, sum(run.counts for run in runs) / 6, rtol=1e-12)
    np.testing.assert_array_equal(result.group_counts[:6], [run.counts for run in runs])
    assert not result.group_counts[6:].any()
    assert (result.stopping_time[:, 0] > 0).any()


def test_a_literal_loop_gives_the_same_for_llm_po() -> None:
    """The same for LLM-PO: its decisions are checked one by one elsewhere, here what follows from them."""
    mu = models.host_probabilities(EASY)
    result = simulate.simulate(EASY, deltas=(0.2, 1e-4), budgets=(40, 60), replications=6, max_comparisons=450, seed=6)
    chosen = trajectory.procedure("llm-po", 4)
    counts = np.zeros((4, 4))
    for number in range(6):
        path = trajectory.follow(chosen, trajectory.plan_for(chosen, mu, seed=6), number)
        run = reference.replicate(
            mu,
            "llm-po",
            "e-process",
            deltas=(0.2, 1e-4),
            budgets=(40, 60),
            max_comparisons=450,
            seed=6,
            replication=number,
            pairs=list(zip(path.first[:450].tolist(), path.second[:450].tolist(), strict=True)),
        )
        assert result.stopping_time[number].tolist() == run.stopping_time
        assert result.recommendation[number].tolist() == run.recommendation
        assert result.budget_recommendation[number].tolist() == run.budget_recommendation
        counts += run.counts
    np.testing.assert_allclose(result.counts, counts / 6, rtol=1e-12)


def test_censoring() -> None:
    """A run that hits the limit is said to be censored, in the codes and in the summary, and its counts end there."""
    fair = models.BradleyTerry([1e-6, 0.0, 0.0, 0.0])
    result = simulate.simulate(
        fair, "round-robin", deltas=(0.2, 0.01), budgets=(5, 60), replications=6, max_comparisons=100, seed=1
    )
    assert (result.stopping_time[:, 1] == -1).all() and (result.recommendation[:, 1] == -1).all()
    assert (result.budget_recommendation >= 0).all()
    assert result.counts.sum() == pytest.approx(100)
    np.testing.assert_array_equal(result.counts, np.triu(result.counts, 1))
    level = result.summary()[1]
    assert (level.censored, level.errors, level.mean, level.median) == (1.0, 0, 100.0, 100.0)


# float32 against float64.

PRECISION = {
    "cyclic": lambda: models.instances.make("cyclic", num_policies=8),
    "line": lambda: models.instances.make("bradley-terry-line", num_policies=8),
    "hidden-winner": lambda: models.instances.make("hidden-winner", num_policies=8),
    "wmt20": lambda: models.read_matrix(shared("data/wmt20_mqm_zhen_K8.csv")),
}
NO_ROUNDING = E_PROCESS._replace(verdict=lambda problem, state, statistics: common.verdict(state.peak, None))
"""What is taken off for rounding differs between the types, so here nothing is."""
DIFFERING = {"cyclic": 0.02, "line": 0.03, "hidden-winner": 0.03, "wmt20": 0.25}


@functools.cache
def in_both_precisions(name: str) -> tuple[np.ndarray, np.ndarray]:
    """bool [200], in which replications stopping times, and recommendations, differ between float32 and float64."""
    mu = models.host_probabilities(PRECISION[name]())
    outcomes = []
    for dtype in (jnp.float32, jnp.float64):
        procedure = Procedure(Problem(8, dtype=dtype), SAMPLERS.get("llm-po"), NO_ROUNDING)
        plan = make_plan(procedure, mu, Settings((0.1, 0.01), (), 100_000))
        with jax.numpy_dtype_promotion("standard"):  # the plan's thresholds are float32 in both
            outcomes.append(workers.run(procedure, plan, range(200)))
    single, double = outcomes
    times = (single.stopping_time != double.stopping_time).any(axis=1)
    return times, (single.recommendation != double.recommendation).any(axis=1)


@pytest.mark.parametrize("name", PRECISION)
def test_float32_recommends_as_float64(name: str) -> None:
    """LLM-PO with evidence in float32 and in float64, the same random numbers, 200 replications, delta = 0.1, 0.01.

    Measured: other recommendations in 0, 0, 0 and 1 replications (cyclic, line, hidden-winner, wmt20), other stopping
    times in 0, 2, 1 and 30. A run parts where two scores are equal to rounding; those on wmt20 are 10^5 comparisons
    long. (Without `EVIDENCE_TIE`, exact ties would part 32, 80, 70 and 126 of them.)
    """
    times, named = in_both_precisions(name)
    assert named.mean() <= 0.02
    assert times.mean() <= DIFFERING[name]


# A user's own procedure.


def test_own_sampler_and_stopping_rule() -> None:
    """What CONTRIBUTING promises: two small sets of functions are a procedure, and any runs with any."""

    def select(problem: Problem, key: jax.Array, statistics: Any, evidence: jax.Array, state: jax.Array) -> Any:
        return state, (state + 1) % problem.num_policies, (state + 1) % problem.num_policies

    sampler = Sampler(lambda problem: jnp.zeros((), jnp.int32), select)

    def verdict(problem: Problem, state: jax.Array, statistics: Any) -> Verdict:
        best = jnp.argmax(statistics.wins).astype(jnp.int32)
        return Verdict(best, state.astype(jnp.float32), jnp.asarray(-jnp.inf, jnp.float32))

    rule = StoppingRule(
        init=lambda problem: jnp.zeros((), jnp.int32),
        update=lambda problem, state, comparison: state + 1,
        evidence=lambda problem, state, statistics: statistics.refutation,
        verdict=verdict,
        thresholds=lambda problem, delta: Thresholds(round(1 / delta), np.inf),
        proven=False,
    )
    result = simulate.simulate(EASY, sampler, rule, deltas=(0.1, 0.01), replications=5)
    np.testing.assert_array_equal(result.stopping_time, np.tile([10, 100], (5, 1)))
    assert (result.sampler, result.stopping) == ("custom", "custom")
    assert result.counts.sum() == pytest.approx(100)
    assert result.recommendation[:, 1].tolist().count(1) >= 3
    mixed = simulate.simulate(EASY, "round-robin", rule, deltas=(0.1, 0.01), replications=5)
    np.testing.assert_array_equal(mixed.stopping_time, result.stopping_time)


def test_no_deltas() -> None:
    """Budgets alone are allowed: the run ends when the largest is spent."""
    result = simulate.simulate(EASY, "round-robin", deltas=(), budgets=(5, 60), replications=6)
    assert result.stopping_time.shape == (6, 0)
    assert (result.budget_recommendation >= 0).all()
    assert result.summary() == ()


# The summary.


def handmade(model: models.PreferenceModel, time: float | None) -> Result:
    return Result(
        model=model,
        assume="unstructured",
        sampler="custom",
        stopping="custom",
        existence="assumed",
        deltas=(0.1, 0.01),
        budgets=(7,),
        max_comparisons=1000,
        seed=0,
        time=time,
        certified=time,
        proportions=None,
        costs=None,
        stopping_time=np.array([[10, 90], [20, -1], [40, 70], [30, 200]]),
        stopping_cost=None,
        recommendation=np.array([[1, 1], [0, -1], [1, -2], [3, 1]]),
        budget_recommendation=np.array([[1], [0], [1], [2]]),
        counts=np.zeros((4, 4)),
        group_counts=np.zeros((8, 4, 4), np.int64),
        simulated=0,
    )


def test_summary() -> None:
    """Errors, intervals, means with censored runs at the limit, and ratios, each computed by other means."""
    time = characteristic_time(EASY).time
    result = handmade(EASY, time)
    assert result.errors().tolist() == [[False, False], [True, False], [False, True], [True, False]]
    assert result.correct_selection()[:, 0].tolist() == [True, False, True, False]
    spent = [np.array([10.0, 20, 40, 30]), np.array([90.0, 1000, 70, 200])]
    for level, sample, errors, censored in zip(result.summary(), spent, (2, 1), (0.0, 0.25), strict=True):
        exact = stats.binomtest(errors, 4).proportion_ci(0.95, "exact")
        assert (level.errors, level.replications, level.error_rate) == (errors, 4, errors / 4)
        assert (level.error_low, level.error_high) == pytest.approx((exact.low, exact.high), rel=1e-9)
        assert level.censored == censored
        interval = stats.t.interval(0.95, 3, sample.mean(), stats.sem(sample))
        assert (level.mean, level.mean_low, level.mean_high) == pytest.approx((sample.mean(), *interval), rel=1e-9)
        assert level.median == np.median(sample)
        assert level.ratio == pytest.approx(sample.mean() / (time * np.log(1 / level.delta)), rel=1e-12)
        assert level.bound == pytest.approx(lower_bound(EASY, level.delta), rel=1e-12)


def test_summary_without_a_winner() -> None:
    """Every named policy is an error, the finding that there is none is not, and there is no bound to compare with."""
    result = handmade(models.instances.make("no-winner", num_policies=4), None)
    assert result.errors().tolist() == [[True, True], [True, False], [True, False], [True, True]]
    assert not result.correct_selection().any()
    assert [(level.ratio, level.bound) for level in result.summary()] == [(None, None)] * 2


def test_table() -> None:
    """`correct` is a truth value, null where nothing was said, also where no run says anything."""
    source = models.Source("easy", EASY)
    table = statements(source, handmade(EASY, None))
    assert table.schema["correct"] == pl.Boolean
    levels = [True, True, False, None, True, False, False, True]
    assert table["correct"].to_list() == [*levels, True, False, True, False]
    assert table.filter(pl.col("correct").is_null())["recommendation"].to_list() == [None]
    silent = dataclasses.replace(handmade(EASY, None), budgets=(), budget_recommendation=np.zeros((4, 0), int))
    silent = dataclasses.replace(silent, recommendation=np.full((4, 2), -1), stopping_time=np.full((4, 2), -1))
    nothing = statements(source, silent)
    assert nothing.schema["correct"] == pl.Boolean and nothing["correct"].null_count() == nothing.height == 8


def test_progress_counts_up() -> None:
    """`progress` sees every replication finished, in order, and all comparisons."""
    seen: list[tuple[int, int]] = []
    report = functools.partial(lambda *counts: seen.append(counts))
    result = simulate.simulate(EASY, "round-robin", deltas=(), budgets=(5, 60), replications=6, progress=report)
    assert seen == sorted(seen) and seen[-1][1] == result.simulated
