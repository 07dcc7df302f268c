"""Where stopping times are tested: levels and instances with as many programs in common as possible."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llmpo_jax.validation.runs import Run
from llmpo_jax.validation.scope import Scope

LEAST = 1e-50
"""The smallest level."""
LEVELS, BUDGETS = 8, 7
"""Of every run: their numbers are part of the compiled program, which claims share; the levels and budgets are not."""
NO_LEVELS = tuple(1 - 0.01 * index for index in range(1, LEVELS + 1))
NO_BUDGETS = tuple(range(1, BUDGETS + 1))
"""Of runs that are about budgets, or levels, alone: met after a few comparisons."""
LINEAR = "linear-bradley-terry:8,3,seed=1"
STEEP = f"{LINEAR},scale=2"
"""The same with twice the logits, on which runs are shorter."""
OPTIMALITY: Mapping[str, tuple[str, ...]] = {
    "unstructured": ("hidden-winner:16", "bradley-terry:16", "cyclic:16", "random-condorcet:16"),
    "structured": (STEEP, LINEAR),
}
"""Instances of either space."""
_QUICK = {**OPTIMALITY, "structured": (STEEP,)}
CHEAP = {"unstructured": "hidden-winner:16,gap=0.3", "structured": STEEP}
"""One on which baselines can be followed to the smallest level."""
_COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#6B4226", "#6A5F78", "#C79100")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
UNIFORM = ("round-robin", "random-pair")
"""Samplers that compare all pairs equally often."""


def levels(last: float, first: float = 0.1) -> tuple[float, ...]:
    """`LEVELS` error levels from `first` to `last`, the logarithms in equal ratios."""
    step = (math.log(last) / math.log(first)) ** (1 / (LEVELS - 1))
    return (*(math.exp(math.log(first) * step**index) for index in range(LEVELS - 1)), last)


def replications(scope: Scope, quick: int = 136) -> int:
    """Of each run, `quick` of them in a quick validation; on two cores programs are the same from 136 to 263."""
    return scope.replications(quick, 1_024)


def instances(scope: Scope, assume: str) -> tuple[str, ...]:
    """The user's instances, or those of `OPTIMALITY`."""
    return scope.instances(assume) if scope.sources else (_QUICK if scope.quick else OPTIMALITY)[assume]


def cheap(scope: Scope, assume: str) -> tuple[str, ...]:
    """Where baselines are followed to the smallest level: the user's instances, or `CHEAP`."""
    return scope.instances(assume) if scope.sources else (CHEAP[assume],)


def baselines(scope: Scope, assume: str) -> tuple[str, ...]:
    """Whom LLM-PO is compared with. Structured samplers take long to compile: a quick validation has one of them."""
    if scope.quick and assume == "structured":
        return tuple(name for name in scope.baselines(assume) if name == "round-robin" or name in scope.samplers)
    return scope.baselines(assume)


def until(source: str, sampler: str, last: float, scope: Scope, limit: int | None = None) -> Run:
    """A sampler on an instance with the proven rule, stopped at levels down to `last`."""
    limit = limit or scope.replications(200_000, 5_000_000)
    return Run(source, sampler, "e-process", levels(last), NO_BUDGETS, replications(scope), limit)


def look(index: int) -> dict[str, Any]:
    """Keywords of the line of an instance, or of whatever is no sampler, in a figure."""
    index %= len(_COLORS)
    return {"color": _COLORS[index], "marker": _MARKERS[index], "markersize": 3.4, "linewidth": 1.0}
