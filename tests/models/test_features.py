"""What features let a procedure learn: whitened coordinates, their refusals and warnings, and feature files."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmpo_jax import models


def distances(coordinates: np.ndarray) -> np.ndarray:
    """Inner products of all differences with a fixed policy: they do not depend on the basis."""
    differences = coordinates - coordinates[0]
    return differences @ differences.T


def differences(scores: np.ndarray) -> np.ndarray:
    return scores[:, None] - scores[None, :]


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 10))
@settings(max_examples=60, deadline=None)
def test_coordinates_are_white_and_keep_all_score_differences(seed, size, width):
    rng = np.random.default_rng(seed)
    features, theta = rng.normal(size=(size, width)), rng.normal(size=width)
    known = models.identified(features)
    assert known.rank == min(width, size - 1) and known.coordinates.shape == (size, known.rank)
    assert known.coordinates.dtype == np.float64
    np.testing.assert_allclose(known.coordinates.mean(axis=0), np.zeros(known.rank), atol=1e-12)
    np.testing.assert_allclose(known.coordinates.T @ known.coordinates / size, np.eye(known.rank), atol=1e-12)
    centred = features - features.mean(axis=0)
    scale = 1 + np.abs(known.map).max()
    np.testing.assert_allclose(centred @ known.map, known.coordinates, rtol=0, atol=1e-12 * scale)
    scores = known.coordinates @ known.parameter(theta)
    np.testing.assert_allclose(differences(scores), differences(features @ theta), rtol=0, atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(3, 10), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_units_basis_and_origin_of_the_features_do_not_matter(seed, size, width):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(size, width))
    # Condition number 100 at most: a rotation, units, another rotation, another origin.
    rotations = [np.linalg.qr(rng.normal(size=(width, width)))[0] for _ in range(2)]
    mixed = features @ (rotations[0] * 10 ** rng.uniform(-1, 1, width)) @ rotations[1] + rng.normal(size=width)
    first, second = models.identified(features), models.identified(mixed)
    # What rounding of `mixed` costs grows with how nearly collinear the draw is.
    margin = np.linalg.cond(features - features.mean(axis=0)) if width < size else 1e3
    np.testing.assert_allclose(
        distances(second.coordinates), distances(first.coordinates), rtol=0, atol=1e-10 * max(margin, 1)
    )


def test_coordinates_are_those_of_a_hand_computed_case():
    known = models.identified(np.array([[0.0], [3.0]]))
    np.testing.assert_allclose(np.abs(known.coordinates), [[1.0], [1.0]], rtol=1e-15)
    np.testing.assert_allclose(differences(known.coordinates @ known.parameter(np.array([2.0])))[1, 0], 6, rtol=1e-15)
    np.testing.assert_array_equal(known.coordinates, models.identified(np.array([[0.0], [3.0]])).coordinates)


def test_what_cannot_be_learnt_is_told_and_the_rest_goes_on():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(10, 3))
    features = np.column_stack([features, features[:, 0] + features[:, 1], np.full(10, 0.1)])
    known = models.identified(features)
    assert known.rank == 3 and known.unlearnable.shape == (2, 5)
    np.testing.assert_allclose(known.unlearnable @ known.unlearnable.T, np.eye(2), atol=1e-14)
    scores = features @ known.unlearnable.T
    np.testing.assert_allclose(scores - scores.mean(axis=0), np.zeros((10, 2)), atol=1e-13)
    theta = rng.normal(size=5)
    np.testing.assert_allclose(known.parameter(theta + 3 * known.unlearnable[0]), known.parameter(theta), atol=1e-12)
    (warning,) = known.warnings
    assert "rank 3 of 5" in warning and "affect no comparison" in warning


def test_collinear_to_rounding_is_collinear_and_nearly_collinear_is_not():
    rng = np.random.default_rng(1)
    features, noise = rng.normal(size=(10, 3)), rng.normal(size=10)
    assert models.identified(np.column_stack([features, features[:, 0] + 1e-12 * noise])).rank == 3
    nearly = np.column_stack([features, features[:, 0] + 1e-6 * noise])
    known, theta = models.identified(nearly), rng.normal(size=4)
    assert known.rank == 4 and not known.unlearnable.size
    np.testing.assert_allclose(known.coordinates.T @ known.coordinates / 10, np.eye(4), atol=1e-12)
    scores = known.coordinates @ known.parameter(theta)
    np.testing.assert_allclose(differences(scores), differences(nearly @ theta), rtol=0, atol=1e-12)


def test_more_features_than_score_differences_are_warned_of():
    known = models.identified(np.random.default_rng(2).normal(size=(6, 9)))
    assert known.rank == 5
    assert any("d = 9 features for K = 6 policies" in warning for warning in known.warnings)
    assert not models.identified(np.random.default_rng(2).normal(size=(9, 3))).warnings


def test_one_hot_is_bradley_terry_without_warnings():
    known = models.one_hot(5)
    assert known.rank == 4 and not known.warnings
    np.testing.assert_allclose(np.abs(known.unlearnable), np.full((1, 5), 5**-0.5), rtol=1e-12)
    scores = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    np.testing.assert_allclose(
        differences(known.coordinates @ known.parameter(scores)), differences(scores), rtol=0, atol=1e-13
    )
    plain = models.identified(np.eye(5))
    assert len(plain.warnings) == 2
    np.testing.assert_array_equal(plain.coordinates, known.coordinates)


BAD_FEATURES = [
    ([1.0, 2.0], None, "features has shape (2,), expected one row of features per policy [K, d]"),
    ([[1.0, 2.0]], None, "features has shape (1, 2), expected at least K = 2 policies"),
    ([[], []], None, "features has shape (2, 0), expected at least d = 1 feature"),
    ([[1.0], [np.nan]], None, "features[1, 0] = nan, expected a finite number"),
    ([[1.0, -np.inf], [0.0, 0.0]], None, "features[0, 1] = -inf, expected a finite number"),
    ([[0.1], [0.1], [0.1]], None, "policy-0 and policy-1 are equal"),
    ([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]], ("a", "b", "c"), "features of a and c are equal"),
    ([[0.3], [1.0], [0.1 + 0.2]], None, "features of policy-0 and policy-2 are equal"),
]


@pytest.mark.parametrize(("features", "names", "message"), BAD_FEATURES, ids=[case[2] for case in BAD_FEATURES])
def test_bad_features_are_refused(features, names, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        models.identified(np.array(features), names)


def test_a_procedure_works_with_the_features_of_the_model_or_with_those_it_is_given():
    features = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    linear = models.LinearBradleyTerry(features.astype(np.float32), np.zeros(2, np.float32))
    plain, tabular = models.BradleyTerry([1.0, 0.0, 2.0]), models.Tabular(np.full((3, 3), 0.5), ("a", "b", "c"))
    expected = models.identified(features).coordinates
    np.testing.assert_allclose(models.identify_features(linear).coordinates, expected, rtol=1e-12)
    np.testing.assert_array_equal(models.identify_features(tabular, features).coordinates, expected)
    assert models.identify_features(plain).rank == 2 and not models.identify_features(plain).warnings
    with pytest.raises(ValueError, match=r"the model has no features, expected features \[K, d\]"):
        models.identify_features(tabular)
    with pytest.raises(ValueError, match=r"features has shape \(2, 2\), expected one row for each of the 3 policies"):
        models.identify_features(tabular, features[:2])
    with pytest.raises(ValueError, match="features of b and c are equal"):
        models.identify_features(tabular, features[[0, 1, 1]])


@pytest.fixture
def write(tmp_path):
    def to_file(text: str):
        path = tmp_path / "features.csv"
        path.write_text(text)
        return path

    return to_file


def test_feature_files_with_names_and_without(write):
    names, features = models.read_features(write("policy,length,x\na, 1,2.5\n\nb,-3e1,4\n"))
    assert names == ("a", "b") and features.tolist() == [[1.0, 2.5], [-30.0, 4.0]] and features.dtype == np.float64
    assert models.read_features(write("model,f\n1,1\n2,3\n"))[0] == ("1", "2")
    # Numbers may be names: of policies that are called so.
    path = write("1.0,5\n0.2,1\n")
    assert models.read_features(path, ("0.2", "1.0"))[0] == ("1.0", "0.2")
    temperatures = models.Tabular([[0.5, 0.6], [0.4, 0.5]], ("0.2", "1.0"))
    assert models.features_for(temperatures, path).tolist() == [[1.0], [5.0]]
    with pytest.raises(ValueError, match=r"features.csv: no names of policies in the first column, expected a, b$"):
        models.features_for(models.Tabular(temperatures.mu, ("a", "b")), path)
    names, features = models.read_features(write("\ufeff1,2\n3,4\n5,6\n"))
    assert names is None and features.tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


BAD_FILES = [
    ("", ": the file is empty"),
    ("policy,f\n", ": too little, expected at least 2 rows"),
    ("policy\na\nb\n", ": too little, expected at least 2 rows"),
    ("policy,f\na,1\nb\n", ", line 3, column 2: '', expected a finite number"),
    ("policy,f\na,1\n\nb,1,2\n", ", line 4: 3 columns, expected 2 as in the first row"),
    ("1,2\n3\n", ", line 2, column 2: '', expected a finite number"),
    ("policy,f\na,1\na,2\n", ", line 3: policy 'a' is there already, expected one row per policy"),
    ("policy,f\n,1\nb,2\n", ", line 2: empty name, expected one row per policy"),
    ("policy,f\na,x\nb,2\n", ", line 2, column 2: 'x', expected a finite number"),
    ("policy,f,g\na,1,\nb,2,3\n", ", line 2, column 3: '', expected a finite number"),
    ("1,2\n3,nan\n", ", line 2, column 2: 'nan', expected a finite number"),
]


@pytest.mark.parametrize(("text", "message"), BAD_FILES, ids=[message for _, message in BAD_FILES])
def test_bad_feature_files_are_refused_in_one_line(write, text, message):
    path = write(text)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}.*{re.escape(message)}") as error:
        models.read_features(path)
    assert "\n" not in str(error.value)


def test_a_missing_feature_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.csv: no such file"):
        models.read_features(tmp_path / "absent.csv")


def test_rows_are_aligned_with_the_policies_and_extra_rows_left_out(write):
    features = np.array([[1.0], [2.0], [3.0]])
    aligned = models.align_features(("a", "b", "c"), features, ("c", "a"))
    assert aligned.tolist() == [[3.0], [1.0]]
    assert models.align_features(None, features, ("x", "y", "z")).tolist() == features.tolist()
    with pytest.raises(ValueError, match="3 rows without names, expected one for each of the 2 policies"):
        models.align_features(None, features, ("x", "y"))
    with pytest.raises(ValueError, match=r"no features for p0, p1, p2, p3, p4 and 2 more, expected a row for every"):
        models.align_features(("a", "b", "c"), features, ("a", *(f"p{i}" for i in range(7))))
    path = write("policy,f\nb,1\na,2\n")
    tabular = models.Tabular([[0.5, 0.6], [0.4, 0.5]], ("a", "b"))
    assert models.features_for(tabular, path).tolist() == [[2.0], [1.0]]
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: no features for policy-0, policy-1"):
        models.features_for(models.BradleyTerry([1.0, 0.0]), path)
