"""What happens at a comparison, and only here: how an outcome changes what is known and what is proven.

Three drivers fold outcomes: the engine draws them, `identify` reads them from a log, a live experiment asks for them.
"""

from __future__ import annotations

from typing import Any

import jax

from llmpo_jax.protocol import Problem, State, StoppingRule
from llmpo_jax.spaces import Space

Known = tuple[Any, State]
"""The statistics, and the state of the stopping rule."""


def compared(
    space: Space, rule: StoppingRule, problem: Problem, known: Known, first: jax.Array, second: jax.Array, won: Any
) -> Known:
    """What is known once `first` has been compared with `second`, and has `won` or lost."""
    statistics, state = known
    comparison = space.judged(statistics, first, second, won)
    return space.observe(problem, statistics, comparison), rule.update(problem, state, comparison)


def refreshed(space: Space, rule: StoppingRule, problem: Problem, known: Known) -> Known:
    """What is brought up to date only every `Space.period` comparisons: the estimate, then the evidence."""
    statistics, state = known
    if space.refresh is not None:
        statistics = space.refresh(problem, statistics)
    if rule.refresh is not None:
        state = rule.refresh(problem, state, statistics)
    return statistics, state
