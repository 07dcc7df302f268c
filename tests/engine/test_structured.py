"""Runs in the structured space: same results however they are batched, guarantees, wrong models, and bad input."""

from __future__ import annotations

import functools
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmpo_jax import (
    BradleyTerry,
    LinearBradleyTerry,
    Tabular,
    characteristic_time,
    models,
    simulate,
    win_probabilities,
)
from llmpo_jax.engine import lanes, workers
from llmpo_jax.engine.preparation import Settings, prepare
from llmpo_jax.engine.result import Result
from llmpo_jax.protocol import Problem, Thresholds
from llmpo_jax.spaces import STRUCTURED
from llmpo_jax.stopping.structured import STRUCTURED_RULES
from llmpo_jax.stopping.structured.e_process import E_PROCESS
from llmpo_jax.theory.intervals import clopper_pearson


def sphere(num_policies: int, dimension: int, seed: int) -> LinearBradleyTerry:
    model = models.instances.make("linear-bradley-terry", num_policies, seed, dimension=dimension)
    assert isinstance(model, LinearBradleyTerry)
    return model


MODEL = sphere(8, 3, 0)
# Wherever the shapes (K, d, levels, budgets, lanes) do not matter they are these, for each others are compiled anew.
ASKED: dict[str, Any] = {
    "deltas": (0.1, 0.01),
    "budgets": (10, 100),
    "replications": 20,
    "max_comparisons": 400,
    "seed": 3,
}
EACH = {"llm-po": ASKED, "thompson": {**ASKED, "max_comparisons": 1600}}


@functools.cache
def plain(sampler: str, stopping: str = "e-process") -> Result:
    return simulate(MODEL, sampler, stopping, **EACH[sampler])


