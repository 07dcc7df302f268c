"""The e-process is what it claims to be: a fair bet, exactly computed, and sound at every stopping time."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from llmpo_jax.protocol import Comparison, Problem, Statistics
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.stopping import STOPPING_RULES, e_process, forecast
from llmpo_jax.stopping.e_process import E_PROCESS
from llmpo_jax.theory.statistics import judged, nothing_yet, observe

# Precision: the log wealth after a million comparisons.

MILLION = 1_000_000
LOGS = {
    "pair": [[0.5, 0.49], [0.51, 0.5]],
    "line": [[0.5, 0.51, 0.52], [0.49, 0.5, 0.51], [0.48, 0.49, 0.5]],
    "circle": [[0.5, 0.7, 0.3], [0.3, 0.5, 0.7], [0.7, 0.3, 0.5]],
}


def random_log(mu: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`n` comparisons (first, second, won) of pairs drawn at random, the first pair most often."""
    rng = np.random.default_rng(seed)
    pairs = np.array(list(itertools.combinations(range(len(mu)), 2)), np.int32)
    weights = np.array([1.0, 0.3, 0.1])[: len(pairs)]
    drawn = pairs[rng.choice(len(pairs), size=n, p=weights / weights.sum())]
    first, second = drawn[:, 0], drawn[:, 1]
    return first, second, rng.random(n) < mu[first, second]


@functools.partial(jax.jit, static_argnums=0)
def fed(problem: Problem, log: tuple[jax.Array, ...]) -> tuple[Statistics, e_process.EProcess, jax.Array]:
    """The product's statistics and e-process after a log of n comparisons, and its bets [n, 2]."""

    def step(carry: Any, entry: tuple[jax.Array, ...]) -> tuple[Any, jax.Array]:
        statistics, state = carry
        comparison = judged(statistics, *entry)
        known = observe(problem, statistics, comparison), E_PROCESS.update(problem, state, comparison)
        return known, bets(state, comparison)

    (statistics, state), made = jax.lax.scan(step, (nothing_yet(problem), E_PROCESS.init(problem)), log)
    return statistics, state, made


def bets(state: e_process.EProcess, comparison: Comparison) -> jax.Array:
    """The product's bets on a comparison."""
    strengths = state.table[3:, jnp.stack([comparison.first, comparison.second])]
    return e_process.bets(forecast.chance(state.weights, forecast.experts(comparison, strengths)))


@functools.cache
def fed_millions(k: int) -> dict[str, tuple[Statistics, e_process.EProcess, jax.Array]]:
    """What `fed` finds after the logs of K = k policies, side by side, since a step costs the same for all of them."""
    mus = {name: np.array(mu) for name, mu in LOGS.items() if len(mu) == k}
    logs = [random_log(mu, MILLION, 0) for mu in mus.values()]
    columns = tuple(jnp.asarray(np.stack(column)) for column in zip(*logs, strict=True))
    found = jax.vmap(functools.partial(fed, Problem(k)))(columns)
    return {name: jax.tree.map(lambda x, row=row: x[row], found) for row, name in enumerate(mus)}


def log_wealth(log: tuple[np.ndarray, ...], factors: np.ndarray, k: int, exact: bool) -> list[float]:
    """The sum of the logs of the factors per policy: with 50 digits, or float64 logs added without rounding."""
    parts = [np.concatenate([factors[log[side] == i, side] for side in (0, 1)]) for i in range(k)]
    if not exact:
        return [math.fsum(np.log(part)) for part in parts]
    with mpmath.workdps(50):
        sums: list[Any] = [mpmath.fsum(mpmath.log(mpmath.mpf(x)) for x in part.tolist()) for part in parts]
        return [float(total) for total in sums]


@pytest.mark.parametrize("name", LOGS)
def test_wealth_after_a_million_comparisons(name: str) -> None:
    """float32 stays within 1e-3 nats of exact arithmetic (mpmath, 50 digits), whatever is bet.

    Of the bets that were made, which `tests/samplers/test_reference.py` holds against literal ones. mpmath takes the
    first 10^4 comparisons; float64 logs added without rounding agree with it there to 1e-9, and take the million. On
    the circle float32 logs, biased by a fraction of an ulp, leave 2e-7 of 58,000 nats: beyond 3,300 nats the bound is
    relative. The threshold of delta = 1e-50 is 115 nats.
    """
    mu = np.array(LOGS[name])
    k = len(mu)
    log = random_log(mu, MILLION, 0)
    statistics, state, made = fed_millions(k)[name]
    lost = np.stack([~log[2], log[2]], 1)
    factors = 2 * np.where(lost, 1 - np.asarray(made, float), np.asarray(made, float))

    start = tuple(column[:10_000] for column in log)
    exact = log_wealth(start, factors[:10_000], k, exact=True)
    np.testing.assert_allclose(log_wealth(start, factors[:10_000], k, exact=False), exact, atol=1e-9, rtol=0)
    wanted = log_wealth(log, factors, k, exact=False)

    assert int(statistics.t) == MILLION
    found = np.asarray(state.table[:2], float).sum(axis=0)
    assert (np.abs(found - wanted) <= np.maximum(1e-3, 3e-7 * np.abs(wanted))).all()


