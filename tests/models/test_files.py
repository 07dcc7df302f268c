"""Reading of win matrices and battles: the formats, every refusal, every real file."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pytest

from llmpo_jax import models
from llmpo_jax.models.files import holds_battles
from tests.shared_files import real_matrices, shared

MATRIX = ",a,b,c\na,0.5,0.7,0.6\nb,0.3,0.5,0.8\nc,0.4,0.2,0.5\n"
BATTLES = "id,model_a,model_b,winner\n1,x,y,model_a\n2,y,x,model_a\n3,x,y,tie\n4,z,x,model_b\n5,y,x,tie (bothbad)\n"


@pytest.fixture
def write(tmp_path):
    def to_file(text: str):
        path = tmp_path / "file.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return to_file


def test_matrix_with_names_and_with_none(write):
    named = models.read_matrix(write(MATRIX))
    assert named.names == ("a", "b", "c") and named.mu[0, 1] == 0.7 and named.mu.dtype == np.float64
    bare = models.read_matrix(write("0.5,0.7\n0.3,0.5\n"))
    assert bare.names is None and bare.mu.tolist() == [[0.5, 0.7], [0.3, 0.5]]


def test_spreadsheet_habits_do_no_harm(write):
    spaced = "\ufeff, a ,b,c\r\na, 0.5,0.7,0.6\r\n\r\nb,0.3,0.5,0.8\r\nc,0.4,0.2,0.5\r\n,,,\r\n"
    model = models.read_matrix(write(spaced))
    assert model.names == ("a", "b", "c")
    np.testing.assert_array_equal(model.mu, models.read_matrix(write(MATRIX)).mu)
    assert models.read_matrix(write("\ufeff0.5,0.7\n0.3,0.5\n")).names is None
    assert models.read_battles(write("\ufeffmodel_a,model_b,winner\nx,y,tie\n")).names == ("x", "y")


BAD_MATRICES = [
    ("", ": the file is empty, expected"),
    ("\n ,\n", ": the file is empty, expected"),
    ("0.5,0.7\n0.3,0.5\n0.1,0.2\n", ", line 1: 2 columns, 3 rows in all, expected a square matrix"),
    ("0.5,0.7\n0.3\n", ", line 2: 1 columns, 2 rows in all, expected a square matrix"),
    (",a,b\na,0.5,0.7\n", ", line 2: 3 columns, 2 rows in all, expected a square matrix, with names in both"),
    ("a,b\n0.5,0.7\n0.3,0.5\n", ", line 2: 2 columns, 3 rows in all, expected a square matrix, with names"),
    ("a,0.5,0.7\nb,0.3,0.5\n", ", line 2: 3 columns, 2 rows in all, expected a square matrix, with names"),
    (",a,b\na,0.5,0.7\nB,0.3,0.5\n", ", line 3, column 1: name 'B', expected 'b' as in the first row"),
    (",a,a\na,0.5,0.7\na,0.3,0.5\n", ": names has 'a' more than once, expected unique names"),
    (",a,b\na,0.5,x\nb,0.3,0.5\n", ", line 2, column 3: 'x' is not a number, expected a probability"),
    ("0.5,0.7\n,0.5\n", ", line 2, column 1: '' is not a number, expected a probability"),
    ("0.5,nan\n0.3,0.5\n", ": mu[0, 1] = nan, expected a probability in [0, 1]"),
    ("0.5,1.7\n0.3,0.5\n", ": mu[0, 1] = 1.7, expected a probability in [0, 1]"),
    ("0.5,0.7\n0.4,0.5\n", ": mu[0, 1] + mu[1, 0] = 0.7 + 0.4 = 1.1, expected 1"),
    ("0.5\n", ": mu has shape (1, 1), expected at least K = 2 policies"),
    (",a\na,0.5\n", ": mu has shape (1, 1), expected at least K = 2 policies"),
    (",a,b\n", ": only one row or column, expected a matrix of at least 2 policies"),
    (b"\xff\xfe0.5", "expected CSV text in UTF-8"),
]


@pytest.mark.parametrize(("text", "message"), BAD_MATRICES, ids=[message for _, message in BAD_MATRICES])
def test_bad_matrices_are_refused_in_one_line(write, text, message):
    path = write(text)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}.*{re.escape(message)}") as error:
        models.read_matrix(path)
    assert "\n" not in str(error.value)


def test_battles(write):
    battles = models.read_battles(write(BATTLES))
    assert battles.names == ("x", "y", "z")
    assert battles.first.tolist() == [0, 1, 0, 2, 1] and battles.second.tolist() == [1, 0, 1, 0, 0]
    assert battles.outcome.tolist() == [1.0, 1.0, 0.5, 0.0, 0.5]
    assert battles.counts.tolist() == [[0, 4, 1], [4, 0, 0], [1, 0, 0]] and battles.counts.dtype == np.int64
    assert battles.wins.tolist() == [[0, 2, 1], [2, 0, 0], [0, 0, 0]]


def test_the_empirical_model_is_fair_where_nothing_was_compared(write):
    model = models.empirical_model(models.read_battles(write(BATTLES)))
    assert model.names == ("x", "y", "z")
    assert model.mu.tolist() == [[0.5, 0.5, 1.0], [0.5, 0.5, 0.5], [0.0, 0.5, 0.5]]


def rows(*battles: str) -> str:
    """Rows like "xy" (x beats y) and "x=y"."""
    lines = [f"{b[0]},{b[-1]},{'tie' if '=' in b else 'model_a'}" for b in battles]
    return "\n".join(["model_a,model_b,winner", *lines, ""])


OPEN = [
    # Nobody but a can win by the rates, and b - c does not matter.
    (("ab", "ac"), [(1, 2)], [], 1),
    # c may beat a.
    (("ab", "bc"), [(0, 2)], [(0, 2)], 1),
    # All have failed to beat somebody.
    (("a=b", "bc"), [(0, 2)], [], 1),
    (("ab", "cd"), [(0, 2), (0, 3), (1, 2), (1, 3)], [(0, 2), (0, 3), (1, 2)], 2),
    (("ab", "bc", "ca"), [], [], 1),
]


@pytest.mark.parametrize(("battles", "missing", "matter", "parts"), OPEN)
def test_pairs_that_were_never_compared(write, battles, missing, matter, parts):
    log = models.read_battles(write(rows(*battles)))
    assert list(log.never_compared) == missing and list(log.open_pairs) == matter and len(log.parts) == parts
    # What is known settles the winner, or that there is none, exactly where no missing pair matters.
    outcomes = set()
    for fill in itertools.product(("{}{}", "{}={}", "{1}{0}"), repeat=len(missing)):
        more = [way.format(*(log.names[k] for k in pair)) for way, pair in zip(fill, missing, strict=True)]
        outcomes.add(models.condorcet_winner(models.empirical_model(models.read_battles(write(rows(*battles, *more))))))
    assert (len(outcomes) == 1) == (not matter)
    if not matter:
        assert outcomes == {models.condorcet_winner(models.empirical_model(log))}


def test_the_parts_of_a_log(write):
    log = models.read_battles(write(rows("ad", "b=c", "da")))
    assert log.parts == ((0, 3), (1, 2))
    assert log.decided.tolist() == [[0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]


BAD_BATTLES = [
    ("", ": the file is empty"),
    ("model_a,model_b,winner\n", ": a header and no comparisons, expected at least one row"),
    ("model_a,modelb,winner\n", ": no column 'model_b', expected model_a, model_b, winner among"),
    ("model_a,modelb,winner\n", "; is 'modelb' meant to be 'model_b'?"),
    ("a,b,c\n", ": no column 'model_a', expected model_a, model_b, winner among the columns a, b, c"),
    ("model_a,model_b,winner,winner\n", ": column 'winner' is there 2 times, expected once"),
    ("model_a,model_b,winner\nx,y\n", ", line 2: 2 columns, expected at least 3"),
    ("model_a,model_b,winner\nx,,tie\n", ", line 2: empty name in model_a or model_b, expected a policy"),
    ("model_a,model_b,winner\nx,y,tie\n\nx,x,tie\n", ", line 4: model_a and model_b are both 'x', expected"),
    ("model_a,model_b,winner\nx,y,modela\n", ", line 2, column winner: unknown 'modela', expected one of"),
    ("model_a,model_b,winner\nx,y,modela\n", "did you mean 'model_a'?"),
]


@pytest.mark.parametrize(("text", "message"), BAD_BATTLES, ids=[message for _, message in BAD_BATTLES])
def test_bad_battles_are_refused_in_one_line(write, text, message):
    path = write(text)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}.*{re.escape(message)}") as error:
        models.read_battles(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("read", [models.read_matrix, models.read_battles])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(FileNotFoundError, match=r"absent\.csv: no such file, expected a CSV file"):
        read(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("text", "battles"),
    [
        (MATRIX, False),
        (BATTLES, True),
        ("0.5,0.7\n0.3,0.5\n", False),
        (",model_a,model_b\nmodel_a,0.5,0.7\nmodel_b,0.3,0.5\n", False),
        ("policy,model_a,winner\nmodel_a,0.5,0.7\nwinner,0.3,0.5\n", False),
        ("modela,modelb,win\nx,y,modela\n", True),
        (",a,b\na,0.5,0.7\nB,0.3,0.5\n", False),
    ],
)
def test_battles_and_matrices_are_told_apart(write, text, battles):
    assert holds_battles(write(text)) == battles


@pytest.mark.parametrize("name", real_matrices() or ["wmt20_mqm_zhen_K8.csv"])
def test_every_real_matrix_is_read(name):
    path = shared(f"data/{name}")
    model = models.read_matrix(path)
    np.testing.assert_array_equal(model.mu.astype(np.float32), models.Tabular(model.mu.astype(np.float32)).mu)
    facts = path.with_suffix(".json")
    assert (model.names is not None) == facts.exists()
    winner = models.condorcet_winner(model)
    if facts.exists():
        about = json.loads(facts.read_text())
        assert models.num_policies(model) == about["K"] and winner == about["condorcet_winner"]
    else:
        assert (winner is None) == (name in ("tennis_8.csv", "hudry_13.csv"))


def test_real_battles_agree_with_their_matrix_and_counts():
    battles = models.read_battles(shared("data/pandalm_human_battles.csv"))
    matrix = models.read_matrix(shared("data/pandalm_human_K5.csv"))
    counts = np.loadtxt(shared("data/pandalm_human_K5.counts.csv"), delimiter=",", skiprows=1, usecols=range(1, 6))
    assert battles.names == matrix.names
    np.testing.assert_array_equal(battles.counts, counts)
    np.testing.assert_allclose(models.empirical_model(battles).mu, matrix.mu, rtol=0, atol=5.1e-7)


def test_real_sparse_battles_agree_with_the_dense_part():
    battles = models.read_battles(shared("data/llmfao_crowd_battles.csv"))
    dense = models.read_matrix(shared("data/llmfao_crowd_dense_K14.csv"))
    assert dense.names is not None
    part = [battles.names.index(name) for name in dense.names]
    mu = models.empirical_model(battles).mu[np.ix_(part, part)]
    np.testing.assert_allclose(mu, dense.mu, rtol=0, atol=5.1e-7)
    assert len(battles.names) == 59 and len(battles.first) == battles.counts.sum() // 2 == 8931
