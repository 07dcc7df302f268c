"""LLM-PO with the rule `balance`: refute the least refuted rival with the opponent that most likely beats it best."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import Problem, Sampler, State, Statistics
from llmpo_jax.stopping.e_process import odds
from llmpo_jax.theory.refutation import pair_evidence

POOLED_PRIOR = 8.0
BONUS = 0.3


def _init(problem: Problem) -> State:
    return ()


def opponent_index(problem: Problem, statistics: Statistics, rival: jax.Array) -> jax.Array:
    """[K], an optimistic (low) value of mu[rival, j]: the opponent with the smallest one is tried next.

    A Wilson lower bound with squared width BONUS log t. Its centre is the empirical rate with POOLED_PRIOR
    pseudo-comparisons at the chance that the total records suggest; its width counts only the pair's own
    comparisons, so an opponent is ruled out by evidence on the pair alone. O(K), no transcendental per entry.
    """
    row = statistics.record[rival].astype(problem.dtype)
    wins, n = row[:, 0], row[:, 0] + row[:, 1]
    strength = odds(statistics.wins.astype(problem.dtype), statistics.losses.astype(problem.dtype))
    chance = strength[rival] / (strength[rival] + strength)
    centre = (wins + POOLED_PRIOR * chance) / (n + POOLED_PRIOR)
    width = BONUS * jnp.log1p(statistics.t.astype(problem.dtype)) / (n + 1)
    return (centre + width / 2 - jnp.sqrt(width * (centre * (1 - centre) + width / 4))) / (1 + width)


def _assumed(problem: Problem, statistics: Statistics, evidence: jax.Array) -> tuple[jax.Array, jax.Array]:
    leader = vectors.argmin(statistics.refutation)
    rival = vectors.argmin_except(evidence, leader)
    # The leader is the opponent at ties: it is the one most likely to beat everybody.
    index = opponent_index(problem, statistics, rival)
    index = jnp.where(vectors.one_hot(leader, problem.num_policies), index - 1e-6, index)
    return rival, vectors.argmin_except(index, rival)


def _certify(problem: Problem, statistics: Statistics, evidence: jax.Array) -> tuple[jax.Array, jax.Array]:
    leader = vectors.argmin(statistics.refutation)
    row = statistics.record[leader].astype(problem.dtype)
    proof = pair_evidence(row[:, 1], row[:, 0])
    return leader, vectors.argmin_except(proof, leader)


def _select(
    problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    first, second = (_assumed if problem.existence == "assumed" else _certify)(problem, statistics, evidence)
    return first, second, state


LLM_PO = Sampler(_init, _select)
