"""What does it cost not to know? Stopping times by what a procedure is told.

    python benchmarks/knowledge.py            about 4 minutes on 2 cores
    python benchmarks/knowledge.py --quick

Mean stopping time at delta = 0.1 with e-process as a multiple of T* log(1 / delta), the price when delta tends to 0.
An oracle is llm-po told one thing or several, put in place of what it would have estimated:
- the winner: it leads from the start, is never tested, and need not be told from the others;
- the rates: what is bet, for all pairs. The sampler does not know them;
- the opponents: whom each rival is compared with;
- which rates: the rates that a rival has among its opponents, but not which opponent has which. Beliefs of each
  opponent start even over these rates; the bet is the mean, and compared is who is likeliest to have the lowest rate.
Replications number the policies anew, which an oracle could not follow. So its policies are in one random order, the
same in all replications; told nothing, that makes no difference beyond the intervals (first two rows).
Intervals are at 95 % (Student).
"""

from __future__ import annotations

import functools
import math
import time
from typing import Any, NamedTuple

import common
import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax import models, vectors
from llmpo_jax.engine.preparation import Prepared, Settings, make_plan, prepare
from llmpo_jax.engine.simulate import result
from llmpo_jax.engine.workers import run
from llmpo_jax.protocol import EVIDENCE_TIE, Comparison, Problem, Sampler, Statistics, StoppingRule, Verdict
from llmpo_jax.samplers.llm_po import LLM_PO
from llmpo_jax.spaces import UNSTRUCTURED
from llmpo_jax.stopping import common as verdicts
from llmpo_jax.stopping.e_process import E_PROCESS, gains

DELTA = 0.1
INSTANCES = (
    "cyclic:17",
    "random-condorcet:16",
    "bradley-terry:16",
    "hidden-winner:10",
    "wmt20_mqm_zhen_K8.csv",
)
WINNER, RATES, OPPONENTS, ALL = "the winner", "the rates", "the opponents", "all three"
WHICH = "the winner and which rates"
TOLD = {WINNER: {WINNER}, RATES: {RATES}, OPPONENTS: {OPPONENTS}, ALL: {WINNER, RATES, OPPONENTS}}
SURE = 1e-6
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


def truth(mu: np.ndarray) -> Truth:
    others = np.where(np.eye(len(mu), dtype=bool), np.inf, mu)
    return Truth(mu, int(others.min(axis=1).argmax()), others.argmin(axis=1))


# Samplers: what is told goes into the program as a constant.


def with_winner(true: Truth) -> Sampler:
    """llm-po in whose eyes the winner is least refuted, and has been tested often enough."""

    def init(problem: Problem) -> jax.Array:
        return LLM_PO.init(problem).at[true.winner].set(jnp.inf)

    def select(problem: Problem, drawn: Any, statistics: Statistics, evidence: jax.Array, state: Any) -> Any:
        known = statistics._replace(sums=statistics.sums.at[:, true.winner].set(-1))
        return LLM_PO.select(problem, drawn, known, evidence, state)

    return Sampler(init, select)


def with_opponents(true: Truth, sampler: Sampler) -> Sampler:
    """The sampler with rivals compared with their toughest opponents; the winner, which has none, with the leader."""

    def select(problem: Problem, drawn: Any, statistics: Statistics, evidence: jax.Array, state: Any) -> Any:
        rival, _, state = sampler.select(problem, drawn, statistics, evidence, state)
        leader = vectors.argmin_except(statistics.refutation, jnp.int32(true.winner), EVIDENCE_TIE)
        opponent = vectors.take(jnp.asarray(true.opponents, jnp.int32), rival)
        return rival, jnp.where(rival == true.winner, leader, opponent), state

    return sampler._replace(select=select)


def with_rates_somewhere(true: Truth) -> Sampler:
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
    rates = vectors.take(jnp.asarray(np.clip(true.rates, SURE, 1 - SURE), jnp.float32), policy)
    seen = wins[..., None] * jnp.log(rates) + losses[..., None] * jnp.log1p(-rates)
    return jax.nn.softmax(jnp.where(vectors.one_hot(policy, len(true.rates)), -jnp.inf, seen))


# Stopping rules: the e-process with other bets, or with the winner known.


class Wealth(NamedTuple):
    """[K] nats each, the log wealth and the largest it has been."""

    now: jax.Array
    peak: jax.Array


