"""Estimate, design and pairs of the structured space, on their own."""

from __future__ import annotations

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmpo_jax import characteristic_time, fit_linear_bradley_terry, models
from llmpo_jax.protocol import LinearStatistics, Problem
from llmpo_jax.samplers.structured import STRUCTURED_SAMPLERS, g_optimal, llm_po, rage_glm, steps
from llmpo_jax.theory import linear, program
from llmpo_jax.theory.allocation import time_of
from tests.structured import reference

MODEL = models.instances.make("linear-bradley-terry", 12, 3, dimension=4)
assert isinstance(MODEL, models.LinearBradleyTerry)
FEATURES, THETA = np.asarray(MODEL.features), np.asarray(MODEL.theta)
KNOWN = models.identify_features(MODEL)
DESIGN = linear.make_design(KNOWN.coordinates, np.ones((12, 12)) / 66)
PROBLEM = Problem(12, dimension=4, design=DESIGN, budget=jnp.asarray(500, jnp.int32))
samplers = pytest.mark.parametrize("name", STRUCTURED_SAMPLERS.names())


refresh = jax.jit(lambda statistics: linear.refresh(PROBLEM, statistics))


@functools.cache
def after(comparisons: int, seed: int = 0):
    """Statistics after random comparisons, refreshed until the estimate is at rest; the matrices of counts and wins."""
    rng = np.random.default_rng(seed)
    first, second = linear.pairs(12)
    mu = models.host_probabilities(MODEL)[first, second]
    counts = rng.multinomial(comparisons, np.ones(len(first)) / len(first)).astype(np.int32)
    wins = rng.binomial(counts, mu).astype(np.int32)
    statistics = linear.nothing_yet(PROBLEM)._replace(
        t=jnp.asarray(comparisons, jnp.int32), counts=jnp.asarray(counts), wins=jnp.asarray(wins)
    )
    for _ in range(6):
        statistics = refresh(statistics)
    matrices = np.zeros((2, 12, 12))
    matrices[0][first, second] = matrices[0][second, first] = counts
    matrices[1][first, second], matrices[1][second, first] = wins, counts - wins
    return statistics, matrices


def _matrix(proportions: jax.Array | np.ndarray) -> np.ndarray:
    """Of the 12 policies, pair (i, j) at i < j."""
    matrix = np.zeros((12, 12))
    matrix[linear.pairs(12)] = proportions
    return matrix


def test_pairs_are_numbered_in_order() -> None:
    for number, (i, j) in enumerate(itertools.combinations(range(12), 2)):
        for one, two in ((i, j), (j, i)):
            assert int(linear.pair_number(12, jnp.asarray(one), jnp.asarray(two))) == number


@pytest.mark.parametrize("size", [1, 3, 8, 15])
def test_inverse_and_determinant(size: int) -> None:
    root = np.random.default_rng(size).normal(size=(size, size))
    matrix = root @ root.T + np.eye(size)
    inverse, log_determinant = jax.jit(linear.inverse)(jnp.asarray(matrix))
    np.testing.assert_allclose(inverse @ matrix, np.eye(size), atol=1e-10)
    assert float(log_determinant) == pytest.approx(np.linalg.slogdet(matrix)[1], abs=1e-10)


@pytest.mark.parametrize("comparisons", [0, 8, 400, 20_000])
def test_the_estimate_is_the_map(comparisons: int) -> None:
    """In float32, against the fit in float64 on the same counts and prior."""
    statistics, (counts, wins) = after(comparisons)
    fit = fit_linear_bradley_terry(KNOWN.coordinates, counts, wins, prior_scale=linear.PRECISION**-0.5)
    np.testing.assert_allclose(statistics.estimate, fit.theta, atol=2e-5)
    np.testing.assert_allclose(statistics.covariance, fit.covariance, rtol=1e-3, atol=1e-6)


def test_the_budget_design_serves_the_survivors() -> None:
    """The refresh of llm-po-budget against the literal step on the surviving rivals alone, all gaps alike."""
    statistics, _ = after(400)
    start = np.full(66, 1 / 66)
    design = STRUCTURED_SAMPLERS.get("llm-po-budget")
    assert design.refresh is not None
    for budget, survivors in ((100_000, 11), (500, 2), (1400, 6)):
        problem = dataclasses.replace(PROBLEM, budget=jnp.asarray(budget, jnp.int32))
        found = design.refresh(problem, statistics, jnp.asarray(start, jnp.float32))
        run = reference.Run(KNOWN.coordinates)
        run.theta, run.t = np.asarray(statistics.estimate, float), 400
        run.counts = np.asarray(statistics.counts, float)
        alive = np.argsort(-(run.x @ run.theta))[:survivors].tolist()
        expected = start
        for _ in range(reference.STEPS):
            expected = run.improved(expected, dict.fromkeys(alive, 1.0))
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_projection_is_the_projection() -> None:
    rng, project = np.random.default_rng(0), jax.jit(steps.project)
    for spread in (0.01, 0.3, 3.0):
        for _ in range(50):
            values = rng.normal(size=66) * spread + 1 / 66
            projected = np.asarray(project(jnp.asarray(values)))
            np.testing.assert_allclose(projected, reference.project(values), atol=2e-3)
            assert projected.sum() == pytest.approx(1)
            assert (projected >= 0).all()


