"""The registry of instances, and what each instance promises."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from llmpo_jax import models
from llmpo_jax.models import instances
from llmpo_jax.theory.unstructured import characteristic_time
from tests.shared_files import shared

EXPECTED = (
    "bradley-terry",
    "bradley-terry-line",
    "cyclic",
    "random-condorcet",
    "hidden-winner",
    "no-winner",
    "linear-bradley-terry",
    "linear-embedded",
)

#: Values of a wrong type, which a type checker must not see.
BAD: dict[str, Any] = {"spread": "a", "num_policies": 2.5}


def oracle_matrix(name: str) -> np.ndarray:
    entries = json.loads(shared("oracle/unstructured.json").read_text())
    return next(np.array(entry["mu"]) for entry in entries if entry["name"] == name)


def test_names():
    assert instances.names() == EXPECTED


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("num_policies", [4, 5, 16, 33])
def test_every_instance_is_a_reproducible_float64_model(name, num_policies):
    model = instances.make(name, num_policies, seed=3)
    mu = models.win_probabilities(model)
    assert isinstance(mu, np.ndarray) and mu.dtype == np.float64 and mu.shape == (num_policies, num_policies)
    np.testing.assert_array_equal(mu, models.win_probabilities(instances.make(name, num_policies, seed=3)))
    models.Tabular(mu)
    assert (models.condorcet_winner(model) is None) == (name == "no-winner")


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "bradley-terry-line"])
def test_the_seed_matters(name):
    first, second = (models.win_probabilities(instances.make(name, seed=seed)) for seed in (1, 2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", EXPECTED)
def test_describe_is_one_line_with_the_parameters(name):
    line = instances.describe(name)
    assert "\n" not in line
    for parameter, default in instances.defaults(name).items():
        assert f"{parameter}={default:g}" in line


def test_bradley_terry_scores():
    model = instances.make("bradley-terry", 5, seed=7, spread=0.5)
    assert isinstance(model, models.BradleyTerry)
    np.testing.assert_array_equal(model.scores, np.random.default_rng(7).normal(size=5) * 0.5)
    line = instances.make("bradley-terry-line", 5, seed=7, top=4)
    assert isinstance(line, models.BradleyTerry)
    np.testing.assert_array_equal(line.scores, [4, 3, 2, 1, 0])


def test_cyclic_is_that_of_the_oracle():
    # The oracle writes the smaller probability of some pairs, this code the larger: 1 - p differs by an ulp.
    default = models.win_probabilities(instances.make("cyclic", 17))
    np.testing.assert_allclose(default, oracle_matrix("cyclic-17"), rtol=0, atol=1e-16)
    small = instances.make("cyclic", 6, winner_probability=0.6, decisive_probability=0.85)
    np.testing.assert_allclose(models.win_probabilities(small), oracle_matrix("cyclic-6"), rtol=0, atol=1e-16)


@pytest.mark.parametrize("num_policies", [4, 5, 6, 17, 18])
def test_cyclic_has_one_decisive_opponent_each_and_it_is_not_the_winner(num_policies):
    for seed in (0, 5):
        model = instances.make("cyclic", num_policies, seed=seed)
        mu, winner = models.win_probabilities(model), models.condorcet_winner(model)
        decisive = np.isclose(mu, 0.1)
        rivals = np.arange(num_policies) != winner
        assert (decisive.sum(axis=1) == rivals).all() and not decisive[:, winner].any()
        assert np.allclose(mu[winner, rivals], 0.55)
        if seed == 0:
            assert winner == 0


def test_shuffling_changes_labels_only():
    ordered, shuffled = (instances.make("cyclic", 9, seed=seed) for seed in (0, 4))
    assert characteristic_time(shuffled).time == pytest.approx(characteristic_time(ordered).time, rel=1e-12)
    mu = models.win_probabilities(shuffled)
    np.testing.assert_array_equal(np.sort(mu.ravel()), np.sort(models.win_probabilities(ordered).ravel()))


def test_hidden_winner_hides_behind_large_gaps():
    mu = models.win_probabilities(instances.make("hidden-winner", 12, seed=2))
    np.testing.assert_allclose(mu[0, 1:], 0.55)
    others = mu[1:, 1:][~np.eye(11, dtype=bool)]
    np.testing.assert_allclose(np.abs(others - 0.5), 0.4)
    assert 0 < (others > 0.5)[:40].sum() < 40


def test_random_condorcet_keeps_the_gap_and_moves_the_winner():
    winners = set()
    for seed in range(30):
        model = instances.make("random-condorcet", 6, seed=seed, gap=0.2)
        winner = models.condorcet_winner(model)
        assert winner is not None
        winners.add(winner)
        assert np.delete(models.win_probabilities(model)[winner], winner).min() >= 0.7
    assert len(winners) > 1


@pytest.mark.parametrize("num_policies", [3, 4, 5, 6, 7, 32])
def test_no_winner_for_any_number_of_policies(num_policies):
    model = instances.make("no-winner", num_policies, seed=0, probability=0.8)
    mu = models.win_probabilities(model)
    assert models.condorcet_winner(model) is None
    assert ((mu < 0.5).any(axis=1)).all() and np.allclose(mu[~np.eye(num_policies, dtype=bool)].max(), 0.8)


@pytest.mark.parametrize("dimension", [2, 3.0, 8])
def test_linear_features_lie_on_the_unit_sphere_and_the_parameter_has_the_scale(dimension):
    model = instances.make("linear-bradley-terry", 12, seed=3, dimension=dimension, scale=2.5)
    assert isinstance(model, models.LinearBradleyTerry)
    assert model.features.shape == (12, dimension) and model.features.dtype == model.theta.dtype == np.float64
    np.testing.assert_allclose(np.linalg.norm(model.features, axis=1), np.ones(12), rtol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(model.theta), 2.5, rtol=1e-14)
    again = instances.make("linear-bradley-terry", 12, seed=3, dimension=dimension, scale=2.5)
    assert isinstance(again, models.LinearBradleyTerry)
    np.testing.assert_array_equal(model.features, again.features)
    np.testing.assert_array_equal(model.theta, again.theta)


def test_embeddings_correlate_with_the_length_as_asked():
    # 100,000 draws: the standard error of a correlation is at most 0.0032, 0.02 is six of them (2e-9 each side).
    model = instances.make(
        "linear-embedded", 100_000, seed=1, dimension=4, scale=2, correlation=0.6, length_weight=0.25
    )
    assert isinstance(model, models.LinearBradleyTerry)
    expected = np.full((4, 4), 0.36)
    expected[0, :] = expected[:, 0] = 0.6
    np.fill_diagonal(expected, 1.0)
    np.testing.assert_allclose(np.corrcoef(model.features.T), expected, rtol=0, atol=0.02)
    np.testing.assert_allclose(np.linalg.norm(model.theta), 2, rtol=1e-14)
    np.testing.assert_allclose(model.theta[0] ** 2, 0.25 * 4, rtol=1e-14)


BAD_CALLS = [
    (lambda: instances.make("cylic"), "unknown instance 'cylic'", "did you mean 'cyclic'?"),
    (lambda: instances.make("zzz"), "unknown instance 'zzz'", "expected one of bradley-terry, "),
    (lambda: instances.describe("no-winer"), "unknown instance 'no-winer'", "did you mean 'no-winner'?"),
    (lambda: instances.make("bradley-terry", spred=1), "no parameter 'spred'", "did you mean 'spread'?"),
    (
        lambda: instances.make("bradley-terry", name=1),
        "no parameter 'name'",
        "expected one of num_policies, seed, spread",
    ),
    (lambda: instances.make("bradley-terry", spread=0), "spread = 0, expected a value in (0, inf]", ""),
    (
        lambda: instances.make("bradley-terry", spread=BAD["spread"]),
        "spread = 'a', expected a finite number",
        "",
    ),
    (lambda: instances.make("bradley-terry", spread=np.nan), "spread = nan, expected a finite number", ""),
    (lambda: instances.make("bradley-terry", 1), "num_policies = 1, expected a whole number >= 2", ""),
    (
        lambda: instances.make("bradley-terry", BAD["num_policies"]),
        "num_policies = 2.5, expected a whole number >= 2",
        "",
    ),
    (lambda: instances.make("bradley-terry", seed=-1), "seed = -1, expected a whole number from 0 to 2^64 - 1", ""),
    (lambda: instances.make("bradley-terry-line", top=-1), "top = -1, expected a value in (0, inf]", ""),
    (lambda: instances.make("cyclic", 3), "num_policies = 3, expected a whole number >= 4", ""),
    (
        lambda: instances.make("cyclic", winner_probability=0.5),
        "winner_probability = 0.5, expected",
        "(0.5, 1]",
    ),
    (lambda: instances.make("cyclic", decisive_probability=0.55), "decisive_probability = 0.55", "(0.55, 1]"),
    (lambda: instances.make("cyclic", other_probability=1.1), "other_probability = 1.1", "(0.5, 1]"),
    (lambda: instances.make("random-condorcet", gap=0.6), "gap = 0.6, expected a value in (0, 0.5]", ""),
    (lambda: instances.make("hidden-winner", gap=0), "gap = 0, expected a value in (0, 0.5]", ""),
    (lambda: instances.make("hidden-winner", other_gap=1), "other_gap = 1, expected", "(0, 0.5]"),
    (lambda: instances.make("no-winner", 2), "num_policies = 2, expected a whole number >= 3", ""),
    (lambda: instances.make("no-winner", probability=0.5), "probability = 0.5, expected", "(0.5, 1]"),
    (
        lambda: instances.make("linear-bradley-terry", dimension=2.5),
        "dimension = 2.5, expected a whole number >= 1",
        "",
    ),
    (lambda: instances.make("linear-bradley-terry", dimension=0), "dimension = 0, expected a whole number >= 1", ""),
    (lambda: instances.make("linear-bradley-terry", scale=0), "scale = 0, expected a value in (0, inf]", ""),
    (lambda: instances.make("linear-embedded", dimension=1), "dimension = 1, expected at least 2", ""),
    (lambda: instances.make("linear-embedded", correlation=1), "correlation = 1, expected a value in [0, 1)", ""),
    (lambda: instances.make("linear-embedded", length_weight=2), "length_weight = 2, expected a value in [0, 1]", ""),
    (lambda: instances.register("cyclic"), "instance 'cyclic' is registered already", "expected a new name"),
]


@pytest.mark.parametrize(("call", "start", "rest"), BAD_CALLS, ids=[start for _, start, _ in BAD_CALLS])
def test_bad_calls_are_refused_with_what_was_expected(call, start, rest):
    with pytest.raises(ValueError, match=f"{re.escape(start)}.*{re.escape(rest)}"):
        decorate = call()
        decorate(lambda num_policies, seed: None)
