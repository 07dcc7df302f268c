"""LLM-PO that is told its budget, in the structured space: the design serves a shrinking group of survivors.

At t of n comparisons the survivors are the K (1 - t / n)^2 policies with the best estimated scores, two at least;
nobody is ruled out for good. The proportions w are to tell the leader from each of them,

    max_w min over the surviving rivals k of 1 / (c_k . H(w)^-1 c_k),    c_k = x_leader - x_k

(transductive design: Soare, Lazaric, Munos 2014, arXiv 1409.6110, there XY-optimal), by LLM-PO's first gradient steps,
at the present estimate. LLM-PO itself divides by the squares of the estimated gaps, which at a small budget
are mostly noise. A heuristic; benchmarks/budget.py shows what it is worth.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from llmpo_jax.protocol import LinearStatistics, Problem, Sampler, State
from llmpo_jax.samplers.llm_po_budget import survivors
from llmpo_jax.samplers.structured import llm_po, steps
from llmpo_jax.theory import linear


def _refresh(problem: Problem, statistics: LinearStatistics, state: State) -> State:
    left = survivors(problem, statistics.t, statistics.scores)
    contrasts = jnp.where(left[:, None], linear.contrasts(problem, statistics.leader), 0)
    at = steps.present(problem, statistics, contrasts, jnp.ones_like(statistics.scores))
    return steps.improved(problem, at, state, llm_po.WARMEST)


def _select(
    problem: Problem, key: jax.Array, statistics: LinearStatistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    return *llm_po.tracked(problem, statistics, state), state


LLM_PO_BUDGET = Sampler(llm_po.by_length, _select, _refresh, told=True)
"""LLM-PO's tracking of a design for the survivors."""
