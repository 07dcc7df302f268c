"""What a sampler and a stopping rule are: two small sets of pure functions over shared statistics.

Both are written for ONE replication, without jit or vmap. The engine batches them, owns the random keys, keeps
the comparison record, and runs any sampler with any stopping rule. Policies are numbered 0 .. K - 1 in an order
that the engine shuffles anew for every replication, so breaking ties by the lowest number favours nobody.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from llmpo_jax import vectors

Existence = Literal["assumed", "certify"]
EXISTENCE: tuple[Existence, ...] = get_args(Existence)
SpaceName = Literal["unstructured", "structured"]

EVIDENCE_TIE = 1e-4
"""Nats within which policies are equally refuted where one is chosen: policies with the same evidence from comparisons
in another order differ by rounding, which must not decide. Never used where a run stops."""

State = Any


class Coordinates(NamedTuple):
    """The policies' features; P = K (K - 1) / 2 pairs in the order (0, 1), (0, 2), ...

    Attributes:
        features: [K, d], one row of coordinates per policy (see `llmpo_jax.models.identified`).
        differences: [P, d], `z_p = features[i] - features[j]`.
        products: [P, d d], `z_p z_p^T`, each flattened.
    """

    features: jax.Array
    differences: jax.Array
    products: jax.Array


class Design(NamedTuple):
    """What a structured procedure knows of the policies.

    Attributes:
        features, differences, products: the `Coordinates` in the type of the problem, for estimates and samplers.
        optimal: [P], the true optimal proportions, for `llm-po-oracle` alone; zeros where nobody asks.
        exact: the coordinates in float64, for what is to be proven.
    """

    features: jax.Array
    differences: jax.Array
    products: jax.Array
    optimal: jax.Array
    exact: Coordinates


@dataclasses.dataclass(frozen=True)
class Problem:
    """What a procedure is told before the first comparison (static: part of the compiled program).

    Attributes:
        num_policies: K.
        existence: "assumed" where a Condorcet winner is known to exist, "certify" where this must be shown.
        dtype: floating type of estimates and evidence. It is float32 whatever JAX's x64 setting, so that the setting
            changes no decision; structured evidence is computed in float64 (`Design.exact`) and rounded down to it.
        dimension: d, coordinates per policy, where the policy space is structured; None where it is not.
        design: the features there. Arrays, put in when a run starts: other features of the same shapes need no new
            compilation.
        ties: whether a comparison may end in a tie, so that statistics count ties by pair.
        priced: whether it is known what a comparison of each pair costs.
        costs: what it costs where that is known, [K, K], as the procedure numbers the policies; put in like `design`.
        budget: int32, the number of comparisons after which the best guess is asked for, for a sampler that is told it.
        nats: [], log(1 / delta), for a stopping rule that is told its level. Both are put in like the design.
    """

    num_policies: int
    existence: str = "assumed"
    dtype: Any = jnp.float32
    dimension: int | None = None
    design: Design | None = dataclasses.field(default=None, compare=False)
    ties: bool = False
    priced: bool = False
    costs: jax.Array | None = dataclasses.field(default=None, compare=False)
    budget: jax.Array | None = dataclasses.field(default=None, compare=False)
    nats: jax.Array | None = dataclasses.field(default=None, compare=False)


class Statistics(NamedTuple):
    """What is known of the comparisons made so far, in the unstructured space; kept by the engine for every procedure.

    Attributes:
        t: int32, comparisons made, ties among them.
        record: int32 [K, K, 2], `record[k, j] = (wins of k over j, losses of k to j)`.
        totals: int32 [2, K], wins and losses of each policy over all opponents.
        sums: [2, K], the refutations Z, in two floats each.
        pooling: nats by which the policies' total records have predicted outcomes better than the record of the
            pair at hand (see `llmpo_jax.theory.strength`).
        ties: int32 [K, K], symmetric, comparisons of each pair that ended in a tie; None where none can
            (`Problem.ties`).
    """

    t: jax.Array
    record: jax.Array
    totals: jax.Array
    sums: jax.Array
    pooling: jax.Array
    ties: jax.Array | None = None

    @property
    def wins(self) -> jax.Array:
        """int32 [K], of each policy over all opponents."""
        return self.totals[0]

    @property
    def losses(self) -> jax.Array:
        """int32 [K], of each policy to all opponents."""
        return self.totals[1]

    @property
    def refutation(self) -> jax.Array:
        """[K] nats, `Z_k = sum over j with wins < losses of n d(wins / n)`, the generalised likelihood ratio
        against "k is the Condorcet winner"."""
        return self.sums[0] + self.sums[1]

    @property
    def leader(self) -> jax.Array:
        """int32, the least refuted policy."""
        return vectors.argmin(self.refutation, EVIDENCE_TIE)


class LinearStatistics(NamedTuple):
    """What is known of the comparisons made so far, in the structured space.

    Attributes:
        t: int32, comparisons made, ties among them.
        counts, wins: int32 [P], decided comparisons of each pair (i, j), i < j, and how many of them i won.
        estimate: [d], the parameter: maximum a posteriori, at the last refresh.
        covariance: [d, d], of the posterior by Laplace's approximation, at the last refresh.
        scores: [K], the policies' estimated scores `features @ estimate`.
        ties: int32 [P], the other comparisons of each pair; None where there can be none (`Problem.ties`).
    """

    t: jax.Array
    counts: jax.Array
    wins: jax.Array
    estimate: jax.Array
    covariance: jax.Array
    scores: jax.Array
    ties: jax.Array | None = None

    @property
    def leader(self) -> jax.Array:
        """int32, the policy with the best estimated score."""
        return vectors.argmin(-self.scores)


class LinearComparison(NamedTuple):
    """One judged comparison in the structured space.

    Attributes:
        pair: int32, its number p.
        won: bool, whether the pair's first policy (the one with the lower number) won.
        tied: bool, whether neither did; None where that cannot be.
    """

    pair: jax.Array
    won: jax.Array
    tied: jax.Array | None = None


class Comparison(NamedTuple):
    """One judged comparison, with what was known before it was made.

    Attributes:
        first, second: int32, the pair.
        won: bool, whether `first` won.
        wins, losses: int32, of `first` over `second`.
        total_wins, total_losses: int32 [2], of `first` and `second` over all opponents.
        pooling: as in `Statistics`.
        tied: bool, whether neither won; None where that cannot be.
    """

    first: jax.Array
    second: jax.Array
    won: jax.Array
    wins: jax.Array
    losses: jax.Array
    total_wins: jax.Array
    total_losses: jax.Array
    pooling: jax.Array
    tied: jax.Array | None = None


def the_key(problem: Problem, key: jax.Array) -> jax.Array:
    """What a sampler is given where it says nothing of what it draws: the comparison's key."""
    return key


