"""The next pairs of a log, as one batch for people or judges to work on at once.

The sampler chooses one pair after the other. Of those that it has chosen it believes that the favourite wins, as a live
experiment does of pending comparisons (`llmpo_jax.live.course`); otherwise it would choose one pair again and again.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.fold import Known, compared, refreshed
from llmpo_jax.protocol import Design, Problem, State
from llmpo_jax.spaces import STRUCTURED, UNSTRUCTURED, Space

Pair = tuple[int, int]


class Choice(NamedTuple):
    """What is known, and what a sampler chose on it.

    Attributes:
        known: the statistics and the state of the e-process.
        pair: int32 [2], to be compared next.
        own: the sampler's state after its choice.
    """

    known: Known
    pair: jax.Array
    own: State


def choose(space: Space, problem: Problem, known: Known, own: State) -> Choice:
    """What LLM-PO compares next, where it is known that there is a winner."""
    rule, sampler = space.stopping.get("e-process"), space.samplers.get("llm-po")
    statistics, state = known
    assumed = Problem(problem.num_policies, dimension=problem.dimension, design=problem.design)
    evidence = rule.evidence(problem, state, statistics)
    *pair, own = sampler.select(assumed, jax.random.key(0), statistics, evidence, own)
    return Choice(known, jnp.stack(pair), own)


def pairs_after(
    num_policies: int, choice: Choice, number: int, features: tuple[int, Design] | None = None
) -> tuple[Pair, ...]:
    """The pair chosen and those that follow it, `number` in all.

    Args:
        num_policies: K.
        choice: the first one.
        number: of pairs, at least 1.
        features: the number of coordinates and the design, in the structured space.
    """
    found = [choice.pair]
    while len(found) < number:
        if features is None:
            choice = _next(num_policies, choice)
        else:
            choice = _next_linear((num_policies, features[0]), features[1], choice)
        found.append(choice.pair)
    return tuple(_pair(pair) for pair in found)


def proofs_after(known: Known, proofs: np.ndarray, winner: int, number: int) -> tuple[Pair, ...]:
    """`number` pairs of the winner with those whom it is least proven to beat.

    Args:
        known: in the unstructured space, with the proofs of each pair.
        proofs: float64 [K] nats for "winner beats j".
        winner: by its number.
        number: of pairs, at least 1.
    """
    found: list[Pair] = []
    while True:
        found.append((winner, int(proofs.argmin())))
        if len(found) == number:
            return tuple(found)
        pair = jnp.asarray(found[-1], jnp.int32)
        before, known = known, _believed(len(proofs), known, pair)
        proofs = proofs.copy()
        proofs[found[-1][1]] += float(known[1].proofs.pairs[found[-1]] - before[1].proofs.pairs[found[-1]])


def _pair(pair: Any) -> Pair:
    first, second = np.asarray(pair).tolist()
    return first, second


def _with_favourite(space: Space, problem: Problem, known: Known, pair: jax.Array) -> Known:
    """What is known once the favourite of a pair has won it."""
    won = space.favours(known[0], pair[0], pair[1])
    return compared(space, space.stopping.get("e-process"), problem, known, pair[0], pair[1], won)


def _problem(num_policies: int) -> Problem:
    """The unstructured problem, with the proofs of each pair."""
    return Problem(num_policies, "certify")


@functools.partial(jax.jit, static_argnums=0)
def _believed(num_policies: int, known: Known, pair: jax.Array) -> Known:
    return _with_favourite(UNSTRUCTURED, _problem(num_policies), known, pair)


@functools.partial(jax.jit, static_argnums=0)
def _next(num_policies: int, choice: Choice) -> Choice:
    known = _with_favourite(UNSTRUCTURED, _problem(num_policies), choice.known, choice.pair)
    return choose(UNSTRUCTURED, _problem(num_policies), known, choice.own)


@functools.partial(jax.jit, static_argnums=0)
def _next_linear(shape: tuple[int, int], design: Design, choice: Choice) -> Choice:
    problem = Problem(shape[0], dimension=shape[1], design=design)
    known = _with_favourite(STRUCTURED, problem, choice.known, choice.pair)
    due = known[0].t % STRUCTURED.period == 0
    known, own = jax.lax.cond(due, functools.partial(renewed, problem), lambda *same: same, known, choice.own)
    return choose(STRUCTURED, problem, known, own)


def renewed(problem: Problem, known: Known, own: State) -> tuple[Known, State]:
    """What is brought up to date every period in the structured space: estimate, evidence, and the sampler's plan."""
    sampler = STRUCTURED.samplers.get("llm-po")
    assert sampler.refresh is not None
    known = refreshed(STRUCTURED, STRUCTURED.stopping.get("e-process"), problem, known)
    return known, sampler.refresh(problem, known[0], own)
