"""One string for an instance or a file."""

from __future__ import annotations

import re

import numpy as np
import pytest

from llmpo_jax import models
from llmpo_jax.models import instances


@pytest.mark.parametrize(
    ("source", "label", "expected"),
    [
        ("bradley-terry:16", "bradley-terry-16", lambda: instances.make("bradley-terry", 16)),
        ("cyclic:17,seed=3", "cyclic-17-seed-3", lambda: instances.make("cyclic", 17, seed=3)),
        (
            "bradley-terry:8,spread=0.5",
            "bradley-terry-8-spread-0.5",
            lambda: instances.make("bradley-terry", 8, spread=0.5),
        ),
        (
            "linear-bradley-terry:32,4",
            "linear-bradley-terry-32-4",
            lambda: instances.make("linear-bradley-terry", 32, dimension=4),
        ),
        (
            "linear-embedded:9,3,seed=2,scale=0.5",
            "linear-embedded-9-3-seed-2-scale-0.5",
            lambda: instances.make("linear-embedded", 9, seed=2, dimension=3, scale=0.5),
        ),
        ("no-winner", "no-winner", lambda: instances.make("no-winner")),
        ("bradley-terry:seed=2", "bradley-terry-seed-2", lambda: instances.make("bradley-terry", seed=2)),
    ],
)
def test_instances(source, label, expected):
    loaded = models.load(source)
    assert loaded.label == label and loaded.battles is None
    np.testing.assert_array_equal(models.win_probabilities(loaded.model), models.win_probabilities(expected()))


def test_matrix_file(tmp_path):
    path = tmp_path / "my matrix (1).csv"
    path.write_text("0.5,0.7\n0.3,0.5\n")
    loaded = models.load(str(path))
    assert loaded.label == "my-matrix-1" and loaded.battles is None
    assert models.win_probabilities(loaded.model)[0, 1] == 0.7


def test_battles_file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("model_a,model_b,winner\nx,y,model_a\nx,z,tie\ny,z,tie\n")
    loaded = models.load(str(path))
    assert loaded.label == "log" and loaded.battles is not None and loaded.battles.names == ("x", "y", "z")
    np.testing.assert_array_equal(loaded.model.win_probabilities()[0], [0.5, 1.0, 0.5])


def test_battles_that_leave_the_winner_open_are_refused(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("model_a,model_b,winner\nx,y,model_a\ny,z,model_a\n")
    with pytest.raises(ValueError, match=r"log.csv'.* never compared \(x - z\), expected comparisons of these, too"):
        models.load(str(path))


def test_missing_pairs_that_do_not_matter_are_told(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("model_a,model_b,winner\nx,y,model_a\nx,z,model_a\n")
    with pytest.warns(UserWarning, match="pairs never compared are taken to be even, .*: y - z"):
        loaded = models.load(str(path))
    assert models.condorcet_winner(loaded.model) == 0


def test_a_file_called_like_an_instance_needs_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cyclic").write_text("0.5,0.7\n0.3,0.5\n")
    assert models.num_policies(models.load("cyclic").model) == 16
    assert models.num_policies(models.load("./cyclic").model) == 2


def test_labels_cannot_leave_or_hide_in_their_folder(tmp_path):
    path = tmp_path / "..é.csv"
    path.write_text("0.5,0.7\n0.3,0.5\n")
    assert models.load(str(path)).label == "source"


BAD_SOURCES = [
    ("cylic:17", "source 'cylic:17': no file, and unknown instance 'cylic'.*did you mean 'cyclic'?"),
    ("", "source '': no file, and unknown instance ''"),
    ("cyclic:a", "source 'cyclic:a': num_policies = 'a', expected a number"),
    ("cyclic:17.5", "source 'cyclic:17.5': num_policies = 17.5, expected a whole number >= 2"),
    ("cyclic:1", "source 'cyclic:1': num_policies = 1, expected a whole number >= 2"),
    ("cyclic:8,seed", "source 'cyclic:8,seed': 'seed', expected parameter=value"),
    ("cyclic:8,sed=1", "source 'cyclic:8,sed=1': instance 'cyclic' has no parameter 'sed'.*did you mean 'seed'?"),
    (".", ". is a directory, expected a file"),
    ("cyclic:8,seed=x", "source 'cyclic:8,seed=x': seed = 'x', expected a number"),
    ("cyclic:8,seed=1,seed=2", "source 'cyclic:8,seed=1,seed=2': 'seed' is given twice, expected once"),
    ("bradley-terry:8,2", "source 'bradley-terry:8,2': '2', expected parameter=value"),
    ("linear-embedded:8,2,3", "source 'linear-embedded:8,2,3': '3', expected parameter=value"),
    ("linear-embedded:8,2.5", "source 'linear-embedded:8,2.5': dimension = 2.5, expected a whole number"),
    ("linear-embedded:8,2,dimension=3", "source .*: 'dimension' is given twice, expected once"),
    ("bradley-terry:8,name=2", "source 'bradley-terry:8,name=2': instance 'bradley-terry' has no parameter"),
    ("bradley-terry:8,spread=nan", "source .*: spread = nan, expected a finite number"),
]


@pytest.mark.parametrize(("source", "message"), BAD_SOURCES)
def test_bad_sources_are_refused(source, message):
    with pytest.raises(ValueError, match=message.replace("?", re.escape("?"))):
        models.load(source)


@pytest.mark.parametrize("source", ["absent.csv", "folder/absent", "./cylic"])
def test_what_looks_like_a_path_is_said_not_to_exist(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"source '{re.escape(source)}': the file does not exist"):
        models.load(source)