# The bets.


def random_comparison(rng: np.random.Generator, won: bool) -> Comparison:
    wins, losses = rng.integers(0, 30, size=2)
    more = rng.integers(0, 60, size=4)
    return Comparison(
        first=jnp.asarray(0, jnp.int32),
        second=jnp.asarray(1, jnp.int32),
        won=jnp.asarray(won),
        wins=jnp.asarray(wins, jnp.int32),
        losses=jnp.asarray(losses, jnp.int32),
        total_wins=jnp.asarray([wins + more[0], losses + more[1]], jnp.int32),
        total_losses=jnp.asarray([losses + more[2], wins + more[3]], jnp.int32),
        pooling=jnp.zeros((), jnp.float64),
    )


def random_knowledge(rng: np.random.Generator) -> tuple[jax.Array, jax.Array]:
    """Strengths [2 F, 2], the variances among them, and weights [E]."""
    return jnp.asarray(rng.normal(0, 2, (2 * len(forecast.VARIANCES), 2))), jnp.asarray(
        rng.dirichlet(np.full(forecast.EXPERTS, 0.3))
    )


def test_bets_are_fixed_before_the_outcome() -> None:
    """A bet that knew the outcome would win always; one above 1/2 would win on the true winner.

    Each factor has mean 1 - (2 mu - 1)(1 - 2 p), at most 1 for every mu >= 1/2.
    """
    for seed in range(40):
        lost, won = (random_comparison(np.random.default_rng(seed), outcome) for outcome in (False, True))
        strengths, weights = random_knowledge(np.random.default_rng(100 + seed))
        bets, other = (
            np.asarray(e_process.bets(forecast.chance(weights, forecast.experts(outcome, strengths))))
            for outcome in (won, lost)
        )
        np.testing.assert_array_equal(bets, other)
        assert (bets > 0).all() and (bets <= 0.5).all()
        up, down = (np.exp(e_process.gains(jnp.asarray(bets), outcome.won)) for outcome in (won, lost))
        for mu in (0.5, 0.6, 1.0):
            mean = mu * up[0] + (1 - mu) * down[0]
            np.testing.assert_allclose(mean, 1 - (2 * mu - 1) * (1 - 2 * bets[0]), rtol=1e-12)
            assert mean <= 1 + 1e-12
            assert mu * down[1] + (1 - mu) * up[1] <= 1 + 1e-12


# The supermartingale, over all outcomes.

LENGTH = 11
#: Policy 0 is the Condorcet winner: barely, barely, and by far.
MU = np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.8], [0.5, 0.2, 0.5]])
EASY = np.array([[0.5, 0.5, 0.9], [0.5, 0.5, 0.2], [0.1, 0.8, 0.5]])