def known(model: models.LinearBradleyTerry) -> tuple[Problem, LinearStatistics]:
    """The problem of a model, and statistics whose estimate is the truth."""
    found = models.identify_features(model)
    problem = Problem(len(model.features), dimension=len(model.theta), design=linear.make_design(found.coordinates))
    theta = found.parameter(np.asarray(model.theta))
    scores = jnp.asarray(found.coordinates @ theta, jnp.float32)
    return problem, linear.nothing_yet(problem)._replace(estimate=jnp.asarray(theta, jnp.float32), scores=scores)


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_proportions_become_optimal(scale: float) -> None:
    """At a fixed estimate, as comparisons go on, T(w) tends to T* of the exact form, also where Fisher's is far off."""
    model = models.LinearBradleyTerry(FEATURES, scale * THETA)
    problem, statistics = known(model)
    best, fisher = (characteristic_time(model, form=form) for form in ("exact", "fisher"))

    def refresh(index: jax.Array, state: llm_po.Adaptive) -> llm_po.Adaptive:
        t = 8 * (index + 1).astype(jnp.int32)
        nats = t.astype(jnp.float32) / best.time
        return llm_po.refreshed(problem, statistics._replace(t=t), state._replace(nats=nats))

    run = jax.jit(lambda number: jax.lax.fori_loop(0, number, refresh, llm_po.LLM_PO.init(problem)))

    def excess(proportions: jax.Array | np.ndarray) -> float:
        return time_of(model, _matrix(proportions), "structured") / best.time - 1

    start, early, late = (excess(run(number).proportions) for number in (0, 50, 12_500))
    assert start > 2 * early and early > 0.03, "too simple a problem to show anything"
    assert 0 <= late < 0.015
    if scale > 1:
        assert excess(fisher.proportions[linear.pairs(12)]) > 0.03, "Fisher's optimum would do"


def test_factors_turn_fishers_form_into_the_exact_one() -> None:
    """After a few refreshes at rest: the least f_k to half a percent, and a gradient that gives the value (Euler)."""
    model = models.LinearBradleyTerry(FEATURES, 8 * THETA)
    problem, statistics = known(model)
    statistics = statistics._replace(t=jnp.asarray(10**8, jnp.int32))
    contrasts = linear.contrasts(problem, statistics.leader)
    at = steps.present(problem, statistics, contrasts, contrasts @ statistics.estimate)
    proportions = llm_po.by_length(problem)
    metric = steps.inverse(problem, at, proportions)
    values, nearest = program.fisher(metric, at.contrasts, at.gaps)
    hardest = jnp.zeros(12, jnp.float32).at[jnp.argmin(values)].set(1)
    correct = jax.jit(
        lambda shifts: steps.corrected(problem, at, proportions, metric, (values, nearest), hardest, shifts)
    )
    shifts = jnp.zeros_like(contrasts)
    for _ in range(12):
        factors, shifts = correct(shifts)
    exact = 1 / time_of(model, _matrix(proportions), "structured")
    found = float(jnp.min(values * factors.values))
    assert found == pytest.approx(exact, rel=5e-3) and abs(float(jnp.min(values)) / exact - 1) > 0.1
    gains = program.fisher_gains(linear.of(problem).products, at.spread, hardest, nearest) * factors.gains
    assert float(gains @ proportions) == pytest.approx(exact, rel=1e-2)


def test_a_cooled_refresh_is_the_literal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proportions, alternatives and factors of three refreshes after 20,000 comparisons, Fisher's form all but left."""
    statistics, _ = after(20_000)

    def literal() -> reference.Run:
        run = reference.Run(KNOWN.coordinates)
        run.theta, run.t = np.asarray(statistics.estimate, float), 20_000
        run.counts, run.nats = np.asarray(statistics.counts, float), 150.0
        for _ in range(3):
            run.design()
        return run

    state = llm_po.LLM_PO.init(PROBLEM)._replace(nats=jnp.asarray(150, jnp.float32))
    refreshed = jax.jit(functools.partial(llm_po.refreshed, PROBLEM))
    for _ in range(3):
        state = refreshed(statistics, state)
    run = literal()
    np.testing.assert_allclose(state.proportions, run.w, atol=1e-4)
    np.testing.assert_allclose(state.shifts, run.shifts, atol=1e-4)
    np.testing.assert_allclose(state.factors, run.exact, rtol=1e-3)
    monkeypatch.setattr(reference, "WARM", 1e9)
    assert np.abs(literal().w - run.w).max() > 1e-3, "as if it were warm"


