"""What a log of comparisons already proves, by the e-process that LLM-PO stops on."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.models import Battles, identified
from llmpo_jax.protocol import Problem, StoppingRule
from llmpo_jax.spaces import STRUCTURED, UNSTRUCTURED, Space
from llmpo_jax.stopping.structured import e_process
from llmpo_jax.theory import linear
from llmpo_jax.theory.linear import make_design
from llmpo_jax.theory.refutation import pair_evidence


@dataclass(frozen=True)
class Audit:
    """What is proven of each policy.

    Attributes:
        refutation: float64 [K] nats against "k is the Condorcet winner", the largest value of its e-process along
            the log; k is refuted at level exp(-refutation), and at every larger one.
        refuter: int64 [K], the opponent with most evidence against k (with features, the leader); -1 where there is
            none.
        never_compared: the pairs (i, j), i < j, without any comparison.
        next_pair: the pair that LLM-PO would compare next.
    """

    refutation: np.ndarray
    refuter: np.ndarray
    never_compared: tuple[tuple[int, int], ...]
    next_pair: tuple[int, int]

    def refuted(self, delta: float) -> np.ndarray:
        """bool [K], which policies are refuted at level `delta`."""
        return self.refutation >= -np.log(delta)


def audit(battles: Battles, features: np.ndarray | None = None) -> Audit:
    """Weigh a log of comparisons in its own order.

    Valid for any rule by which the pairs were chosen, as long as it did not look at outcomes still to come (a log
    sorted by outcome is not valid).

    A tie says nothing about who is better and adds no evidence. Without features it counts as half a win for each in
    the win rates; with them it is left out: the linear model is one of the decided comparisons.

    Args:
        battles: the log.
        features: [K, d] for the structured space, where a linear Bradley-Terry model is assumed; None for the
            unstructured one.
    """
    if features is None:
        peak, refuter, pair = _unstructured(battles)
    else:
        peak, refuter, pair = _structured(battles, identified(features, battles.names).coordinates)
    first, second = np.nonzero(np.triu(battles.counts == 0, 1))
    return Audit(
        refutation=peak.astype(np.float64),
        refuter=refuter,
        never_compared=tuple(zip(first.tolist(), second.tolist(), strict=True)),
        next_pair=(int(pair[0]), int(pair[1])),
    )


def _unstructured(battles: Battles) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    problem = Problem(len(battles.names))
    rule, sampler = UNSTRUCTURED.stopping.get("e-process"), UNSTRUCTURED.samplers.get("llm-po")

    def step(carry, battle):
        statistics, state, peak = carry
        moved = _moved(UNSTRUCTURED, problem, rule, (statistics, state), battle)
        return (*moved, jnp.maximum(peak, rule.evidence(problem, moved[1], moved[0]))), None

    @jax.jit
    def scan(log):
        start = (UNSTRUCTURED.start(problem), rule.init(problem), jnp.zeros(problem.num_policies, problem.dtype))
        (statistics, state, peak), _ = jax.lax.scan(step, start, log)
        record = statistics.record.astype(problem.dtype)
        evidence = rule.evidence(problem, state, statistics)
        pair = sampler.select(problem, jax.random.key(0), statistics, evidence, sampler.init(problem))[:2]
        return peak, pair_evidence(record[..., 0], record[..., 1]), jnp.stack(pair)

    peak, evidence, pair = (np.asarray(x) for x in scan(_columns(battles)))
    return peak, np.where(evidence.max(axis=1) > 0, evidence.argmax(axis=1), -1), pair


def _structured(battles: Battles, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    problem = Problem(*coordinates.shape[:1], dimension=coordinates.shape[1], design=make_design(coordinates))
    rule, sampler = STRUCTURED.stopping.get("e-process"), STRUCTURED.samplers.get("llm-po")
    assert rule.refresh is not None and sampler.refresh is not None
    refresh, improve = rule.refresh, sampler.refresh
    # Whole periods; what is missing in the last one is filled with ties, which change nothing.
    missing = -len(battles.first) % STRUCTURED.period
    columns = tuple(
        np.pad(column, (0, missing), constant_values=fill).reshape(-1, STRUCTURED.period)
        for column, fill in zip(_columns(battles), (0, 1, 0.5), strict=True)
    )

    def step(carry, battle):
        return _moved(STRUCTURED, problem, rule, carry, battle), None

    def period(carry, block):
        *before, design = carry
        (statistics, state), _ = jax.lax.scan(step, tuple(before), block)
        statistics = linear.refresh(problem, statistics)
        state = refresh(problem, state, statistics)
        return (statistics, state, improve(problem, statistics, design)), None

    @jax.jit
    def scan(log):
        start = (STRUCTURED.start(problem), rule.init(problem), sampler.init(problem))
        (statistics, state, design), _ = jax.lax.scan(period, start, log)
        rivals = jnp.arange(problem.num_policies, dtype=jnp.int32)
        values, _ = jax.vmap(lambda rival: e_process.weigh(problem, state, statistics, rival))(rivals)
        # The leader is not compared with itself.
        values = jnp.where(rivals == statistics.leader, 0, values)
        pair = sampler.select(problem, jax.random.key(0), statistics, state.peak, design)[:2]
        return jnp.maximum(state.peak, values), statistics.leader, jnp.stack(pair)

    peak, leader, pair = (np.asarray(x) for x in scan(columns))
    return peak, np.where(peak > 0, leader, -1), pair


def _columns(battles: Battles) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return battles.first.astype(np.int32), battles.second.astype(np.int32), battles.outcome.astype(np.float32)


def _moved(space: Space, problem: Problem, rule: StoppingRule, before: tuple, battle: tuple) -> tuple:
    """Statistics and evidence after one battle; as before, if it is a tie."""
    statistics, state = before
    first, second, outcome = battle
    comparison = space.judged(statistics, first, second, outcome > 0.5)
    moved = (space.observe(problem, statistics, comparison), rule.update(problem, state, comparison))
    return jax.tree.map(lambda new, old: jnp.where(outcome == 0.5, old, new), moved, before)
