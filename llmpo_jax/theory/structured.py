"""The structured space (linear Bradley-Terry models): characteristic time as a convex program, with a certificate.

Theory, section 3. With `z_p = x_i - x_j` for the pair p = (i, j), `c_k = x_i* - x_k` and the gap `g_k = c_k . theta`,

    1 / T* = max_w min_k f_k(w)
    exact    f_k(w) = min over c_k . lambda <= 0 of sum_p w_p kl(mu_p, sigmoid(z_p . lambda))
    fisher   f_k(w) = g_k^2 / (2 c_k . H(w)^-1 c_k),    H(w) = sum_p w_p mu_p (1 - mu_p) z_p z_p^T

Fisher's form is the second order of the exact one in the gaps. Both f_k are the least of `sum_p w_p cost_k[p]` over the
alternatives lambda, so for any distribution q over rivals and any alternatives
`min_k f_k(w) <= 1 / T* <= max_p sum_k q_k cost_k[p]`: the certificate.

Where a comparison of pair p ends in a tie with probability t_p and costs c_p, w is how the cost is shared, and kl and
mu_p (1 - mu_p) are multiplied by `(1 - t_p) / c_p` (theory, section 10).

Solved in two phases. Projected gradient ascent (`ascent`) takes Fisher's form to a gap of `_COARSE`, where the gains of
the pairs tell which ones matter; on those, Newton's method (`polish`) takes either form as far as it is asked to. Few
pairs are enough: by Caratheodory's theorem on H an optimum of Fisher's form has at most d (d + 1) / 2 + 1. In the end
all pairs are looked at, and where one would gain the second phase starts again with it.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.arguments import Number, between, one_of, real
from llmpo_jax.arithmetic import pinned
from llmpo_jax.brief import brief
from llmpo_jax.machine import cores, on_cpu, quick_to_compile
from llmpo_jax.theory import alternatives, ascent, polish, program
from llmpo_jax.theory.program import Instance, Program

Form = Literal["exact", "fisher"]
FORMS = tuple(alternatives.COSTS)
_COARSE = 3e-2
_ROUNDS = 8
_GROWTH = 4
"""Rounds after which the number of pairs that are taken in is doubled."""
_PENALISED = 512
"""Pairs that are taken in at least where all of them are in use, as the penalty has it."""
_IN_USE = 1e-7
"""A proportion above this keeps its pair."""


@dataclass(frozen=True, eq=False)
class StructuredTime:
    """Characteristic time of a linear Bradley-Terry model, and how a best procedure divides its comparisons.

    Attributes:
        time: T* of the returned proportions, `1 / min_k f_k(w)`: at least the true one, and at most
            `1 + relative_gap` times it. Infinite where nothing is certified. Comparisons (with costs, units of cost)
            per nat of required evidence.
        proportions: [K, K] float64, the pair (i, j) at i < j, zero elsewhere; sums to 1. Not unique in general, unless
            regularised. Shares of the comparisons; with costs, what w*, shares of the cost, make of them.
        winner: the best policy i*.
        form: "exact" or "fisher".
        regularisation: rho, relative to the value of the program.
        status: "optimal" where the certificate met the tolerance (of the penalised program, where it is), else
            "inaccurate".
        relative_gap: certified, upper / lower bound on 1 / T* less 1. With regularisation it includes the value that
            the penalty costs, at most about rho / 2.
    """

    time: float
    proportions: np.ndarray
    winner: int
    form: str
    regularisation: float
    status: str
    relative_gap: float

    __repr__ = brief

    @property
    def certified(self) -> float:
        """The certified lower end of T*, `time / (1 + relative_gap)`; 0 where nothing is certified."""
        return self.time / (1 + self.relative_gap) if math.isfinite(self.relative_gap) else 0.0


class Solution(NamedTuple):
    """What is known of an instance, or with a leading axis of many.

    Attributes:
        weights: [P], on the simplex. shifts: [R, d], of the nearest alternatives. gains: [P], what a pair is worth.
        lower, upper: certified bounds on 1 / T*. gap: relative, of the penalised program; not certified.
    """

    weights: jax.Array
    shifts: jax.Array
    gains: jax.Array
    lower: jax.Array
    upper: jax.Array
    gap: jax.Array


def solve(
    features: np.ndarray,
    theta: np.ndarray,
    form: str = "exact",
    regularisation: Number = 0.0,
    tolerance: Number = 1e-4,
    start: np.ndarray | None = None,
    ties: np.ndarray | None = None,
    costs: np.ndarray | None = None,
) -> StructuredTime:
    """Characteristic time T* and optimal proportions w* over the structured space, float64 whatever JAX's settings.

    Args:
        features: [K, d]; only differences of rows matter, so any units, basis and rank.
        theta: [d].
        form: "exact" or "fisher".
        regularisation: rho >= 0; the program becomes `max_w min_k f_k(w) - (rho v / 2) |w|^2`, v its value without
            penalty. Then the solution is unique, and the value lost is at most rho / 2 of it. With costs, w is how the
            cost is shared.
        tolerance: relative duality gap to reach.
        start: [P], inside the simplex, where to begin; for tests of uniqueness.
        ties: chances of a tie [K, K], symmetric. costs: of comparisons [K, K], symmetric and positive.

    Raises:
        ValueError: bad form, regularisation or tolerance, features as `llmpo_jax.models.identified`, several policies
            with the top score, or scores beyond the range of float64.
    """
    instance = Instance(np.asarray(features, np.float64), np.asarray(theta, np.float64), ties, costs)
    (found,) = solve_all([instance], form, regularisation, tolerance, start)
    return found


def solve_all(
    instances: Sequence[Instance],
    form: str = "exact",
    regularisation: Number = 0.0,
    tolerance: Number = 1e-4,
    start: np.ndarray | None = None,
) -> list[StructuredTime]:
    """As `solve` for each of many instances, those of one shape as a batch."""
    form, regularisation, tolerance = checked(form, regularisation, tolerance)
    made = [program.make(instance) for instance in instances]
    shapes = [each.rivals.contrasts.shape for each, _ in made]
    found: dict[int, Solution] = {}
    for shape in dict.fromkeys(shapes):
        alike = [index for index, each in enumerate(shapes) if each == shape]
        with ThreadPoolExecutor(cores()) as pool:
            batches = _Batches(pool, form, [made[index][0] for index in alike])
            found |= zip(alike, batches.solve(regularisation, tolerance, start), strict=True)
    return [
        _result(found[index], winner, instances[index].costs, form, regularisation, tolerance)
        for index, (_, winner) in enumerate(made)
    ]


def least(instance: Instance, weights: np.ndarray) -> float:
    """`min_k f_k(w)` in the exact form, certified from below as `StructuredTime.certified` is, whatever the weights.

    Args:
        weights: [P], how the comparisons (with costs, the cost) are shared.

    Raises:
        ValueError: as `solve`.
    """
    made, _ = program.make(instance)
    with settings():
        return float(_least()(made, np.asarray(weights, np.float64)))


@functools.cache
def _least() -> Callable[[Program, np.ndarray], jax.Array]:
    def found(instance: Program, weights: jax.Array) -> jax.Array:
        cost, pairs, rivals = alternatives.EXACT, instance.pairs, instance.rivals
        decided, start = weights * pairs.worth, rivals.feasible(jnp.zeros_like(rivals.contrasts))
        shifts = alternatives.nearest(cost, pairs, decided, rivals, start).shifts
        return alternatives.least(cost, pairs, decided, rivals, shifts).min() * (1 - instance.rounding)

    return jax.jit(found, compiler_options=quick_to_compile())


def _result(
    solution: Solution, winner: int, costs: np.ndarray | None, form: str, regularisation: float, tolerance: float
) -> StructuredTime:
    lower, upper = float(solution.lower), float(solution.upper)
    gap = upper / lower - 1 if lower > 0 else math.inf
    policies = len(solution.shifts) + 1
    proportions = np.zeros((policies, policies))
    proportions[np.triu_indices(policies, 1)] = solution.weights
    if costs is not None:
        proportions /= costs
        proportions /= proportions.sum()
    status = "optimal" if gap <= tolerance + regularisation else "inaccurate"
    return StructuredTime(1 / lower if lower > 0 else math.inf, proportions, winner, form, regularisation, status, gap)


@dataclass(frozen=True)
class _Batches:
    """Instances of one shape, batch after batch on every core."""

    pool: ThreadPoolExecutor
    form: str
    programs: list[Program]

    def solve(self, regularisation: float, tolerance: float, start: np.ndarray | None) -> list[Solution]:
        pairs, dimension = self.programs[0].pairs.z.shape
        starts = [np.full(pairs, 1 / pairs) if start is None else start] * len(self.programs)
        found = self._map(compiled(None, 0), self.programs, starts)
        few = max(40, dimension * (dimension + 1) // 2 + 17)
        found = self._rounds(found, starts, [0.0] * len(found), tolerance, few)
        if regularisation > 0:
            penalties = [regularisation * float(each.lower) for each in found]
            found = self._rounds(found, starts, penalties, min(tolerance, 1e-6), max(few, _PENALISED))
        return found

    def _rounds(
        self, found: list[Solution], starts: list, penalties: list[float], tolerance: float, columns: int
    ) -> list[Solution]:
        """Rounds of the second phase, each on those that the last one left above the tolerance."""
        found = [each._replace(gap=np.inf) for each in found]
        for number in range(_ROUNDS):
            left = [index for index, each in enumerate(found) if not each.gap <= tolerance]
            if not left:
                break
            size = min(columns << number // _GROWTH, len(starts[0]))
            arguments = ([values[index] for index in left] for values in (self.programs, found, starts, penalties))
            new = self._map(compiled(self.form, size), *arguments, [tolerance] * len(left))
            for index, each in zip(left, new, strict=True):
                found[index] = each
        return found

    def _map(self, function: Callable[..., Solution], *arguments: Sequence) -> list[Solution]:
        """The function of each, as batches of one size, the last one filled up."""
        number = len(arguments[0])
        size = min(number, _together())

        def batch(begin: int) -> list[Solution]:
            chosen = [min(begin + lane, number - 1) for lane in range(size)]
            with settings():
                given = (jax.tree.map(lambda *x: np.stack(x), *(values[n] for n in chosen)) for values in arguments)
                solved = jax.tree.map(np.asarray, function(*given))
            return [Solution(*(x[lane] for x in solved)) for lane in range(min(size, number - begin))]

        return [each for found in self.pool.map(batch, range(0, number, size)) for each in found]


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """What both phases are traced and run in; they and optax broadcast, and mix types, as NumPy does."""
    with pinned(), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@functools.cache
def compiled(form: str | None, columns: int) -> Callable[..., Solution]:
    """The first phase, or where a form is given the second one on so many pairs, for a batch of instances."""
    phase = _begin if form is None else functools.partial(_round, form, columns)
    return jax.jit(jax.vmap(phase), compiler_options=quick_to_compile())


def _begin(instance: Program, start: jax.Array) -> Solution:
    """The first phase."""
    found = ascent.ascend(instance, start, _COARSE)
    nothing, infinite = jnp.zeros(()), jnp.inf * jnp.ones(())
    return Solution(found.best, found.shifts, found.gains, nothing, infinite, infinite)


def _round(
    form: str,
    columns: int,
    instance: Program,
    last: Solution,
    start: jax.Array,
    penalty: jax.Array,
    tolerance: jax.Array,
) -> Solution:
    """The second phase on the pairs that are in use or priced highest, and its certificate on all pairs."""
    cost = alternatives.COSTS[form]
    chosen = jax.lax.top_k(jnp.where(last.weights > _IN_USE, jnp.inf, last.gains), columns)[1]
    some = instance.on(chosen)
    found = polish.polish(cost, some, start[chosen] / start[chosen].sum(), last.shifts, penalty, tolerance / 4)
    weights = jnp.zeros_like(start).at[chosen].set(found.weights)
    gains = program.gains(cost, instance.pairs, found.prices, found.shifts)
    decided = found.weights * some.pairs.worth
    lower = alternatives.least(cost, some.pairs, decided, some.rivals, found.shifts).min()
    lower, upper = lower * (1 - instance.rounding), gains.max() * (1 + instance.rounding)
    value = lower - penalty * weights @ weights
    gap = ((gains - penalty * weights).max() - value) / jnp.abs(value)
    new = Solution(weights, found.shifts, gains, lower, upper, gap)
    better = (lower > last.lower) | (penalty > 0)
    new = Solution(*(jnp.where(better, x, y) for x, y in zip(new, last, strict=True)))
    return new._replace(upper=jnp.fmin(upper, last.upper))


def _together() -> int:
    """Instances of a batch. On the CPU each is by itself, on a core of its own: in a batch loops run until the slowest
    instance is through, which costs more there than wider operations save."""
    return 1 if on_cpu() else 64


def checked(form: str, regularisation: Number, tolerance: Number) -> tuple[str, float, float]:
    """What to solve and how far.

    Raises:
        ValueError: bad form, regularisation or tolerance.
    """
    form = one_of("form", form, FORMS)
    return form, real("regularisation", regularisation, least=0), between("tolerance", tolerance, 0, 1)
