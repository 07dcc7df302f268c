"""LLM-PO in the structured space: a regularised convex program, solved while sampling, and tracked.

The proportions w on the pairs are to maximise the information on the hardest rival (Fisher form, theory section 3),

    min_k f_k(w) = g_k^2 / (2 c_k . H(w)^-1 c_k),    H(w) = sum_p w_p a_p z_p z_p^T,    a_p = mu_p (1 - mu_p),

at the present estimate, by the functions of `llmpo_jax.theory.program`, as the bound has it. At every refresh w makes
`STEPS` projected gradient steps on the simplex from where it was, with the min smoothed (a softmin with temperature
`TEMPERATURE` times the min), H regularised by the prior's precision, and steps capped: uncapped, on a few pairs of very
different use they jump from corner to corner of the simplex, and one run in a hundred never learns a direction that it
needs. Between refreshes the pair that is furthest behind, argmax t w_p - n_p, is compared.

Where comparisons end in ties or have costs, w are shares of the cost, a_p is divided by the price of a decided
comparison (theory, section 10), and what is tracked are the shares w_p / c_p of the comparisons.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import LinearStatistics, Problem, Sampler, State
from llmpo_jax.samplers.llm_po import decided_share
from llmpo_jax.theory import linear, program

STEPS = 4
STEP_SIZE = 0.4
TEMPERATURE = 0.3
LARGEST_MOVE = 0.1
"""Of any one proportion in a step, about."""
_PROJECTION_STEPS = 10


def project(values: jax.Array) -> jax.Array:
    """The point of the simplex nearest to `values` [P], to about 1e-3 (Michelot 1986, from below, then rescaled).

    A few passes over the vector instead of the sort that an exact projection takes.
    """

    def raise_floor(_: int, floor: jax.Array) -> jax.Array:
        above = values > floor
        return (jnp.sum(jnp.where(above, values, 0)) - 1) / jnp.sum(above).astype(values.dtype)

    start = (jnp.sum(values) - 1) / values.shape[0]
    kept = jnp.maximum(values - jax.lax.fori_loop(0, _PROJECTION_STEPS, raise_floor, start), 0)
    return kept / jnp.sum(kept)


def improve(
    problem: Problem, statistics: LinearStatistics, proportions: jax.Array, contrasts: jax.Array, gaps: jax.Array
) -> jax.Array:
    """One projected gradient step on the proportions [P], at the present estimate.

    Args:
        contrasts: [K, d], of the rivals; zero for policies that are none.
        gaps: [K], of their scores.
    """
    design, dtype = linear.of(problem), problem.dtype
    spread, spent = linear.spread(problem, statistics.estimate), statistics.t.astype(dtype)
    if problem.priced or statistics.ties is not None:
        spread = spread / decided_costs(problem, statistics)
    if problem.priced:
        spent = made(statistics).astype(dtype) @ pair_costs(problem)
    inverse = linear.inverse_design(problem, proportions * spread, spent)
    values, shifts = program.fisher(inverse, contrasts, gaps)
    least = jnp.min(values) + jnp.finfo(dtype).tiny
    prices, _ = program.softmin(values, TEMPERATURE * least)
    gain = program.fisher_gains(design.products, spread, prices, shifts)
    # Capped, so that no step can leave everything on one pair.
    step = jnp.minimum(STEP_SIZE / proportions.shape[0], LARGEST_MOVE / jnp.max(gain / least))
    return project(proportions + step * (gain / least - 1))


def improved(
    problem: Problem, statistics: LinearStatistics, proportions: jax.Array, contrasts: jax.Array, gaps: jax.Array
) -> jax.Array:
    """The proportions [P] after `STEPS` steps of `improve`."""
    step = functools.partial(improve, problem, statistics, contrasts=contrasts, gaps=gaps)
    return jax.lax.fori_loop(0, STEPS, lambda _, present: step(present), proportions)


def pair_costs(problem: Problem) -> jax.Array:
    """[P], what a comparison of each pair costs; ones where that is not known."""
    first, second = linear.pairs(problem.num_policies)
    if problem.costs is None:
        return jnp.ones(len(first), problem.dtype)
    return problem.costs[first, second].astype(problem.dtype)


def made(statistics: LinearStatistics) -> jax.Array:
    """int32 [P], comparisons of each pair, ties among them."""
    return statistics.counts if statistics.ties is None else statistics.counts + statistics.ties


def decided_costs(problem: Problem, statistics: LinearStatistics) -> jax.Array:
    """[P], what a decided comparison of each pair costs; in comparisons where costs are not known."""
    costs, decided = pair_costs(problem), statistics.counts
    if statistics.ties is None:
        return costs
    return costs / decided_share(decided, statistics.ties, jnp.sum(decided), statistics.t, problem.dtype)


def pair_of(problem: Problem, statistics: LinearStatistics, pair: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The policies of a pair, the one with the better estimated score first: in an order free of their numbers."""
    low, high = (jnp.asarray(side)[pair] for side in linear.pairs(problem.num_policies))
    swap = statistics.scores[high] > statistics.scores[low]
    return jnp.where(swap, high, low), jnp.where(swap, low, high)


def furthest_behind(statistics: LinearStatistics, proportions: jax.Array) -> jax.Array:
    """int32, the pair that is furthest behind t times its proportion once one comparison more is made."""
    target = (statistics.t + 1).astype(proportions.dtype) * proportions
    return vectors.argmin(made(statistics).astype(proportions.dtype) - target)


def _init(problem: Problem) -> State:
    """While nothing is known: in proportion to |z|^2, what a pair tells of all directions together."""
    length = jnp.sum(linear.of(problem).differences ** 2, axis=1)
    return length / jnp.sum(length)


def _select(
    problem: Problem, key: jax.Array, statistics: LinearStatistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    proportions = state
    if problem.priced:
        proportions = state / pair_costs(problem)
        proportions = proportions / jnp.sum(proportions)
    return *pair_of(problem, statistics, furthest_behind(statistics, proportions)), state


def _refresh(problem: Problem, statistics: LinearStatistics, state: State) -> State:
    contrasts = linear.contrasts(problem, statistics.leader)
    return improved(problem, statistics, state, contrasts, contrasts @ statistics.estimate)


def _select_oracle(
    problem: Problem, key: jax.Array, statistics: LinearStatistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    return *pair_of(problem, statistics, furthest_behind(statistics, linear.of(problem).optimal)), state


LLM_PO = Sampler(_init, _select, _refresh)
"""Adaptive design by projected gradient, tracked. Heuristic constants; no guarantee hangs on them, since any sampler
may run with any stopping rule. Step size and temperature are relative, so the scale of the problem does not matter."""

LLM_PO_ORACLE = Sampler(lambda problem: (), _select_oracle, oracle=True)
"""Tracks the optimal proportions of the TRUE parameter, which no procedure can know: a yardstick for trackers."""
