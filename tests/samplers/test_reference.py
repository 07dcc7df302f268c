"""Every sampler takes the decisions of the literal implementation, comparison by comparison.

The literal one is told what was compared and says, before each comparison, what it would compare: usually one pair,
several where scores are equal but for rounding. The product's pair must be among them at every one of 2,000 steps.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from llmpo_jax import models
from llmpo_jax.samplers import SAMPLERS, llm_po
from tests import reference
from tests.baselines_reference import SAMPLERS as REFERENCES
from tests.samplers import trajectory

STEPS = trajectory.STEPS
K = 5
INSTANCES = {
    "bradley-terry": models.host_probabilities(models.instances.make("bradley-terry", num_policies=K, seed=0)),
    "cyclic": models.host_probabilities(models.instances.make("cyclic", num_policies=K)),
}
SEED, REPLICATION = 3, 7


class Agreement(NamedTuple):
    """First step with a decision that the reference finds no reason for (None: never), share of steps at which the
    product took the reference's first choice, share with a single choice, largest error of the evidence in nats."""

    stray: int | None
    same: float
    single: float
    error: float


def agreement(
    sampler: str,
    path: trajectory.Trajectory,
    existence: str,
    dtype: Any,
    tolerance: float = reference.TIE,
    ties: bool = False,
    costs: np.ndarray | None = None,
) -> Agreement:
    rule = REFERENCES[sampler]
    random = reference.randomness(SEED, REPLICATION, K, STEPS)
    drawn = reference.draws(sampler, random.keys, K, dtype)
    record, state = reference.Record(K, existence, ties, costs), rule.init(K)
    same, single, error = 0, 0, 0.0
    for t, (first, second, won, tied) in enumerate(zip(path.first, path.second, path.won, path.tied, strict=True)):
        error = max(error, float(np.abs(path.evidence[t] - record.wealth).max()))
        decide = functools.partial(rule.decide, record, np.array(record.wealth), state, drawn[t])
        options = list(reference.decisions(decide, tolerance))
        matching = [option for option in options if option[:2] == (first, second)]
        if not matching:
            return Agreement(t, same / STEPS, single / STEPS, error)
        same += options[0][:2] == (first, second)
        single += len({option[:2] for option in options}) == 1
        state = matching[0][2]
        record.observe(int(first), int(second), bool(won), bool(tied))
    return Agreement(None, same / STEPS, single / STEPS, error)


def run(sampler: str, instance: str, existence: str, dtype: Any) -> trajectory.Trajectory:
    chosen = trajectory.procedure(sampler, K, dtype=dtype, existence=existence)
    plan = trajectory.plan_for(chosen, INSTANCES[instance], seed=SEED)
    return trajectory.follow(chosen, plan, REPLICATION)


def test_every_sampler_has_a_reference() -> None:
    """A sampler without a literal counterpart would be tested by nothing below."""
    missing = set(SAMPLERS.names()) - set(REFERENCES)
    where = "SAMPLERS in tests/reference.py or tests/baselines_reference.py"
    assert not missing, f"add {sorted(missing)} to {where}: what its docstring says, in NumPy"


CASES = [("llm-po", "assumed"), ("llm-po", "certify"), ("thompson", "assumed"), ("llm-po-d-tracking", "certify")]


@pytest.mark.parametrize("instance", INSTANCES)
@pytest.mark.parametrize(("sampler", "existence"), CASES)
def test_decisions_in_float64(sampler: str, existence: str, instance: str) -> None:
    """A slip in a formula, in the record, in a key or in the numbering changes some of 2,000 decisions."""
    path = run(sampler, instance, existence, jnp.float64)
    random = reference.randomness(SEED, REPLICATION, K, STEPS)
    np.testing.assert_array_equal(path.shuffled, random.shuffled)
    i, j = path.shuffled[path.first], path.shuffled[path.second]
    np.testing.assert_array_equal(path.won, random.bits < np.floor(INSTANCES[instance][i, j] * 2.0**32))
    found = agreement(sampler, path, existence, jnp.float64)
    assert found.stray is None
    assert found.error < 1e-9
    # Exact ties go to the lowest number, except where rounding separates them (in 1 % of the steps at most).
    assert found.same > 0.98


def _upper(path: trajectory.Trajectory, chosen: np.ndarray) -> np.ndarray:
    """[K, K] upper triangle, the chosen comparisons of each pair as the procedure numbers the policies."""
    counts = np.zeros((K, K), int)
    np.add.at(counts, (np.minimum(path.first, path.second)[chosen], np.maximum(path.first, path.second)[chosen]), 1)
    return counts


