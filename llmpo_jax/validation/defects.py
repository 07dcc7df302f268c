"""Planted defects: broken versions of what the claims are about, each of which a claim must catch.

A validation in which everything holds is worth what it would have found. Every defect goes through the check that its
sound counterpart goes through in the claim.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.hunting import defects as broken_rules
from llmpo_jax.hunting import instances
from llmpo_jax.hunting.cells import DELTAS, LIMIT
from llmpo_jax.hunting.samplers import HOSTILE
from llmpo_jax.machine import cores
from llmpo_jax.models import PreferenceModel, Tabular, host_probabilities
from llmpo_jax.models.instances import from_upper
from llmpo_jax.protocol import Comparison, Problem, Sampler, State, Statistics, StoppingRule, Verdict
from llmpo_jax.samplers.tracking import counts, plug_in_proportions
from llmpo_jax.spaces import UNSTRUCTURED
from llmpo_jax.stopping.e_process import EProcess
from llmpo_jax.validation import broken_theory, errors, growth, settlement
from llmpo_jax.validation.claims import Check
from llmpo_jax.validation.runs import Run, Runs
from llmpo_jax.validation.scope import Scope

_SOUND = UNSTRUCTURED.stopping.get("e-process")
_STYLISED = UNSTRUCTURED.stopping.get("stylised")
_REPLICATIONS, _MANY, _FEW = 512, 4096, 16
_BIAS = 0.05
"""Of the biased draw: the policy with the higher number wins so much more often."""
_EARLY = 16
"""Comparisons after which the stale leader is not looked at again."""


class Defect(NamedTuple):
    """What became of a planted defect.

    Attributes:
        name: of the defect. what: what is broken. by: the claim whose check it went through.
        caught: whether the check failed.
        evidence: the failing check in words, or that there is none.
    """

    name: str
    what: str
    by: str
    caught: bool
    evidence: str


# Broken rules.


def _forgetful(problem: Problem, state: EProcess, comparison: Comparison) -> EProcess:
    """The loser's wealth stays as it was."""
    after = _SOUND.update(problem, state, comparison)
    loser = jnp.where(comparison.won, comparison.second, comparison.first)
    rows = jnp.arange(state.table.shape[0]) < 3
    kept = rows[:, None] & (jnp.arange(problem.num_policies) == loser)[None, :]
    return after._replace(table=jnp.where(kept, state.table, after.table))


def _stale_verdict(problem: Problem, state: tuple[State, jax.Array], statistics: Statistics) -> Verdict:
    sound, leader = state
    return _SOUND.verdict(problem, sound, statistics)._replace(winner=leader)


def _stale_update(problem: Problem, state: tuple[State, jax.Array], comparison: Comparison) -> tuple[State, jax.Array]:
    """The leader of the first comparisons is remembered for good."""
    sound, leader = state
    after = _SOUND.update(problem, sound, comparison)
    made = jnp.sum(comparison.total_wins) + jnp.sum(comparison.total_losses)
    least = jnp.argmin(after.wealth).astype(jnp.int32)
    return after, jnp.where(made < _EARLY, least, leader)


def _early_verdict(problem: Problem, state: State, statistics: Statistics) -> Verdict:
    """Counts the evidence of a comparison that was not made yet."""
    verdict = _STYLISED.verdict(problem, state, statistics)
    return verdict._replace(score=verdict.score + jnp.log(jnp.asarray(2, problem.dtype)))


_FORGETFUL = _SOUND._replace(update=_forgetful)
_STALE = _SOUND._replace(
    init=lambda problem: (_SOUND.init(problem), jnp.zeros((), jnp.int32)),
    update=_stale_update,
    evidence=lambda problem, state, statistics: _SOUND.evidence(problem, state[0], statistics),
    verdict=_stale_verdict,
    refutation=None,
)
_EARLY_BY_ONE = _STYLISED._replace(verdict=_early_verdict)


# A broken sampler.


def _greedy(
    problem: Problem, key: jax.Array, statistics: Statistics, evidence: jax.Array, state: State
) -> tuple[jax.Array, jax.Array, State]:
    """Tracks the proportions of the estimate, and never looks where these are zero."""
    k = problem.num_policies
    behind = statistics.t.astype(problem.dtype) * plug_in_proportions(problem, statistics)
    behind = behind - counts(statistics).astype(problem.dtype)
    upper = jnp.triu(jnp.ones((k, k), bool), 1)
    index = jnp.argmax(jnp.where(upper, behind, -jnp.inf)).astype(jnp.int32)
    return index // k, index % k, state


_UNEXPLORING = Sampler(lambda problem: (), _greedy)


# Through the claims' checks.


def _found(checks: Sequence[Check]) -> tuple[bool, str]:
    """Whether a check failed, and the first that did in words."""
    for check in checks:
        if check.verdict == "fails":
            interval = f" ({check.low:.3g} to {check.high:.3g})" if check.replications else ""
            return True, f"{check.where}: {check.estimate:.3g}{interval}, expected {check.expected}"
    return False, "no check failed"


def _through_errors(name: str, rule: StoppingRule) -> Callable[[Scope, Runs], list[Check]]:
    """A rule through the error rates of C3, on its hostile instances."""

    def checks(scope: Scope, runs: Runs) -> list[Check]:
        asked = [_hostile(model, where, rule, name) for where, model in _models(scope).items()]
        return errors.checked([(run, found, True) for run, found in zip(asked, runs.all(asked), strict=True)])

    return checks


