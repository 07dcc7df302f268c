"""Planted defects, each of which the hunt must find: a hunt that finds nothing is worth what it would have found."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from llmpo_jax import spaces
from llmpo_jax.hunting import cells, drivers, instances
from llmpo_jax.hunting.float32_certificate import FLOAT32_CERTIFICATE
from llmpo_jax.hunting.search import Cell
from llmpo_jax.protocol import Comparison, Problem, State, Thresholds

_SOUND = spaces.space("unstructured").stopping.get("e-process")
_SAMPLERS = ("against-leader",)


def _late(problem: Problem, state: State, comparison: Comparison) -> State:
    """Bets on counts that include the outcome."""
    won = comparison.won.astype(jnp.int32)
    seen = comparison._replace(wins=comparison.wins + won, losses=comparison.losses + 1 - won)
    return _SOUND.update(problem, state, seen)


def _reversed(problem: Problem, state: State, comparison: Comparison) -> State:
    """Takes every outcome for its opposite."""
    opposite = comparison._replace(
        won=~comparison.won,
        wins=comparison.losses,
        losses=comparison.wins,
        total_wins=comparison.total_losses,
        total_losses=comparison.total_wins,
    )
    return _SOUND.update(problem, state, opposite)


def _twice(problem: Problem, delta: float) -> Thresholds:
    """log(1 / delta) in the `certify` form, where K statements share the error."""
    return Thresholds(-math.log(delta), -math.log(delta))


LATE = _SOUND._replace(update=_late, proven=False)
REVERSED = _SOUND._replace(update=_reversed, proven=False)
TWICE = _SOUND._replace(thresholds=_twice, proven=False)


def planted(seed: int) -> list[list[Cell]]:
    """The cells of all defects, each a procedure of its own; those of rules are hunted over instances and samplers."""
    rng = np.random.default_rng(seed)
    winner, none = instances.with_winner(3, rng), instances.without_winner(3)
    linear = instances.linear(3, 2, rng, extra=0)
    return [
        *cells.groups("float32 certificate", FLOAT32_CERTIFICATE, linear, ("llm-po", "opening"), seed),
        *cells.groups("bet fixed after its outcome", LATE, winner, _SAMPLERS, seed),
        *cells.groups("wrong sign", REVERSED, winner, _SAMPLERS, seed),
        *cells.groups("level used twice", TWICE, winner | none, _SAMPLERS, seed, "certify"),
        *drivers.average(True, seed),
        *drivers.settlement(True, seed),
    ]
