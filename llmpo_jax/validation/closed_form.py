"""C1: the closed form of the unstructured space is the optimum of the general program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from llmpo_jax import models
from llmpo_jax.hunting import instances as hostile
from llmpo_jax.models import PreferenceModel, Tied, instances
from llmpo_jax.models.collection import COLLECTION
from llmpo_jax.protocol import EXISTENCE, Existence
from llmpo_jax.theory.bounds import characteristic_time
from llmpo_jax.validation import claims, independent
from llmpo_jax.validation.claims import Claim
from llmpo_jax.validation.runs import Runs
from llmpo_jax.validation.scope import Scope

MOST = 1e-9
"""Relative difference that rounding may make: that of a gap of 1e-3 costs three digits."""
Bound = Callable[..., Any]
"""What is checked, called as `llmpo_jax.characteristic_time`."""
_RANDOM = ("random-condorcet", "hidden-winner", "cyclic", "bradley-terry")
"""Of the second and third many opponents are equally tough, as long as ties and costs are the same for all."""


class Case(NamedTuple):
    """An instance; `kind` is what cases are told together by, `costs` as for `llmpo_jax.characteristic_time`."""

    kind: str
    model: PreferenceModel
    existence: Existence
    costs: np.ndarray | None = None


def claim(scope: Scope, runs: Runs) -> Claim:
    """C1, on random instances, on the collection or what the user names."""
    del runs  # nothing is simulated
    return checked(list(cases(scope)))


def cases(scope: Scope) -> Iterator[Case]:
    """Random instances of each kind, with and without ties and costs, and the sources that have a winner."""
    rng = np.random.default_rng(scope.seed)
    for kind in _RANDOM:
        for existence in EXISTENCE:
            for _ in range(scope.replications(5, 250)):
                policies = int(rng.integers(4 if kind == "cyclic" else 2, 13))
                model = instances.make(kind, policies, int(rng.integers(2**31)))
                for with_ties, with_costs in ((False, False), (True, False), (False, True), (True, True)):
                    chosen = Tied(model, random_ties(rng, policies)) if with_ties else model
                    costs = random_costs(rng, policies) if with_costs else None
                    yield Case(f"{kind}, at random", chosen, existence, costs)
    for model in hostile.with_winner(8, rng).values():
        for existence in EXISTENCE:
            yield Case("K = 8, made to break a rule", model, existence)
    for source in scope.sources or COLLECTION:
        model = models.load(source).model
        if models.condorcet_winner(model) is not None:
            for existence in EXISTENCE:
                yield Case(source, model, existence)


def random_ties(rng: np.random.Generator, policies: int) -> np.ndarray:
    """Chances of a tie [K, K], from 0 to 0.9."""
    return _symmetric(rng.uniform(0, 0.9, (policies, policies)))


def random_costs(rng: np.random.Generator, policies: int) -> np.ndarray:
    """Costs over a range of 100, of policies [K] or of pairs [K, K]."""
    costs = 10 ** rng.uniform(-1, 1, (policies, policies))
    return costs[0] if rng.integers(2) else _symmetric(costs)


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    upper = np.triu(matrix, 1)
    return upper + upper.T


def checked(several: Sequence[Case], of: Bound = characteristic_time) -> Claim:
    """Whether a bound is the optimum of the general program on these cases."""
    rows = [compared(case, of) for case in several]
    found = pl.DataFrame(rows)
    checks = tuple(
        claims.exact(
            f"{kind}; {existence}" + (f"; {len(alike)} instances" if len(alike) > 1 else ""),
            float(alike.select(pl.max_horizontal("difference", "shortfall").max()).item()),
            MOST,
            expected=f"T*, and what w* takes, within {MOST:g} of the program's",
        )
        for (kind, existence), alike in found.group_by(["kind", "existence"], maintain_order=True)
    )
    return Claim(
        number="C1",
        title="The closed form of T* and w* is the optimum of the general program.",
        null=(
            "T* differs from the value of a linear program over all pairs, as HiGHS solves it and its dual, by no "
            "more than rounding, and w* takes no longer in that program. Exact, nothing is random but the instances: "
            "with and without ties and costs, and for both forms (a winner is assumed to exist, or to be certified)."
        ),
        checks=checks,
        remarks=(f"{len(rows)} instances, of 2 to {found['policies'].max()} policies.",),
        tables={"closed-form": found},
    )


def compared(case: Case, of: Bound = characteristic_time) -> dict[str, Any]:
    """A case by both: relative differences of T*, and of what the proportions take, from the program's value."""
    ours = of(case.model, case.existence, assume="unstructured", costs=case.costs)
    against, costs = general_program(case.model, case.existence, case.costs)
    theirs = independent.unstructured(against)
    taken = independent.attained(against, independent.shares_of_cost(ours.proportions, costs))
    return {
        "kind": case.kind,
        "existence": case.existence,
        "policies": case.model.num_policies,
        "ties": models.tie_probabilities(case.model) is not None,
        "costs": case.costs is not None,
        "time": ours.time,
        "program": theirs.high,
        # From the further end, so that an interval too wide to tell would fail.
        "difference": max(abs(ours.time / end - 1) for end in (theirs.low, theirs.high)),
        "shortfall": taken / theirs.low - 1,
    }


def general_program(
    model: PreferenceModel, existence: str, costs: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """`independent.information` of a model with a winner, and the costs by pair [K, K]."""
    winner = models.condorcet_winner(model)
    assert winner is not None
    by_pair = models.pair_costs(costs, model.num_policies)
    mu, ties = models.host_probabilities(model), models.tie_probabilities(model)
    return independent.information(mu, winner, existence == "certify", ties, by_pair), by_pair
