"""Runs whose comparisons may end in ties and have costs: what a tie changes, what is spent, and how it is reported."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

from llmpo_jax import Tabular, Tied, characteristic_time, models, simulate
from llmpo_jax.engine import study, workers
from llmpo_jax.engine.result import Result
from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.fold import compared
from llmpo_jax.machine import quick_to_compile
from llmpo_jax.protocol import Problem, Statistics
from llmpo_jax.report.console import summary_table
from llmpo_jax.report.figures import draw
from llmpo_jax.samplers import structured, tracking
from llmpo_jax.samplers.structured import steps
from llmpo_jax.samplers.structured.llm_po import WARMEST
from llmpo_jax.spaces import STRUCTURED, UNSTRUCTURED
from llmpo_jax.theory import linear
from llmpo_jax.theory.statistics import nothing_yet
from tests import reference
from tests.structured import reference as structured_reference

quickly = functools.partial(jax.jit, compiler_options=quick_to_compile())
MODEL = models.instances.make("random-condorcet", num_policies=5, seed=4, gap=0.02)
MU = models.host_probabilities(MODEL)
_RANDOM = np.random.default_rng(7)
TIES = np.triu(_RANDOM.uniform(0, 0.7, (5, 5)), 1) + np.triu(_RANDOM.uniform(0, 0.7, (5, 5)), 1).T
TIES = np.triu(TIES, 1) + np.triu(TIES, 1).T
COSTS = np.exp(_RANDOM.uniform(0, np.log(30), 5))
PRICES = COSTS[:, None] + COSTS[None]
# The shapes are those of the other tests of the engine.
ASKED: dict[str, Any] = {"deltas": (0.1, 0.01), "budgets": (10, 100), "max_comparisons": 1000, "seed": 11}


@functools.cache
def plain(sampler: str = "llm-po") -> Result:
    return simulate(Tied(MODEL, TIES), sampler, costs=COSTS, replications=24, **ASKED)


def test_a_tie_is_a_comparison_and_nothing_else() -> None:
    """Whatever is known: after a tie there is one comparison more, one tie more, and not one bit of anything else.

    So a tie multiplies no wealth, and every guarantee holds as it does without ties.
    """
    rng = np.random.default_rng(0)
    design = linear.make_design(rng.normal(size=(5, 2)))
    for space, problem in (
        (UNSTRUCTURED, Problem(5, "certify", ties=True)),
        (STRUCTURED, Problem(5, dimension=2, design=design, ties=True)),
    ):
        rule = space.stopping.get("e-process")
        fold = quickly(functools.partial(compared, space, rule, problem))
        known: Any = space.start(problem), rule.init(problem)
        for _ in range(20):
            first, second = (jnp.asarray(k, jnp.int32) for k in rng.permutation(5)[:2])
            won, tied = jnp.asarray(rng.random() < 0.7), jnp.asarray(rng.random() < 0.4)
            after = fold(known, first, second, won, tied)
            if tied:
                number = linear.pair_number(5, first, second)
                places = ([first, second], [second, first]) if space is UNSTRUCTURED else number
                ties = known[0].ties.at[places].add(1)
                expected = known[0]._replace(t=known[0].t + 1, ties=ties), known[1]
                jax.tree.map(np.testing.assert_array_equal, after, expected)
            known = after
        assert known[0].ties.any() and known[0].t == 20


def test_a_literal_loop_gives_the_same() -> None:
    """Stopping times, recommendations, counts and costs of whole replications, some of which are censored."""
    asked: Any = ASKED | {"max_comparisons": 450}
    result = simulate(Tied(MODEL, TIES), "round-robin", costs=PRICES, replications=6, **asked)
    runs = [
        reference.replicate(MU, "round-robin", "e-process", replication=n, tie_chances=TIES, costs=PRICES, **asked)
        for n in range(6)
    ]
    np.testing.assert_array_equal(result.stopping_time, [run.stopping_time for run in runs])
    np.testing.assert_array_equal(result.recommendation, [run.recommendation for run in runs])
    np.testing.assert_array_equal(result.group_counts[:6], [run.counts for run in runs])
    np.testing.assert_allclose(result.stopping_cost, [run.stopping_cost for run in runs], rtol=2e-7)
    assert (result.stopping_time < 0).any()


def test_lanes_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replication's ties and costs are its own."""
    expected = plain()
    monkeypatch.setattr(workers, "layout", lambda *_: (3, 5))
    again = simulate(Tied(MODEL, TIES), costs=COSTS, replications=24, **ASKED)
    for name in ("stopping_time", "stopping_cost", "recommendation", "budget_recommendation", "group_counts"):
        np.testing.assert_array_equal(getattr(again, name), getattr(expected, name))
    assert len(np.unique(expected.stopping_time)) > 24


def test_a_level_in_units_of_cost() -> None:
    result, time = plain(), characteristic_time(Tied(MODEL, TIES), costs=COSTS).time
    assert result.stopping_cost is not None
    level = result.summary()[0]
    assert (level.unit, level.mean) == ("cost", pytest.approx(result.stopping_cost[:, 0].mean()))
    assert level.ratio == pytest.approx(level.mean / (time * np.log(10)))
    assert result.time == pytest.approx(time)
    whole = (result.stopping_time[:, 1] >= 0).all()
    assert not whole or result.stopping_cost[:, 1].sum() == pytest.approx((24 * result.counts * PRICES).sum(), rel=1e-6)


