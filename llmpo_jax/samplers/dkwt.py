"""The comparisons of the noisy tournament DKWT, whose duels and stopping are in `llmpo_jax.stopping.dkwt`."""

from __future__ import annotations

import jax

from llmpo_jax import vectors
from llmpo_jax.protocol import EVIDENCE_TIE, Problem, Sampler, State, Statistics


def _select(
    problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    first = vectors.argmin(evidence, EVIDENCE_TIE)
    return first, vectors.argmin_except(evidence, first, EVIDENCE_TIE), state


DKWT = Sampler(lambda problem: (), _select)
"""The two policies against which the stopping rule holds least evidence.

Under the rule `dkwt` these are the champion and its challenger, so the two together are the procedure of Haddenhorst,
Bengs and Huellermeier (2021). Under any other rule it is no published procedure: the two least refuted policies meet.
"""