def test_decisions_with_ties_and_costs() -> None:
    """LLM-PO by information per cost, in float64; every outcome a win, a tie or a loss as its 32 bits say."""
    mu, rng = INSTANCES["cyclic"], np.random.default_rng(0)
    ties, costs = np.triu(rng.uniform(0, 0.6, (K, K)), 1), np.exp(rng.uniform(0, 3, K)).astype(np.float32)
    ties, costs = ties + ties.T, costs[:, None] + costs[None]
    chosen = trajectory.procedure("llm-po", K, dtype=jnp.float64, ties=True, priced=True)
    path = trajectory.follow(chosen, trajectory.plan_for(chosen, mu, ties, costs, seed=SEED), REPLICATION)
    bits = reference.randomness(SEED, REPLICATION, K, STEPS).bits
    i, j = path.shuffled[path.first], path.shuffled[path.second]
    outcomes = [
        reference.outcome(int(b), float(mu[x, y]), float(ties[x, y])) for b, x, y in zip(bits, i, j, strict=True)
    ]
    np.testing.assert_array_equal(np.stack([path.won, path.tied], axis=1), outcomes)
    np.testing.assert_array_equal(np.triu(np.asarray(path.final.statistics.ties)), _upper(path, path.tied))
    # The first 100 outcomes of each pair are independent, whatever was compared when: false alarm 1e-6 over ten pairs.
    for x, y in zip(*np.triu_indices(K, 1), strict=True):
        tied = path.tied[(np.minimum(i, j) == x) & (np.maximum(i, j) == y)][:100]
        assert len(tied) < 100 or stats.binomtest(int(tied.sum()), 100, ties[x, y]).pvalue > 1e-7
    own = costs[path.shuffled][:, path.shuffled]
    found = agreement("llm-po", path, "assumed", jnp.float64, ties=True, costs=own)
    assert found.stray is None and found.error < 1e-9 and found.same > 0.98
    assert agreement("llm-po", path, "assumed", jnp.float64, ties=True).stray is not None, "costs do matter"
    assert agreement("llm-po", path, "assumed", jnp.float64, costs=own).stray is not None, "so do ties"
    spending = path.final.spending
    assert spending is not None
    spent = own[path.first, path.second].sum(dtype=float)
    assert np.asarray(spending.total, float).sum() == pytest.approx(spent, rel=1e-9)


@pytest.mark.parametrize("instance", INSTANCES)
@pytest.mark.parametrize("sampler", SAMPLERS.names())
def test_decisions_in_float32(sampler: str, instance: str) -> None:
    """float32, the product's own precision, decides as exact arithmetic does: scores within 3e-5 are ties.

    (1e-3 for tracking, whose scores are numbers of comparisons up to 2,000, and for top-two Thompson, whose scores are
    sums of logarithms down to -200.) Measured: the first choice of float64 in
    98.4 % (thompson) to 100 % of the steps, evidence to 1e-5 nats.
    """
    path = run(sampler, instance, "assumed", jnp.float32)
    tolerance = 1e-3 if "tracking" in sampler or sampler == "top-two-thompson" else 3e-5
    found = agreement(sampler, path, "assumed", jnp.float32, tolerance)
    assert found.stray is None
    assert found.error < 1e-4
    assert found.same > 0.97


@pytest.mark.parametrize("sampler", ["llm-po", "thompson", "rucb"])
def test_decisions_do_not_depend_on_x64(sampler: str) -> None:
    """Whether JAX computes in double precision elsewhere changes nothing: not one random number, not one decision."""
    double = run(sampler, "cyclic", "assumed", jnp.float32)
    with jax.enable_x64(False):
        single = run(sampler, "cyclic", "assumed", jnp.float32)
    for one, other in zip(double[:6], single[:6], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("constant", "factor"),
    [
        ("BONUS", 1.1),
        ("POOLED_PRIOR", 1.3),
        ("PAIR_PRIOR", 1.1),
        ("LEADER_TESTS", 1.1),
        ("FORCED", 1.1),
        ("MOST_PREFERENCE", 1.3),
    ],
)
def test_a_changed_constant_is_noticed(monkeypatch: pytest.MonkeyPatch, constant: str, factor: float) -> None:
    """The comparison above is sharp: with one constant of LLM-PO changed, the reference takes other decisions."""
    instance = "bradley-terry" if constant in ("POOLED_PRIOR", "MOST_PREFERENCE") else "cyclic"
    path = run("llm-po", instance, "assumed", jnp.float64)
    monkeypatch.setattr(llm_po, constant, factor * getattr(llm_po, constant))
    assert agreement("llm-po", path, "assumed", jnp.float64).stray is not None
