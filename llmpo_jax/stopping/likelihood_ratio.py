"""Stopping on the generalised likelihood ratio: `stylised` and `kaufmann-koolen`.

`Z_k = sum over the opponents j that beat k empirically of counts[k, j] d(wins[k, j] / counts[k, j])` nats refute
"k is the Condorcet winner" (theory: the supremum of the log-likelihood over mu[k, .] >= 1/2 falls short of the
unconstrained one by exactly this much). The two rules differ only in the threshold.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

from llmpo_jax.protocol import Comparison, Problem, Statistics, StoppingRule, Thresholds, Verdict
from llmpo_jax.stopping import common
from llmpo_jax.theory import refutation

State = common.Proofs | None

_ROUNDING = 1e-4
"""Share of a threshold that is put on top of it: float32 computes Z and its penalties to about 1e-6 of their size."""


def _init(problem: Problem) -> State:
    return common.no_proofs(problem)


def _update(problem: Problem, state: State, comparison: Comparison, *, penalise_pairs: bool) -> State:
    """Only the proofs of the `certify` form are kept here; Z itself belongs to the shared statistics."""
    if state is None:
        return None
    wins, losses = refutation.after(comparison, problem.dtype)
    n = wins + losses
    penalty = 3 * jnp.log1p(jnp.log(n)) if penalise_pairs else 0.0
    return common.put_proofs(state, comparison, refutation.pair_evidence(losses, wins) - penalty)


def _update_stylised(problem: Problem, state: State, comparison: Comparison) -> State:
    return _update(problem, state, comparison, penalise_pairs=False)


def _update_kaufmann_koolen(problem: Problem, state: State, comparison: Comparison) -> State:
    return _update(problem, state, comparison, penalise_pairs=True)


def _evidence(problem: Problem, state: State, statistics: Statistics) -> jax.Array:
    return statistics.refutation


def _stylised_penalty(problem: Problem, statistics: Statistics) -> jax.Array:
    return jnp.log1p(jnp.log(statistics.t.astype(problem.dtype)))


def _stylised_refutation(problem: Problem, state: State, statistics: Statistics) -> jax.Array:
    return statistics.refutation - _stylised_penalty(problem, statistics)


def _stylised_verdict(problem: Problem, state: State, statistics: Statistics) -> Verdict:
    penalty = _stylised_penalty(problem, statistics)
    return common.verdict(_stylised_refutation(problem, state, statistics), state, penalty)


def _stylised_thresholds(problem: Problem, delta: float) -> Thresholds:
    return Thresholds(-math.log(delta), -math.log(delta))


def _kaufmann_koolen_refutation(problem: Problem, state: State, statistics: Statistics) -> jax.Array:
    arms = problem.num_policies - 1
    penalty = 3 * arms * jnp.log1p(jnp.log1p(statistics.t.astype(problem.dtype) / arms))
    return statistics.refutation - penalty


def _kaufmann_koolen_verdict(problem: Problem, state: State, statistics: Statistics) -> Verdict:
    return common.verdict(_kaufmann_koolen_refutation(problem, state, statistics), state)


def deviation_threshold(x: float) -> float:
    """The function T of Kaufmann and Koolen (2021, arXiv 1811.11419, eq. 13), nats to nats, ~ x + O(log x).

    T(x) = 2 h~((h^-1(1 + x) + log(2 zeta(2))) / 2) with h(u) = u - log u on u >= 1 and
    h~(y) = min over 1 < z <= 3/2 of z (y - log log z).
    """

    def inverse_h(y: float) -> float:
        return float(-np.real(scipy.special.lambertw(-np.exp(-y), -1)))

    y = (inverse_h(1 + x) + math.log(2 * scipy.special.zeta(2))) / 2
    z = 1.5
    cut = 1 / math.log(z)
    if y >= cut - math.log(cut):
        v = inverse_h(y)
        return 2 * math.exp(1 / v) * v
    return 2 * z * (y - math.log(math.log(z)))


def _kaufmann_koolen_thresholds(problem: Problem, delta: float) -> Thresholds:
    k = problem.num_policies
    level = common.required_nats(problem, delta)
    joint = (k - 1) * deviation_threshold(level / (k - 1)) * (1 + _ROUNDING)
    return Thresholds(joint if problem.existence == "assumed" else deviation_threshold(level) * (1 + _ROUNDING), joint)


STYLISED = StoppingRule(
    _init,
    _update_stylised,
    _evidence,
    _stylised_verdict,
    _stylised_thresholds,
    proven=False,
    refutation=_stylised_refutation,
)
"""Stop when min over k != leader of Z_k >= log((1 + log t) / delta): what papers plot (Garivier and Kaufmann 2016).

Heuristic: NOT delta-PAC. On the instance `cyclic:17` it errs far more often than delta.
"""

KAUFMANN_KOOLEN = StoppingRule(
    _init,
    _update_kaufmann_koolen,
    _evidence,
    _kaufmann_koolen_verdict,
    _kaufmann_koolen_thresholds,
    proven=True,
    refutation=_kaufmann_koolen_refutation,
)
"""Stop when min over k != leader of Z_k >= 3 (K-1) log(1 + log(1 + t/(K-1))) + (K-1) T(log(1/delta)/(K-1)).

delta-PAC on every instance with a Condorcet winner i*: Z_{i*} <= sum_j counts[i*, j] kl(empirical, mu[i*, j]) because
mu[i*, j] >= 1/2, and by Theorem 7 of Kaufmann and Koolen (2021) that sum stays below
sum_j 3 log(1 + log counts[i*, j]) + (K-1) T(log(1/delta)/(K-1)) at all times with probability 1 - delta; the first sum
is at most the stated one because log(1 + log(.)) is concave and the counts of i* add up to at most t. No union over
policies is needed, since only the refutation of i* is an error.
Certify: i is named when every pair's n d - 3 log(1 + log n) reaches T(log(K/delta)), and absence is found when all K
are refuted at delta / K; the K events, each of probability at most delta / K, add up to at most delta.
"""
