"""The bets of the structured e-process: fair odds, a convex logarithm, and a certified least wealth."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmpo_jax import models
from llmpo_jax.protocol import Problem
from llmpo_jax.stopping.structured import e_process, wealth
from llmpo_jax.theory import linear
from tests.structured import adversarial

K, D = 6, 3
COORDINATES = models.identified(np.random.default_rng(3).normal(size=(K, D))).coordinates
PROBLEM = Problem(K, dtype=jnp.float64, dimension=D, design=linear.make_design(COORDINATES, dtype=jnp.float64))
Z = np.asarray(linear.of(PROBLEM).differences)

chances = st.floats(1e-4, 1 - 1e-4)
share_pairs = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda s: (s[0] * (1 - s[1]), s[1] * 0.999))


def factors(logit, on_win, on_loss):
    """The wealth's factors if the first policy wins, if it loses."""
    return 1 - on_loss + on_win * np.exp(-logit), 1 - on_win + on_loss * np.exp(logit)


@settings(deadline=None, derandomize=True)
@given(chances, chances)
def test_the_shares_are_shares(q: float, p: float) -> None:
    on_win, on_loss = (float(x) for x in e_process.shares(jnp.asarray(q), jnp.asarray(p)))
    assert on_win >= 0
    assert on_loss >= 0
    assert on_win + on_loss <= 1 + 1e-12
    # At the odds of p the bet predicts q: the factors are q / p and (1 - q) / (1 - p).
    won, lost = factors(np.log(p / (1 - p)), on_win, on_loss)
    assert won == pytest.approx(q / p, rel=1e-9)
    assert lost == pytest.approx((1 - q) / (1 - p), rel=1e-9)


@settings(deadline=None, derandomize=True)
@given(chances, share_pairs)
def test_the_odds_are_fair(p: float, shares: tuple[float, float]) -> None:
    """Whatever the shares, the mean factor is 1 for the parameter that sets the odds: a martingale."""
    won, lost = factors(np.log(p / (1 - p)), *shares)
    assert p * won + (1 - p) * lost == pytest.approx(1, rel=1e-9)


