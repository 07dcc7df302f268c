"""Sequential halving (Karnin, Koren, Somekh 2013, algorithm 3), carried over to duels: the survivors play each other.

The budget n is split evenly over ceil(log2 K) phases. In each the survivors' pairs are compared in turn, round by round
as in a tournament (circle method), so that all survivors are compared equally often; at its end the better half of
them, by the share of all their comparisons won, survives: after phase f of them ceil(K / 2^f) are left. Duels need
a choice that the paper's arms do not. Wins count from all phases: those of the last phase alone (arms are sampled
afresh there) are right a few points less often on Bradley-Terry instances.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import Problem, Sampler, State, Statistics


def _phases(problem: Problem) -> int:
    return math.ceil(math.log2(problem.num_policies))


def _starts(problem: Problem, phases: int) -> jax.Array:
    """int32 [phases], the comparisons made before each phase: floor(n f / phases), without overflow."""
    assert problem.budget is not None
    whole, rest = problem.budget // phases, problem.budget % phases
    phase = jnp.arange(phases, dtype=jnp.int32)
    return whole * phase + rest * phase // phases


def _in_turn(turn: jax.Array, size: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The places of the pair with this number in the rounds of a tournament of `size` players.

    The circle method: one player stays, the others move on by one place each round. Where `size` is odd the player who
    stays is missing, and its opponent has a rest.
    """
    odd = size % 2
    circle = size - 1 + odd
    each = circle // 2 + 1 - odd
    number, place = turn // each % circle, turn % each + odd
    first = jnp.where(place == 0, circle, (number + place) % circle)
    return first, jnp.where(place == 0, number, (number - place + circle) % circle)


def _init(problem: Problem) -> State:
    """bool [K], who survives."""
    return jnp.ones(problem.num_policies, bool)


def _select(
    problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    phases = _phases(problem)
    starts = _starts(problem, phases)
    phase = jnp.sum(statistics.t >= starts, dtype=jnp.int32) - 1
    sizes = jnp.asarray([-(-problem.num_policies // 2**phase) for phase in range(phases)], jnp.int32)
    size = vectors.take(sizes, phase)
    wins, losses = statistics.wins.astype(problem.dtype), statistics.losses.astype(problem.dtype)
    rate = (wins + 1) / (wins + losses + 2)
    # Within a phase nobody is ranked behind all that are to survive, so that this changes nothing.
    alive = state & (vectors.ranks(jnp.where(state, rate, -1)) < size)
    place = jnp.cumsum(alive, dtype=jnp.int32) - 1
    first, second = _in_turn(statistics.t - vectors.take(starts, phase), size)
    return _at(alive, place, first), _at(alive, place, second), alive


def _at(alive: jax.Array, place: jax.Array, wanted: jax.Array) -> jax.Array:
    """int32, the survivor at this place."""
    ids = jnp.arange(alive.shape[0], dtype=jnp.int32)
    return jnp.sum(jnp.where(alive & (place == wanted), ids, 0), dtype=jnp.int32)


SEQUENTIAL_HALVING = Sampler(_init, _select, told=True)
"""Phases of the budget, each with half of the survivors of the last."""
