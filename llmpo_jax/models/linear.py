"""The linear Bradley-Terry model: policies with known features, and scores that are linear in them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from llmpo_jax.brief import brief
from llmpo_jax.models.preference import Array, array_namespace, checked_names, floating, pytree, sigmoid


@pytree("features", "theta")
@dataclass(frozen=True, eq=False)
class LinearBradleyTerry:
    """Scores linear in known features, `P(i beats j) = sigmoid((features[i] - features[j]) . theta)`.

    Theory, section 3. Only differences of the rows of `features` matter; what of `theta` can be learnt from
    comparisons is told by `llmpo_jax.models.identified`.

    Args:
      features: [K, d], finite, one row per policy, K >= 2, d >= 1.
      theta: [d], finite, in logits per unit of each feature.
      names: K unique names of the policies, or None.

    Floating arrays keep their dtype and their namespace (NumPy or JAX); anything else becomes NumPy float64,
    or follows the other array where that is a floating one. Two floating arrays that differ become the wider
    dtype, and JAX arrays where one of them is.

    Raises:
      ValueError: `features` or `theta` are not such arrays, or `names` are not such names. Tracers are not
        looked into.
    """

    features: Array
    theta: Array
    names: Sequence[str] | None = None

    __repr__ = brief

    def __post_init__(self) -> None:
        features = floating("features", self.features)
        check_features(features)
        theta = floating("theta", self.theta)
        width = features.shape[1]
        if theta.shape != (width,):
            raise ValueError(
                f"theta has shape {tuple(theta.shape)}, expected one weight for each of the {width} features [d]"
            )
        check_finite("theta", theta)
        # What `floating` had to convert has no dtype of its own to keep.
        kept = [array.dtype for array, given in ((features, self.features), (theta, self.theta)) if array is given]
        features, theta = _alike(features, theta, kept)
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "theta", theta)
        object.__setattr__(self, "names", checked_names(self.names, features.shape[0]))

    @property
    def num_policies(self) -> int:
        """Number of policies K."""
        return self.features.shape[-2]

    @property
    def scores(self) -> Array:
        """`features[i] . theta`, [K]; bitwise the same for equal rows of `features`.

        A sum of products and not a matrix product, which accelerators round to fewer digits by default.
        """
        return (self.features * self.theta[..., None, :]).sum(-1)

    def win_probabilities(self) -> Array:
        """`sigmoid(scores[i] - scores[j])`, [K, K]; exactly 1/2 at equal scores."""
        scores = self.scores
        return sigmoid(scores[..., :, None] - scores[..., None, :])


def check_features(features: Array) -> None:
    """Raise a ValueError unless `features` is [K, d] with K >= 2, d >= 1 and finite entries (if no tracer)."""
    shape = tuple(features.shape)
    if len(shape) != 2:
        raise ValueError(f"features has shape {shape}, expected one row of features per policy [K, d]")
    if shape[0] < 2:
        raise ValueError(f"features has shape {shape}, expected at least K = 2 policies")
    if shape[1] < 1:
        raise ValueError(f"features has shape {shape}, expected at least d = 1 feature")
    check_finite("features", features)


def check_finite(argument: str, array: Array) -> None:
    """Raise a ValueError that names the first entry which is not finite; tracers are not looked into."""
    if isinstance(array, Tracer):
        return
    values = np.asarray(array, np.float64)
    unbounded = np.argwhere(~np.isfinite(values))
    if len(unbounded):
        place = tuple(unbounded[0])
        raise ValueError(f"{argument}[{', '.join(map(str, place))}] = {values[place]:g}, expected a finite number")


def _alike(features: Array, theta: Array, kept: list[np.dtype]) -> tuple[Array, Array]:
    """Both in the widest dtype of `kept` (float64 where it is empty), and in JAX where either is."""
    xp = array_namespace(features, theta)
    dtype = functools.reduce(np.promote_types, kept) if kept else np.dtype(np.float64)
    if xp is jnp:
        dtype = jax.dtypes.canonicalize_dtype(dtype)
    return xp.asarray(features, dtype), xp.asarray(theta, dtype)
