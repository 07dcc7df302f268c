"""LLM-PO that is told its budget: a shrinking group of survivors, compared as what is known of the instance suggests.

At t of n comparisons the survivors are the K (1 - t / n)^2 policies with the best scores, two at least. Scores are
worked out anew each time and nobody is ruled out for good: early scores are poor. The survivor that was tested least is
compared next, so that each of them is tested equally often, with an opponent of its choice.

There are two kinds of instances (`llmpo_jax.theory.strength`), and two sets of scores and opponents:
- where strengths predict outcomes, the score is the strength s of a Bradley-Terry model, maximum a posteriori. The
  opponent is another survivor: in turn the strongest one, and one that was compared little and is about as strong;
- where they do not, the score is -Z_k (`Statistics.refutation`) plus the log odds against the field, and the opponent
  is any policy: the toughest, by an optimistic estimate of mu[k, j] as LLM-PO's, in doubt the best survivor. A winner
  that wins narrowly is told from policies that lose decisively to one single other, which strengths would hide.

Which it is, the strengths' own predictions show. `contest` adds up, in nats, by how much they have predicted outcomes
better than the pair's own record; unlike `Statistics.pooling` also on pairs that were never compared, against a fair
coin: at a small budget few pairs are compared twice.

Strengths cost O(K) a comparison: Newton's step in the two coordinates that the last comparison concerns, from where
they were. A heuristic; benchmarks/budget.py shows what it is worth.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import Problem, Sampler, Statistics
from llmpo_jax.samplers.llm_po import PAIR_MEAN, PAIR_PRIOR, lower_bound
from llmpo_jax.theory import strength

POWER = 2
"""Of the share of the budget that is left, in the share of the policies that survive."""
DOUBT = -0.3
"""Nats of the contest below which strengths are not trusted: a little below 0, where it starts."""
BONUS = 0.05
BEST_BONUS = 0.1
"""Taken off the optimistic estimate of the chance against the best survivor."""


class Budgeted(NamedTuple):
    """State.

    Attributes:
        tests: [K], how often each policy was the one that was tested.
        strengths: [2, K], the scores s of the Bradley-Terry model, prior N(0, 1), and the information on each.
        contest: nats, see above.
        last: int32 [4], the pair that was chosen last, the wins and losses of its first over its second until then.
    """

    tests: jax.Array
    strengths: jax.Array
    contest: jax.Array
    last: jax.Array


def survivors(problem: Problem, t: jax.Array, scores: jax.Array) -> jax.Array:
    """bool [K], the floor(K (1 - t / n)^POWER) policies with the best scores, two at least."""
    assert problem.budget is not None
    left = jnp.maximum(problem.budget - t, 0).astype(problem.dtype) / problem.budget.astype(problem.dtype)
    return vectors.ranks(scores) < jnp.maximum(problem.num_policies * left**POWER, 2).astype(jnp.int32)


def _init(problem: Problem) -> Budgeted:
    k, dtype = problem.num_policies, problem.dtype
    return Budgeted(
        tests=jnp.zeros(k, dtype),
        strengths=jnp.stack([jnp.zeros(k, dtype), jnp.ones(k, dtype)]),
        contest=jnp.zeros((), dtype),
        last=jnp.asarray([0, 1, 0, 0], jnp.int32),
    )


def _learnt(problem: Problem, statistics: Statistics, state: Budgeted) -> Budgeted:
    """The state with the outcome of the last comparison."""
    first, second, *before = state.last
    both = jnp.stack([first, second])
    rows = statistics.record[both].astype(problem.dtype)
    wins, losses = vectors.take(rows[0], second)
    won, lost = wins > before[0].astype(problem.dtype), losses > before[1].astype(problem.dtype)
    gained = won.astype(problem.dtype)
    contest = _contested(state, first, second, wins - gained, losses - (1 - gained), won)
    old = vectors.take_two(state.strengths, first, second)
    n = rows[..., 0] + rows[..., 1]
    chances = jax.nn.sigmoid(old[0][:, None] - state.strengths[0][None])
    information = 1 + jnp.sum(n * chances * (1 - chances), axis=1)
    gradient = jnp.sum(rows[..., 0] - n * chances, axis=1) - old[0]
    new = jnp.stack([old[0] + gradient / information, information])
    return state._replace(
        strengths=vectors.put_two(state.strengths, first, second, new),
        # Nothing was learnt before the first comparison, nor from a tie.
        contest=jnp.where(won | lost, contest, state.contest),
    )


def _contested(
    state: Budgeted, first: jax.Array, second: jax.Array, wins: jax.Array, losses: jax.Array, won: jax.Array
) -> jax.Array:
    """The contest after an outcome that strengths and the pair's record of `wins` and `losses` predicted.

    The chance by the strengths allows for their uncertainty, as the mean of a sigmoid of a Gaussian does (MacKay 1992).
    """
    (one, other), information = vectors.take_two(state.strengths, first, second)
    spread = 1 / information[0] + 1 / information[1]
    strong = jax.nn.sigmoid((one - other) / jnp.sqrt(1 + math.pi / 8 * spread))
    own = (wins + 1) / (wins + losses + 2)
    gain = jnp.log(jnp.where(won, strong / own, (1 - strong) / (1 - own)))
    counts = wins + losses < strength.CONTEST_COUNTS
    return jnp.where(counts, jnp.minimum(state.contest + gain, strength.CONTEST_CAP), state.contest)


def _select(
    problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: Budgeted
) -> tuple[jax.Array, jax.Array, Budgeted]:
    dtype, k = problem.dtype, problem.num_policies
    state = _learnt(problem, statistics, state)
    strengths, strong = state.strengths[0], state.contest >= DOUBT
    wins, losses = statistics.wins.astype(dtype), statistics.losses.astype(dtype)
    scores = jnp.where(strong, strengths, jnp.log(strength.odds(wins, losses)) - statistics.refutation)
    alive = survivors(problem, statistics.t, scores)

    tested = vectors.argmin(jnp.where(alive, state.tests, jnp.inf))
    times = vectors.take(state.tests, tested)
    similar = wins + losses + jnp.abs(strengths - vectors.take(strengths, tested))
    among = jnp.where(alive, jnp.where(times % 2 == 0, -strengths, similar), jnp.inf)
    row = vectors.take(statistics.record, tested).astype(dtype)
    best = vectors.argmin_except(-scores, tested)
    toughness = _toughness(row, statistics.t.astype(dtype))
    anyone = jnp.where(vectors.one_hot(best, k), toughness - BEST_BONUS, toughness)
    opponent = vectors.argmin_except(jnp.where(strong, among, anyone), tested)

    last = jnp.stack([tested, opponent, *vectors.take(statistics.record, tested, opponent)])
    return tested, opponent, state._replace(tests=vectors.put(state.tests, tested, times + 1), last=last)


def _toughness(row: jax.Array, t: jax.Array) -> jax.Array:
    """[K], a low estimate of the tested policy's chances, from its `row` [K, 2] of wins and losses."""
    n = row[:, 0] + row[:, 1]
    return lower_bound((row[:, 0] + PAIR_PRIOR * PAIR_MEAN) / (n + PAIR_PRIOR), BONUS * jnp.log1p(t) / (n + 1))


LLM_PO_BUDGET = Sampler(_init, _select, told=True)
"""Survivors tested in turn. Heuristic constants, chosen on the instances of benchmarks/budget.py."""