def betting(bet: Any) -> StoppingRule:
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
        verdict=lambda problem, state, statistics: verdicts.verdict(state.peak, None),
        thresholds=E_PROCESS.thresholds,
        proven=False,
        refutation=lambda problem, state, statistics: state.peak,
    )


def with_rates(true: Truth) -> StoppingRule:
    rates = jnp.asarray(true.rates, jnp.float32)

    def bet(comparison: Comparison) -> jax.Array:
        first, second = comparison.first, comparison.second
        return jnp.stack([vectors.take(rates, first, second), vectors.take(rates, second, first)])

    return betting(bet)


def with_rates_somewhere_as_bets(true: Truth) -> StoppingRule:
    def mean(policy: jax.Array, wins: jax.Array, losses: jax.Array) -> jax.Array:
        return _beliefs(true, policy, wins, losses) @ vectors.take(jnp.asarray(true.rates, jnp.float32), policy)

    def bet(comparison: Comparison) -> jax.Array:
        wins, losses = comparison.wins, comparison.losses
        return jnp.stack([mean(comparison.first, wins, losses), mean(comparison.second, losses, wins)])

    return betting(bet)


def naming(true: Truth, rule: StoppingRule) -> StoppingRule:
    """The rule with the winner known: it stops when all others are refuted."""
    refutation = rule.refutation
    assert refutation is not None

    def verdict(problem: Problem, state: Any, statistics: Statistics) -> Verdict:
        refuted = refutation(problem, state, statistics).at[true.winner].set(-jnp.inf)
        return verdicts.verdict(refuted, None)

    return rule._replace(verdict=verdict)


def oracle(told: set[str], true: Truth) -> tuple[Sampler, StoppingRule]:
    """The procedure that is told all this."""
    sampler = with_winner(true) if WINNER in told else LLM_PO
    rule = with_rates(true) if RATES in told else E_PROCESS
    sampler = with_opponents(true, sampler) if OPPONENTS in told else sampler
    return sampler, naming(true, rule) if WINNER in told else rule


def somewhere(true: Truth) -> tuple[Sampler, StoppingRule]:
    return with_rates_somewhere(true), naming(true, with_rates_somewhere_as_bets(true))


def stopping_time(prepared: Prepared, mu: np.ndarray | None = None) -> tuple[float, float, float]:
    """The mean with its interval, in units of T* log(1 / delta); in the order of `mu` where it is given."""
    procedure, plan = prepared.procedure, prepared.plan
    if mu is not None:
        procedure = procedure._replace(space=UNSTRUCTURED._replace(shuffled=False))
        plan = make_plan(procedure, mu, prepared.settings)
    (level,) = result(prepared, run(procedure, plan, range(prepared.settings.replications))).summary()
    assert prepared.time is not None and not level.censored
    unit = prepared.time * -math.log(DELTA)
    return level.mean / unit, level.mean_low / unit, level.mean_high / unit


def measure(name: str, replications: int) -> list[dict]:
    """The rows of an instance."""
    source = common.source(name)
    if source is None:
        return []
    mu = models.host_probabilities(source.model)
    order = np.random.default_rng(0).permutation(len(mu))
    mu = mu[np.ix_(order, order)]
    true = truth(mu)
    procedures = {told: oracle(facts, true) for told, facts in TOLD.items()} | {WHICH: somewhere(true)}
    settings = Settings((DELTA,), (), 2**24, replications=replications)
    ready = functools.partial(prepare, source.model, settings=settings)
    times = {"nothing": stopping_time(ready("llm-po", "e-process"))}
    times["nothing, in this order"] = stopping_time(ready("llm-po", "e-process"), mu)
    times |= {told: stopping_time(ready(*procedure), mu) for told, procedure in procedures.items()}
    return [
        {"instance": source.label, "told": told, "replications": replications, "ratio": mean, "low": low, "high": high}
        for told, (mean, low, high) in times.items()
    ]


def main() -> None:
    options = common.parser(__doc__).parse_args()
    replications = 50 if options.quick else 500
    started = time.time()
    rows = [row for name in INSTANCES for row in measure(name, replications)]
    title = f"Mean stopping time / (T* log(1/delta)) at delta = {DELTA}, e-process, {replications} replications"
    common.show(title, rows)
    if not options.quick:
        common.keep("knowledge", rows, started)


if __name__ == "__main__":
    main()