class Sampler(NamedTuple):
    """What chooses the next pair. It never sees delta: one run serves every delta, and every budget unless it is told.

    Attributes:
        init: `problem -> state`, any pytree.
        select: `(problem, drawn, statistics, evidence, state) -> (first, second, state)` with first != second; `drawn`
            is what `draw` returned, `evidence` what the stopping rule at hand holds against each policy, [K] nats.
        refresh: in the structured space, `(problem, statistics, state) -> state` at every refresh; None for nothing
            to do.
        oracle: whether it is told the true optimal proportions.
        draw: `(problem, key) -> drawn`, all randomness of one comparison, any pytree; by default the typed key itself.
            The engine draws for many comparisons at once, several times faster than inside a step.
        told: whether it is told its budget (`Problem.budget`): it then runs once for every budget, and for no delta.
    """

    init: Callable[[Problem], State]
    select: Callable[[Problem, Any, Any, jax.Array, State], tuple[jax.Array, jax.Array, State]]
    refresh: Callable[[Problem, Any, State], State] | None = None
    oracle: bool = False
    draw: Callable[[Problem, jax.Array], Any] = the_key
    told: bool = False


class Verdict(NamedTuple):
    """What a stopping rule would say now, against its two thresholds.

    Attributes:
        winner: int32, the policy that would be named.
        score: nats for "`winner` is the Condorcet winner".
        absence: nats for "there is no Condorcet winner" (-inf where one is assumed to exist).
    """

    winner: jax.Array
    score: jax.Array
    absence: jax.Array


class Thresholds(NamedTuple):
    """Nats at which a run stops at some level: with a winner, and with the finding that there is none."""

    winner: float
    absence: float


class StoppingRule(NamedTuple):
    """What weighs the evidence and says when to stop.

    Attributes:
        init: `problem -> state`.
        update: `(problem, state, comparison) -> state`, of a decided one: ties change nothing (`llmpo_jax.fold`).
        evidence: `(problem, state, statistics) -> [K]` nats against "k is the Condorcet winner".
        verdict: `(problem, state, statistics) -> Verdict`.
        thresholds: `(problem, delta) -> Thresholds` in nats, computed on the host in float64. The run stops
            at level delta at the first t where the verdict's score or absence reaches its threshold.
        proven: whether the rule is delta-PAC on every instance of its class.
        refresh: in the structured space, `(problem, state, statistics) -> state` at every refresh; None for nothing
            to do.
        refutation: `(problem, state, statistics) -> [K]` nats; k is refuted at a level where they reach its threshold.
            None where the evidence itself is meant.
        told: whether it is told its level (`Problem.nats`): it then runs once for every delta, and for no budget.
    """

    init: Callable[[Problem], State]
    update: Callable[[Problem, State, Any], State]
    evidence: Callable[[Problem, State, Any], jax.Array]
    verdict: Callable[[Problem, State, Any], Verdict]
    thresholds: Callable[[Problem, float], Thresholds]
    proven: bool
    refresh: Callable[[Problem, State, Any], State] | None = None
    refutation: Callable[[Problem, State, Any], jax.Array] | None = None
    told: bool = False


CENSORED = -1
NO_WINNER = -2
