"""Preference models: what a simulated comparison of two policies is drawn from.

A model is a frozen pytree that knows the probability with which each policy beats each other one. Its arrays
are its only leaves, so it can be passed through `jax.jit` and `jax.vmap`, on the host it may stay NumPy float64
even where JAX computes in float32, and a batch of models is a model whose leaves have leading axes.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from llmpo_jax.arguments import shown
from llmpo_jax.brief import brief

#: A NumPy array, a JAX array or a tracer; what the numerical functions of this package take and return.
Array = Any

#: How far `mu[i, j] + mu[j, i]` may be from 1: what rounding to 6 digits (as files do) costs.
COMPLEMENT_TOLERANCE = 1e-6

_Model = TypeVar("_Model", bound=type)


class PreferenceModel(Protocol):
    """What every model offers; any frozen pytree with these is a model."""

    @property
    def names(self) -> Sequence[str] | None:
        """Names of the policies, or None where they have none."""
        ...

    @property
    def num_policies(self) -> int:
        """Number of policies K."""
        ...

    def win_probabilities(self) -> Array:
        """`mu[i, j] = P(i beats j)`, [K, K]."""
        ...


def array_namespace(*arrays: Array) -> types.ModuleType:
    """The module (`numpy` or `jax.numpy`) that computes on these arrays; JAX where any of them is JAX's."""
    if any(isinstance(array, jax.Array) for array in arrays):
        return jnp
    return np


def pytree(*leaves: str):
    """Class decorator: a pytree with the arrays `leaves` and the static field `names`.

    `jax.tree_util.register_dataclass` rebuilds through the constructor, which would validate (and reject)
    what JAX legitimately puts into a tree: batches, gradients, axis numbers, placeholders. This one does not.
    """

    def register(cls: _Model) -> _Model:
        def flatten_with_keys(model):
            return [(jax.tree_util.GetAttrKey(leaf), getattr(model, leaf)) for leaf in leaves], model.names

        def unflatten(names, values):
            model = object.__new__(cls)
            for leaf, value in zip(leaves, values, strict=True):
                object.__setattr__(model, leaf, value)
            object.__setattr__(model, "names", names)
            return model

        jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten)
        return cls

    return register


def floating(argument: str, value: Any) -> Array:
    """`value` as a floating array: one as it comes, others as NumPy float64 (JAX integers as JAX floats)."""
    if isinstance(value, jax.Array):
        return value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(float)
    if isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating):
        return value
    try:
        array = np.asarray(value)
        if array.dtype.kind in "iufO":
            return np.asarray(array, np.float64)
        problem = None
    except (TypeError, ValueError) as error:
        problem = error
    raise ValueError(f"{argument} = {shown(value)}, expected an array of real numbers") from problem


def checked_names(names: Sequence[str] | None, num_policies: int) -> tuple[str, ...] | None:
    """`names` as a tuple of `num_policies` unique strings, or None; ValueError if they are not such names."""
    if names is None:
        return None
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"names = {names!r}, expected a sequence of strings")
    duplicates = sorted({name for name in names if list(names).count(name) > 1})
    if duplicates:
        raise ValueError(f"names has {duplicates[0]!r} more than once, expected unique names")
    if len(names) != num_policies:
        raise ValueError(f"names has {len(names)} entries, expected one for each of the {num_policies} policies")
    return tuple(names)


def _check_probabilities(mu: np.ndarray, tolerance: float) -> None:
    """Raise ValueError at the first entry of `mu` [K, K] (float64) that is not that of a win matrix."""
    outside = np.argwhere(~((mu >= 0) & (mu <= 1)))
    if len(outside):
        i, j = outside[0]
        raise ValueError(f"mu[{i}, {j}] = {mu[i, j]:g}, expected a probability in [0, 1]")
    apart = np.argwhere(np.abs(mu + mu.T - 1) > tolerance)
    if len(apart):
        i, j = apart[0]
        if i == j:
            raise ValueError(f"mu[{i}, {i}] = {mu[i, i]:g}, expected 1/2 on the diagonal")
        raise ValueError(
            f"mu[{i}, {j}] + mu[{j}, {i}] = {mu[i, j]:g} + {mu[j, i]:g} = {mu[i, j] + mu[j, i]:g}, expected 1"
        )


