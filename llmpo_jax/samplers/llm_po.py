"""LLM-PO with the rule `balance`: refute the least refuted rival with the opponent that beats it best.

Each comparison tests one policy, the rival: the one against which the stopping rule holds least evidence, apart from
the leader. Evidence against all rivals then grows at the same pace, and a rival that is compared with its toughest
opponent needs (log 1 / delta) / d_k comparisons, so in the limit effort is divided as 1 / d_k, which is w*; T* log(1 /
delta) comparisons are enough, the lower bound. What must vanish in the limit, and does:
- comparisons with another opponent than the toughest: the Wilson bound below is a confidence bound whose width grows
  like log t, so each of the others is tried O(log t) times, and the forced exploration adds O(t^(2/3));
- tests of the leader, O(sqrt t). They are there because a wrong leader is refuted only if it is tested;
- the preference for the leader as opponent while total records predict well. It shrinks as 1 / sqrt(tests of the
  rival), so a leader whose chance is by g worse than the toughest opponent's is preferred for O(1 / g^2) tests. Without
  it, where strengths decide and all chances are near 1/2, most comparisons go to opponents almost as tough.
(This is the reason why the rule is asymptotically optimal, not a full proof; benchmarks show the ratio to the bound.)

Where comparisons end in ties or have costs, the toughest opponent is the one with most information per unit of cost,
d(mu[rival, j]) over the price of a decided comparison (theory, section 10). The rest stays as it is: all rivals have to
be refuted, whatever each costs.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import EVIDENCE_TIE, Problem, Sampler, State, Statistics
from llmpo_jax.theory import strength
from llmpo_jax.theory.divergence import half_divergence
from llmpo_jax.theory.refutation import pair_evidence

BONUS = 0.3
POOLED_PRIOR = 4.0
PAIR_PRIOR, PAIR_MEAN = 2.0, 0.3
LEADER_TESTS = 3.0
FORCED = 40.0
TIE_PRIOR = 8.0
PREFERENCE, MOST_PREFERENCE = 2.0, 0.05


def opponent_index(problem: Problem, statistics: Statistics, rival: jax.Array, row: jax.Array) -> jax.Array:
    """[K], an optimistic (low) value of mu[rival, j]: the opponent with the smallest one is tried next.

    A Wilson lower bound with squared width BONUS log t. Its centre is the rate in the rival's `row` [K, 2] of wins
    and losses with a few pseudo-comparisons: at the chance that the total records suggest while these predict well
    (`Statistics.pooling` >= 0), else at PAIR_MEAN, somewhat promising. Its width counts only real comparisons, so
    an opponent is ruled out by evidence on the pair alone. O(K), no transcendental function per entry.
    """
    wins, n = row[:, 0], row[:, 0] + row[:, 1]
    odds = strength.odds(statistics.wins.astype(problem.dtype), statistics.losses.astype(problem.dtype))
    pooled = statistics.pooling >= 0
    prior = jnp.where(pooled, jnp.asarray(POOLED_PRIOR, problem.dtype), PAIR_PRIOR)
    mean = jnp.where(pooled, strength.chance(vectors.take(odds, rival), odds), PAIR_MEAN)
    centre = (wins + prior * mean) / (n + prior)
    width = BONUS * jnp.log1p(statistics.t.astype(problem.dtype)) / (n + 1)
    return lower_bound(centre, width)


def lower_bound(centre: jax.Array, width: jax.Array) -> jax.Array:
    """Wilson's lower bound on a rate around `centre`, with the squared `width`; both of any shape."""
    return (centre + width / 2 - jnp.sqrt(width * (centre * (1 - centre) + width / 4))) / (1 + width)


