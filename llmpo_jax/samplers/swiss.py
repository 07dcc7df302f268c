"""The Swiss tournament, as practitioners run it between prompts or models."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax import vectors
from llmpo_jax.protocol import Problem, Sampler, Statistics


class Round(NamedTuple):
    """A round of the tournament.

    Attributes:
        rank: int32 [K], the places when it began, from 0.
        game: int32, how many of its games have been played.
        byes: int32 [K], rounds that a policy sat out.
    """

    rank: jax.Array
    game: jax.Array
    byes: jax.Array


def _init(problem: Problem) -> Round:
    k = problem.num_policies
    return Round(jnp.zeros(k, jnp.int32), jnp.asarray(k // 2, jnp.int32), jnp.zeros(k, jnp.int32))


def _select(
    problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, now: Round
) -> tuple[jax.Array, jax.Array, Round]:
    k = problem.num_policies
    over = now.game == k // 2
    numbers = np.arange(k, dtype=np.int32)
    rank = jnp.where(over, vectors.ranks(statistics.wins + now.byes), now.rank)
    game = jnp.where(over, 0, now.game)
    byes = now.byes + (over & (rank == k - 1)).astype(jnp.int32) if k % 2 else now.byes
    places = jnp.where(rank == 2 * game, numbers, 0), jnp.where(rank == 2 * game + 1, numbers, 0)
    return jnp.max(places[0]), jnp.max(places[1]), Round(rank, game + 1, byes)


SWISS = Sampler(_init, _select)
"""Round after round, policies are ranked by their points, and neighbours play: first against second, third against
fourth, and so on. A win is a point; with K odd the last one sits the round out, for a point, as the rules have it.
Ties go to the lowest number, in the order that the engine shuffles for each replication. Nobody plays often in a
tournament that ends after log2 K rounds; this one goes on until the stopping rule ends it, so rematches are allowed."""
