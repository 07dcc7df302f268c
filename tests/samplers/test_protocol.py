"""What every sampler must be for the engine to batch, repeat and renumber it, over the whole registry."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from llmpo_jax import models
from llmpo_jax.engine import simulate
from llmpo_jax.engine.replication import identify
from llmpo_jax.protocol import Problem, Sampler, Statistics
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.spaces import UNSTRUCTURED
from llmpo_jax.theory.statistics import judged, nothing_yet, observe
from tests.samplers import trajectory

K = 5
BATCH = 200
PROBLEM = Problem(K)
MU = models.host_probabilities(models.instances.make("random-condorcet", num_policies=K, seed=2, gap=0.4))

names = pytest.mark.parametrize("name", SAMPLERS.names())


class Situation(NamedTuple):
    """All that a sampler sees, for one replication or with a leading batch axis."""

    key: jax.Array
    statistics: Statistics
    evidence: jax.Array
    state: Any


def select(problem: Problem, sampler: Sampler, at: Situation) -> tuple[jax.Array, jax.Array, Any]:
    if sampler.told:
        problem = dataclasses.replace(problem, budget=jnp.asarray(40, jnp.int32))
    return sampler.select(problem, sampler.draw(problem, at.key), at.statistics, at.evidence, at.state)


@functools.cache
def records(problem: Problem) -> Statistics:
    """[BATCH] random records of 0 to 60 comparisons."""

    def compare(statistics: Statistics, draw: jax.Array) -> tuple[Statistics, None]:
        comparison = judged(statistics, draw[0], (draw[0] + 1 + draw[1]) % K, draw[2] > 0)
        moved = observe(problem, statistics, comparison)
        return jax.tree.map(lambda new, old: jnp.where(draw[3] > 0, new, old), moved, statistics), None

    rng = np.random.default_rng(0)
    draws = np.stack([rng.integers(high, size=(BATCH, 60), dtype=np.int32) for high in (K, K - 1, 2, 3)], axis=-1)
    draws[0, :, 3] = 0  # nothing was compared yet
    return jax.jit(jax.vmap(lambda d: jax.lax.scan(compare, nothing_yet(problem), d)[0]))(jnp.asarray(draws))


@functools.cache
def compiled(problem: Problem, name: str) -> Callable[[Situation], Any]:
    return jax.jit(jax.vmap(functools.partial(select, problem, SAMPLERS.get(name))))


@functools.cache
def situations(problem: Problem, name: str) -> Situation:
    """[BATCH] random records, random evidence, and the state that the sampler has after a few choices."""
    state = jax.vmap(lambda _: SAMPLERS.get(name).init(problem))(jnp.arange(BATCH))
    evidence = np.random.default_rng(1).normal(size=(BATCH, K)).astype(problem.dtype) * 3
    keys = jax.vmap(jax.random.key)(jnp.arange(BATCH))
    at = Situation(keys, records(problem), jnp.asarray(evidence), state)
    for _ in range(5):
        at = at._replace(state=compiled(problem, name)(at)[2])
    return at


@functools.cache
def batched(problem: Problem, name: str) -> tuple[jax.Array, jax.Array, Any]:
    return compiled(problem, name)(situations(problem, name))


def one(batch: Any, index: int) -> Any:
    return jax.tree.map(lambda x: x[index], batch)


def assert_same(one: Any, other: Any, exactly: bool) -> None:
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert left.dtype == right.dtype
        if exactly or not jnp.issubdtype(left.dtype, jnp.floating):
            np.testing.assert_array_equal(left, right)
        else:  # eager operations are not fused, and round differently
            np.testing.assert_allclose(left, right, rtol=1e-5)


# The samplers that read `Problem.existence`: to the others both programs are the same.
certifying = [(name, "certify") for name in SAMPLERS.names() if name.startswith("llm-po")]


@pytest.mark.parametrize(("name", "existence"), [*((name, "assumed") for name in SAMPLERS.names()), *certifying])
def test_pairs_are_valid(name: str, existence: str) -> None:
    """A policy compared with itself, or one that does not exist, would corrupt the record silently."""
    first, second, _ = batched(Problem(K, existence), name)
    assert first.shape == second.shape == (BATCH,)
    assert first.dtype == second.dtype == jnp.int32
    assert bool(jnp.all((first >= 0) & (first < K) & (second >= 0) & (second < K) & (first != second)))


@names
def test_state_keeps_its_structure(name: str) -> None:
    """A state whose structure, shapes or types change cannot be carried through a scan, nor refilled in a lane."""
    sampler = SAMPLERS.get(name)
    before = jax.eval_shape(functools.partial(sampler.init, PROBLEM))
    after = jax.eval_shape(functools.partial(select, PROBLEM, sampler), one(situations(PROBLEM, name), 0))[2]
    assert jax.tree.structure(before) == jax.tree.structure(after)
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert (old.shape, old.dtype, old.weak_type) == (new.shape, new.dtype, new.weak_type)


@names
def test_batching_and_compiling_change_nothing(name: str) -> None:
    """vmap = loop, jit = no jit: a decision that depends on its neighbours or on Python's flow would differ."""
    sampler, batch = SAMPLERS.get(name), situations(PROBLEM, name)
    single = jax.jit(functools.partial(select, PROBLEM, sampler))
    for index in range(0, BATCH, 5):
        assert_same(single(one(batch, index)), one(batched(PROBLEM, name), index), exactly=True)
    for index in (100,):
        assert_same(select(PROBLEM, sampler, one(batch, index)), one(batched(PROBLEM, name), index), exactly=False)


