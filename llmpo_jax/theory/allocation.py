"""What given proportions of comparisons are worth: the time that sampling by them takes."""

from __future__ import annotations

import math

import numpy as np

from llmpo_jax.models import PreferenceModel, host_probabilities, untied
from llmpo_jax.models.linear import LinearBradleyTerry
from llmpo_jax.models.preference import beats, beats_all
from llmpo_jax.protocol import SpaceName
from llmpo_jax.theory import structured
from llmpo_jax.theory.divergence import half_divergence
from llmpo_jax.theory.program import Instance


def time_of(model: PreferenceModel, proportions: np.ndarray, assume: SpaceName) -> float:
    """T(w) = 1 / min_k f_k(w), comparisons per nat of required evidence where pairs are compared in proportions w.

    Theory, sections 2 and 3. At least the characteristic time T*, which it is where w is optimal; infinite where w
    leaves a rival unrefuted. Unstructured: `f_k(w) = sum of w_kj d(mu_kj)` over j that beat k; structured: exact form.

    Args:
        model: has a Condorcet winner and no ties; a `LinearBradleyTerry` in the structured space.
        proportions: [K, K], the pair (i, j) at i < j; only shares of the whole matter.
        assume: the policy space.

    Raises:
        ValueError: a model with ties or of another space, or no Condorcet winner.
    """
    if untied(model) is not model:
        raise ValueError("model has ties, expected one without")
    shares = np.triu(np.asarray(proportions, np.float64), 1)
    shares = shares / shares.sum()
    if assume == "structured":
        if not isinstance(model, LinearBradleyTerry):
            raise ValueError("model is no LinearBradleyTerry, expected one where assume='structured'")
        instance = Instance(np.asarray(model.features, np.float64), np.asarray(model.theta, np.float64))
        least = structured.least(instance, shares[np.triu_indices(len(shares), 1)])
    else:
        mu = host_probabilities(model)
        if not beats_all(mu).any():
            raise ValueError("model has no Condorcet winner, expected one")
        evidence = np.where(beats(mu).T, (shares + shares.T) * half_divergence(mu), 0).sum(axis=1)
        least = float(np.delete(evidence, beats_all(mu).argmax()).min())
    return 1 / least if least > 0 else math.inf