@functools.cache
def some_state(seed: int) -> adversarial.State:
    """Random bets of 3 epochs with outcomes drawn from a parameter, all pairs compared."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=D)
    counts = rng.integers(0, 40, size=(3, len(Z)))
    wins = rng.binomial(counts, 1 / (1 + np.exp(-Z @ theta)))
    shift = rng.normal(size=(3, D)) * 0.5
    p = 1 / (1 + np.exp(-(theta - shift) @ Z.T))
    q = 1 / (1 + np.exp(-theta @ Z.T))[None]
    on_win, on_loss = (np.asarray(x) for x in e_process.shares(jnp.asarray(q), jnp.asarray(p)))
    return adversarial.State(COORDINATES, Z, rng.normal(size=D), wins, counts - wins, on_win, on_loss, ())


@pytest.mark.parametrize("seed", range(8))
def test_log_wealth_is_convex_in_theta(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(20):
        one, two = rng.normal(size=(2, D)) * 5
        low, middle, high = (adversarial.log_wealth(some_state(seed), x) for x in (one, (one + two) / 2, two))
        assert middle <= (low + high) / 2 + 1e-9


def test_half_shares_give_the_likelihood_ratio() -> None:
    """With shares 1/2, 1/2 the log wealth is -l(theta) - n log 2."""
    state = some_state(1)
    half = np.full_like(state.on_win, 0.5)
    theta = np.array([0.3, -1.0, 0.5])
    mu = 1 / (1 + np.exp(-Z @ theta))
    likelihood = (state.wins @ np.log(mu) + state.losses @ np.log(1 - mu)).sum()
    total = (state.wins + state.losses).sum()
    value = adversarial.log_wealth(state._replace(on_win=half, on_loss=half), theta)
    assert value == pytest.approx(-likelihood - total * np.log(2), rel=1e-12)


def bounds(states: list[adversarial.State], looks: int, start: float = 0.0, dtype=jnp.float64) -> np.ndarray:
    """What `wealth.least` claims, look by look, [states, looks], all states of one shape at once."""
    designs = jax.tree.map(lambda *x: jnp.stack(x), *[linear.make_design(state.coordinates) for state in states])
    designs = designs._replace(exact=jax.tree.map(lambda x: x.astype(dtype), designs.exact))
    fields = ("wins", "losses", "on_win", "on_loss", "contrast")
    arrays = [jnp.asarray(np.stack([getattr(state, name) for state in states])) for name in fields]

    begin = jnp.full(states[0].coordinates.shape[1], start, jnp.float32)
    return np.asarray(
        _bounds(states[0].coordinates.shape, looks, begin, designs, *arrays[:-1], arrays[-1].astype(dtype))
    )


@functools.partial(jax.jit, static_argnums=(0, 1))
def _bounds(shape, looks, begin, *states):
    def one(design, wins, losses, on_win, on_loss, contrast):
        bets = wealth.Bets(
            lambda e: wealth.Stakes(wins[e], losses[e], on_win[e], on_loss[e]), 3, jnp.sum(wins) + jnp.sum(losses)
        )
        problem = Problem(shape[0], dimension=shape[1], design=design)

        def look(theta, _):
            bound, following = wealth.least(problem, bets, contrast, theta)
            return following, bound

        return jax.lax.scan(look, begin, None, length=looks)[1]

    return jax.vmap(one)(*states)


@pytest.mark.parametrize("start", [0.0, 3.0])
def test_the_bound_holds_from_the_first_look_and_soon_is_tight(start: float) -> None:
    states = [some_state(seed) for seed in range(8)]
    exact = np.array([adversarial.least(state) for state in states])
    found = bounds(states, 40, start)
    assert np.all(found <= exact[:, None] + 1e-6)
    np.testing.assert_allclose(found[:, -1], exact, atol=1e-4)


SHAPES = ((2, 1), (3, 2), (4, 1), (5, 3), (6, 5), (8, 2))


@functools.cache
def hostile_states(k: int, d: int) -> tuple[list[adversarial.State], np.ndarray]:
    """170 states of this shape and the least wealth in each."""
    rng, states = np.random.default_rng([k, d]), []
    while len(states) < 170:
        state = adversarial.draw(rng, k, d)
        if state.coordinates.shape[1] == d:
            states.append(state)
    return states, np.array([adversarial.least(state, 150) for state in states])


@pytest.mark.parametrize(("k", "d"), SHAPES)
def test_the_bound_is_never_above_the_least_wealth(k: int, d: int) -> None:
    """1,020 states in all, hard on a proof in every way that is known, at every look on the way to the minimum."""
    states, exact = hostile_states(k, d)
    found = bounds(states, 60)
    assert np.max(found - exact[:, None]) <= 1e-6
    tight = np.mean(found.max(axis=1) >= exact - 0.1)
    assert tight >= 0.75, "most states can be certified"


def test_float32_proves_nothing() -> None:
    """Its own rounding is taken off, which leaves less than nothing."""
    states, exact = hostile_states(3, 2)
    found = bounds(states, 30, dtype=jnp.float32)
    some = np.array([(state.wins + state.losses).sum() > 0 for state in states])
    assert np.max((found - exact[:, None])[some]) <= 1e-3
    assert np.all(found[some] < 0)


def test_a_flat_direction_does_not_kill_the_bound() -> None:
    """One pair alone was compared, 400 times: what it proves is certified on the span of its difference."""
    wins, losses = np.zeros((2, 3, len(Z)), int)
    wins[0, 0], losses[0, 0] = 300, 100
    half = np.full((3, len(Z)), 0.5)
    state = adversarial.State(COORDINATES, Z, Z[0], wins, losses, half, half, ())
    mu = wins[0, 0] / 400
    # Under "not better" the best chance is 1/2: the wealth is 1; for any theta it would be the likelihood's.
    assert bounds([state], 30)[0, -1] == pytest.approx(0, abs=1e-4)
    free = -400 * (np.log(2) + mu * np.log(mu) + (1 - mu) * np.log(1 - mu))
    other = state._replace(contrast=Z[-1] + Z[0] * 1e-3)
    assert bounds([other], 30)[0, -1] == pytest.approx(free, abs=1e-4)


def test_what_was_bet_on_a_wrong_leader_is_not_the_last_word() -> None:
    """A wrong lead in the first 40,000 comparisons, then the right one in a million: it is proven."""
    features = models.identified(np.array([[0.05], [0.0]])).coordinates
    problem = Problem(2, dimension=1, design=linear.make_design(features))
    # Comparisons so far, and how many policy 0 has won; the gap that shows in the end is 0.02 logits.
    times = 8 * np.round(np.concatenate([np.geomspace(8, 40_000, 60), np.geomspace(41_000, 1_000_000, 120)]) / 8)
    wins = np.round(np.where(times <= 40_000, 0.495 * times, 0.505 * times))

    refresh = e_process.E_PROCESS.refresh
    assert refresh is not None

    def look(state, record):
        statistics, state = state
        t, won = record
        statistics = statistics._replace(t=t, counts=t[None], wins=won[None])
        statistics = linear.refresh(problem, statistics)
        return (statistics, refresh(problem, state, statistics)), statistics.leader

    start = linear.nothing_yet(problem), e_process.E_PROCESS.init(problem)
    records = jnp.asarray(times, jnp.int32), jnp.asarray(wins, jnp.int32)
    (_, state), leaders = jax.lax.scan(look, start, records)
    assert int(leaders[50]) == 1
    assert int(leaders[-1]) == 0
    assert float(state.peak[1]) > np.log(1e4)
    assert e_process.epoch_starts(1)[-1] > 1e7