def assert_same(one: Result, other: Result) -> None:
    for name in ("stopping_time", "recommendation", "budget_recommendation", "counts"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


# The same, however it is run.


@pytest.mark.parametrize(("threads", "width"), [(3, 5), (1, 16)])
@pytest.mark.parametrize("sampler", ["llm-po", "thompson"])
def test_lanes_and_threads(monkeypatch: pytest.MonkeyPatch, sampler: str, threads: int, width: int) -> None:
    expected = plain(sampler)
    assert len(np.unique(expected.stopping_time)) > 10 and (expected.stopping_time < 0).any()
    monkeypatch.setattr(workers, "layout", lambda *_: (threads, width))
    assert_same(simulate(MODEL, sampler, **EACH[sampler]), expected)


def test_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refreshes come every 8 comparisons of a replication, wherever segments end: after each of them, or 32."""
    expected = plain("llm-po")
    monkeypatch.setattr(lanes, "SEGMENT", STRUCTURED.period)
    monkeypatch.setattr(lanes, "_compiled", {})
    assert_same(simulate(MODEL, "llm-po", **ASKED), expected)


SCRIPT = """
import json, jax, llmpo_jax as lp
model = lp.instances.make("linear-bradley-terry", 8, 0, dimension=3)
found = lp.simulate(model, deltas=(0.1, 0.01), budgets=(10, 100), replications=20, max_comparisons=400, seed=3)
print(json.dumps([bool(jax.config.jax_enable_x64), found.stopping_time.tolist(), found.recommendation.tolist(),
                  found.budget_recommendation.tolist(), found.counts.tolist()]))
"""


def test_x64_changes_no_decision() -> None:
    """A user's JAX_ENABLE_X64 (off in this other process, on here) must not change published numbers."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "JAX_ENABLE_X64": "0", "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    x64, *arrays = json.loads(done.stdout)
    assert not x64
    here = plain("llm-po")
    expected = (here.stopping_time, here.recommendation, here.budget_recommendation, here.counts)
    for one, other in zip(arrays, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_relabelled_policies() -> None:
    """Other numbers of the policies permute the results. Outcomes are drawn for the pair in the order in which it is
    compared, better score first, so whole replications agree; some part where rounding decides between equal pairs."""
    order = np.random.default_rng(0).permutation(8)
    other = LinearBradleyTerry(np.asarray(MODEL.features)[order], np.asarray(MODEL.theta))
    asked = {**ASKED, "replications": 60, "max_comparisons": 2000}
    one, two = simulate(MODEL, **asked), simulate(other, **asked)
    same = (one.stopping_time == two.stopping_time).all(axis=1)
    assert same.mean() >= 0.9
    np.testing.assert_array_equal(one.recommendation[same], order[two.recommendation[same]])


def test_other_units_and_bases_of_features() -> None:
    """Only what the features tell apart matters: rescaled, mixed and shifted they give the same runs, to rounding."""
    basis = np.array([[3.0, 0.1, 0.0], [0.0, 200.0, 1.0], [1.0, 0.0, 0.01]])
    features = np.asarray(MODEL.features, np.float64)
    other = simulate(MODEL, features=features @ basis + [1.0, 2.0, -5.0], **ASKED)
    same = (plain("llm-po").stopping_time == other.stopping_time).all(axis=1)
    assert same.mean() >= 0.9


OWN = ("llm-po", "llm-po-oracle", "epsilon-greedy", "thompson", "rucb", "rage-glm")
PROCEDURES = [(sampler, "e-process") for sampler in OWN]
PROCEDURES += [("llm-po", rule) for rule in STRUCTURED_RULES.names() if rule != "e-process"]


@pytest.mark.parametrize(("sampler", "stopping"), PROCEDURES)
def test_every_sampler_and_every_rule_runs(sampler: str, stopping: str) -> None:
    """On an easy instance each names a policy and is mostly right; those made for regret may starve some direction.

    That all go together is seen in test_portable.py, where each with each is lowered.
    """
    asked = {**ASKED, "deltas": (0.2, 0.1), "replications": 8, "max_comparisons": 20_000, "seed": 0}
    result = simulate(MODEL, sampler, stopping, **asked)
    decided = result.stopping_time[:, 1]
    assert (decided > 0).mean() >= (0.5 if sampler in ("epsilon-greedy", "thompson", "rucb") else 1)
    assert result.errors()[:, 1].sum() <= 3
    spent = np.where(decided > 0, decided, 20_000)
    assert result.counts.sum() == pytest.approx(spent.mean())
    np.testing.assert_array_equal(result.counts, np.triu(result.counts, 1))


def test_oracle_tracks_the_optimal_proportions() -> None:
    """After n comparisons no pair is further than one comparison per pair from its optimal number."""
    asked = {**ASKED, "deltas": (1e-300, 1e-200), "replications": 3, "max_comparisons": 2048}
    result = simulate(MODEL, "llm-po-oracle", **asked)
    assert result.proportions is not None
    assert np.abs(result.counts - 2048 * result.proportions).max() <= 28


def test_stopping_times_come_close_to_the_bound() -> None:
    """At delta = 1e-10 on an easy instance: above the bound (each mean has to be, up to chance), and within twice."""
    asked = {**ASKED, "deltas": (1e-10, 0.1), "replications": 100, "max_comparisons": 20_000}
    result = simulate(MODEL, "llm-po", "e-process", **asked)
    level = result.summary()[0]
    assert level.bound is not None and level.ratio is not None
    assert level.mean > level.bound and level.ratio < 2


def test_no_run_gets_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """No heavy tail where the pairs are few and of very different use: the slowest of 300 runs takes under 10 medians.

    Measured: 4.1. Without `LARGEST_MOVE` 4 runs in 300 were still undecided after 30,000 comparisons, 20 medians.
    """
    monkeypatch.setattr(workers, "layout", lambda *_: (2, 16))
    asked = {**ASKED, "deltas": (0.05, 0.1), "replications": 300, "max_comparisons": 30_000, "seed": 0}
    times = simulate(sphere(8, 3, 2), "llm-po", "stylised", **asked).stopping_time[:, 0]
    assert (times > 0).all()
    assert times.max() < 10 * np.median(times)


# Guarantees.


def breaks(result: Result) -> bool:
    """Whether the errors at the first delta prove that the guarantee does not hold (false alarm 5e-7 at most)."""
    errors = int(result.errors()[:, 0].sum())
    return clopper_pearson(errors, len(result.errors()), 1 - 1e-6)[0] > result.deltas[0]


HARD = LinearBradleyTerry([[1.0, 0.0], [0.95, 0.3], [0.0, 1.0]], [0.25, 0.05])
EASIER = (0.1, 0.2, 0.3, 0.4)
"""Beside the level that is looked at others that are decided before it, for the shapes of `test_singular.py`."""


# The mixture beside a sampler that looks at nothing is seen in test_singular.py.
@pytest.mark.parametrize(
    ("sampler", "stopping"), [("llm-po", "e-process"), ("llm-po", "mixture"), ("round-robin", "e-process")]
)
def test_proven_rules_keep_their_guarantee(sampler: str, stopping: str) -> None:
    """1,000 replications at delta = 0.1 where the best two differ by 0.02 logits; false alarm 1e-6 at most."""
    result = simulate(HARD, sampler, stopping, deltas=EASIER, replications=1000, max_comparisons=4096)
    assert not breaks(result)


def test_broken_rules_are_found_out() -> None:
    """The check is sharp: with 1 / 16 of the threshold it fails where the true rule passes."""

    def part(problem: Problem, delta: float) -> Thresholds:
        return Thresholds(-math.log(delta) / 16, math.inf)

    broken = E_PROCESS._replace(thresholds=part)
    result = simulate(HARD, "round-robin", broken, deltas=EASIER, replications=1000, max_comparisons=4096)
    assert breaks(result)


# A space that is assumed, and another truth.


def test_bradley_terry_may_be_assumed_structured() -> None:
    """One-hot features, identified; held against the bound of the smaller space, which is lower."""
    model = BradleyTerry([1.0, 0.2, 0.0, -0.3, -0.3])
    asked = {**ASKED, "replications": 100, "max_comparisons": 20_000}
    structured, plain = simulate(model, assume="structured", **asked), simulate(model, **asked)
    assert (structured.assume, plain.assume) == ("structured", "unstructured")
    assert structured.time == pytest.approx(characteristic_time(model, assume="structured").time)
    assert structured.summary()[1].censored == 0
    assert structured.time is not None and plain.time is not None and structured.time < plain.time


def test_a_linear_model_may_be_run_unstructured() -> None:
    """Nothing is known of the features then; the bound is that of the larger space."""
    model = sphere(5, 2, 0)
    result = simulate(model, assume="unstructured", **ASKED)
    assert result.assume == "unstructured"
    assert result.time == pytest.approx(characteristic_time(model, assume="unstructured").time)


def test_a_wrong_model_voids_the_guarantee() -> None:
    """Features that do not tell the best policy from a much worse one: the linear model names a wrong policy, at any
    sample size, and there is no T* to compare with. Unstructured, the same data give the right answer."""
    features = np.array([[0.0], [1.0], [2.0]])
    # Policy 1 beats both others, but in one feature the best score lies at an end.
    mu = np.array([[0.5, 0.3, 0.4], [0.7, 0.5, 0.7], [0.6, 0.3, 0.5]])
    asked = {**ASKED, "deltas": (0.01, 0.005), "replications": 50, "max_comparisons": 20_000}
    wrong = simulate(Tabular(mu), features=features, **asked)
    assert wrong.assume == "structured" and wrong.time is None and wrong.proportions is None
    assert wrong.summary()[0].ratio is None
    assert breaks(wrong)
    right = simulate(Tabular(mu), **asked)
    assert not breaks(right)


def test_tabular_truth_within_the_space_has_a_bound() -> None:
    """A win matrix that happens to be linear in the given features."""
    mu = Tabular(np.asarray(win_probabilities(MODEL), np.float64))
    result = simulate(mu, features=np.asarray(MODEL.features), **ASKED)
    assert result.time == pytest.approx(characteristic_time(MODEL).time, rel=1e-3)


# Bad input.

NO_FEATURES = models.instances.make("cyclic", num_policies=5)
BAD: list[tuple[models.PreferenceModel, dict[str, Any], str]] = [
    (MODEL, {"assume": "linear"}, "assume = 'linear', expected one of"),
    (MODEL, {"assume": "unstructured", "features": np.eye(8)}, "features are given, expected assume = 'structured'"),
    (MODEL, {"features": np.eye(7)}, r"features has shape \(7, 7\), expected one row for each of the 8 policies"),
    (MODEL, {"features": np.ones(8)}, r"features has shape \(8,\), expected one row for each of the 8 policies"),
    (MODEL, {"features": np.full((8, 2), np.nan)}, r"features\[0, 0\] = nan, expected a finite number"),
    (MODEL, {"features": np.ones((8, 2))}, "features of policy-0 and policy-1 are equal"),
    (MODEL, {"existence": "certify"}, "existence = 'certify', expected 'assumed' in the structured space"),
    (MODEL, {"stopping": "kaufmann-koolen"}, "unknown structured stopping rule 'kaufmann-koolen', expected one of"),
    (NO_FEATURES, {"assume": "structured"}, "the model has no features, expected features"),
    (NO_FEATURES, {"sampler": "llm-po-oracle"}, "unknown sampler 'llm-po-oracle'"),
    (
        NO_FEATURES,
        {"sampler": "llm-po-oracle", "features": np.arange(5.0)[:, None]},
        "'llm-po-oracle' is told the optimum of a linear Bradley-Terry model, but this model has none",
    ),
]


@pytest.mark.parametrize(("model", "arguments", "message"), BAD)
def test_bad_arguments(model: models.PreferenceModel, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(model, **arguments)


def test_equal_best_scores_are_refused_by_name() -> None:
    tied = LinearBradleyTerry([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [1.0, 1.0])
    with pytest.raises(ValueError, match="policies 0, 1 share the best score"):
        characteristic_time(tied)


def test_rank_deficient_features_are_named_and_run() -> None:
    """The fourth feature is the sum of the others: what cannot be learnt is named, and the run is the same as without.

    Numbers in the warning: theta along (1, 1, 1, -1) / 2.
    """
    features = np.asarray(MODEL.features, np.float64)
    wider = np.c_[features, features.sum(axis=1)]
    with pytest.warns(UserWarning, match=r"rank 3 of 4: theta cannot be learnt along \(.*0\.5.*\)"):
        found = simulate(LinearBradleyTerry(wider, [*np.asarray(MODEL.theta), 0.0]), **ASKED)
    assert found.time == pytest.approx(plain("llm-po").time, rel=1e-4)
    same = (found.stopping_time == plain("llm-po").stopping_time).all(axis=1)
    assert same.mean() >= 0.9


def test_too_many_features_are_warned_of() -> None:
    rng = np.random.default_rng(0)
    model = LinearBradleyTerry(rng.normal(size=(4, 6)), rng.normal(size=6))
    with pytest.warns(UserWarning) as caught:
        prepare(model, "round-robin", "stylised", Settings((0.1,), (), 1000))
    assert any("d = 6 features for K = 4 policies" in str(warning.message) for warning in caught)


def test_one_program_for_all_instances_of_a_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrays of the design are put in when a run starts, so a study over instances compiles once."""
    monkeypatch.setattr(lanes, "_compiled", {})
    for seed in (0, 1, 2):
        asked = ASKED | {"budgets": (4, 8), "replications": 2, "max_comparisons": 8}
        simulate(sphere(8, 3, seed), **asked)
    assert len(lanes._compiled) == 3  # the identities, the draws, and the procedure