def _models(scope: Scope) -> dict[str, PreferenceModel]:
    """The hostile instances on which errors are many where there are any."""
    models = instances.with_winner(3, np.random.default_rng(scope.seed))
    told = ("near tie", "near tie, outliers")
    return {where: model for where, model in models.items() if where in told or where.startswith("random")}


def _hostile(model: PreferenceModel, where: str, rule: StoppingRule, name: str) -> Run:
    sampler = HOSTILE[errors.FIRST]
    return Run(model, sampler, rule, DELTAS, (), _REPLICATIONS, LIMIT, name=f"K = 3, {where}", procedure=name)


def _level_used_twice(scope: Scope, runs: Runs) -> list[Check]:
    """Two equal policies above a third: either may be named, each at a level of its own."""
    where = "tie, outliers"
    sound = _hostile(instances.without_winner(3)[where], where, broken_rules.TWICE, "level used twice")
    run = dataclasses.replace(sound, existence="certify", replications=_MANY)
    return errors.checked([(run, runs.one(run), True)])


def _biased_draw(scope: Scope, runs: Runs) -> list[Check]:
    """Draws from a matrix that is off, judged by the true one."""
    cells = []
    for where, model in _models(scope).items():
        mu = host_probabilities(model)
        drawn = Tabular(from_upper(np.clip(mu - _BIAS, 0, 1)))
        run = _hostile(drawn, f"{where}, biased", _SOUND, "biased draw")
        cells.append((run, dataclasses.replace(runs.one(run), model=model), True))
    return errors.checked(cells)


def _off_by_one(scope: Scope, runs: Runs) -> list[Check]:
    return [errors.stops_as_defined(_EARLY_BY_ONE, runs, "stylised, off by one")]


def _through_efficiency(
    name: str, source: str, sampler: str | Sampler, rule: str | StoppingRule, most: float
) -> Callable[[Scope, Runs], list[Check]]:
    """A procedure through the multiple of T* log(1 / delta) of C7, of which its sound form needs less than `most`."""

    def checks(scope: Scope, runs: Runs) -> list[Check]:
        run = Run(source, sampler, rule, (growth.DELTA,), (), _FEW, LIMIT * 8, procedure=name)
        return [growth.multiple(run, runs.one(run), tests=1, most=most)]

    return checks


def _settled_on_arrival(scope: Scope, runs: Runs) -> list[Check]:
    return settlement.checked(settlement.counts(True, scope.seed, _REPLICATIONS))


class _Planted(NamedTuple):
    """A defect, the claim that must catch it, and its way through the claim's checks."""

    what: str
    by: str
    checks: Callable[[Scope, Runs], list[Check]]


def _bound(name: str, what: str, by: str) -> dict[str, _Planted]:
    """A broken bound through its claim."""
    return {name: _Planted(what, by, lambda scope, runs: list(broken_theory.DEFECTS[name](scope, runs).checks))}


PLANTED: dict[str, _Planted] = {
    **_bound("w* off by one opponent", "the effort goes to the second toughest opponent", "C1"),
    **_bound("kl the wrong way round", "kl(1/2, mu) in place of kl(mu, 1/2)", "C1"),
    **_bound("Fisher weights without mu (1 - mu)", "every pair is weighed as if it were fair", "C2"),
    "a sign in the e-process": _Planted(
        "every outcome is taken for its opposite", "C3", _through_errors("wrong sign", broken_rules.REVERSED)
    ),
    "a level used twice": _Planted(
        "log(1 / delta) where K statements share the error",
        "C3",
        _level_used_twice,
    ),
    "a bet fixed after its outcome": _Planted(
        "the e-process bets on counts that include the outcome", "C3", _through_errors("late bet", broken_rules.LATE)
    ),
    "a stale leader": _Planted(
        f"the policy named is the one that led after {_EARLY} comparisons",
        "C3",
        _through_errors("stale leader", _STALE),
    ),
    "a biased draw": _Planted(f"the policy with the higher number wins {_BIAS:g} too often", "C3", _biased_draw),
    "an off-by-one stopping time": _Planted(
        "evidence of a comparison that was not made yet is counted", "C3", _off_by_one
    ),
    "a loser's update forgotten": _Planted(
        "only the winner's wealth is changed",
        "C7",
        _through_efficiency("forgetful", "bradley-terry:16", "llm-po", _FORGETFUL, most=growth.FACTOR),
    ),
    "tracking without exploration": _Planted(
        "proportions of the estimate, without forced exploration",
        "C7",
        _through_efficiency("no exploration", "cyclic:17", _UNEXPLORING, "e-process", most=20),
    ),
    "settled on arrival": _Planted("evidence in the order in which verdicts come", "C10", _settled_on_arrival),
}


def caught(scope: Scope, runs: Runs) -> list[Defect]:
    """Every planted defect through the checks of its claim."""

    def tried(name: str) -> Defect:
        planted = PLANTED[name]
        was, evidence = _found(planted.checks(scope, runs))
        return Defect(name, planted.what, planted.by, was, evidence)

    with ThreadPoolExecutor(cores()) as pool:  # while one is compiled another one runs
        return list(pool.map(tried, PLANTED))
