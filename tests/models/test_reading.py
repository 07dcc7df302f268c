"""Reading of win matrices and battles: the formats, every refusal, every real file."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import re
import warnings

import numpy as np
import polars as pl
import pytest

from llmpo_jax import models
from llmpo_jax.models.battles import drawn
from llmpo_jax.models.reading import holds_log, read_sheet
from llmpo_jax.models.reading.verdicts import label
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


FORMS = [
    # One matrix as people keep it: names on one side or both, a diagonal of any kind, half of it, percent, wins.
    ",a,b,c\na,,0.7,0.6\nb,0.3,,0.8\nc,0.4,0.2,\n",
    ",a,b,c\na,0,0.7,0.6\nb,0.3,0,0.8\nc,0.4,0.2,0\n",
    "policy,a,b,c\na,NaN,0.7,0.6\nb,0.3,NaN,0.8\nc,0.4,0.2,nan\n",
    "a,b,c\n0.5,0.7,0.6\n0.3,0.5,0.8\n0.4,0.2,0.5\n",
    "a,0.5,0.7,0.6\nb,0.3,0.5,0.8\nc,0.4,0.2,0.5\n",
    ",a,b,c\na,-,0.7,0.6\nb,-,-,0.8\nc,-,-,-\n",
    ",a,b,c\na,50%,70%,60%\nb,30%,50 %,80%\nc,40%,20%,50%\n",
    ",a,b,c\na,,70,60\nb,30,,80\nc,40,20,\n",
    ",a,b,c\na,0,7,6\nb,3,0,4\nc,4,1,0\n",
    ";a;b;c\na;0,5;0,7;0,6\nb;0,3;0,5;0,8\nc;0,4;0,2;0,5\n",
    "\ta\tb\tc\na\t0.5\t0.7\t0.6\nb\t0.3\t0.5\t0.8\nc\t0.4\t0.2\t0.5\n",
    "a b c\n0.5 0.7  0.6\n0.3 0.5 0.8\n0.4 0.2 0.5\n",
    '{"a": 0.5, "b": 0.7, "c": 0.6}\n{"a": 0.3, "b": 0.5, "c": 0.8}\n{"a": 0.4, "b": 0.2, "c": 0.5}\n',
]


@pytest.mark.parametrize("text", FORMS)
def test_one_matrix_in_all_its_forms(write, text):
    model = models.read_matrix(write(text))
    assert model.names == ("a", "b", "c")
    np.testing.assert_allclose(model.mu, models.read_matrix(write(MATRIX)).mu, rtol=0, atol=1e-15)


def test_matrices_without_names_or_with_numbers_for_names(write):
    assert models.read_matrix(write("0.5 0.7\n0.3 0.5\n")).names is None
    assert models.read_matrix(write(",0.7,0.6\n0.3,,0.8\n0.4,0.2,\n")).names is None
    assert models.read_matrix(write(",0.2,1.0\n0.2,0.5,0.7\n1.0,0.3,0.5\n")).names == ("0.2", "1.0")
    assert models.read_matrix(write("0,1\n0.5,0.7\n0.3,0.5\n")).names == ("0", "1")


def test_rounded_matrices_are_evened_out_and_told(write):
    with pytest.warns(UserWarning, match="file.csv: entries are rounded to 2 decimals .* only to 0.01;"):
        model = models.read_matrix(write(",a,b,c\na,0.5,0.67,0.89\nb,0.34,0.5,0.6\nc,0.11,0.4,0.5\n"))
    np.testing.assert_allclose(model.mu[0], [0.5, 0.665, 0.89], rtol=0, atol=1e-15)
    with pytest.warns(UserWarning, match="rounded to 2 decimals"):
        models.read_matrix(write("50,67\n34,50\n"))


def test_a_matrix_of_wins_whose_winner_hangs_on_a_missing_pair_is_refused(write):
    with pytest.raises(ValueError, match=r"never compared \(a - c\)"):
        models.read_matrix(write(",a,b,c\na,0,7,0\nb,3,0,4\nc,0,1,0\n"))
    with pytest.warns(UserWarning, match="taken to be even, .*: b - c"):
        assert models.read_matrix(write(",a,b,c\na,0,7,6\nb,3,0,0\nc,4,0,0\n")).mu[1, 2] == 0.5


BAD_MATRICES = [
    ("", ": the file is empty, expected"),
    ("\n ,\n", ": the file is empty, expected"),
    ("0.5,0.7\n0.3,0.5\n0.1,0.2\n", ", line 1: 2 columns, 3 rows in all, expected a square matrix"),
    ("0.5,0.7\n0.3,0.5,0.1\n", ", line 2: 3 columns, expected 2 as in the first row; a cell that holds the separator"),
    (",a,b\na,0.5,0.7\n", ", line 1: 3 columns, 2 rows in all, expected a square matrix, with names in first"),
    (",a,b\na,0.5,0.7\nB,0.3,0.5\n", ", line 3, column 1: name 'B', expected 'b' as in the first row"),
    (",a,a\na,0.5,0.7\na,0.3,0.5\n", ": names has 'a' more than once, expected unique names"),
    (",a,b\na,0.5,x\nb,0.3,0.5\n", ", line 2, column 3: 'x' is not a number, expected a probability"),
    (",a,b\na,0.5,70%\nb,0.3,0.5\n", ", line 2, column 2: '0.5' is no percentage, expected percentages throughout"),
    (",a,b,c\na,0.5,0.7,\nb,0.3,0.5,0.6\nc,,0.4,0.5\n", ": the rate of a against c is blank, both ways, expected"),
    (",a,b\na,0.5,0.6\nb,0.3,0.5\n", ": a against b: 0.6 + 0.3 = 0.9, expected 1; if what is missing are ties, add"),
    (",a,b\na,0,20\nb,20,0\n", ": whole numbers and symmetric, as numbers of comparisons are, expected wins"),
    (",a,b\na,3,20\nb,20,0\n", ": numbers of wins with entries on the diagonal, expected 0 or blank there"),
    (",a,b\na,0,2.5\nb,2,0\n", ": half a win stands alone, expected ties as half a win for both"),
    ("0.9,0.7\n0.3,0.5\n", ": mu[0, 0] = 0.9, expected 1/2 on the diagonal"),
    ("0.5,1.7\n0.3,0.5\n", ": mu[0, 1] = 1.7, expected a probability in [0, 1]"),
    ("0.5,0.7\n0.4,0.5\n", ": mu[0, 1] + mu[1, 0] = 0.7 + 0.4 = 1.1, expected 1"),
    ("0.5,0.712\n0.291,0.5\n", ": mu[0, 1] + mu[1, 0] = 0.712 + 0.291 = 1.003, expected 1"),
    ("0.5\n", ": mu has shape (1, 1), expected at least K = 2 policies"),
    (b"PK\x03\x04", " is a zip archive or an Excel workbook, expected text: save the sheet as CSV"),
    (b"\x1f\x8b\x08", ": damaged gzip file"),
    (b"\xff\xfe0", " is no text ('utf-16-le' codec can't decode"),
    (b"\x80PNG\x00\x00", " is no text (byte 0 at 4), expected CSV, JSON lines or Parquet"),
    ('{"data": [{"a": 1}]}', ": no values but lists and objects, expected an object with plain values for each row"),
    ('a,b\n0.5,"0.7\n', ", line 2: unexpected end of data, expected quotes that are closed"),
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


LOGS = [
    # One log, "x beats y, y ties with z", as the field writes it.
    "model_a,model_b,winner\nx,y,model_a\ny,z,tie\n",
    "model_b,model_a,winner\ny,x,MODEL_A\nz,y,Tie (bothbad)\n",
    "left,right,winner\nx,y,left\ny,z,draw\n",
    ",model_a,model_b,winner,\n0,x,y,model_a,\n1,y,z,tie,\n",
    "model_1,model_2,verdict\nx,y,1\ny,z,tie\n",
    "player_1,player_2,winner\nx,y,player_1\ny,z,both_bad\n",
    "model_a,model_b,winner\nx,y,x\ny,z,tie\n",
    "model_a,model_b,winner\nx,y,A\ny,z,tie(all bad)\n",
    "model_a,model_b,judgment\nx,y,[[A>>B]]\ny,z,[[B=A]]\n",
    "id,model_a_name,model_b_name,chosen_model_name,both_equal\n1,x,y,x,False\n2,y,z,,True\n",
    "model_a,model_b,response_a,response_b,winner_model_a,winner_model_b,winner_tie\nx,y,p,q,1,0,0\ny,z,p,q,0,0,1\n",
    "generator_1;generator_2;preference\nx;y;1.0\ny;z;1.5\nx;z;null\n",
    "model_a\tmodel_b\twinner\nx\ty\tmodel_a is better\ny\tz\tEQUAL\n",
    '{"model_a": "x", "model_b": "y", "winner": "model_a", "turns": [1]}\n'
    '{"model_a": "y", "model_b": "z", "winner": "tie"}\n',
    '[{"model_a": "x", "model_b": "y", "winner": "A"}, {"model_a": "y", "model_b": "z", "winner": "tie"}, '
    '{"model_a": "z", "model_b": "y", "winner": 2, "is_valid": false}]',
    'model_a,model_b,winner,note\nx,y,model_a,5" disk\ny,z,tie,2 "m" z\n',
    "model_a,model_b,winner,note\nx,y,model_a," + "x" * 140_000 + "\ny,z,tie,\n",
    "winner,loser\nx,y\n",
]


@pytest.mark.parametrize("text", LOGS, ids=[text[:30] for text in LOGS])
@pytest.mark.filterwarnings("ignore:.*rows are skipped")
def test_one_log_in_all_its_forms(write, text):
    log = models.read_battles(write(text))
    expected = [[0, 1, 0], [0, 0, 0.5], [0, 0.5, 0]]
    size = len(log.names)
    assert log.names == ("x", "y", "z")[:size] and log.ordered
    assert log.wins.tolist() == [row[:size] for row in expected[:size]]


@pytest.mark.parametrize(
    ("encode", "told"),
    [
        (lambda text: text.encode("utf-16"), 0),
        (lambda text: text.encode("utf-16-le"), 0),
        (lambda text: text.encode("utf-16-be"), 0),
        (lambda text: text.encode("utf-8-sig"), 0),
        (lambda text: text.encode("latin-1"), 1),
        (lambda text: text.replace("\n", "\r").encode(), 0),
        (lambda text: gzip.compress(text.encode()), 0),
    ],
)
def test_encodings(write, encode, told):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert models.read_battles(write(encode("model_a,model_b,winner\né,y,model_a\n"))).names == ("y", "é")
    assert len(found) == told and all("read as Windows-1252" in str(note.message) for note in found)


def test_parquet(write):
    log = pl.DataFrame({"model_a": ["x"], "model_b": ["y"], "winner": ["model_b"], "turns": [["a"]]})
    path = write("")
    log.write_parquet(path)
    assert models.read_battles(path).wins.tolist() == [[0, 0], [1, 0]]


def test_verdicts_never_change_sides():
    for scheme in (("a", "b"), ("1", "2"), ("left", "right"), ("first", "second")):
        for form in ("{}", "model_{}", "Model {}", "MODEL-{}", "{} wins", "assistant_{}", "player{}", "[[{}]]"):
            for change in (str, str.upper, str.title):
                sides = [label(change(form.format(side))) for side in scheme]
                # Unknown is an answer; the other side is none.
                assert sides in ([1.0, 0.0], [math.inf, math.inf]), (form, scheme)
    assert label("not model_a") == label("model_a loses") == label("model_c") == label("a or b") == math.inf


def test_names_go_before_labels_where_only_they_fit(write):
    log = models.read_battles(write("model_a,model_b,winner\nB,A,B\nB,C,C\nA,C,tie\n"))
    assert log.wins.tolist() == [[0, 0, 0.5], [1, 0, 0], [0.5, 1, 0]]
    log = models.read_battles(write("model_a,model_b,winner\n1.0,0.2,0.2\n0.2,2.0,2.0\n"))
    assert log.names == ("0.2", "1.0", "2.0") and log.wins.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_rows_that_say_nothing_are_skipped_counted_and_told(write):
    text = (
        "model_a,model_b,winner,is_valid\nx,y,model_a,True\nx,x,tie,True\n,y,model_a,True\nx,y,,True\nx,y,unresolved,"
    )
    text += "True\nx,y,model_b,False\nx,y\n"
    with pytest.warns(
        UserWarning, match=r"file.csv: 6 of 7 rows are skipped: 1 marked as invalid, .*3 without a verdict"
    ):
        log = models.read_battles(write(text))
    assert log.wins.tolist() == [[0, 1], [0, 0]] and sum(log.skipped.values()) == 6


def test_numbers_of_wins(write):
    log = models.read_battles(write("player_1,player_2,wins_1,wins_2,ties\nx,y,7,3,2\ny,z,0,1,\n"))
    assert log.wins.tolist() == [[0, 8, 0], [4, 0, 0], [0, 1, 0]] and not log.ordered
    matrix = models.read_battles(write(",x,y\nx,0,7.5\ny,3.5,0\n"))
    assert matrix.wins.tolist() == [[0, 7.5], [3.5, 0]] and matrix.decided.tolist() == [[0, 7], [3, 0]]
    assert not matrix.ordered


def test_leaning_judges_are_drawn_as_verdicts_with_their_chance(write):
    log = models.read_battles(write("generator_1,generator_2,preference\n" + "x,y,1.25\n" * 4000 + "x,y,2\nx,y,1.5\n"))
    assert log.leaning == 4000 and log.wins[0, 1] == 3000.5
    verdicts = drawn(log, 0)
    np.testing.assert_array_equal(verdicts.outcome, drawn(log, 0).outcome)
    assert verdicts.leaning == 0 and verdicts.outcome[-2:].tolist() == [0.0, 0.5]
    # Five standard deviations: a false alarm in 6e-7 of all seeds.
    assert abs(verdicts.decided[0, 1] - 3000) < 5 * math.sqrt(4000 * 0.25 * 0.75)


def test_columns_by_name(write):
    path = write("prompt,old,new,win_1,win_2\nq,x,y,A,B\nq,y,z,tie,A\n")
    names = {"first": "old", "second": "new", "winner": "win_1"}
    assert models.read_battles(path, names).wins.tolist() == [[0, 1, 0], [0, 0, 0.5], [0, 0.5, 0]]
    for columns, message in [
        ({"first": "old"}, "first and second belong together"),
        ({**names, "second": "neu"}, "no column 'neu', expected the second among prompt, old, new, win_1, win_2"),
        ({"frist": "old"}, "columns has 'frist', expected first, second, winner"),
    ]:
        with pytest.raises(ValueError, match=message):
            models.read_battles(path, columns)
    turned = write("model_a,model_b,winner\nx,y,model_a\n")
    with pytest.raises(ValueError, match="expected them the other way round"):
        models.read_battles(turned, {"first": "model_b", "second": "model_a"})


BAD_BATTLES = [
    ("", ": the file is empty"),
    ("model_a,model_b,winner\n", ": a header and no comparisons, expected at least one"),
    ("model_a,model_b,winner\nx,x,tie\n", ": none of 1 rows compares two policies (1 of a policy with itself)"),
    (
        "a_model,b_modell,winner\nx,y,tie\n",
        ": no columns for the two policies among a_model, b_modell, winner; expected",
    ),
    ("model_a,model_b,wins\nx,y,tie\n", ": no column that tells the winner among model_a, model_b, wins; expected col"),
    (
        "model_a,model_b,win_rate_a,win_rate_b\nx,y,1,0\n",
        ": no column that tells the winner among model_a, model_b, win_",
    ),
    ("model_a,model_b,winner,winner\nx,y,tie,tie\n", ": column 'winner' is there 2 times, expected once"),
    ("model_a,model_b,verdict,label\nx,y,tie,tie\n", ": several columns may tell the winner: verdict, label; expected"),
    (
        "player_1,player_2,llm_a,llm_b,winner\nx,y,p,q,A\n",
        ": several pairs of columns may be meant: player_1, player_2 or",
    ),
    ("model_a,model_b,winner\nx,y,tie\n\nx,y,tie,z\n", ", line 4: 4 columns, expected 3 as in the first row"),
    (
        "model_a,model_b,winner\nx,y,modela\n",
        ", line 2, column winner: unknown verdict 'modela', expected model_a, model",
    ),
    (
        'model_a,model_b,winner\n"x\n1",y,A\n\nx,y,model_c\n',
        ", line 5, column winner: unknown verdict 'model_c', expected",
    ),
    (
        "model_a,model_b,winner\nx,y,x\nx,z,y\n",
        ", line 3, column winner: 'y' is neither of the row's policies, 'x' and",
    ),
    ("model_a,model_b,winner\nA,B,A\nB,A,A\n", ", line 3, column winner: 'A' may be the policy of that name or not"),
    (
        "model_a,model_b,winner\nx,tie,x\nx,tie,tie\n",
        ", line 3, column winner: 'tie' may be the policy of that name or",
    ),
    ("model_a,model_b,winner\nx,y,1\nx,y,0\n", ", line 2, column winner: '1' may mean either side, expected 1 for the"),
    ("model_a,model_b,winner\n1.0,2.0,1\n2.0,1.0,2\n", ", line 2, column winner: '1' may mean either side, expected 1"),
    ("model_1,model_2,win_1,win_2\nx,y,model_1,tie\n", ", line 2: 'model_1', expected a whole number of wins; where"),
    ("model_a;model_b;winner\nx;y;modell\n", ", line 2, column winner: unknown verdict 'modell'"),
    ('{"model_a": "x", "model_b": "y"\n', ": line 1: Expecting ',' delimiter"),
    (MATRIX, ": a matrix of win rates, expected a log of comparisons (or numbers of wins)"),
]


@pytest.mark.parametrize(("text", "message"), BAD_BATTLES, ids=[message for _, message in BAD_BATTLES])
def test_bad_battles_are_refused_in_one_line(write, text, message):
    path = write(text)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}.*{re.escape(message)}") as error:
        models.read_battles(path)
    assert "\n" not in str(error.value) and "did you mean" not in str(error.value)


@pytest.mark.parametrize("read", [models.read_matrix, models.read_battles])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(FileNotFoundError, match=r"absent\.csv: no such file, expected a table"):
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
    assert holds_log(read_sheet(write(text))) == battles


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
