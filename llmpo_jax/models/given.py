"""What a user gives where a model is expected: a model, or a source of one."""

from __future__ import annotations

import numpy as np

from llmpo_jax.models.preference import Array, PreferenceModel, beats_all, host_probabilities
from llmpo_jax.models.sources import load

_ASKED_OF = ("names", "num_policies", "win_probabilities")


def given(model: PreferenceModel | str, argument: str = "model") -> PreferenceModel:
    """The model itself, or what `llmpo_jax.models.load` makes of a text.

    Raises:
        ValueError: no model.
        OSError: a file that cannot be read.
    """
    if isinstance(model, str):
        return load(model).model
    if isinstance(model, type) or not all(hasattr(model, name) for name in _ASKED_OF):
        what = f"the class {model.__name__}" if isinstance(model, type) else f"a {_called(type(model))}"
        raise ValueError(
            f"{argument} is {what}, expected a preference model such as lp.Tabular(mu), or a source such as "
            "'bradley-terry:16'"
        )
    return model


def _called(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def win_probabilities(model: PreferenceModel | str) -> Array:
    """The win matrix of a model, `mu[i, j] = P(i beats j)`, [K, K], in its leaves' dtype and namespace.

    Args:
        model: a preference model, or a source of one (`llmpo_jax.models.load`).

    Raises:
        ValueError: no model.
    """
    return given(model).win_probabilities()


def condorcet_winner(model: PreferenceModel | str) -> int | None:
    """The policy that beats every other with probability above 1/2, or None if none does (on the host).

    Args:
        model: a preference model, or a source of one (`llmpo_jax.models.load`).

    Raises:
        ValueError: no model.
    """
    winners = np.flatnonzero(beats_all(host_probabilities(given(model))))
    return int(winners[0]) if len(winners) else None
