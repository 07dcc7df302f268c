"""Cells of the hunt that run through `simulate`: instances and samplers of one shape, for one stopping rule."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from llmpo_jax import LinearBradleyTerry, simulate
from llmpo_jax.hunting import instances
from llmpo_jax.hunting.samplers import HOSTILE
from llmpo_jax.hunting.search import Cell, batched
from llmpo_jax.models import PreferenceModel
from llmpo_jax.protocol import Existence, Sampler, StoppingRule

DELTAS = (0.3, 0.1, 1e-2, 1e-3, 1e-4, 1e-6)
LIMIT = 3000
"""Comparisons at which a run is censored, which is no error."""


class Size(NamedTuple):
    """How many replications a cell gets in each stage, and how many run in one call.

    Whole calls: the engine compiles anew for another number of lanes, which follows from that of replications.
    """

    batch: int
    screened: int
    confirmed: int


UNSTRUCTURED = Size(512, 512, 8 * 512)
STRUCTURED = Size(256, 256, 8 * 256)


def simulated(
    model: PreferenceModel,
    sampler: str | Sampler,
    rule: str | StoppingRule,
    existence: Existence,
    seed: int,
    numbers: range,
) -> np.ndarray:
    """Errors [R, D] of a procedure, in these replications."""
    return simulate(
        model,
        sampler,
        rule,
        deltas=DELTAS,
        replications=len(numbers),
        first_replication=numbers.start,
        max_comparisons=LIMIT,
        existence=existence,
        seed=seed,
    ).errors()


def groups(
    procedure: str,
    rule: str | StoppingRule,
    models: Mapping[str, PreferenceModel],
    samplers: Sequence[str],
    seed: int,
    existence: Existence = "assumed",
) -> list[list[Cell]]:
    """One group per sampler, its cells the models, which must have one shape; hostile samplers go by their names."""

    def cell(name: str, model: PreferenceModel, sampler: str) -> Cell:
        size = STRUCTURED if isinstance(model, LinearBradleyTerry) else UNSTRUCTURED
        errors = functools.partial(simulated, model, HOSTILE.get(sampler, sampler), rule, existence, seed)
        where = f"{name}; {sampler}"
        return Cell(procedure, where, DELTAS, batched(errors, size.batch), size.screened, size.confirmed)

    return [[cell(name, model, sampler) for name, model in models.items()] for sampler in samplers]


def unstructured(
    rule: str, existence: Existence, shapes: Mapping[int, Sequence[str]], seed: int, rng: np.random.Generator
) -> list[list[Cell]]:
    """The cells of an unstructured rule: for every K its samplers."""
    found = []
    for k, samplers in shapes.items():
        models = instances.with_winner(k, rng)
        if existence == "certify":
            models |= instances.without_winner(k)
        models = {f"K = {k}, {name}": model for name, model in models.items()}
        found += groups(f"{rule}, {existence}", rule, models, samplers, seed, existence)
    return found


def structured(
    rule: str, shapes: Mapping[tuple[int, int], Sequence[str]], extra: int, seed: int, rng: np.random.Generator
) -> list[list[Cell]]:
    """The cells of a structured rule: for every (K, d) its samplers, on `extra` random models among others."""
    found = []
    for (k, d), samplers in shapes.items():
        models = instances.linear(k, d, rng, extra)
        models = {f"K = {k}, d = {d}, {name}": model for name, model in models.items()}
        found += groups(f"{rule}, structured", rule, models, samplers, seed)
    return found
