"""What a user says of ties and of costs in one text: a number, or a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from llmpo_jax.brief import few
from llmpo_jax.models.battles import Battles, empirical_model, tie_shares, without_ties
from llmpo_jax.models.features import SHOWN_NAMES, align_features, read_features
from llmpo_jax.models.pairs import pair_costs
from llmpo_jax.models.preference import PreferenceModel, policy_names
from llmpo_jax.models.reading import holds_log, number, read_battles, read_sheet, read_square
from llmpo_jax.models.sources import Source
from llmpo_jax.models.tied import Tied, untied

_T = TypeVar("_T")


def with_ties(source: Source, text: str) -> Source:
    """A source whose comparisons end in a tie as often as `text` says (`load_ties`).

    The rates of a log are then those of its comparisons that did not: ties no longer count as half a win for both.

    Raises:
        FileNotFoundError, ValueError: as `load_ties`.
    """
    model = source.model if source.battles is None else empirical_model(without_ties(source.battles))
    return replace(source, model=Tied(model, load_ties(text, model)))


def tied_rates(battles: Battles) -> PreferenceModel:
    """What a log says of comparisons that may end in a tie: the win rates of those that do not, and how many do.

    An estimate (`llmpo_jax.models.battles.tie_shares`); without ties in the log a model without any.
    """
    decided, ties = empirical_model(without_ties(battles)), tie_shares(battles.counts, battles.ties)
    return Tied(decided, ties) if ties.any() else decided


def load_ties(text: str, model: PreferenceModel) -> float | np.ndarray:
    """The chance that a comparison of a model's policies ends in a tie.

    Args:
        text: a number in [0, 1), or a file with a K x K matrix of such numbers or percentages, symmetric (one of two
            opposite entries may be blank, and so may the diagonal). Policies are matched by name where the file has
            names, which it must where the model has. Or a log of comparisons, from which they are estimated.
        model: whose policies are meant.

    Returns:
        The number, or the matrix [K, K] in the order of the model's policies.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a number outside of [0, 1), no such matrix, or a policy that is not in it.
    """
    plain = number(text)
    if plain is None:
        return _of_file(text, lambda: Tied(untied(model), _ties(text, model)).ties)
    Tied(untied(model), plain)
    return plain


def load_costs(text: str, model: PreferenceModel) -> np.ndarray:
    """What comparisons of a model's policies cost.

    Args:
        text: a file, with a row for each policy, its name and its cost (a pair costs the sum of its two), or with a
            K x K matrix of the costs of pairs, symmetric (one of two opposite entries may be blank, and so may the
            diagonal). A file of one or two columns has costs by policy. Policies are matched by name where the file has
            names, which it must where the model has.
        model: whose policies are meant.

    Returns:
        [K] or [K, K], in the order of the model's policies.

    Raises:
        FileNotFoundError: no such file.
        ValueError: neither of the two, a cost that is not positive and finite, or a policy without any.
    """

    def costs() -> np.ndarray:
        by_policy = read_sheet(text).frame.width <= 2
        found = _column(text, model) if by_policy else _matrix(text, model, "a positive and finite cost")
        pair_costs(found, model.num_policies)
        return found

    return _of_file(text, costs)


def _of_file(path: str, load: Callable[[], _T]) -> _T:
    """What is loaded, or an error that begins with the file."""
    try:
        return load()
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(path) else f"{path}: {error}") from error


def _ties(path: str, model: PreferenceModel) -> np.ndarray:
    """[K, K] in the order of a model's policies, from a file with a matrix or with a log."""
    if not holds_log(read_sheet(path)):
        return _matrix(path, model, "a number in [0, 1)")
    battles = read_battles(path)
    return _aligned(battles.names, tie_shares(battles.counts, battles.ties), policy_names(model))


def _column(path: str, model: PreferenceModel) -> np.ndarray:
    """One number for each policy of a model, [K], from a file with a row for each."""
    names, values = read_features(path, model.names, "cost")
    if values.shape[1] != 1:
        raise ValueError(f"{values.shape[1]} numbers in a row, expected the name of a policy and its cost")
    return align_features(names, values, policy_names(model), "cost")[:, 0]


def _matrix(path: str, model: PreferenceModel, meant: str) -> np.ndarray:
    """One number for each pair of a model's policies, [K, K] with a diagonal of 0, from a file with a matrix."""
    names, values = read_square(path, meant)
    if names is None and model.names is not None:
        raise ValueError(f"no names of policies in first row or column, expected {few(model.names, SHOWN_NAMES)}")
    policies = policy_names(model)
    values = _aligned(names, values, policies)
    values = np.where(np.isnan(values), values.T, values)
    np.fill_diagonal(values, 0)
    _check_known(values, policies)
    return values


def _aligned(names: Sequence[str] | None, values: np.ndarray, policies: Sequence[str]) -> np.ndarray:
    """Rows and columns of `values` [K, K] in the order of `policies`."""
    return align_features(names, align_features(names, values, policies, "row").T, policies, "column").T


def _check_known(values: np.ndarray, policies: Sequence[str]) -> None:
    blank = np.argwhere(np.isnan(values))
    if len(blank):
        i, j = (policies[k] for k in blank[0])
        raise ValueError(f"{i} against {j} is blank, both ways, expected a number")
