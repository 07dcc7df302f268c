"""What happens at a comparison, and only here: how an outcome changes what is known and what is proven.

Three drivers fold outcomes: the engine draws them, `identify` reads them from a log, a live experiment asks for them.

A tie is no record and no evidence: whatever a rule would have bet on the comparison is void, a factor of 1, whose mean
is 1 under every hypothesis. It is a comparison, though, and the engine, which counts what a budget buys, tells of it; a
log and a live experiment are folded without their ties.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from llmpo_jax.protocol import Problem, State, StoppingRule
from llmpo_jax.spaces import Space

Known = tuple[Any, State]
"""The statistics, and the state of the stopping rule."""


def compared(
    space: Space,
    rule: StoppingRule,
    problem: Problem,
    known: Known,
    first: jax.Array,
    second: jax.Array,
    won: Any,
    tied: jax.Array | None = None,
) -> Known:
    """What is known once `first` has been compared with `second`, and has `won` or lost, or `tied` with it."""
    statistics, state = known
    comparison = space.judged(statistics, first, second, won)._replace(tied=tied)
    updated = rule.update(problem, state, comparison)
    if tied is not None:
        updated = jax.tree.map(lambda new, old: jnp.where(tied, old, new), updated, state)
    return space.observe(problem, statistics, comparison), updated


def refreshed(space: Space, rule: StoppingRule, problem: Problem, known: Known) -> Known:
    """What is brought up to date only every `Space.period` comparisons: the estimate, then the evidence."""
    statistics, state = known
    if space.refresh is not None:
        statistics = space.refresh(problem, statistics)
    if rule.refresh is not None:
        state = rule.refresh(problem, state, statistics)
    return statistics, state