def greedy(problem: Problem, statistics: Statistics, wealth: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A sampler that does what it can to refute the true winner: it compares it with whom it has lost to most."""
    del wealth
    second = 1 + jnp.argmin(statistics.record[0, 1:, 0] - statistics.record[0, 1:, 1]).astype(jnp.int32)
    return jnp.zeros((), jnp.int32), second


def llm_po(problem: Problem, statistics: Statistics, wealth: jax.Array) -> tuple[jax.Array, jax.Array]:
    sampler = SAMPLERS.get("llm-po")
    return sampler.select(problem, jax.random.key(0), statistics, wealth, sampler.init(problem))[:2]


@functools.cache
def runs_of(sampler: Any) -> Any:
    """The run of this sampler on given outcomes, as a compiled function of the chances, the start and all outcomes."""
    problem = Problem(len(MU), "certify", jnp.float64)

    def run(mu: jax.Array, start: Any, outcomes: jax.Array) -> Any:
        def step(carry: Any, won: jax.Array) -> tuple[Any, Any]:
            statistics, state = carry
            first, second = sampler(problem, statistics, E_PROCESS.evidence(problem, state, statistics))
            comparison = judged(statistics, first, second, won)
            statistics, state = observe(problem, statistics, comparison), E_PROCESS.update(problem, state, comparison)
            chance = jnp.where(won, mu[first, second], mu[second, first])
            return (statistics, state), (E_PROCESS.evidence(problem, state, statistics), chance, state.proofs.pairs)

        (_, state), (wealth, chance, proofs) = jax.lax.scan(step, start, outcomes)
        return wealth, state.peak, jnp.cumprod(chance), proofs

    return jax.jit(jax.vmap(run, in_axes=(None, None, 0)))


def wealth_tree(mu: np.ndarray, sampler: Any, pooled: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All 2^LENGTH runs: log wealth [runs, LENGTH, K], peaks [runs, K], and the probability [runs, LENGTH] of each
    run's first comparisons. Starts from a record in which the winner has been unlucky."""
    problem = Problem(len(mu), "certify", jnp.float64)
    runs = np.array(list(itertools.product([False, True], repeat=LENGTH)))
    statistics, state = nothing_yet(problem), E_PROCESS.init(problem)
    unlucky = (jnp.asarray(0, jnp.int32), jnp.asarray(1, jnp.int32), jnp.asarray(False))
    for _ in range(2):
        comparison = judged(statistics, *unlucky)
        statistics, state = observe(problem, statistics, comparison), E_PROCESS.update(problem, state, comparison)
    trusted = np.arange(forecast.EXPERTS) >= len(forecast.PAIR_PRIORS)
    weights = np.where(trusted == pooled, 1.0, 1e-3)
    state = state._replace(
        table=state.table.at[:3].set(0),
        weights=jnp.asarray(weights / weights.sum()),
        proofs=E_PROCESS.init(problem).proofs,
    )
    start = statistics._replace(pooling=jnp.asarray(1.0 if pooled else -9.0)), state
    wealth, peak, chance, proofs = (np.asarray(x) for x in runs_of(sampler)(jnp.asarray(mu), start, jnp.asarray(runs)))
    # Wealth on single pairs: what the proof "j beats i" holds, for [i, j].
    np.testing.assert_allclose(np.where(np.eye(len(mu), dtype=bool), 0, proofs).sum(axis=2), wealth, atol=1e-12)
    np.testing.assert_allclose(np.maximum(wealth, 0).max(axis=1), peak, atol=1e-12)
    return wealth, peak, chance


def mean_wealth(wealth: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """The exact mean of the winner's wealth after 0, 1, ..., LENGTH comparisons."""
    # Each run of t comparisons is the start of 2^(LENGTH - t) runs in the tree.
    repeats = 2.0 ** (LENGTH - np.arange(1, LENGTH + 1))
    return np.array([1.0, *((np.exp(wealth[:, :, 0]) * chance).sum(axis=0) / repeats)])


CASES = [
    (mu, sampler, pooled) for mu in (MU, EASY) for sampler, pooled in ((greedy, True), (greedy, False), (llm_po, True))
]


@pytest.mark.parametrize(("mu", "sampler", "pooled"), CASES)
def test_wealth_of_the_winner_is_a_supermartingale(mu: np.ndarray, sampler: Any, pooled: bool) -> None:
    """Exactly, over all outcomes of 11 adaptive comparisons: the mean wealth never rises above 1, nor at all, and by
    Ville's inequality its peak reaches 1 / delta with probability delta at most."""
    wealth, peak, chance = wealth_tree(mu, sampler, pooled)
    means = mean_wealth(wealth, chance)
    assert (means <= 1 + 1e-12).all()
    assert (np.diff(means) <= 1e-12).all()
    for delta in (0.9, 0.7, 0.5, 0.3, 0.2):
        assert chance[peak[:, 0] >= -math.log(delta) - 1e-12, -1].sum() <= delta


def test_an_unclipped_bet_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above is sharp: without the clip at 1/2 the mean wealth of the winner rises above 1."""

    def unclipped(chance: jax.Array) -> jax.Array:
        return jnp.stack([chance, 1 - chance])

    monkeypatch.setattr(e_process, "bets", unclipped)
    wealth, _, chance = wealth_tree(EASY, functools.partial(greedy), False)  # a function of its own is traced anew
    assert mean_wealth(wealth, chance).max() > 1.01


def test_what_rounding_adds_to_a_bet_is_taken_off() -> None:
    """Of 400,000 float32 bets both factors: F <= 1 and F + G <= 2 but for 6 eps, of which the run pays 8 (ROUNDING on
    each), so the wealth that something is concluded from is a supermartingale whatever floats do."""
    rng = np.random.default_rng(8)
    eps, many = float(np.finfo(np.float32).eps), 400_000
    counts = np.floor(10.0 ** rng.uniform(0, 6, (6, many))).astype(np.int32) - 1
    win, loss = (np.zeros(many, bool) + outcome for outcome in (True, False))
    strengths = rng.normal(0, 2, (many, 2 * len(forecast.VARIANCES), 2)).astype(np.float32)
    weights = rng.dirichlet(np.full(forecast.EXPERTS, 0.3), many).astype(np.float32)

    def side(won: np.ndarray) -> np.ndarray:
        batch = Comparison(
            *(jnp.zeros(many, jnp.int32), jnp.ones(many, jnp.int32), jnp.asarray(won)),
            *(jnp.asarray(counts[0]), jnp.asarray(counts[1])),
            *(jnp.asarray(counts[2:4].T), jnp.asarray(counts[4:].T)),
            jnp.zeros(many, jnp.float32),
        )
        return np.asarray(jax.jit(jax.vmap(gains))(batch, strengths, weights), float)

    def gains(comparison: Comparison, strengths: jax.Array, weights: jax.Array) -> jax.Array:
        chance = forecast.chance(weights, forecast.experts(comparison, strengths))
        return e_process.gains(e_process.bets(chance), comparison.won)

    won, lost = np.exp(side(win)[:, 0]), np.exp(side(loss)[:, 0])
    assert won.max() <= 1
    assert (won + lost).max() <= 2 + 6 * eps
    assert ((won + lost) * math.exp(-e_process.ROUNDING * eps)).max() <= 2 - eps
    assert (won + lost).max() > 2, "rounding does add something"


# The verdict.


def test_certify_names_who_is_proven_against_all() -> None:
    """`proofs.weakest` is kept up to date entry by entry; a stale entry would name a policy too early, or never."""
    k, problem = 4, Problem(4, "certify")
    rng = np.random.default_rng(5)
    first = rng.integers(k, size=400, dtype=np.int32)
    second = (first + 1 + rng.integers(k - 1, size=400, dtype=np.int32)) % k
    strong = 0.5 + 0.1 * (second - first)
    log = (first, second, rng.random(400) < strong)
    statistics, state, _ = fed(problem, tuple(jnp.asarray(column) for column in log))
    pairs = np.asarray(state.proofs.pairs)
    assert np.isinf(np.diag(pairs)).all()
    np.testing.assert_array_equal(state.proofs.weakest, pairs.min(axis=1))
    verdict = E_PROCESS.verdict(problem, state, statistics)
    assert int(verdict.winner) == int(np.argmax(pairs.min(axis=1)))
    doubt = float(e_process.rounding(problem, statistics))
    assert doubt == pytest.approx(4 * 2**-23 * 400, rel=1e-6)
    assert float(verdict.score) == pytest.approx(pairs.min(axis=1).max() - doubt, abs=1e-6)
    assert float(verdict.absence) == pytest.approx(np.asarray(state.peak).min() - doubt, abs=1e-6)


def test_assumed_needs_all_but_one_refuted() -> None:
    """The score is the second smallest peak: with three policies, of which one is not refuted, it is below delta's."""
    problem = Problem(3)
    state = E_PROCESS.init(problem)
    state = state._replace(table=state.table.at[2].set(jnp.asarray([5.0, 0.5, 3.0], jnp.float32)))
    verdict = E_PROCESS.verdict(problem, state, nothing_yet(problem))
    assert (int(verdict.winner), float(verdict.score), float(verdict.absence)) == (1, 3.0, -math.inf)


@pytest.mark.parametrize("existence", ["assumed", "certify"])
@pytest.mark.parametrize("name", [name for name in STOPPING_RULES.names() if not STOPPING_RULES.get(name).told])
def test_thresholds_rise_as_delta_falls(name: str, existence: str) -> None:
    """A threshold that fell with delta would let a run stop earlier at the stricter level."""
    deltas = [0.9, 0.5, 0.1, 0.01, 1e-10, 1e-50, 1e-300]
    levels = [STOPPING_RULES.get(name).thresholds(Problem(7, existence), delta) for delta in deltas]
    assert (np.diff([level.winner for level in levels]) > 0).all()
    assert (np.diff([level.absence for level in levels]) > 0).all()


def test_thresholds_of_the_e_process() -> None:
    """log(1 / delta), with the K of the union over K statements where the winner's existence is not assumed."""
    assert E_PROCESS.thresholds(Problem(7), 0.01).winner == pytest.approx(math.log(100), rel=1e-15)
    certify = E_PROCESS.thresholds(Problem(7, "certify"), 0.01)
    assert certify.winner == certify.absence == pytest.approx(math.log(700), rel=1e-15)