@pytree("mu")
@dataclass(frozen=True, eq=False)
class Tabular:
    """Any preferences: the win matrix itself (the unstructured space).

    Args:
      mu: [K, K], `mu[i, j] = P(i beats j)`, with `mu + mu^T = 1` to 1e-6 and K >= 2. A floating array keeps
        its dtype and its namespace (NumPy or JAX); anything else becomes NumPy float64.
      names: K unique names of the policies, or None.

    Raises:
      ValueError: `mu` is not such a matrix, or `names` are not such names. Tracers are not looked into.
    """

    mu: Array
    names: Sequence[str] | None = None

    __repr__ = brief

    def __post_init__(self) -> None:
        mu = floating("mu", self.mu)
        object.__setattr__(self, "mu", mu)
        if mu.ndim != 2 or mu.shape[0] != mu.shape[1]:
            raise ValueError(f"mu has shape {tuple(mu.shape)}, expected a square matrix [K, K]")
        if mu.shape[0] < 2:
            raise ValueError(f"mu has shape {tuple(mu.shape)}, expected at least K = 2 policies")
        object.__setattr__(self, "names", checked_names(self.names, mu.shape[0]))
        if not isinstance(mu, Tracer):
            # The rounding of two float32 entries comes on top of that of the file they were read from.
            rounding = 2 * float(jnp.finfo(mu.dtype).eps)
            _check_probabilities(np.asarray(mu, np.float64), COMPLEMENT_TOLERANCE + rounding)

    @property
    def num_policies(self) -> int:
        """Number of policies K."""
        return self.mu.shape[-1]

    def win_probabilities(self) -> Array:
        """`mu`, [K, K], as it was given."""
        return self.mu


@pytree("scores")
@dataclass(frozen=True, eq=False)
class BradleyTerry:
    """One latent score per policy, `P(i beats j) = sigmoid(scores[i] - scores[j])` (Bradley and Terry 1952).

    Args:
      scores: [K], finite, in logits (natural units of log odds), K >= 2; only differences matter. A floating
        array keeps its dtype and its namespace (NumPy or JAX); anything else becomes NumPy float64.
      names: K unique names of the policies, or None.

    Raises:
      ValueError: `scores` are not such scores, or `names` are not such names. Tracers are not looked into.
    """

    scores: Array
    names: Sequence[str] | None = None

    __repr__ = brief

    def __post_init__(self) -> None:
        scores = floating("scores", self.scores)
        object.__setattr__(self, "scores", scores)
        if scores.ndim != 1:
            raise ValueError(f"scores has shape {tuple(scores.shape)}, expected one score per policy [K]")
        if scores.shape[0] < 2:
            raise ValueError(f"scores has shape {tuple(scores.shape)}, expected at least K = 2 policies")
        object.__setattr__(self, "names", checked_names(self.names, scores.shape[0]))
        if not isinstance(scores, Tracer):
            values = np.asarray(scores, np.float64)
            unbounded = np.flatnonzero(~np.isfinite(values))
            if len(unbounded):
                raise ValueError(f"scores[{unbounded[0]}] = {values[unbounded[0]]:g}, expected a finite score")

    @property
    def num_policies(self) -> int:
        """Number of policies K."""
        return self.scores.shape[-1]

    def win_probabilities(self) -> Array:
        """`sigmoid(scores[i] - scores[j])`, [K, K]; exactly 1/2 at equal scores."""
        return sigmoid(self.scores[..., :, None] - self.scores[..., None, :])


def sigmoid(logits: Array) -> Array:
    """`1 / (1 + exp(-logits))` to a few ulp, small values too, exactly 1/2 at 0, without overflow.

    By comparison and not by `abs`, so that the gradient at 0 hangs on no convention.
    """
    xp = array_namespace(logits)
    negative = logits < 0
    decay = xp.exp(xp.where(negative, logits, -logits))
    return xp.where(negative, decay, xp.ones_like(decay)) / (1 + decay)


def host_probabilities(model: PreferenceModel) -> np.ndarray:
    """The win matrix as NumPy float64, [K, K], whatever the leaves and JAX's settings are.

    Computed in float64 from the leaves on (scores that float32 cannot tell apart after the sigmoid stay
    distinct).
    """
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), model).win_probabilities()


def beats(mu: Array) -> Array:
    """Who beats whom: `mu[i, j] > 1/2` and `mu[j, i] < 1/2`, bool [K, K].

    Both are asked for, so that at most one of i and j beats the other even where `mu + mu^T` is 1 only to
    rounding.
    """
    return (mu > 0.5) & (mu.mT < 0.5)


def beats_all(mu: Array) -> Array:
    """Who beats every other, at most one: bool [..., K] of win matrices [..., K, K]."""
    return beats(mu).sum(axis=-1) == mu.shape[-1] - 1


def num_policies(model: PreferenceModel) -> int:
    """Number of policies K of a model."""
    return model.num_policies


def default_names(num_policies: int) -> tuple[str, ...]:
    """What policies without names are called: `policy-0`, `policy-1`, ..."""
    return tuple(f"policy-{index}" for index in range(num_policies))


def policy_names(model: PreferenceModel) -> tuple[str, ...]:
    """The names of the policies, K of them; `policy-0`, `policy-1`, ... where the model has none."""
    return default_names(model.num_policies) if model.names is None else tuple(model.names)