@pytest.mark.parametrize("name", ["llm-po", "llm-po-c-tracking", "thompson", "rucb"])
def test_delta_is_not_seen(name: str) -> None:
    """A sampler that saw delta could not serve all of them in one run."""
    chosen = trajectory.procedure(name, K)
    plans = [trajectory.plan_for(chosen, MU, deltas=deltas) for deltas in ((0.9,), (1e-50,))]
    paths = [trajectory.follow(chosen, plan, 3) for plan in plans]
    for left, right in zip(paths[0][:5], paths[1][:5], strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.array_equal(paths[0].final.outcome.stopping_time, paths[1].final.outcome.stopping_time)


# Of the others the literal counterparts in test_reference.py take the same decisions, in the same numbering.
@pytest.mark.parametrize("name", UNSTRUCTURED.usual)
def test_renumbering_the_policies_permutes_the_decisions(name: str) -> None:
    """A procedure never sees the model's numbers: of a renumbered model it does the same to the renumbered policies."""
    chosen = trajectory.procedure(name, K)
    relabelled = np.array([3, 0, 4, 1, 2])
    renamed = np.empty_like(MU)
    renamed[np.ix_(relabelled, relabelled)] = MU
    plain = trajectory.follow(chosen, trajectory.plan_for(chosen, MU, deltas=(0.9,)), 5)
    other = trajectory.follow(chosen, trajectory.plan_for(chosen, renamed, deltas=(0.9,)), 5, relabelled)
    for left, right in zip(plain[:4], other[:4], strict=True):
        np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(relabelled[plain.shuffled], other.shuffled)
    outcome, moved = plain.final.outcome, other.final.outcome
    np.testing.assert_array_equal(outcome.stopping_time, moved.stopping_time)
    assert int(outcome.recommendation[0]) >= 0
    np.testing.assert_array_equal(relabelled[np.asarray(outcome.recommendation)], moved.recommendation)


def test_numberings_are_uniform() -> None:
    """With the test above: relabelling leaves the distribution of all results unchanged, since the engine's own
    numbering is uniform over the K! orders. Chi-squared over 6 orders, false alarm 1e-6 (asymptotic, 6,000 draws)."""
    orders = jax.vmap(lambda number: identify(3, jax.random.key(0), number).shuffled)(jnp.arange(6000))
    counts = np.unique(np.asarray(orders), axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 1e-6
    assert stats.chisquare(counts + np.array([150, 0, 0, 0, 0, -150])).pvalue < 1e-6


def test_one_trace_for_all_numbers_of_the_same_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other seeds, models, deltas, budgets, limits and numbers of replications need no new compilation."""
    traces = []
    llm_po = SAMPLERS.get("llm-po")

    def counted(*arguments: Any) -> tuple[jax.Array, jax.Array, Any]:
        traces.append(arguments)
        return llm_po.select(*arguments)

    sampler = Sampler(llm_po.init, counted)
    line = models.instances.make("bradley-terry-line", num_policies=K)
    simulate.simulate(line, sampler, deltas=(0.1, 0.2), budgets=(7, 8), replications=9, max_comparisons=300)
    first = len(traces)
    assert first >= 1
    cyclic = models.instances.make("cyclic", num_policies=K)
    asked: dict[str, Any] = {"budgets": (9, 100), "replications": 20, "max_comparisons": 500}
    simulate.simulate(cyclic, sampler, deltas=(0.2, 0.3), seed=1, **asked)
    simulate.simulate(line, sampler, deltas=(1e-9, 0.1), budgets=(1, 2), replications=4, max_comparisons=90, seed=2)
    assert len(traces) == first
    simulate.simulate(line, sampler, deltas=(0.1,), **asked)
    assert len(traces) > first