def decided_costs(problem: Problem, statistics: Statistics, rival: jax.Array, row: jax.Array) -> jax.Array:
    """[K], what a decided comparison of `rival` with each opponent costs; in comparisons where costs are not known."""
    costs = jnp.ones(problem.num_policies) if problem.costs is None else vectors.take(problem.costs, rival)
    costs = costs.astype(problem.dtype)
    if statistics.ties is None:
        return costs
    ties, all_decided = vectors.take(statistics.ties, rival), jnp.sum(statistics.wins)
    return costs / decided_share(row[:, 0] + row[:, 1], ties, all_decided, statistics.t, problem.dtype)


def decided_share(
    decided: jax.Array, ties: jax.Array, all_decided: jax.Array, made: jax.Array, dtype: jnp.dtype
) -> jax.Array:
    """Estimated share of the comparisons that end in no tie, elementwise.

    Args:
        decided, ties: comparisons so far, whole numbers of any type.
        all_decided, made: of all pairs together; `TIE_PRIOR` pseudo-comparisons are decided at their share.
        dtype: of the share.
    """
    decided, ties, all_decided, made = (value.astype(dtype) for value in (decided, ties, all_decided, made))
    return (decided + TIE_PRIOR * (all_decided + 1) / (made + 1)) / (decided + ties + TIE_PRIOR)


def _worth(chances: jax.Array, prices: jax.Array) -> jax.Array:
    """[K], the information per unit of cost at these chances of the rival; negative where it is the one to win."""
    information = half_divergence(chances)
    return jnp.where(chances < 0.5, information / prices, -information * prices)


def _init(problem: Problem) -> jax.Array:
    """The state: how often each policy was tested, float [K]."""
    return jnp.zeros(problem.num_policies, problem.dtype)


def _assumed(
    problem: Problem, statistics: Statistics, evidence: jax.Array, tests: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    k = problem.num_policies
    leader = statistics.leader
    rival = vectors.argmin_except(evidence, leader, EVIDENCE_TIE)
    swap = vectors.take(tests, leader) < LEADER_TESTS * jnp.sqrt(vectors.take(tests, rival))
    leader, rival = jnp.where(swap, rival, leader), jnp.where(swap, leader, rival)
    tested = vectors.take(tests, rival) + 1

    row = vectors.take(statistics.record, rival).astype(problem.dtype)
    index = opponent_index(problem, statistics, rival, row)
    # The leader is the opponent at ties: it is the one most likely to beat everybody, surely so where strengths decide.
    # Its own tests look for whoever beats it, and prefer nobody.
    prefers = (statistics.pooling >= 0) & ~swap
    preference = jnp.where(prefers, jnp.minimum(PREFERENCE / jnp.sqrt(tested), MOST_PREFERENCE), 1e-6)
    index = jnp.where(vectors.one_hot(leader, k), index - preference, index)
    counts = row[:, 0] + row[:, 1]
    if problem.priced or statistics.ties is not None:
        index = -_worth(jnp.clip(index, 0, 1), decided_costs(problem, statistics, rival, row))
    if statistics.ties is not None:
        counts = counts + vectors.take(statistics.ties, rival).astype(problem.dtype)
    # Without forced exploration a rare run rules the right opponent out by early bad luck and never ends.
    counts = jnp.where(vectors.one_hot(rival, k), jnp.inf, counts)
    fewest = vectors.minimum(counts) + 1
    forced = fewest * jnp.sqrt(fewest) < tested / FORCED
    opponent = vectors.argmin_except(jnp.where(forced, counts, index), rival)
    return rival, opponent, vectors.put(tests, rival, tested)


def _certify(problem: Problem, statistics: Statistics) -> tuple[jax.Array, jax.Array]:
    """The leader against the opponent over which it is least proven to win, whatever that costs: all are needed."""
    leader = statistics.leader
    row = statistics.record[leader].astype(problem.dtype)
    return leader, vectors.argmin_except(pair_evidence(row[:, 1], row[:, 0]), leader)


def _select(
    problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    if problem.existence == "certify":
        return *_certify(problem, statistics), state
    return _assumed(problem, statistics, evidence, state)


LLM_PO = Sampler(_init, _select)
