"""The closed form against the oracle, an independent linear program, and its own symmetries."""

from __future__ import annotations

import functools
import itertools
import json
from typing import Any

import cvxpy as cp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy.special import rel_entr

from llmpo_jax import models
from llmpo_jax.models import instances
from llmpo_jax.theory.unstructured import characteristic_time, closed_form, lower_bound
from tests.shared_files import SHARED, shared

ORACLE = SHARED / "oracle" / "unstructured.json"
ORACLE_NAMES = [entry["name"] for entry in json.loads(ORACLE.read_text())] if ORACLE.exists() else ["ties-4"]

random_instances = st.builds(
    lambda num_policies, seed, name: instances.make(name, num_policies, seed),
    st.integers(4, 9),
    st.integers(0, 2**31),
    st.sampled_from(["random-condorcet", "bradley-terry", "hidden-winner", "cyclic"]),
)
properties = functools.partial(settings, deadline=None, derandomize=True)


def by_pair(num_policies: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random ties and costs [K, K], symmetric; costs spread 1 : 30."""
    drawn = np.random.default_rng(seed).uniform(size=(2, num_policies, num_policies))
    ties, costs = np.triu(drawn, 1) + np.triu(drawn, 1).mT
    return 0.9 * ties, 30**costs


def kl(x, y):
    """Binary relative entropy by scipy, independent of the package."""
    return rel_entr(x, y) + rel_entr(1 - x, 1 - y)


def program_value(mu: np.ndarray, winner: int, existence: str) -> float:
    """1 / T* by the general program: the best worst case over alternatives, as a linear program.

    The cheapest alternative in which k is the winner lifts each of its losing pairs to a fair coin and leaves
    every other pair; the cheapest one in which nobody need win makes a single pair of the winner a fair coin.
    """
    size = len(mu)
    pair = {both: p for p, both in enumerate(itertools.combinations(range(size), 2))}
    rivals = [k for k in range(size) if k != winner]
    cost = np.zeros((size - 1, len(pair)))
    for row, k in enumerate(rivals):
        for j in range(size):
            if j != k and mu[k, j] < 0.5 and (existence == "assumed" or j == winner):
                cost[row, pair[min(j, k), max(j, k)]] = kl(mu[k, j], 0.5)
    scale = cost.max(axis=1).min()  # keeps the program well conditioned
    weights = cp.Variable(len(pair), nonneg=True)
    worst_case = cp.min(cost / scale @ weights)
    problem = cp.Problem(cp.Maximize(worst_case), [cp.Zero(cp.sum(weights) - 1)])
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return np.asarray(worst_case.value).item() * scale


@pytest.mark.parametrize("name", ORACLE_NAMES)
def test_every_oracle_entry(name):
    entries = json.loads(shared("oracle/unstructured.json").read_text())
    entry = next(each for each in entries if each["name"] == name)
    model = models.Tabular(entry["mu"])
    bound = characteristic_time(model)
    assert bound.winner == entry["winner"] and bound.existence == "assumed"
    assert bound.time == pytest.approx(entry["characteristic_time"], rel=1e-9)
    certify = characteristic_time(model, existence="certify").time
    assert certify == pytest.approx(entry["characteristic_time_certify"], rel=1e-9)
    np.testing.assert_allclose(bound.proportions, entry["proportions_upper"], rtol=1e-9, atol=0)
    assert bound.proportions.dtype == np.float64 and bound.proportions.sum() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("existence", ["assumed", "certify"])
@properties(max_examples=100)
@given(model=random_instances)
def test_equals_the_linear_program(model, existence):
    mu = models.host_probabilities(model)
    bound = characteristic_time(model, existence)
    assert 1 / bound.time == pytest.approx(program_value(mu, bound.winner, existence), rel=1e-7)


@pytest.mark.parametrize("existence", ["assumed", "certify"])
@properties(max_examples=50)
@given(model=random_instances, seed=st.integers(0, 2**31))
def test_ties_and_costs_equal_the_linear_program(model, seed, existence):
    """`w` in comparisons, at most one unit of cost in all: the most that is sure against the worst alternative."""
    mu, (ties, costs) = models.host_probabilities(model), by_pair(model.num_policies, seed)
    bound = characteristic_time(models.Tied(model, ties), existence, costs)
    first, second = np.triu_indices(len(mu), 1)
    informed = (1 - ties[first, second]) * kl(mu[first, second], 0.5)
    rows = []
    for k in range(len(mu)):
        served = ((first == k) & (mu[k, second] < 0.5)) | ((second == k) & (mu[k, first] < 0.5))
        if existence == "certify":
            served &= (first == bound.winner) | (second == bound.winner)
        if k != bound.winner:
            rows.append(np.where(served, informed, 0))
    scale = np.max(rows, axis=1).min() / 30  # keeps the program well conditioned
    found = optimize.linprog(
        np.r_[np.zeros(len(first)), -1],
        A_ub=np.vstack([np.c_[-np.array(rows) / scale, np.ones(len(rows))], np.r_[costs[first, second], 0]]),
        b_ub=np.r_[np.zeros(len(rows)), 1],
    )
    assert bound.time == pytest.approx(-1 / (found.fun * scale), rel=1e-7)
    # The proportions are those of the comparisons, and reach it.
    spent = bound.proportions[first, second] @ costs[first, second]
    assert (rows @ bound.proportions[first, second]).min() / spent == pytest.approx(1 / bound.time, rel=1e-9)
    assert bound.proportions.sum() == pytest.approx(1, rel=1e-12)


@properties(max_examples=50)
@given(*[st.floats(0.01, 0.99)] * 3)
def test_the_nearest_alternative_keeps_the_share_of_ties(mu, other, ties):
    """Among (win, tie, loss) in which decided comparisons are won with another chance, by any share of ties."""

    def divergence(share):
        true, false = (np.array([(1 - t) * p, t, (1 - t) * (1 - p)]) for p, t in ((mu, ties), (other, share)))
        return rel_entr(true, false).sum()

    found: Any = optimize.minimize_scalar(divergence, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
    assert found.fun == pytest.approx((1 - ties) * kl(mu, other), rel=1e-7, abs=1e-10)
    assert found.x == pytest.approx(ties, abs=1e-4)


@pytest.mark.parametrize("existence", ["assumed", "certify"])
@properties(max_examples=25)
@given(model=random_instances, seed=st.integers(0, 2**31))
def test_units_of_cost_and_uniform_ties_change_no_proportions(model, seed, existence):
    plain, (ties, costs) = characteristic_time(model, existence), by_pair(model.num_policies, seed)
    tied = characteristic_time(models.Tied(model, 0.75), existence)
    same = characteristic_time(model, existence, np.full(model.num_policies, 0.05))
    assert tied.time == pytest.approx(4 * plain.time, rel=1e-12) and same.time == pytest.approx(plain.time / 10)
    for other in (tied, same):
        np.testing.assert_allclose(other.proportions, plain.proportions, rtol=1e-9, atol=0)
    once, often = (characteristic_time(models.Tied(model, ties), existence, unit * costs) for unit in (1, 10))
    assert often.time == pytest.approx(10 * once.time, rel=1e-12)
    np.testing.assert_allclose(often.proportions, once.proportions, rtol=1e-9, atol=0)


def test_toughest_is_who_tells_most_for_the_money():
    """By hand: the winner refutes policy 2 faster than policy 1 does, and costs so much more that it is not asked."""
    mu = np.array([[0.5, 0.7, 0.9], [0.3, 0.5, 0.8], [0.1, 0.2, 0.5]])
    bound = characteristic_time(models.Tied(models.Tabular(mu), 0.5), costs=(4, 1, 1))
    assert bound.time == pytest.approx(5 / (0.5 * kl(0.3, 0.5)) + 2 / (0.5 * kl(0.2, 0.5)), rel=1e-12)
    assert bound.proportions[0, 1] / bound.proportions[1, 2] == pytest.approx(kl(0.2, 0.5) / kl(0.3, 0.5), rel=1e-12)
    assert bound.proportions[0, 2] == 0


@properties(max_examples=100)
@given(model=random_instances, seed=st.integers(0, 2**31))
def test_no_alternative_is_closer_than_the_program_says(model, seed):
    """Weak duality on random alternatives, and equality at the closest ones: the inner infimum itself."""
    mu = models.host_probabilities(model)
    bound = characteristic_time(model)
    rng = np.random.default_rng(seed)
    for rival in range(len(mu)):
        if rival == bound.winner:
            continue
        closest = np.triu(mu, 1)
        row = np.maximum(mu[rival], 0.5)
        closest[rival, rival + 1 :], closest[:rival, rival] = row[rival + 1 :], 1 - row[:rival]
        upper = np.triu_indices(len(mu), 1)
        weighted = bound.proportions[upper] * kl(mu[upper], closest[upper])
        assert weighted.sum() == pytest.approx(1 / bound.time, rel=1e-9)
        other = closest.copy()
        win = rng.uniform(0.5, 1.0, size=len(mu))
        other[rival, rival + 1 :], other[:rival, rival] = win[rival + 1 :], 1 - win[:rival]
        further = (bound.proportions[upper] * kl(mu[upper], other[upper])).sum()
        assert further >= (1 - 1e-9) / bound.time


@pytest.mark.parametrize("existence", ["assumed", "certify"])
@properties(max_examples=50)
@given(model=random_instances, seed=st.integers(0, 2**31))
def test_relabelling_permutes_the_result(model, seed, existence):
    mu = models.host_probabilities(model)
    order = np.random.default_rng(seed).permutation(len(mu))
    bound = characteristic_time(models.Tabular(mu), existence)
    permuted = characteristic_time(models.Tabular(mu[np.ix_(order, order)]), existence)
    assert order[permuted.winner] == bound.winner
    assert permuted.time == pytest.approx(bound.time, rel=1e-12)
    both = bound.proportions + bound.proportions.T
    np.testing.assert_allclose(
        permuted.proportions + permuted.proportions.T, both[np.ix_(order, order)], rtol=1e-12, atol=0
    )


@properties(max_examples=50)
@given(model=random_instances)
def test_certifying_costs_more_except_for_bradley_terry(model):
    assumed, certify = characteristic_time(model), characteristic_time(model, "certify")
    if isinstance(model, models.BradleyTerry):
        assert certify.time == pytest.approx(assumed.time, rel=1e-12)
        np.testing.assert_allclose(certify.proportions, assumed.proportions, rtol=1e-9, atol=0)
    else:
        assert certify.time >= assumed.time * (1 - 1e-12)


def test_certify_proportions_are_those_of_the_winners_pairs():
    bound = characteristic_time(instances.make("cyclic", 17), "certify")
    expected = np.zeros((17, 17))
    expected[0, 1:] = 1 / 16
    np.testing.assert_allclose(bound.proportions, expected, rtol=1e-12)


def test_ties_are_recognised_close_to_one_half():
    # Two ways to write the same probability, an ulp apart, which moves d relatively by 2e-16 / gap.
    gap = 1e-6 / 3
    low, also_low = 0.5 - gap, 1 - (0.5 + gap)
    assert low != also_low
    mu = np.array([[0.5, 0.5 + gap, 1 - low], [also_low, 0.5, 0.5 + gap], [low, also_low, 0.5]])
    proportions = characteristic_time(models.Tabular(mu)).proportions
    np.testing.assert_allclose(proportions, [[0, 0.5, 0.25], [0, 0, 0.25], [0, 0, 0]], rtol=1e-8)


def test_almost_ties_are_no_ties():
    mu = np.array([[0.5, 0.7, 0.7], [0.3, 0.5, 0.7 + 1e-12], [0.3, 0.3 - 1e-12, 0.5]])
    proportions = characteristic_time(models.Tabular(mu)).proportions
    assert proportions[0, 2] == 0 and proportions[1, 2] == pytest.approx(0.5)


@pytest.mark.parametrize(("existence", "beside"), [("assumed", (None, None)), ("certify", by_pair(7, 0))])
def test_jit_and_vmap_agree_with_numpy(existence, beside):
    problems = [models.host_probabilities(instances.make("random-condorcet", 7, seed)) for seed in range(8)]
    winners = np.array([models.condorcet_winner(models.Tabular(mu)) for mu in problems])
    mu = jnp.asarray(np.stack(problems), jnp.float32)
    ties, costs = (None if each is None else jnp.asarray(each, jnp.float32) for each in beside)
    function = functools.partial(closed_form, existence=existence, ties=ties, costs=costs)
    batch = jax.jit(jax.vmap(function))(mu, jnp.asarray(winners))
    for index, winner in enumerate(winners):
        host = closed_form(problems[index], winner, existence, *beside)
        single = jax.jit(function)(mu[index], winner)
        eager = function(mu[index], winner)
        # 1e-5: rounding mu to float32 costs d 1e-7 / gap, and the gaps are above 0.02.
        for result in (single, eager, [leaf[index] for leaf in batch]):
            assert result[0].dtype == result[1].dtype == jnp.float32
            np.testing.assert_allclose(result[0], host[0], rtol=1e-5)
            np.testing.assert_allclose(result[1], host[1], rtol=1e-5, atol=0)


def test_float32_stays_float32_in_numpy():
    time, proportions = closed_form(models.host_probabilities(instances.make("cyclic", 6)).astype(np.float32), 0)
    assert time.dtype == proportions.dtype == np.float32


def test_an_estimate_without_a_winner_gets_infinite_time_and_usable_proportions():
    mu = np.array([[0.5, 0.5, 0.8, 0.6], [0.5, 0.5, 0.9, 0.6], [0.2, 0.1, 0.5, 0.5], [0.4, 0.4, 0.5, 0.5]])
    for existence in ("assumed", "certify"):
        time, proportions = closed_form(mu, 0, existence)
        assert time == np.inf and proportions[0, 1] == 1 and proportions.sum() == 1


@pytest.mark.parametrize("delta", [0.1, 1e-10, 1e-50])
def test_lower_bound_is_time_times_confidence(delta):
    model = instances.make("cyclic", 17)
    factor = (1 - 2 * delta) * (np.log1p(-delta) - np.log(delta))
    assert lower_bound(model, delta) == pytest.approx(characteristic_time(model).time * factor, rel=1e-12)
    certify = characteristic_time(model, "certify").time
    assert lower_bound(model, delta, existence="certify") == pytest.approx(certify * factor, rel=1e-12)


def test_refusals_say_what_was_expected():
    model = instances.make("cyclic", 6)
    with pytest.raises(ValueError, match="existence = 'asumed', expected one of assumed, certify; did you mean"):
        characteristic_time(model, "asumed")
    with pytest.raises(ValueError, match="existence = 'x', expected one of"):
        closed_form(np.eye(2), 0, "x")
    with pytest.raises(ValueError, match=r"delta = 1\.5, expected a number strictly between 0 and 1"):
        lower_bound(model, 1.5)
    cycle = models.Tabular([[0.5, 0.9, 0.4], [0.1, 0.5, 0.6], [0.6, 0.4, 0.5]], ("a", "b", "c"))
    with pytest.raises(ValueError, match=r"no Condorcet winner.*closest: a, which does not beat c \(0.4\)"):
        characteristic_time(cycle)
    with pytest.raises(ValueError, match=r"policy-\d+ \(0.3\) and 4 more"):
        lower_bound(instances.make("no-winner", 16), 0.1)
