"""Stopping on an e-process: `e-process`, delta-PAC at any stopping time, under any adaptive sampling.

Against each hypothesis H_k = "k is the Condorcet winner" (mu[k, j] >= 1/2 for all j) we bet. Before every comparison
of k with some j a number p <= 1/2 is fixed from the past; the wealth is multiplied by 2 p if k wins, by 2 (1 - p) if
k loses. Under H_k the factor has mean 2 p mu + 2 (1 - p)(1 - mu) = 1 - (2 mu - 1)(1 - 2 p) <= 1, so the wealth is a
non-negative supermartingale started at 1. By Ville's inequality it ever reaches 1 / delta with probability at most
delta. Only the refutation of the true winner i* is an error, so neither the number of policies nor the number of
looks enters.

The bet. p is the smaller of 1/2 and a prediction of the next outcome: the pair's empirical rate with some
pseudo-comparisons added. The textbook bet (one pseudo-comparison at 1/2) loses wealth on every new pair while it
learns, and most near 1/2, where comparisons are many. Here
- while total records predict well (`Statistics.pooling` >= 0), `POOLED_PRIOR` pseudo-comparisons at the chance that
  they suggest: on a Bradley-Terry instance much is known of a pair before its first comparison;
- otherwise `PAIR_PRIOR` of them at 1/2.
Which of the two is in force, and the chance, are functions of the past, so the bet is predictable and the proof above
stands whatever the instance. Both predictions converge to the pair's rate at speed 1 / n, so on an opponent that is
compared n times the log wealth is n d - (1/2) log n + O(1): nothing is lost to first order, which is what makes the
stopping time asymptotically optimal with a sampler whose proportions converge to w*.

Rounding. The two factors F (k wins) and G (it loses) that a bet stands for are what floats make of 2 p and 2 (1 - p);
the mean is at most 1 for all mu >= 1/2 if F <= 1 and F + G <= 2. Let eps be the spacing of floats at 1 and logarithms
be right to 4 units in the last place. 2 p is exact and its logarithm not above 0, so F <= 1; F exceeds 2 p by at most 4
eps 2 p |log 2 p| <= 1.5 eps, G exceeds 2 (1 - p) by eps / 2 for the difference and by 2 * 2 eps for its logarithm,
which is at most log 2. So the mean is at most 1 + 3 eps, and with `ROUNDING` = 4 eps taken off for every comparison of
the run the wealth is a supermartingale with eps to spare. As no gain exceeds log 2, this eps is more than the eps / 2
of the sum that the two floats of the wealth are rounded to. The wealth on single pairs is kept in one float and rounded
down.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import Comparison, Problem, Statistics, StoppingRule, Thresholds, Verdict
from llmpo_jax.stopping import common
from llmpo_jax.theory import strength

POOLED_PRIOR = 32.0
PAIR_PRIOR = 4.0
ROUNDING = 4
"""Taken off the log wealth for every comparison, in units of the spacing of floats at 1."""


class EProcess(NamedTuple):
    """State, in nats of log wealth.

    Attributes:
        sums: [3, K], the log wealth in two floats, then the largest it has been: together, so that one write changes
            all three. Ville's inequality bounds the peak, so what is refuted stays so.
        proofs: the wealth on single pairs, in the `certify` form.
    """

    sums: jax.Array
    proofs: common.Proofs | None

    @property
    def wealth(self) -> jax.Array:
        """[K], the log wealth."""
        return self.sums[0] + self.sums[1]

    @property
    def peak(self) -> jax.Array:
        """[K], the largest that the log wealth has been."""
        return self.sums[2]


def bets(comparison: Comparison, dtype: jnp.dtype) -> jax.Array:
    """The bets p [2] on (first, second), fixed before the comparison and at most 1/2."""
    wins = jnp.stack([comparison.wins, comparison.losses]).astype(dtype)
    pooled = comparison.pooling >= 0
    prior = jnp.where(pooled, jnp.asarray(POOLED_PRIOR, dtype), PAIR_PRIOR)
    mean = jnp.where(pooled, strength.pair_chance(comparison, dtype), 0.5)
    prediction = (wins + prior * jnp.stack([mean, 1 - mean])) / (wins[0] + wins[1] + prior)
    return jnp.minimum(prediction, 0.5)


def gains(comparison: Comparison, dtype: jnp.dtype) -> jax.Array:
    """Log of the wealth's factor for (first, second): 2 p on the side that won, 2 (1 - p) on the side that lost."""
    bet = bets(comparison, dtype)
    return jnp.log(2 * jnp.where(jnp.stack([comparison.won, ~comparison.won]), bet, 1 - bet))


def _init(problem: Problem) -> EProcess:
    return EProcess(jnp.zeros((3, problem.num_policies), problem.dtype), common.no_proofs(problem))


def _update(problem: Problem, state: EProcess, comparison: Comparison) -> EProcess:
    first, second = comparison.first, comparison.second
    gain = gains(comparison, problem.dtype)
    high, low, peak = vectors.take_two(state.sums, first, second)
    high, low = vectors.accumulate(high, low, gain)
    sums = jnp.stack([high, low, jnp.maximum(peak, high + low)])
    proofs = state.proofs
    if proofs is not None:
        before = jnp.stack([proofs.pairs[first, second], proofs.pairs[second, first]])
        proofs = common.put_proofs(proofs, comparison, vectors.add_down(before, gain[::-1]))
    return EProcess(vectors.put_two(state.sums, first, second, sums), proofs)


def _evidence(problem: Problem, state: EProcess, statistics: Statistics) -> jax.Array:
    return state.wealth


def rounding(problem: Problem, statistics: Statistics) -> jax.Array:
    """Nats to be taken off any log wealth before something is concluded from it."""
    return ROUNDING * jnp.finfo(problem.dtype).eps * statistics.t.astype(problem.dtype)


def _refutation(problem: Problem, state: EProcess, statistics: Statistics) -> jax.Array:
    return state.peak - rounding(problem, statistics)


def _verdict(problem: Problem, state: EProcess, statistics: Statistics) -> Verdict:
    return common.verdict(_refutation(problem, state, statistics), state.proofs, rounding(problem, statistics))


def _thresholds(problem: Problem, delta: float) -> Thresholds:
    level = common.required_nats(problem, delta)
    return Thresholds(level, level)


E_PROCESS = StoppingRule(_init, _update, _evidence, _verdict, _thresholds, proven=True, refutation=_refutation)
"""Stop when every policy but one has been refuted: its log wealth once reached log(1 / delta).

delta-PAC on every instance with a Condorcet winner, by the argument at the top of this module.
Certify: i is named when, for every j, the wealth against "mu[j, i] >= 1/2" reaches K / delta; absence is found when
all K policies are refuted at K / delta. A wrong statement needs one of at most K events of probability delta / K each.
"""
