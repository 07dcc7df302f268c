"""What a log of comparisons already proves, by the e-process that LLM-PO stops on."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.models import Battles
from llmpo_jax.protocol import Problem
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.stopping import STOPPING_RULES
from llmpo_jax.theory.refutation import pair_evidence
from llmpo_jax.theory.statistics import judged, nothing_yet, observe


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
    sorted by outcome is not valid). A tie is a fair coin flip: it counts as half a win for each in the win rates,
    but says nothing about who is better, so it adds no evidence.
    """
    problem = Problem(len(battles.names))
    rule = STOPPING_RULES.get("e-process")
    sampler = SAMPLERS.get("llm-po")

    def step(carry, battle):
        statistics, state, peak = carry
        first, second, outcome = battle
        comparison = judged(statistics, first, second, outcome > 0.5)
        moved = (observe(problem, statistics, comparison), rule.update(problem, state, comparison))
        tied = outcome == 0.5
        statistics, state = jax.tree.map(lambda new, old: jnp.where(tied, old, new), moved, (statistics, state))
        return (statistics, state, jnp.maximum(peak, rule.evidence(problem, state, statistics))), None

    @jax.jit
    def scan(log):
        k = problem.num_policies
        start = (nothing_yet(problem), rule.init(problem), jnp.zeros(k, problem.dtype))
        (statistics, state, peak), _ = jax.lax.scan(step, start, log)
        record = statistics.record.astype(problem.dtype)
        evidence = rule.evidence(problem, state, statistics)
        pair = sampler.select(problem, jax.random.key(0), statistics, evidence, sampler.init(problem))[:2]
        return peak, pair_evidence(record[..., 0], record[..., 1]), jnp.stack(pair)

    columns = (battles.first.astype(np.int32), battles.second.astype(np.int32), battles.outcome.astype(np.float32))
    peak, evidence, pair = (np.asarray(x) for x in scan(columns))
    first, second = np.nonzero(np.triu(battles.counts == 0, 1))
    return Audit(
        refutation=peak.astype(np.float64),
        refuter=np.where(evidence.max(axis=1) > 0, evidence.argmax(axis=1), -1),
        never_compared=tuple(zip(first.tolist(), second.tolist(), strict=True)),
        next_pair=(int(pair[0]), int(pair[1])),
    )
