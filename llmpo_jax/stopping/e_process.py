"""Stopping on an e-process: `e-process`, delta-PAC at any stopping time, under any adaptive sampling.

Against each hypothesis H_k = "k is the Condorcet winner" (mu[k, j] >= 1/2 for all j) we bet. Before every comparison
of k with some j a number p <= 1/2 is fixed from the past; the wealth is multiplied by 2 p if k wins, by 2 (1 - p) if
k loses. Under H_k the factor has mean 2 p mu + 2 (1 - p)(1 - mu) = 1 - (2 mu - 1)(1 - 2 p) <= 1, so the wealth is a
non-negative supermartingale started at 1, and so is the average of several such wealths with fixed weights. By
Ville's inequality it ever reaches 1 / delta with probability at most delta. Only the refutation of the true winner
i* is an error, so neither the number of policies nor the number of looks enters.

The bets. p is the smaller of 1/2 and a prediction of the next outcome: the empirical rate of the pair with `PRIOR`
pseudo-comparisons added. Wealth is learnt away twice over in the textbook bet (pseudo-count 1): on every new pair,
and worst near 1/2, where comparisons are many. So the prior is heavier, and two predictions share the wealth
equally: one whose prior mean is 1/2, one whose prior mean is the pair's chance under the policies' total records,
o_k / (o_k + o_j) with o the odds of winning against the field, which knows much about a pair before its first
comparison if policies differ in strength. Both converge to the pair's rate, so on k's toughest opponent the log
wealth is counts * d - (1/2) log(counts) + O(1), which is why the stopping time is asymptotically optimal with
a sampler whose proportions converge to w*; the wrong prediction costs at most log 2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import Comparison, Problem, Statistics, StoppingRule, Thresholds, Verdict
from llmpo_jax.stopping import common

PRIOR = 16.0
STRENGTH_PRIOR = 4.0


class EProcess(NamedTuple):
    """State, in nats of log wealth.

    Attributes:
        plain, pooled: the log wealth [K] of the two predictions.
        value: [K], the log of their average.
        peak: [K], the largest value so far. Ville's inequality bounds the peak, so what is refuted stays so.
        proofs: the wealth of single pairs, in the `certify` form.
    """

    plain: vectors.Accumulator
    pooled: vectors.Accumulator
    value: jax.Array
    peak: jax.Array
    proofs: common.Proofs | None


def odds(wins: jax.Array, losses: jax.Array) -> jax.Array:
    """Odds of winning against the field, shrunk towards 1; `wins`, `losses` floats of any shape."""
    return (wins + STRENGTH_PRIOR) / (losses + STRENGTH_PRIOR)


def bets(problem: Problem, comparison: Comparison) -> tuple[jax.Array, jax.Array]:
    """The two bets p [2] (first's side, second's side), each fixed before the comparison and at most 1/2."""
    wins = jnp.stack([comparison.wins, comparison.losses]).astype(problem.dtype)
    total = wins[0] + wins[1] + PRIOR
    strength = odds(comparison.total_wins.astype(problem.dtype), comparison.total_losses.astype(problem.dtype))
    chance = strength / (strength[0] + strength[1])
    plain = (wins + PRIOR / 2) / total
    pooled = (wins + PRIOR * chance) / total
    return jnp.minimum(plain, 0.5), jnp.minimum(pooled, 0.5)


def _gain(bet: jax.Array, won: jax.Array) -> jax.Array:
    """Log of the wealth's factor [2]: 2 p on the side that won, 2 (1 - p) on the side that lost."""
    return jnp.log(2 * jnp.where(jnp.stack([won, ~won]), bet, 1 - bet))


def _init(problem: Problem) -> EProcess:
    k, dtype = problem.num_policies, problem.dtype
    return EProcess(
        plain=vectors.Accumulator.zeros(k, dtype),
        pooled=vectors.Accumulator.zeros(k, dtype),
        value=jnp.zeros(k, dtype),
        peak=jnp.zeros(k, dtype),
        proofs=common.no_proofs(problem),
    )


def _update(problem: Problem, state: EProcess, comparison: Comparison) -> EProcess:
    first, second, won = comparison.first, comparison.second, comparison.won
    plain_bet, pooled_bet = bets(problem, comparison)
    plain, plain_value = state.plain.add_two(first, second, _gain(plain_bet, won))
    pooled, pooled_value = state.pooled.add_two(first, second, _gain(pooled_bet, won))
    value = jnp.logaddexp(plain_value, pooled_value) - math.log(2)
    values = vectors.put_two(state.value, first, second, value)
    proofs = state.proofs
    if proofs is not None:
        wealth = jnp.stack([proofs.pairs[first, second], proofs.pairs[second, first]])
        gain = _gain((plain_bet + pooled_bet) / 2, won)
        proofs = common.put_proofs(proofs, comparison, wealth + gain[::-1])
    return EProcess(plain, pooled, values, jnp.maximum(state.peak, values), proofs)


def _evidence(problem: Problem, state: EProcess, statistics: Statistics) -> jax.Array:
    return state.value


def _verdict(problem: Problem, state: EProcess, statistics: Statistics) -> Verdict:
    return common.verdict(state.peak, state.proofs)


def _thresholds(problem: Problem, delta: float) -> Thresholds:
    level = -math.log(delta) + (math.log(problem.num_policies) if problem.existence == "certify" else 0.0)
    return Thresholds(level, level)


E_PROCESS = StoppingRule(_init, _update, _evidence, _verdict, _thresholds, proven=True)
"""Stop when every policy but one has been refuted: its log wealth once reached log(1 / delta).

delta-PAC on every instance with a Condorcet winner, by the argument at the top of this module.
Certify: i is named when, for every j, the wealth against "mu[j, i] >= 1/2" reaches K / delta; absence is found when all K
policies are refuted at K / delta. A wrong statement needs one of at most K events of probability delta / K each.
"""
