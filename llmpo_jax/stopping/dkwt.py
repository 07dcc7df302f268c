"""The noisy tournament DKWT with its own stopping: `dkwt`, for duels of two.

Haddenhorst, Bengs and Huellermeier 2021 (NeurIPS, "Identification of the generalized Condorcet winner in multi-dueling
bandits", algorithms 2 and 3 and DKWT). A champion meets the policies one after the other. A duel has stages s = 1, 2,
...: with h_s = 2^-(s + 1) and gamma_s = 6 gamma / (pi s)^2 the two are compared afresh

    n_s = ceil(8 log(4 / gamma_s) / h_s^2)

times, and the duel is over when one has won more than h_s n_s comparisons more than the other. DKWT makes ceil(K / (k -
1)) duels of k policies, here K of two, each at gamma = delta / K: K - 1 in which the champion stays or is replaced, and
the last of them once more. (The authors' code does so too: at delta = 0.05 with K = 5 it needs 5 n_1 = 5 * 831 = 4,155
comparisons at least, and n_2 = 4,033 more for every duel that goes into a second stage.)

Why it is delta-PAC. A policy that wins a stage against one that beats it has a share of comparisons that is more than
h_s / 2 above its chance. By the Dvoretzky-Kiefer-Wolfowitz inequality this has probability gamma_s at most, gamma in
all stages of a duel together as sum 1 / s^2 = pi^2 / 6, and delta in K duels, of which the Condorcet winner loses none
but with that probability. Nothing else is used: other comparisons than the two contestants' change nothing, and when
these meet may depend on the past. (For two policies Hoeffding's inequality would do with a quarter of the
comparisons and less; the published procedure is for duels of any size.) A duel between policies that are tied never
ends, so a run is over with probability 1 only where no two are tied. n_s is rounded up from what float32 makes of it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax import vectors
from llmpo_jax.protocol import Comparison, Problem, Statistics, StoppingRule, Thresholds, Verdict
from llmpo_jax.stopping import common

STAGES = 12
"""Stages that a table of lengths has. The last one never ends: it is longer than any run, 2^30 comparisons."""
_LONGEST = 2.0**31 - 128
"""The largest int32 that is a float32."""
_ROUNDING = 1 + 2.0**-20
"""float32 computes a length to 3e-7 of its size: constant, sum and product are each right to 6e-8."""

WAITING, OUT = 1.0, 2.0
"""Evidence against policies that have yet to meet the champion, and against those that have lost; 0 for contestants."""


class Tournament(NamedTuple):
    """State, all int32.

    Attributes:
        champion, challenger: who meet now.
        duels: how many are over. In duel i < K - 1 the challenger is policy i + 1; the last pair meets twice.
        stage: of the present duel, from 1.
        count, wins: comparisons in this stage, and how many of them the champion won.
    """

    champion: jax.Array
    challenger: jax.Array
    duels: jax.Array
    stage: jax.Array
    count: jax.Array
    wins: jax.Array


def lengths(problem: Problem) -> jax.Array:
    """int32 [STAGES], the comparisons n_s of stages 1, 2, ... of a duel at gamma = delta / K."""
    assert problem.nats is not None
    stages = np.arange(1, STAGES + 1)
    constants = np.log(2 * np.pi**2 * stages**2 * problem.num_policies / 3).astype(np.float32)
    scale = (8 * 4.0 ** (stages + 1) * _ROUNDING).astype(np.float32)
    exact = jnp.ceil(scale * (constants + problem.nats))
    return jnp.minimum(exact, jnp.float32(_LONGEST)).astype(jnp.int32)


def _init(problem: Problem) -> Tournament:
    numbers = (jnp.asarray(number, jnp.int32) for number in (0, 1, 0, 1, 0, 0))
    return Tournament(*numbers)


def _update(problem: Problem, state: Tournament, comparison: Comparison) -> Tournament:
    k = problem.num_policies
    champion, challenger, duels, stage, count, wins = state
    straight = (comparison.first == champion) & (comparison.second == challenger)
    reverse = (comparison.first == challenger) & (comparison.second == champion)
    met = (straight | reverse) & (duels < k)
    count = count + met.astype(jnp.int32)
    wins = wins + (met & (comparison.won == straight)).astype(jnp.int32)

    length = vectors.take(lengths(problem), stage - 1)
    over, lead = count == length, 2 * wins - count
    # Whole numbers: more than h_s n_s = n_s / 2^(s + 1) is more than what is left of it when rounded down.
    decided = over & (jnp.abs(lead) > (length >> (stage + 1)))
    replaced = decided & (lead < 0)
    winner, loser = jnp.where(replaced, challenger, champion), jnp.where(replaced, champion, challenger)
    following = jnp.where(decided & (duels < k - 2), duels + 2, loser)
    return Tournament(
        champion=winner,
        challenger=following,
        duels=duels + decided.astype(jnp.int32),
        stage=jnp.where(decided, 1, stage + over.astype(jnp.int32)),
        count=jnp.where(over, 0, count),
        wins=jnp.where(over, 0, wins),
    )


def _evidence(problem: Problem, state: Tournament, statistics: Statistics) -> jax.Array:
    policies = jnp.arange(problem.num_policies, dtype=jnp.int32)
    playing = (policies == state.challenger) & (state.duels < problem.num_policies)
    evidence = jnp.where(policies > state.duels + 1, WAITING, OUT)
    return jnp.where(playing | (policies == state.champion), 0.0, evidence).astype(problem.dtype)


def _verdict(problem: Problem, state: Tournament, statistics: Statistics) -> Verdict:
    return common.verdict(_evidence(problem, state, statistics), None)


def _thresholds(problem: Problem, delta: float) -> Thresholds:
    if problem.existence != "assumed":
        raise ValueError(f"existence = {problem.existence!r}, expected 'assumed' with the stopping rule dkwt")
    return Thresholds(OUT, math.inf)


DKWT = StoppingRule(_init, _update, _evidence, _verdict, _thresholds, proven=True, told=True)
"""Stop when the tournament of the level at hand is over, and name its last champion.

delta-PAC on every instance with a Condorcet winner, by the argument at the top of this module. Its evidence is no
number of nats but a standing: 0, `WAITING` or `OUT`.
"""
