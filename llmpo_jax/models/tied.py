"""Comparisons that may end in a tie: a wrapper around any other preference model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.core import Tracer
from numpy.typing import ArrayLike

from llmpo_jax.brief import brief
from llmpo_jax.models.given import given
from llmpo_jax.models.pairs import check_each, symmetric, with_diagonal
from llmpo_jax.models.preference import Array, PreferenceModel, array_namespace, floating


@jax.tree_util.register_pytree_with_keys_class
@dataclass(frozen=True, eq=False)
class Tied:
    """A model whose comparisons may end in a tie (theory, section 10).

    A comparison of i and j is a tie with probability `ties[i, j]`; of the others i wins the share that the wrapped
    model says: `mu` is the chance of winning among decided comparisons. Who is best hangs on `mu` alone; a tie says
    nothing of it, but has to be paid for.

    Args:
      model: any preference model without ties, or a source of one such as "bradley-terry:16".
      ties: a number in [0, 1), the same for all pairs, or [K, K], symmetric, by pair (its diagonal is ignored). A
        floating array keeps its dtype and its namespace (NumPy or JAX); anything else becomes NumPy float64.

    Attributes:
      ties: [K, K], with a diagonal of 0.

    Raises:
      ValueError: no model, one that has ties already, or `ties` are not such chances. Tracers are not looked into.
    """

    model: PreferenceModel
    ties: Array

    __repr__ = brief

    if TYPE_CHECKING:  # what may be given, not what is kept

        def __init__(self, model: PreferenceModel | str, ties: ArrayLike) -> None: ...

    def __post_init__(self) -> None:
        model = given(self.model)
        if isinstance(model, Tied):
            raise ValueError("model has ties already, expected one without: lp.Tied(model.model, ties) replaces them")
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "ties", _by_pair(floating("ties", self.ties), model.num_policies))

    @property
    def names(self) -> Sequence[str] | None:
        """Names of the policies, or None where they have none."""
        return self.model.names

    @property
    def num_policies(self) -> int:
        """Number of policies K."""
        return self.model.num_policies

    def win_probabilities(self) -> Array:
        """`mu[i, j] = P(i beats j | no tie)`, [K, K]."""
        return self.model.win_probabilities()

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], None]:
        """The wrapped model's arrays and the ties."""
        return [(jax.tree_util.GetAttrKey(name), getattr(self, name)) for name in ("model", "ties")], None

    @classmethod
    def tree_unflatten(cls, _: None, children: Sequence[Any]) -> Tied:
        """Whatever JAX puts into a tree, not looked into."""
        found = object.__new__(cls)
        for name, value in zip(("model", "ties"), children, strict=True):
            object.__setattr__(found, name, value)
        return found


def untied(model: PreferenceModel) -> PreferenceModel:
    """What a model says of decided comparisons: the wrapped model where it has ties, else itself."""
    return model.model if isinstance(model, Tied) else model


def tie_probabilities(model: PreferenceModel) -> np.ndarray | None:
    """The chance that a comparison ends in a tie, [K, K] float64, symmetric, diagonal 0, on the host.

    None for a model without ties, or with none but such of chance 0.
    """
    ties = np.asarray(model.ties, np.float64) if isinstance(model, Tied) else None
    return ties if ties is not None and ties.any() else None


def _by_pair(ties: Array, num_policies: int) -> Array:
    """`ties` [K, K] with a diagonal of 0, from a number or a matrix."""
    shape, xp = (num_policies, num_policies), array_namespace(ties)
    if ties.ndim and ties.shape != shape:
        raise ValueError(
            f"ties has shape {tuple(ties.shape)}, expected a number in [0, 1), or one for each pair of the "
            f"{num_policies} policies [K, K]"
        )
    by_pair = with_diagonal(xp.broadcast_to(ties, shape), 0)
    if isinstance(ties, Tracer):
        return by_pair
    values = np.asarray(by_pair, np.float64)
    holds = (values >= 0) & (values < 1)
    if not ties.ndim and not holds.all():
        raise ValueError(f"ties = {float(ties):g}, expected a number in [0, 1)")
    check_each("ties", values, holds, "a number in [0, 1)")
    return xp.asarray(symmetric("ties", values), ties.dtype)
