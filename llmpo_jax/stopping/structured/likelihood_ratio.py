"""Stopping on likelihoods in the structured space: `stylised` and `mixture`.

Both compare what the data say with `sup l(theta)` over the theta for which k is at least as good as the leader, without
any prior (computed as a least wealth, see `wealth`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.arithmetic import spacing
from llmpo_jax.protocol import LinearComparison, LinearStatistics, Problem, StoppingRule, Verdict
from llmpo_jax.stopping.structured import common, wealth
from llmpo_jax.theory import linear


class Likelihoods(NamedTuple):
    """State.

    Attributes:
        evidence: [K] nats; the largest so far (`mixture`), or as last weighed (`stylised`).
        null: [K, d], the last fits, to start from next time.
        score: nats for the leader (`stylised`).
    """

    evidence: jax.Array
    null: jax.Array
    score: jax.Array


def _init(problem: Problem) -> Likelihoods:
    k, dtype = problem.num_policies, problem.dtype
    return Likelihoods(jnp.zeros(k, dtype), jnp.zeros((k, problem.dimension or 0), dtype), jnp.zeros((), dtype))


def _update(problem: Problem, state: Likelihoods, comparison: LinearComparison) -> Likelihoods:
    return state


def _log_likelihood(problem: Problem, statistics: LinearStatistics) -> jax.Array:
    """l(theta_map), nats, float64."""
    z = linear.of(problem).exact.differences
    logits = statistics.estimate.astype(z.dtype) @ z.T
    wins, counts = statistics.wins.astype(z.dtype), statistics.counts.astype(z.dtype)
    return wins @ jax.nn.log_sigmoid(logits) + (counts - wins) @ jax.nn.log_sigmoid(-logits)


def _ratio(
    problem: Problem, state: Likelihoods, statistics: LinearStatistics, rival: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """At most `l(theta_map) - sup l` over "the rival is at least as good as the leader", float64, and the state's nulls
    after a Newton step on the rival's."""
    half = jnp.full(statistics.wins.shape, 0.5, problem.dtype)
    stakes = wealth.Stakes(statistics.wins, statistics.counts - statistics.wins, half, half)
    bets = wealth.Bets(lambda _: stakes, 1, statistics.t)
    least, null = common.look(problem, statistics, bets, rival, state.null[rival])
    this = vectors.one_hot(rival, problem.num_policies)
    # The least wealth is -sup l - n log 2.
    likelihood, total = _log_likelihood(problem, statistics), statistics.t.astype(least.dtype) * math.log(2)
    rounding = spacing(least.dtype) * (statistics.wins.shape[0] + 256) * (total - likelihood)
    return least + (likelihood + total) - rounding, jnp.where(this[:, None], null[None], state.null)


def _refresh_stylised(problem: Problem, state: Likelihoods, statistics: LinearStatistics) -> Likelihoods:
    rival = vectors.argmin(common.approximate_evidence(problem, statistics))
    ratio, null = _ratio(problem, state, statistics, rival)
    ratio = ratio.astype(problem.dtype)
    this = vectors.one_hot(rival, problem.num_policies)
    penalty = jnp.log1p(jnp.log(statistics.t.astype(problem.dtype)))
    return Likelihoods(jnp.where(this, ratio, state.evidence), null, ratio - penalty)


def _stylised_verdict(problem: Problem, state: Likelihoods, statistics: LinearStatistics) -> Verdict:
    return Verdict(statistics.leader, state.score, jnp.full_like(state.score, -jnp.inf))


def _refresh_mixture(problem: Problem, state: Likelihoods, statistics: LinearStatistics) -> Likelihoods:
    approximate = common.approximate_evidence(problem, statistics)
    rival = common.least_proven(statistics, state.evidence, approximate)
    ratio, null = _ratio(problem, state, statistics, rival)
    products, dtype = linear.of(problem).exact.products, ratio.dtype
    precision = linear.information(products, statistics.counts.astype(dtype) / 4) / linear.PRECISION
    _, log_determinant = linear.inverse(precision + jnp.eye(problem.dimension, dtype=dtype))
    price = (linear.PRECISION * jnp.sum(statistics.estimate.astype(dtype) ** 2) + log_determinant) / 2
    proof = vectors.rounded_down(ratio - price, problem.dtype)
    this = vectors.one_hot(rival, problem.num_policies)
    return state._replace(evidence=jnp.where(this, jnp.maximum(state.evidence, proof), state.evidence), null=null)


def _mixture_verdict(problem: Problem, state: Likelihoods, statistics: LinearStatistics) -> Verdict:
    return common.verdict(statistics, state.evidence)


def _evidence(problem: Problem, state: Likelihoods, statistics: LinearStatistics) -> jax.Array:
    return state.evidence


STYLISED = StoppingRule(
    _init, _update, _evidence, _stylised_verdict, common.thresholds, proven=False, refresh=_refresh_stylised
)
"""Stop when Z_k = l(theta_map) - sup over null_k of l >= log((1 + log t) / delta) for every rival k: what papers plot.

Heuristic: NOT delta-PAC. Of the rivals the one with the least evidence by a normal approximation is weighed exactly.
"""

MIXTURE = StoppingRule(
    _init, _update, _evidence, _mixture_verdict, common.thresholds, proven=True, refresh=_refresh_mixture
)
"""Stop when for every rival k, once,
`l(theta_map) - |theta_map|^2 / (2 s^2) - log det(I + s^2 V) / 2 - sup over null_k of l >= log(1 / delta)`,
with `V = (1/4) sum of counts z z^T` and s^2 = 1 / PRECISION.

delta-PAC on every linear Bradley-Terry instance with a unique winner and no two scores more than 10^4 logits apart. The
mixture likelihood ratio
`integral of exp(l(theta)) dN(0, s^2 I) / exp(l(true theta))` is a non-negative martingale started at 1, and if k is
best the sup is at least l(true theta) whoever leads, so Ville's inequality bounds the probability that k is ever
refuted by delta. The first three terms are a lower bound on the log of the mixture, for ANY theta in place of
theta_map: the logistic Hessian is at most V, so around theta the exponent is at least a quadratic with Hessian
V + I / s^2, whose linear term only adds to the integral.
Computed in float64: what the likelihoods lose to rounding is taken off, and what `wealth.least` takes off has room for
the logits of theta_map and for the determinant, which is right to 2 d^2 u |I + s^2 V| absolutely.
"""
