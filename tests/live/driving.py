"""Driving experiments without any LLM: outcomes from a win matrix, as functions of the ask alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import llmpo_jax as lp
from llmpo_jax.arithmetic import pinned, root_key
from llmpo_jax.live.protocol import Ask


class Answers:
    """What replication 0 of the engine would see with this seed, at comparison `ask.id`."""

    def __init__(self, mu: np.ndarray, seed: int, names: tuple[str, ...]) -> None:
        self._chances = np.floor(mu * 2.0**32)
        self._index = {name: k for k, name in enumerate(names)}
        with pinned():
            key = jax.random.fold_in(root_key(seed), 0)
            keys = jax.vmap(lambda t: jax.random.fold_in(key, t))(jnp.arange(1, 20_001, dtype=jnp.int32))
            self._bits = np.asarray(jax.vmap(lambda k: jax.random.bits(k, (), jnp.uint32))(keys))

    def __call__(self, ask: Ask) -> str:
        chance = self._chances[self._index[ask.first], self._index[ask.second]]
        return "first" if self._bits[ask.id - 1] < chance else "second"


def names(count: int) -> tuple[str, ...]:
    return tuple(f"p{k}" for k in range(count))


def create(folder: Path, count: int, **arguments: Any) -> lp.Experiment:
    """An experiment with policies p0, p1, ... and two inputs."""
    return lp.Experiment.create(folder, names(count), ["one", "two"], **arguments)


def drive(experiment: lp.Experiment, answers: Any, limit: int = 20_000) -> lp.Experiment:
    """Until it ends, one comparison at a time."""
    for _ in range(limit):
        asks = experiment.ask()  # none once it has ended
        if not asks:
            break
        experiment.tell(asks[0].id, answers(asks[0]))
    return experiment
