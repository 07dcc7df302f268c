"""Ties and costs as they are given: the wrapper, its refusals, and files of either."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import llmpo_jax as lp
from llmpo_jax import models

TIES = np.array([[np.nan, 0.1, 0.2], [0.1, np.nan, 0.0], [0.2, 0.0, np.nan]])
ABC = lp.BradleyTerry([2.0, 0.0, 1.0], names=("a", "b", "c"))


def test_a_tied_model_is_its_model_but_for_the_ties():
    model = lp.Tied(ABC, TIES)
    assert models.condorcet_winner(model) == 0 and models.policy_names(model) == ("a", "b", "c")
    assert models.host_probabilities(model).tolist() == models.host_probabilities(ABC).tolist()
    assert np.asarray(models.tie_probabilities(model)).tolist() == np.where(np.isnan(TIES), 0, TIES).tolist()
    assert np.asarray(models.tie_probabilities(lp.Tied("bradley-terry:3", 0.25)))[0].tolist() == [0, 0.25, 0.25]
    assert models.tie_probabilities(ABC) is None and models.tie_probabilities(lp.Tied(ABC, 0.0)) is None
    assert models.untied(model) is ABC and models.untied(ABC) is ABC and models.given(model) is model
    assert repr(model) == f"Tied(model={ABC!r}, ties=float64[3, 3])"
    linear = lp.LinearBradleyTerry([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [1.0, 0.5])
    assert models.identify_features(lp.Tied(linear, 0.5)).rank == models.identify_features(linear).rank == 2


def test_a_tied_model_is_a_pytree_whose_leaves_may_be_anything():
    model = lp.Tied(lp.BradleyTerry(jnp.arange(3.0)), jnp.float32(0.5))
    assert model.ties.dtype == jnp.float32
    half = jax.eval_shape(lambda model, ties: lp.Tied(model.model, ties / 2), model, model.ties)
    assert half.ties.shape == (3, 3) and half.ties.dtype == jnp.float32 and half.num_policies == 3
    many = jax.tree.map(lambda *leaves: np.stack(leaves), model, model)
    assert many.ties.shape == (2, 3, 3) and many.num_policies == 3


@pytest.mark.parametrize(
    ("ties", "message"),
    [
        (1, r"ties = 1, expected a number in \[0, 1\)"),
        (np.nan, r"ties = nan, expected"),
        ("half", "ties = 'half', expected an array of real numbers"),
        (
            [0.1, 0.2, 0.3],
            r"ties has shape \(3,\), expected a number in \[0, 1\), or one for each pair",
        ),
        (np.where(np.isnan(TIES), 0, -TIES), r"ties\[0, 1\] = -0.1, expected a number in \[0, 1\)"),
        (np.triu(TIES, 1), r"ties\[0, 1\] = 0.1 and ties\[1, 0\] = 0, expected a symmetric matrix"),
    ],
)
def test_what_is_no_chance_of_a_tie_is_refused(ties, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        lp.Tied(ABC, ties)


def test_ties_are_not_wrapped_twice():
    with pytest.raises(ValueError, match="model has ties already, expected one without"):
        lp.Tied(lp.Tied(ABC, 0.1), 0.1)


def test_costs_by_policy_add_up_and_costs_by_pair_are_taken():
    assert models.pair_costs(None, 3) is None
    assert np.asarray(models.pair_costs((1, 2, 4), 3)).tolist() == [[1, 3, 5], [3, 1, 6], [5, 6, 1]]
    assert np.asarray(models.pair_costs([[np.nan, 3], [3, 0]], 2)).tolist() == [[1, 3], [3, 1]]


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        (3, r"costs has shape \(\), expected one cost for each of the 3 policies \[K\], or for each pair of them"),
        ((1, 2), r"costs has shape \(2,\), expected one cost for each of the 3 policies"),
        ((1, 2, -1), r"costs\[2\] = -1, expected a positive and finite cost"),
        ((1, np.inf, 1), r"costs\[1\] = inf, expected"),
        (1 + np.triu(np.ones((3, 3))), r"costs\[0, 1\] = 2 and costs\[1, 0\] = 1, expected a symmetric matrix"),
        (np.eye(3), r"costs\[0, 1\] = 0, expected a positive and finite cost"),
    ],
)
def test_what_is_no_cost_is_refused(costs, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        models.pair_costs(costs, 3)


@pytest.fixture
def write(tmp_path):
    def to_file(text: str) -> str:
        path = tmp_path / "given.csv"
        path.write_text(text)
        return str(path)

    return to_file


def test_ties_are_a_number_or_a_matrix_matched_by_name(write):
    assert models.load_ties("0.25", ABC) == 0.25
    path = write(",c,a,b,z\nc,,20%,0%,1%\na,20%,,10%,1%\nb,,,,1%\nz,1%,1%,1%,-\n")
    assert np.asarray(models.load_ties(path, ABC)).tolist() == lp.Tied(ABC, TIES).ties.tolist()
    plain = write("0,0.1,0.2\n0.1,0,0\n0.2,0,0\n")
    assert np.asarray(models.load_ties(plain, lp.BradleyTerry(ABC.scores))).tolist() == np.nan_to_num(TIES).tolist()
    for text, wrong in (
        ("0,0.1,0.2\n0.1,0,0\n0.2,0,0\n", ": no names of policies in first row or column, expected a, b, c"),
        ("a,b\n0,0.1\n0.1,0\n", ": no row for c, expected a row for every policy"),
        ("a,b,c\n0,,0.2\n,0,0\n0.2,0,0\n", ": a against b is blank, both ways, expected a number"),
        ("a,b,c\n0,1,0.2\n1,0,0\n0.2,0,0\n", r": ties[0, 1] = 1, expected a number in [0, 1)"),
        (",a,b,c\na,0,x,0\nb,0,0,0\nc,0,0,0\n", ", line 2, column 3: 'x' is not a number, expected a number in [0, 1)"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(write(text) + wrong)}"):
            models.load_ties(write(text), ABC)
    log = write("model_a,model_b,winner\n" + "b,a,tie\nb,z,model_a\n" * 10 + "a,c,model_a\n")
    assert np.asarray(models.load_ties(log, ABC))[0, 1] == pytest.approx((10 + 100 / 22) / 20)
    with pytest.raises(ValueError, match=r"^ties = 1.5, expected a number in \[0, 1\)"):
        models.load_ties("1.5", ABC)
    with pytest.raises(FileNotFoundError, match=r"^absent.csv: no such file"):
        models.load_ties("absent.csv", ABC)


def test_costs_are_a_column_or_a_matrix_matched_by_name(write):
    assert models.load_costs(write("policy,cost\nb,2\nz,9\nc,4\na,1\n"), ABC).tolist() == [1, 2, 4]
    assert models.load_costs(write("1\n2\n4\n"), lp.BradleyTerry(ABC.scores)).tolist() == [1, 2, 4]
    assert models.load_costs(write("b,c,a\n,6,3\n6,,5\n3,,\n"), ABC)[0].tolist() == [0, 3, 5]
    for text, wrong in (
        ("a,1\nb,2\n", ": no cost for c, expected a row for every policy"),
        ("a,1\nb,2\nc,0\n", ": costs[2] = 0, expected a positive and finite cost"),
        ("a,1\nb,2\nc,x\n", ", line 3, column 2: 'x', expected a finite number"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(write(text) + wrong)}"):
            models.load_costs(write(text), ABC)


def test_the_rates_of_a_log_with_ties_are_those_of_its_decided_comparisons(write):
    source = models.load(write("model_a,model_b,winner\nx,y,x\nx,y,tie\nx,y,x\ny,x,y\n"))
    assert source.battles is not None
    assert source.model.win_probabilities()[0, 1] == 2.5 / 4 and source.battles.ties.tolist() == [[0, 1], [1, 0]]
    tied = models.with_ties(source, "0.25")
    assert isinstance(tied.model, lp.Tied)
    assert tied.model.win_probabilities()[0, 1] == 2 / 3 and tied.model.ties[0, 1] == 0.25