def test_nobody_is_told_apart_by_rounding() -> None:
    """Rivals that tie the leader, or are it by all their features, leave finite proportions."""
    features = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
    problem = Problem(5, dimension=2, design=linear.make_design(features))
    statistics = linear.nothing_yet(problem)._replace(t=jnp.asarray(5000, jnp.int32))
    for theta in ([0.0, 0.0], [0.0, -1.0], [-1.0, -1.0], [-80.0, -60.0]):
        estimate = jnp.asarray(theta, jnp.float32)
        scores = jnp.asarray(features, jnp.float32) @ estimate
        state = llm_po.LLM_PO.init(problem)
        for nats in (0, 50, 500):
            state = state._replace(nats=jnp.asarray(nats, jnp.float32))
            state = llm_po.refreshed(problem, statistics._replace(estimate=estimate, scores=scores), state)
            assert all(bool(jnp.isfinite(x).all()) for x in state)
        assert float(state.proportions.sum()) == pytest.approx(1, abs=1e-5)


def test_the_g_optimal_value_is_d() -> None:
    """Kiefer and Wolfowitz: no proportions bring the greatest variance below d, and the best ones reach it."""
    weights = np.asarray(jax.jit(lambda: g_optimal.proportions(PROBLEM))(), np.float64)
    z = np.asarray(linear.of(PROBLEM).differences, np.float64)
    assert 4 - 1e-5 < np.einsum("pi,ij,pj->p", z, np.linalg.inv((z.T * weights) @ z), z).max() < 1.01 * 4


def test_the_design_of_a_phase_is_nearly_optimal() -> None:
    """After 120 steps at a fixed estimate, against what no proportions can get below: for prices q with mean variance V
    and gains g_p, V^2 / max_p g_p (Cauchy and Schwarz)."""
    statistics, _ = after(400)
    fixed = statistics._replace(t=jnp.asarray(10**9, jnp.int32))
    improve = jax.jit(lambda phase: rage_glm.improve(PROBLEM, fixed, phase))
    z, theta = (np.asarray(x, np.float64) for x in (linear.of(PROBLEM).differences, statistics.estimate))
    a = 1 / (2 + 2 * np.cosh(z @ theta))
    for survivors in (12, 4):
        state = rage_glm.RAGE_GLM.init(PROBLEM)._replace(surviving=jnp.arange(12) < survivors)
        for _ in range(120):
            state = improve(state)
        first, second = linear.pairs(12)
        left = (first < survivors) & (second < survivors)
        q, weights = (np.asarray(x, np.float64) for x in (state.prices, state.proportions))
        inverse = np.linalg.inv((z.T * (weights * a)) @ z)
        variances = np.einsum("pi,ij,pj->p", z, inverse, z)
        gains = a * np.einsum("pi,ij,pj->p", z, inverse @ (z.T * q) @ z @ inverse, z)
        assert variances[left].max() < 1.05 * (q @ variances) ** 2 / gains.max()


@samplers
def test_samplers_choose_pairs(name: str) -> None:
    """Two different policies, the same with and without jit, for one replication and for many, state kept in shape."""
    sampler = STRUCTURED_SAMPLERS.get(name)
    statistics, _ = after(400)
    state = sampler.init(PROBLEM)
    if sampler.refresh is not None:
        refreshed = sampler.refresh(PROBLEM, statistics, state)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), refreshed) == jax.tree.map(
            lambda x: (x.shape, x.dtype), state
        )
        state = refreshed
    evidence = jnp.zeros(12, jnp.float32)

    def choose(key):
        return sampler.select(PROBLEM, sampler.draw(PROBLEM, key), statistics, evidence, state)[:2]

    keys = jax.random.split(jax.random.key(1), 300)
    first, second = (np.asarray(x) for x in jax.jit(jax.vmap(choose))(keys))
    assert ((first >= 0) & (first < 12) & (second >= 0) & (second < 12)).all()
    assert (first != second).all()
    for index in range(3):
        assert tuple(int(x) for x in choose(keys[index])) == (first[index], second[index])


def test_posterior_draws_have_the_posterior() -> None:
    """Thompson's first policy is the best of a draw from N(estimate, covariance): frequencies against exact draws.

    False alarm below 1e-6: 12 binomial frequencies, each 6 standard deviations of the two samples apart.
    """
    sampler = STRUCTURED_SAMPLERS.get("thompson")
    statistics, _ = after(400)
    assert sampler.refresh is not None
    state = sampler.refresh(PROBLEM, statistics, sampler.init(PROBLEM))
    keys = jax.random.split(jax.random.key(2), 20_000)

    def choose(key):
        return sampler.select(PROBLEM, sampler.draw(PROBLEM, key), statistics, statistics.scores, state)[0]

    chosen = np.bincount(np.asarray(jax.jit(jax.vmap(choose))(keys)), minlength=12) / len(keys)
    drawn = np.random.default_rng(0).multivariate_normal(statistics.estimate, statistics.covariance, size=20_000)
    best = np.bincount((drawn @ KNOWN.coordinates.T).argmax(axis=1), minlength=12) / len(drawn)
    spread = np.sqrt((best * (1 - best) + 1e-4) * 2 / len(drawn))
    assert (np.abs(chosen - best) < 6 * spread).all()
    assert 0.01 < best.max() < 0.99
