"""What a structured procedure may know of the policies: features, and what of a parameter they let it learn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmpo_jax.brief import brief, few
from llmpo_jax.models.linear import LinearBradleyTerry, check_features
from llmpo_jax.models.preference import BradleyTerry, PreferenceModel, policy_names
from llmpo_jax.models.reading import Row, number, read_sheet
from llmpo_jax.models.tied import untied

SHOWN_NAMES = 5

_RANK_TOLERANCE = 1e-9
"""Singular values of the standardised features below this share of the largest one are rounding."""


@dataclass(frozen=True, eq=False)
class Identified:
    """Features in coordinates in which everything about them can be learnt.

    Only differences of rows matter, and of those only the directions that they span. The coordinates are whitened
    (mean zero, unit covariance over the policies), so neither the units nor the basis of the features matter.

    Attributes:
      coordinates: [K, r] float64, one row per policy.
      map: [d, r], `coordinates = (features - mean) @ map`.
      back: [r, d], takes theta on the features to the parameter on the coordinates.
      unlearnable: [d - r, d], an orthonormal basis of the directions of theta that affect no comparison.
      warnings: what a user should know, in sentences; mostly none.
    """

    coordinates: np.ndarray
    map: np.ndarray
    back: np.ndarray
    unlearnable: np.ndarray
    warnings: tuple[str, ...] = ()

    __repr__ = brief

    @property
    def rank(self) -> int:
        """r, the number of coordinates."""
        return self.coordinates.shape[1]

    def parameter(self, theta: np.ndarray) -> np.ndarray:
        """[r], the parameter on the coordinates with the score differences of `theta` [d] on the features."""
        return self.back @ theta


def identified(features: np.ndarray, names: Sequence[str] | None = None) -> Identified:
    """Whitened coordinates of `features` [K, d], by a singular value decomposition.

    Raises:
      ValueError: not [K, d] with K >= 2, an entry that is not finite, or two policies with equal features, which no
        comparison through them can tell apart.
    """
    features = np.asarray(features, np.float64)
    check_features(features)
    count, width = features.shape
    centred = features - features.mean(axis=0)
    size = np.sqrt((centred**2).mean(axis=0))
    # What rounding leaves of each column, in units of its standard deviation.
    noise = np.finfo(float).eps * np.abs(features).max(axis=0)
    _check_distinct(features, 4 * noise, names)
    unit = np.where(size > 10 * noise, size, np.inf)
    left, scale, right = np.linalg.svd(centred / unit, full_matrices=False)
    floor = max(_RANK_TOLERANCE, 10 * (noise / unit).max())
    rank = int((scale > floor * scale[0]).sum())
    # A singular vector's sign is arbitrary: make its largest entry positive.
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    left, right = left * signs, right * signs[:, None]
    weights = np.sqrt(count) / scale[:rank]
    kept = np.where(np.isfinite(unit), unit, 1.0)
    back = right[:rank] * kept / weights[:, None]
    null = np.linalg.svd(back, full_matrices=True)[2][rank:]
    return Identified(
        coordinates=np.sqrt(count) * left[:, :rank],
        map=(right[:rank] / unit).T * weights,
        back=back,
        unlearnable=null,
        warnings=_warnings(count, width, rank, null),
    )


def _check_distinct(features: np.ndarray, noise: np.ndarray, names: Sequence[str] | None) -> None:
    same = np.argwhere(np.triu((np.abs(features[:, None] - features[None]) <= noise).all(axis=-1), 1))
    if len(same):
        i, j = (names[k] if names is not None else f"policy-{k}" for k in same[0])
        raise ValueError(f"features of {i} and {j} are equal, expected policies that differ in some feature")


def _warnings(count: int, width: int, rank: int, null: np.ndarray) -> tuple[str, ...]:
    found = []
    if rank < width:
        shown = ", ".join(map(_direction, null[:3]))
        more = f" and {len(null) - 3} more" if len(null) > 3 else ""
        found.append(
            f"the features have rank {rank} of {width}: theta cannot be learnt along {shown}{more}; these directions "
            "affect no comparison, so the winner is still identifiable"
        )
    if width >= count:
        found.append(
            f"there are d = {width} features for K = {count} policies, so nothing is gained over plain Bradley-Terry "
            "(K - 1 score differences)"
        )
    return tuple(found)


def _direction(vector: np.ndarray) -> str:
    return f"({', '.join(f'{x:.3g}' for x in vector[:8])}{', ...' if len(vector) > 8 else ''})"


def one_hot(num_policies: int) -> Identified:
    """The coordinates of plain Bradley-Terry, one feature per policy; their rank is K - 1, as it must be."""
    known = identified(np.eye(num_policies))
    return Identified(known.coordinates, known.map, known.back, known.unlearnable)


def identify_features(model: PreferenceModel, features: np.ndarray | None = None) -> Identified:
    """What a structured procedure works with on a model: `features` [K, d] or, by default, the model's own.

    Raises:
      ValueError: features of another shape or as `identified`, or none for a model that has none of its own.
    """
    if features is None:
        own = untied(model)
        if isinstance(own, BradleyTerry):
            return one_hot(model.num_policies)
        if not isinstance(own, LinearBradleyTerry):
            raise ValueError("the model has no features, expected features [K, d] with assume = 'structured'")
        features = np.asarray(own.features)
    shape = np.shape(features)
    if len(shape) != 2 or shape[0] != model.num_policies:
        raise ValueError(f"features has shape {shape}, expected one row for each of the {model.num_policies} policies")
    return identified(features, policy_names(model))


def features_for(model: PreferenceModel, path: str | os.PathLike[str]) -> np.ndarray:
    """The features [K, d] of a model's policies, from a file.

    Raises:
      FileNotFoundError: no such file.
      ValueError: as `read_features` and `align_features`.
    """
    names, features = read_features(path, model.names)
    try:
        return align_features(names, features, policy_names(model))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_features(
    path: str | os.PathLike[str], policies: Sequence[str] | None = None, what: str = "features"
) -> tuple[tuple[str, ...] | None, np.ndarray]:
    """A table with one row per policy: its name, then its features.

    The first row may be a header: it has something else than a number after its first cell. A file of numbers alone
    has names in its first column where `policies` are given, which may be called by numbers, and none where not. What
    the numbers are is said by `what`, for messages.

    Returns:
      The names, or None, and the features [K, d].

    Raises:
      FileNotFoundError: no such file.
      ValueError: empty, rows of different lengths, an entry that is not a finite number, a name that is empty or
        there twice, no names although the policies have some.
    """
    rows = read_sheet(path).rows()
    width = len(rows[0][1])
    header = any(number(cell) is None for cell in rows[0][1][1:])
    named = header or number(rows[0][1][0]) is None or policies is not None
    rows = rows[header:]
    _check_named(path, rows, policies if named else None)
    if len(rows) < 2 or width < 1 + named:
        raise ValueError(f"{path}: too little, expected at least 2 rows, one per policy, with its name and its {what}")
    names: list[str] = []
    features = np.empty((len(rows), width - named))
    for index, (line, cells) in enumerate(rows):
        if named:
            if not cells[0] or cells[0] in names:
                reason = f"policy {cells[0]!r} is there already" if cells[0] else "empty name"
                raise ValueError(f"{path}, line {line}: {reason}, expected one row per policy")
            names.append(cells[0])
        for column, cell in enumerate(cells[named:]):
            value = number(cell)
            if value is None or not np.isfinite(value):
                place = f"line {line}, column {column + 1 + named}"
                raise ValueError(f"{path}, {place}: {cell!r}, expected a finite number")
            features[index, column] = value
    return (tuple(names) if named else None), features


def _check_named(path: str | os.PathLike[str], rows: list[Row], policies: Sequence[str] | None) -> None:
    """That a file of numbers alone, to be matched by name, does not begin with a feature."""
    numbers = all(number(cells[0]) is not None for _, cells in rows)
    if policies is not None and numbers and not {cells[0] for _, cells in rows} & set(policies):
        raise ValueError(f"{path}: no names of policies in the first column, expected {few(policies, SHOWN_NAMES)}")


def align_features(
    names: Sequence[str] | None, features: np.ndarray, policies: Sequence[str], what: str = "features"
) -> np.ndarray:
    """The rows of `features` in the order of `policies` [K]; rows of other policies are left out.

    Raises:
      ValueError: a policy without features, or without names another number of rows than policies.
    """
    if names is None:
        if len(features) != len(policies):
            raise ValueError(
                f"{len(features)} rows without names, expected one for each of the {len(policies)} policies"
            )
        return features
    row = {name: index for index, name in enumerate(names)}
    missing = [policy for policy in policies if policy not in row]
    if missing:
        raise ValueError(f"no {what} for {few(missing, SHOWN_NAMES)}, expected a row for every policy")
    return features[[row[policy] for policy in policies]]