def known(counts: np.ndarray, ties: np.ndarray) -> Statistics:
    """What is known after `counts` [K, K] wins and `ties` [K, K], where policy 0 leads."""
    record = jnp.asarray(np.stack([counts, counts.T], axis=-1), jnp.int32)
    start = nothing_yet(Problem(len(counts), ties=True))
    sums = jnp.asarray([np.arange(len(counts)), np.zeros(len(counts))], jnp.float32)
    totals = jnp.asarray([counts.sum(axis=1), counts.sum(axis=0)], jnp.int32)
    made = jnp.asarray(counts.sum() + np.triu(ties).sum(), jnp.int32)
    return start._replace(t=made, record=record, totals=totals, sums=sums, ties=jnp.asarray(ties, jnp.int32))


def test_the_plug_in_proportions_tend_to_the_optimum() -> None:
    """After very many comparisons tracking follows the optimal proportions of the truth."""
    mu = models.host_probabilities(models.instances.make("bradley-terry-line", num_policies=5))
    optimum = characteristic_time(Tied(Tabular(mu), TIES), costs=PRICES).proportions
    problem = dataclasses.replace(Problem(5, ties=True, priced=True), costs=jnp.asarray(PRICES, jnp.float32))
    made = 1e7 * (1 - np.eye(5))
    found = quickly(functools.partial(tracking.plug_in_proportions, problem))(
        known(np.round(made * (1 - TIES) * mu), np.round(made * TIES))
    )
    np.testing.assert_allclose(found, optimum, atol=1e-3)
    assert (optimum > 0.03).sum() == 4


def test_the_structured_design_by_information_per_cost() -> None:
    """One step of the program, and the pair that is chosen, as the literal implementation has them."""
    rng = np.random.default_rng(3)
    features, theta = rng.normal(size=(5, 2)), np.array([1.0, -0.5])
    literal = structured_reference.Run(features, costs=PRICES, may_tie=True)
    literal.theta, literal.counts = theta, rng.integers(5, 50, 10).astype(float)
    literal.ties = rng.integers(0, 50, 10).astype(float)
    literal.t = int((literal.counts + literal.ties).sum())
    problem = Problem(5, dtype=jnp.float64, dimension=2, ties=True, priced=True)
    design = linear.make_design(features, dtype=jnp.float64)
    problem = dataclasses.replace(problem, design=design, costs=jnp.asarray(PRICES))
    statistics = linear.nothing_yet(problem)._replace(
        t=jnp.asarray(literal.t, jnp.int32),
        counts=jnp.asarray(literal.counts, jnp.int32),
        ties=jnp.asarray(literal.ties, jnp.int32),
        estimate=jnp.asarray(theta),
        scores=jnp.asarray(features @ theta),
    )
    start = rng.dirichlet(np.ones(10))
    contrasts = linear.contrasts(problem, statistics.leader)
    improve = quickly(functools.partial(steps.improve, problem, pace=WARMEST))
    found = improve(steps.present(problem, statistics, contrasts, contrasts @ statistics.estimate), jnp.asarray(start))
    literal.w = literal.improved(start)
    np.testing.assert_allclose(found, literal.w, atol=2e-3)
    sampler = structured.STRUCTURED_SAMPLERS.get("llm-po")
    state = sampler.init(problem)._replace(proportions=jnp.asarray(literal.w))
    first, second, _ = quickly(functools.partial(sampler.select, problem))(
        jax.random.key(0), statistics, jnp.zeros(5), state
    )
    assert (int(first), int(second)) == literal.next_pair()


ARGUMENTS = study.Arguments(
    sources=("random-condorcet:5,gap=0.3",),
    samplers=("llm-po",),
    stopping=("e-process",),
    deltas=(0.1, 0.01),
    budgets=(10, 100),
    replications=16,
    max_comparisons=1000,
    existence="assumed",
    seed=5,
    ties="0.3",
)


def test_a_study(tmp_path: Path) -> None:
    """Costs and ties are recorded, tables and figures are in units of cost, other costs are no --resume."""
    file = tmp_path / "costs.csv"
    file.write_text("\n".join(map(str, COSTS)))
    asked, folder = dataclasses.replace(ARGUMENTS, costs=str(file)), StudyFolder(tmp_path / "study")
    ((cell, result),) = study.run_study(asked, folder)
    manifest = folder.read_manifest()
    assert manifest["arguments"]["ties"] == "0.3" and list(manifest["files"]) == [str(file)]
    np.testing.assert_allclose(np.asarray(cell.prepared.costs), PRICES - np.diag(np.diag(PRICES) - 1))
    assert isinstance(result.model, Tied)
    table = pl.read_parquet(folder.path / "table.parquet")
    at_delta = table.filter(pl.col("delta") == 0.1)
    np.testing.assert_array_equal(at_delta["cost"], np.asarray(result.stopping_cost)[:, 0])
    assert table.filter(pl.col("budget").is_not_null())["cost"].is_null().all()
    levels = pl.read_csv(folder.path / "summary.csv")
    assert levels["unit"].to_list() == ["cost", "cost"]
    assert "cost, mean" in summary_table(levels).headers[1][0]
    assert len(draw(folder.path)) > 2
    again = study.run_study(asked, folder, resume=True)
    np.testing.assert_array_equal(again[0][1].stopping_cost, result.stopping_cost)
    file.write_text("\n".join(map(str, 2 * COSTS)))
    with pytest.raises(ValueError, match="is not what it was when the study"):
        study.run_study(asked, folder, resume=True)
