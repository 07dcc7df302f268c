"""What a log of comparisons already proves, by the e-process that LLM-PO stops on."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax import vectors
from llmpo_jax.models import Battles
from llmpo_jax.protocol import Comparison, Problem, Statistics
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.stopping import STOPPING_RULES
from llmpo_jax.theory.refutation import pair_evidence


@dataclass(frozen=True)
class Audit:
    """What is proven of each policy.

    Attributes:
        refutation: float64 [K] nats against "k is the Condorcet winner", the largest value of its e-process along
            the log; k is refuted at level exp(-refutation), and at every larger one.
        refuter: int64 [K], the opponent with most evidence against k; -1 where nobody has any.
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


def audit(battles: Battles) -> Audit:
    """Weigh a log of comparisons in its own order.

    Valid for any rule by which the pairs were chosen, as long as it did not look at outcomes still to come (a log
    sorted by outcome is not valid). A tie leaves the wealth as it is, the mean of its two factors over a fair coin
    flip being 1, and counts as half a win for each in the estimates.
    """
    problem = Problem(len(battles.names))
    rule = STOPPING_RULES.get("e-process")
    first, second = jnp.asarray(battles.first, jnp.int32), jnp.asarray(battles.second, jnp.int32)
    outcome = jnp.asarray(battles.outcome, problem.dtype)
    k = problem.num_policies

    def step(carry, battle):
        record, state, peak = carry
        i, j, score = battle
        won = jnp.stack([score, 1 - score])
        totals = jnp.sum(record, axis=1)
        pair = jnp.stack([i, j])
        entry = record[i, j]
        comparison = Comparison(i, j, score > 0.5, entry[0], entry[1], totals[pair, 0], totals[pair, 1])
        moved = rule.update(problem, state, comparison)
        state = jax.tree.map(lambda new, old: jnp.where(score == 0.5, old, new), moved, state)
        record = record.at[i, j].add(won).at[j, i].add(won[::-1])
        return (record, state, jnp.maximum(peak, state.value)), None

    @jax.jit
    def scan(battles):
        start = (jnp.zeros((k, k, 2), problem.dtype), rule.init(problem), jnp.zeros(k, problem.dtype))
        (record, state, peak), _ = jax.lax.scan(step, start, battles)
        evidence = pair_evidence(record[..., 0], record[..., 1])
        totals = jnp.sum(record, axis=1)
        statistics = Statistics(
            jnp.asarray(len(battles[0]), jnp.int32),
            record,
            totals[:, 0],
            totals[:, 1],
            jnp.sum(evidence, axis=1),
        )
        against = rule.evidence(problem, state, statistics)
        sampler = SAMPLERS.get("llm-po")
        one, two, _ = sampler.select(problem, jax.random.key(0), statistics, against, sampler.init(problem))
        return peak, evidence, vectors.take_two(jnp.arange(k), one, two)

    peak, evidence, pair = scan((first, second, outcome))
    evidence = np.asarray(evidence)
    missing = tuple((int(i), int(j)) for i, j in zip(*np.triu_indices(k, 1), strict=True) if battles.counts[i, j] == 0)
    return Audit(
        refutation=np.asarray(peak, np.float64),
        refuter=np.where(evidence.max(axis=1) > 0, evidence.argmax(axis=1), -1),
        never_compared=missing,
        next_pair=(int(pair[0]), int(pair[1])),
    )
