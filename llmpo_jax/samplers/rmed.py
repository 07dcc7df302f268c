"""RMED1, relative minimum empirical divergence (Komiyama, Honda, Kashima, Nakagawa 2015, arXiv 1506.02550)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import EVIDENCE_TIE, Problem, Sampler, Statistics
from llmpo_jax.samplers import baselines

FACTOR, POWER = 0.3, 1.01
"""f(K) = FACTOR K^POWER, as in the experiments of the paper."""


class Loop(NamedTuple):
    """A loop over the current candidates; the paper's L_C is where `left` began.

    Attributes:
        left: bool [K], L_R: those whose turn is still to come.
        candidates: bool [K], L_N: those of the next loop.
    """

    left: jax.Array
    candidates: jax.Array


def _init(problem: Problem) -> Loop:
    k = problem.num_policies
    return Loop(jnp.ones(k, bool), jnp.zeros(k, bool))


def _select(
    problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, loop: Loop
) -> tuple[jax.Array, jax.Array, Loop]:
    k, dtype = problem.num_policies, problem.dtype
    divergence, best = statistics.refutation, statistics.leader
    t = jnp.maximum(statistics.t.astype(dtype), 1)
    likely = divergence - vectors.take(divergence, best) <= jnp.log(t) + FACTOR * k**POWER
    candidates = loop.candidates | (~loop.left & likely)
    over = ~jnp.any(loop.left)
    left, candidates = jnp.where(over, candidates, loop.left), candidates & ~over
    turn = vectors.argmin(jnp.where(left, 0, 1).astype(dtype))

    row = statistics.record[turn].astype(dtype)
    n = row[:, 0] + row[:, 1]
    rate = jnp.where(n > 0, row[:, 0] / jnp.maximum(n, 1), 0.5)
    beaten_by = (rate <= 0.5) & ~vectors.one_hot(turn, k)
    by_best = vectors.take(beaten_by, best) | ~jnp.any(beaten_by)
    opponent = jnp.where(by_best, best, vectors.argmin_except(rate, turn))
    runner_up = vectors.argmin_except(divergence, best, EVIDENCE_TIE)
    opponent = jnp.where(opponent == turn, runner_up, opponent)

    opening = statistics.t < baselines.num_pairs(problem)
    first, second = baselines.pair_of(problem, jnp.minimum(statistics.t, baselines.num_pairs(problem) - 1))
    next_loop = Loop(left & ~vectors.one_hot(turn, k), candidates)
    loop = jax.tree.map(lambda old, new: jnp.where(opening, old, new), loop, next_loop)
    return jnp.where(opening, first, turn), jnp.where(opening, second, opponent), loop


RMED1 = Sampler(_init, _select)
"""RMED1 (algorithms 1 and 2 of the paper), with f(K) = 0.3 K^1.01 as in its experiments.

The empirical divergence I_i is the refutation Z_i, and the policy with the smallest one, i*, is the leader. After each
pair was compared once, every candidate has its turn, by number: against i* where i* has won half of their comparisons
or nobody has, else against whoever beats it most often. Candidates for the next loop are those who have had their turn
and whose I_i - I* was log t + f(K) at most after a comparison. For identification a policy is never compared with
itself: where the paper has i* against itself, which costs no regret, here it is i* against the least refuted other."""
