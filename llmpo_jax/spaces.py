"""The two policy spaces of the paper: what is known of a run in each, and which procedures there are for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax

from llmpo_jax.arguments import one_of
from llmpo_jax.protocol import Problem, Sampler, StoppingRule
from llmpo_jax.registry import Registry
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.samplers.structured import STRUCTURED_SAMPLERS
from llmpo_jax.stopping import STOPPING_RULES
from llmpo_jax.stopping.structured import STRUCTURED_RULES
from llmpo_jax.theory import linear, statistics

SamplerName = Literal[
    "llm-po",
    "llm-po-budget",
    "llm-po-oracle",
    "llm-po-d-tracking",
    "llm-po-c-tracking",
    "round-robin",
    "random-pair",
    "epsilon-greedy",
    "thompson",
    "rucb",
    "sequential-halving",
    "double-thompson",
    "top-two-thompson",
    "rmed1",
    "beat-the-mean",
    "swiss",
    "dkwt",
    "g-optimal",
    "rage-glm",
]
StoppingName = Literal["dkwt", "e-process", "kaufmann-koolen", "mixture", "stylised"]
"""Of both spaces, for type checkers; one's own are taken too (`Registry.get` gives the object of any name)."""


class Space(NamedTuple):
    """A policy space (static: part of the compiled program).

    Attributes:
        name: "unstructured" or "structured".
        samplers, stopping: its procedures by name.
        usual: the samplers that a study runs where none is named.
        start: `problem -> statistics`.
        judged: `(statistics, first, second, won) -> comparison`.
        observe: `(problem, statistics, comparison) -> statistics`.
        favours: `(statistics, first, second) -> bool`, whether `first` is the likelier winner, by the pair's own record
            where it has one.
        recommend: `(problem, statistics) -> int32`, the best guess where a budget is spent: one rule for all samplers,
            apart from what is proven.
        refresh: `(problem, statistics) -> statistics`, every `period` comparisons; None where all is kept up to date
            comparison by comparison.
        period: comparisons between refreshes, whose randomness is drawn together.
        shuffled: whether every replication numbers the policies anew, so that ties favour nobody. In the structured
            space nothing is tied once the first comparisons are made, and pairs keep their numbers so that all
            replications share the arrays of the design.
    """

    name: str
    samplers: Registry[Sampler]
    stopping: Registry[StoppingRule]
    usual: tuple[SamplerName, ...]
    start: Callable[[Problem], Any]
    judged: Callable[[Any, jax.Array, jax.Array, jax.Array], Any]
    observe: Callable[[Problem, Any, Any], Any]
    favours: Callable[[Any, jax.Array, jax.Array], jax.Array]
    recommend: Callable[[Problem, Any], jax.Array]
    refresh: Callable[[Problem, Any], Any] | None
    period: int
    shuffled: bool


UNSTRUCTURED = Space(
    "unstructured",
    SAMPLERS,
    STOPPING_RULES,
    (
        "llm-po",
        "llm-po-d-tracking",
        "llm-po-c-tracking",
        "round-robin",
        "random-pair",
        "epsilon-greedy",
        "thompson",
        "rucb",
    ),
    statistics.nothing_yet,
    statistics.judged,
    statistics.observe,
    statistics.favours,
    statistics.recommend,
    refresh=None,
    period=32,
    shuffled=True,
)
"""Every win matrix with a Condorcet winner."""

STRUCTURED = Space(
    "structured",
    STRUCTURED_SAMPLERS,
    STRUCTURED_RULES,
    ("llm-po", "llm-po-oracle", "round-robin", "random-pair", "epsilon-greedy", "thompson", "rucb"),
    linear.nothing_yet,
    linear.judged,
    linear.observe,
    linear.favours,
    linear.recommend,
    refresh=linear.refresh,
    period=linear.PERIOD,
    shuffled=False,
)
"""Linear Bradley-Terry models with known features."""

SPACES = {space.name: space for space in (UNSTRUCTURED, STRUCTURED)}


def told_nothing(samplers: Registry[Sampler]) -> tuple[str, ...]:
    """The names of the samplers that run without a budget."""
    return tuple(name for name in samplers.names() if not samplers.get(name).told)


def space(name: str) -> Space:
    """The policy space of this name.

    Raises:
        ValueError: unknown name.
    """
    return SPACES[one_of("assume", name, SPACES)]
