"""The structured procedures against the literal NumPy version, comparison by comparison, in float64."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmpo_jax import models
from llmpo_jax.engine.preparation import Settings, make_plan
from llmpo_jax.engine.replication import Procedure, identify, refresh, start, step
from llmpo_jax.machine import quick_to_compile
from llmpo_jax.protocol import LinearStatistics, Problem, Sampler
from llmpo_jax.spaces import STRUCTURED
from llmpo_jax.theory import linear
from tests.structured import reference

STEPS = 480
quickly = functools.partial(jax.jit, compiler_options=quick_to_compile())
MODEL = models.instances.make("linear-bradley-terry", 6, 1, dimension=3, scale=2.0)
KNOWN = models.identify_features(MODEL)


@functools.cache
def product(stopping: str, jit: bool = True, steps: int = STEPS):
    """The pairs, outcomes, evidence and state of one replication of the package."""
    problem = Problem(6, dtype=jnp.float64, dimension=3)
    procedure = Procedure(problem, STRUCTURED.samplers.get("llm-po"), STRUCTURED.stopping.get(stopping), STRUCTURED)
    plan = make_plan(procedure, models.host_probabilities(MODEL), Settings((1e-3,), (), 2**20))
    plan = plan._replace(
        design=linear.make_design(KNOWN.coordinates, dtype=jnp.float64),
        winner_thresholds=plan.winner_thresholds.astype(jnp.float64),
        absence_thresholds=plan.absence_thresholds.astype(jnp.float64),
    )
    rep = start(procedure, plan, identify(6, plan.root, jnp.asarray(0, jnp.int32)), jnp.asarray(False))
    times = jnp.arange(1, steps + 1, dtype=jnp.int32)
    keys = jax.vmap(functools.partial(jax.random.fold_in, rep.identity.key))(times)
    bits = jax.vmap(lambda key: jax.random.bits(key, (), jnp.uint32))(keys)
    random = times, bits, jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)

    due = functools.partial(refresh, procedure, plan)

    def compare(rep, random):
        t, bits, key = random
        rep, (first, second, _) = step(procedure, plan, rep, bits, key)
        if jit:
            rep = jax.lax.cond(t % STRUCTURED.period == 0, due, lambda rep: rep, rep)
        elif t % STRUCTURED.period == 0:
            rep = due(rep)
        return rep, (first, second, bits < plan.chances[first, second], rep.statistics, rep.stopping)

    if jit:
        run = quickly(lambda rep, random: jax.lax.scan(compare, rep, random)[1])
        whole = jax.tree.map(np.asarray, run(rep, random))
        return [jax.tree.map(lambda x, t=t: x[t], whole) for t in range(steps)]
    trace = []
    for t in range(steps):
        rep, row = compare(rep, jax.tree.map(lambda x, t=t: x[t], random))
        trace.append(row)
    return trace


@functools.cache
def literal() -> list[tuple]:
    run, trace = reference.Run(KNOWN.coordinates), []
    for _, _, won, _, _ in product("e-process"):
        first, second = run.next_pair()
        run.observe(first, second, won)
        trace.append((first, second, run.theta, run.covariance, run.peak.copy(), run.mixture.copy(), run.stylised))
    return trace


def test_the_pairs_and_estimates_are_the_same() -> None:
    for mine, other in zip(product("e-process"), literal(), strict=True):
        assert mine[:2] == other[:2]
        np.testing.assert_allclose(mine[3].estimate, other[2], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(mine[3].covariance, other[3], rtol=1e-7, atol=1e-12)
    assert len({mine[:2] for mine in product("e-process")}) > 5


@pytest.mark.parametrize(("stopping", "field"), [("e-process", 4), ("mixture", 5), ("stylised", 6)])
def test_the_evidence_is_the_same(stopping: str, field: int) -> None:
    last = product(stopping)[-1]
    assert last[:2] == literal()[-1][:2], "the sampler does not look at the evidence"
    for mine, other in zip(product(stopping), literal(), strict=True):
        state = mine[4]
        value = {"e-process": "peak", "mixture": "evidence", "stylised": "score"}[stopping]
        np.testing.assert_allclose(getattr(state, value), other[field], rtol=1e-6, atol=1e-6)
    assert np.max(literal()[-1][4]) > 1


def follow(sampler: Sampler, run: reference.Run) -> Iterator[tuple[Any, LinearStatistics]]:
    """The sampler's state and the statistics, while it agrees with the literal version on every pair."""
    problem = Problem(6, dtype=jnp.float64, dimension=3)
    problem = dataclasses.replace(problem, design=linear.make_design(KNOWN.coordinates, dtype=jnp.float64))
    nothing = jnp.zeros(6)

    @quickly
    def choose(statistics, state):
        return sampler.select(problem, None, statistics, nothing, state)[:2]

    @quickly
    def due(statistics, state):
        statistics = linear.refresh(problem, statistics)
        return statistics, state if sampler.refresh is None else sampler.refresh(problem, statistics, state)

    observe = quickly(lambda *comparison: linear.observe(problem, comparison[0], linear.judged(*comparison)))
    statistics, state = linear.nothing_yet(problem), sampler.init(problem)
    mu, rng = models.host_probabilities(MODEL), np.random.default_rng(0)
    for t in range(1, STEPS + 1):
        first, second = choose(statistics, state)
        assert (int(first), int(second)) == run.next_pair()
        won = bool(rng.random() < mu[first, second])
        statistics = observe(statistics, first, second, jnp.asarray(won))
        if t % linear.PERIOD == 0:
            statistics, state = due(statistics, state)
        run.observe(int(first), int(second), won)
        yield state, statistics


def test_the_g_optimal_design_is_the_same() -> None:
    run = reference.GOptimal(KNOWN.coordinates)
    for state, _ in follow(STRUCTURED.samplers.get("g-optimal"), run):
        np.testing.assert_allclose(state, run.w, rtol=1e-9, atol=1e-12)
    variances = np.einsum("pi,ij,pj->p", run.z, np.linalg.inv((run.z.T * run.w) @ run.z), run.z)
    assert variances.max() < 1.01 * run.d, "Kiefer and Wolfowitz: the greatest variance of the best design is d"


def test_the_phases_are_the_same() -> None:
    """Designs, eliminations, and starting over: with one policy left and for want of an end."""
    run = reference.RageGlm(KNOWN.coordinates)
    for state, statistics in follow(STRUCTURED.samplers.get("rage-glm"), run):
        np.testing.assert_allclose(state.proportions, run.w, rtol=1e-7, atol=1e-10)
        assert (int(state.number), set(np.flatnonzero(state.surviving).tolist())) == (run.phase, run.left)
        np.testing.assert_allclose((state.level, statistics.t - state.began), (run.level, run.t - run.began))
    left = [count for _, count in run.ends]
    assert 1 in left and 6 in left and len(set(left)) > 3


def test_without_jit_it_is_the_same() -> None:
    steps = 10  # of which one is followed by a refresh, after which bets go on
    for mine, other in zip(product("e-process", jit=False, steps=steps), product("e-process"), strict=False):
        assert mine[:3] == other[:3]
        np.testing.assert_allclose(mine[4].peak, other[4].peak, rtol=1e-9, atol=1e-12)
