"""What is left, as an estimate: by the bound where all is known, and with ties as comparisons that say nothing."""

from __future__ import annotations

import numpy as np
import pytest

import llmpo_jax as lp
from llmpo_jax import models
from llmpo_jax.models.battles import tie_shares, without_ties
from llmpo_jax.theory import remaining
from llmpo_jax.theory.unstructured import characteristic_time

MU = np.array([[0.5, 0.6, 0.8, 0.7], [0.4, 0.5, 0.9, 0.6], [0.2, 0.1, 0.5, 0.7], [0.3, 0.4, 0.3, 0.5]])
TIES = np.array([[0.0, 0.2, 0.8, 0.0], [0.2, 0.0, 0.9, 0.1], [0.8, 0.9, 0.0, 0.5], [0.0, 0.1, 0.5, 0.0]])


def test_after_many_comparisons_what_is_left_is_the_bound():
    """1e9 of each pair: a nat against each rival takes T* comparisons, and toughest is who tells most with the ties."""
    counts = 1e9 * (1 - np.eye(4))
    decided, nat = np.round(counts * (1 - TIES) * MU), np.ones(4)
    for existence, until in (("assumed", remaining.until_refuted), ("certify", remaining.until_proven)):
        bound = characteristic_time(lp.Tied(lp.Tabular(MU), TIES), existence)
        assert until(decided, counts * TIES, nat, 0) == pytest.approx(bound.time, rel=1e-6)
        # Without ties policy 1 is toughest for policy 2, with them policy 0.
        assert bound.proportions[1, 2] == 0
    assert remaining.until_refuted(decided, counts * TIES, np.zeros(4), 0) == 0
    assert remaining.until_refuted(np.zeros((4, 4)), np.zeros((4, 4)), nat, 0) is None


def test_a_pair_with_few_comparisons_has_the_share_of_ties_of_all():
    counts = np.array([[0, 9999, 0], [9999, 0, 10], [0, 10, 0]])
    shares = tie_shares(counts, np.array([[0, 2000, 0], [2000, 0, 10], [0, 10, 0]]))
    pooled = 2010 / 10010
    assert shares[0, 2] == pytest.approx(pooled) and shares[1, 2] == pytest.approx((10 + 10 * pooled) / 20)
    assert shares[0, 1] == pytest.approx(0.2, abs=1e-3) and (shares == shares.T).all() and not shares.diagonal().any()
    assert not tie_shares(counts, 0 * counts).any()
    assert (tie_shares(counts, counts) < 1).all()


def test_a_log_as_a_model_with_ties():
    outcome = np.array([1.0, 0.5, 0.5, 1.0, 0.0, 1.0])
    log = models.Battles(("a", "b", "c"), np.array([0, 0, 0, 1, 1, 0]), np.array([1, 1, 1, 2, 2, 2]), outcome)
    model = models.tied_rates(log)
    assert isinstance(model, lp.Tied) and models.policy_names(model) == ("a", "b", "c")
    assert models.host_probabilities(model).tolist() == [[0.5, 1, 1], [0, 0.5, 0.5], [0, 0.5, 0.5]]
    assert model.ties.tolist() == tie_shares(log.counts, log.ties).tolist()
    assert isinstance(models.tied_rates(without_ties(log)), lp.Tabular)
