"""What the stopping rules share: the verdict over K refutations and, in the `certify` form, over K^2 proofs."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import Comparison, Problem, Verdict


class Proofs(NamedTuple):
    """Evidence that a policy beats another one, pair by pair (kept in the `certify` form only).

    Attributes:
        pairs: [K, K] nats, `pairs[i, j]` for "i beats j"; the diagonal is infinite.
        weakest: [K] nats, the smallest entry of each row: what holds "i beats every other policy" back.
    """

    pairs: jax.Array
    weakest: jax.Array


def no_proofs(problem: Problem) -> Proofs | None:
    """Empty proofs, or None where the existence of a winner is assumed and none are needed."""
    if problem.existence == "assumed":
        return None
    k = problem.num_policies
    return Proofs(jnp.where(jnp.eye(k, dtype=bool), jnp.inf, 0.0).astype(problem.dtype), jnp.zeros(k, problem.dtype))


def required_nats(problem: Problem, delta: float) -> float:
    """log(1 / delta), or log(K / delta) where the winner must be shown: K events then share the error."""
    return -math.log(delta) + (math.log(problem.num_policies) if problem.existence == "certify" else 0.0)


def put_proofs(proofs: Proofs, comparison: Comparison, pair: jax.Array) -> Proofs:
    """The proofs with those of the compared pair replaced: `pair` [2] for "first beats second" and the reverse."""
    first, second = comparison.first, comparison.second
    rows, columns = jnp.stack([first, second]), jnp.stack([second, first])
    pairs = proofs.pairs.at[rows, columns].set(pair)
    weakest = jnp.stack([vectors.minimum(pairs[first]), vectors.minimum(pairs[second])])
    return Proofs(pairs, vectors.put_two(proofs.weakest, first, second, weakest))


def verdict(refutations: jax.Array, proofs: Proofs | None, proof_penalty: jax.Array | float = 0.0) -> Verdict:
    """What can be said given the evidence [K] against each policy, and the proofs where the winner must be shown.

    Assumed: the least refuted policy wins once every other one is refuted, so the score is the second smallest
    refutation. Certify: a policy wins once it is proven to beat all others; that there is no winner follows once
    all K are refuted.
    """
    if proofs is None:
        leader = vectors.argmin(refutations)
        others = jnp.where(vectors.one_hot(leader, refutations.shape[0]), jnp.inf, refutations)
        return Verdict(leader, vectors.minimum(others), jnp.full_like(others[0], -jnp.inf))
    best = vectors.argmin(-proofs.weakest)
    return Verdict(best, proofs.weakest[best] - proof_penalty, vectors.minimum(refutations))
