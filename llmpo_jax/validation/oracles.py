"""LLM-PO told what it would have had to learn: what not knowing costs is what these save.

An oracle is told one thing or several, put in place of what it would have estimated:
- the winner: it leads from the start, is never tested, and need not be told from the others;
- the rates: what is bet, for all pairs. The sampler does not know them;
- the opponents: whom each rival is compared with;
- which rates: the rates that a rival has among its opponents, but not which opponent has which. Beliefs of each
  opponent start even over these rates; the bet is the mean, and compared is who is likeliest to have the lowest rate.

What is told goes into the program as a constant, by the policies' numbers: replications must not number them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax import vectors
from llmpo_jax.models.preference import beats_all
from llmpo_jax.protocol import EVIDENCE_TIE, Comparison, Problem, Sampler, Statistics, StoppingRule, Verdict
from llmpo_jax.samplers.llm_po import LLM_PO
from llmpo_jax.stopping import common
from llmpo_jax.stopping.e_process import E_PROCESS, gains

_SURE = 1e-6
"""Rates are kept so far from 0 and 1 where beliefs are formed."""


class Truth(NamedTuple):
    """What there is to be told.

    Attributes:
        rates: mu [K, K].
        winner: the Condorcet winner.
        opponents: [K], whom each policy has the lowest rate against.
    """

    rates: np.ndarray
    winner: int
    opponents: np.ndarray


class Oracle(NamedTuple):
    """A procedure that is told something. Its rule is proven for nobody who is not told."""

    sampler: Sampler
    stopping: StoppingRule


def truth(mu: np.ndarray) -> Truth:
    """Of a matrix [K, K] with a Condorcet winner."""
    others = np.where(np.eye(len(mu), dtype=bool), np.inf, mu)
    return Truth(mu, int(beats_all(mu).argmax()), others.argmin(axis=1))


ALL = "all three"
ORACLES: Mapping[str, Callable[[Truth], Oracle]] = {
    "nothing": lambda true: Oracle(LLM_PO, E_PROCESS),
    "the winner": lambda true: Oracle(_with_winner(true), _naming(true, E_PROCESS)),
    "the rates, as bets only": lambda true: Oracle(LLM_PO, _with_rates(true)),
    "each rival's best opponent": lambda true: Oracle(_with_opponents(true, LLM_PO), E_PROCESS),
    ALL: lambda true: Oracle(_with_opponents(true, _with_winner(true)), _naming(true, _with_rates(true))),
    "the winner, and rates without their opponents": lambda true: Oracle(
        _with_rates_somewhere(true), _naming(true, _betting_on_rates_somewhere(true))
    ),
}
"""By what is told."""


def _with_winner(true: Truth) -> Sampler:
    """llm-po in whose eyes the winner is least refuted, and has been tested often enough."""

    def init(problem: Problem) -> jax.Array:
        return LLM_PO.init(problem).at[true.winner].set(jnp.inf)

    def select(problem: Problem, drawn: Any, statistics: Statistics, evidence: jax.Array, state: Any) -> Any:
        known = statistics._replace(sums=statistics.sums.at[:, true.winner].set(-1))
        return LLM_PO.select(problem, drawn, known, evidence, state)

    return Sampler(init, select)


def _with_opponents(true: Truth, sampler: Sampler) -> Sampler:
    """The sampler with rivals compared with their toughest opponents; the winner, which has none, with the leader."""

    def select(problem: Problem, drawn: Any, statistics: Statistics, evidence: jax.Array, state: Any) -> Any:
        rival, _, state = sampler.select(problem, drawn, statistics, evidence, state)
        leader = vectors.argmin_except(statistics.refutation, jnp.int32(true.winner), EVIDENCE_TIE)
        opponent = vectors.take(jnp.asarray(true.opponents, jnp.int32), rival)
        return rival, jnp.where(rival == true.winner, leader, opponent), state

    return sampler._replace(select=select)


def _with_rates_somewhere(true: Truth) -> Sampler:
    """The least refuted rival against the opponent likeliest to be its toughest."""

    def select(problem: Problem, drawn: Any, statistics: Statistics, evidence: jax.Array, state: Any) -> Any:
        rival = vectors.argmin_except(evidence, jnp.int32(true.winner), EVIDENCE_TIE)
        record = vectors.take(statistics.record, rival)
        beliefs = _beliefs(true, rival, record[:, 0], record[:, 1])
        toughest = vectors.take(jnp.asarray(true.opponents, jnp.int32), rival)
        return rival, vectors.argmin_except(-beliefs[:, toughest], rival), state

    return Sampler(lambda problem: (), select)


def _beliefs(true: Truth, policy: jax.Array, wins: jax.Array, losses: jax.Array) -> jax.Array:
    """[..., K], the chance that the policy's rate is the one against each policy, given `wins`, `losses` [...]."""
    rates = vectors.take(jnp.asarray(np.clip(true.rates, _SURE, 1 - _SURE), jnp.float32), policy)
    seen = wins[..., None] * jnp.log(rates) + losses[..., None] * jnp.log1p(-rates)
    return jax.nn.softmax(jnp.where(vectors.one_hot(policy, len(true.rates)), -jnp.inf, seen))


class Wealth(NamedTuple):
    """[K] nats each, the log wealth and the largest it has been."""

    now: jax.Array
    peak: jax.Array


def _betting(bet: Callable[[Comparison], jax.Array]) -> StoppingRule:
    """The e-process with the bets `bet(comparison) -> [2]` on (first, second)."""

    def init(problem: Problem) -> Wealth:
        return Wealth(*jnp.zeros((2, problem.num_policies), problem.dtype))

    def update(problem: Problem, state: Wealth, comparison: Comparison) -> Wealth:
        bets = jnp.minimum(bet(comparison), 0.5)
        gain = gains(bets, comparison.won).astype(problem.dtype)
        now = vectors.add_two(state.now, comparison.first, comparison.second, gain)
        return Wealth(now, jnp.maximum(state.peak, now))

    return StoppingRule(
        init=init,
        update=update,
        evidence=lambda problem, state, statistics: state.now,
        verdict=lambda problem, state, statistics: common.verdict(state.peak, None),
        thresholds=E_PROCESS.thresholds,
        proven=False,
        refutation=lambda problem, state, statistics: state.peak,
    )


def _with_rates(true: Truth) -> StoppingRule:
    rates = jnp.asarray(true.rates, jnp.float32)

    def bet(comparison: Comparison) -> jax.Array:
        first, second = comparison.first, comparison.second
        return jnp.stack([vectors.take(rates, first, second), vectors.take(rates, second, first)])

    return _betting(bet)


def _betting_on_rates_somewhere(true: Truth) -> StoppingRule:
    def mean(policy: jax.Array, wins: jax.Array, losses: jax.Array) -> jax.Array:
        return _beliefs(true, policy, wins, losses) @ vectors.take(jnp.asarray(true.rates, jnp.float32), policy)

    def bet(comparison: Comparison) -> jax.Array:
        wins, losses = comparison.wins, comparison.losses
        return jnp.stack([mean(comparison.first, wins, losses), mean(comparison.second, losses, wins)])

    return _betting(bet)


def _naming(true: Truth, rule: StoppingRule) -> StoppingRule:
    """The rule with the winner known: it stops when all others are refuted."""
    refutation = rule.refutation
    assert refutation is not None

    def verdict(problem: Problem, state: Any, statistics: Statistics) -> Verdict:
        refuted = refutation(problem, state, statistics).at[true.winner].set(-jnp.inf)
        return common.verdict(refuted, None)

    return rule._replace(verdict=verdict)
