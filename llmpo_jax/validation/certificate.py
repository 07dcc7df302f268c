"""C2: what the solver of the structured space says of T* and w* is true, within its certificate."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from llmpo_jax import models
from llmpo_jax.hunting import instances as hostile
from llmpo_jax.machine import cores
from llmpo_jax.models import LinearBradleyTerry, PreferenceModel, Tied
from llmpo_jax.models.collection import STRUCTURED
from llmpo_jax.report import style
from llmpo_jax.report.style import Drawing
from llmpo_jax.theory.bounds import characteristic_time, within
from llmpo_jax.theory.structured import FORMS
from llmpo_jax.validation import claims, independent
from llmpo_jax.validation.claims import Claim
from llmpo_jax.validation.closed_form import Bound, random_costs, random_ties
from llmpo_jax.validation.runs import Runs
from llmpo_jax.validation.scope import Scope

TOLERANCE = 1e-4
"""Of the solver by default, which its certificate has to reach."""
MOST = 1e-9
"""Relative difference that rounding may make."""
_SHAPES = ((8, 3), (4, 2), (6, 3), (12, 4))
"""K and d; a quick validation takes the first, as each is compiled anew."""
_LARGEST = 16
"""Policies of a source that a quick validation takes, at most."""


class Case(NamedTuple):
    """An instance; `kind` is what cases are told together by, `costs` as for `llmpo_jax.characteristic_time`."""

    kind: str
    model: PreferenceModel
    form: str
    costs: np.ndarray | None = None


def claim(scope: Scope, runs: Runs) -> Claim:
    """C2, on random instances, and on the collection or what the user names."""
    del runs  # nothing is simulated
    found = checked(list(cases(scope)))
    found = dataclasses.replace(found, tables={**found.tables, "forms": _forms(scope)}, drawings=DRAWINGS)
    left = [source for source, model in _linear(scope) if not _small_enough(scope, model)]
    if left:
        more = f"Only a full validation takes {', '.join(left)}, of more than {_LARGEST} policies."
        found = dataclasses.replace(found, remarks=(*found.remarks, more))
    return found


def _forms(scope: Scope) -> pl.DataFrame:
    """T* by both forms over gaps: random models of the first shape, their parameters scaled."""
    rng = np.random.default_rng(scope.seed)
    rows = []
    for number in range(scope.replications(4, 20)):
        features, theta = rng.normal(size=_SHAPES[0]), rng.normal(size=_SHAPES[0][1])
        for scale in np.geomspace(0.03, 2, 9):
            model = LinearBradleyTerry(features, scale * theta)
            scores = np.sort(features @ theta) * scale
            times = {
                form: characteristic_time(model, assume="structured", form=form).time for form in ("exact", "fisher")
            }
            rows.append({"model": number, "gap": float(scores[-1] - scores[-2]), **times})
    return pl.DataFrame(rows)


def _draw_forms(rows: pl.DataFrame) -> Drawing:
    """Fisher's T* as a multiple of the exact one, against the gap."""
    figure, (panel,) = style.grid(1, 1, 2.2, above=0.0)
    for _, line in rows.group_by("model", maintain_order=True):
        look = {"color": style.GREY, "linewidth": 0.8, "marker": "o", "markersize": 2.4}
        panel.plot(line["gap"], line["fisher"] / line["exact"], **look)
    panel.axhline(1.0, color="0.2", linewidth=0.8)
    panel.set_xscale("log")
    style.ticks_in_view(panel.xaxis, 4.0)
    panel.set_xlabel("gap between the best two policies [logits]")
    panel.set_ylabel("T* of Fisher's form / exact T*")
    panel.grid()
    policies, dimension = _SHAPES[0]
    return Drawing(
        figure,
        "Fisher's form of the characteristic time, its second order in the gaps, as a multiple of the exact one, on "
        f"{rows['model'].n_unique()} random linear models, K = {policies}, d = {dimension}, whose parameter is scaled "
        "along each line. Nothing but the models is random; both forms are certified to 1e-4.",
    )


DRAWINGS: dict[str, claims.Draw] = {"forms": _draw_forms}


def cases(scope: Scope) -> Iterator[Case]:
    """Random instances of a few shapes, with and without ties and costs, and the sources that are linear."""
    rng = np.random.default_rng(scope.seed)
    for policies, dimension in _SHAPES[: 1 if scope.quick else None]:
        for _ in range(scope.replications(1, 8)):
            features = rng.normal(size=(policies, dimension))
            model = LinearBradleyTerry(features, 10 ** rng.uniform(-1, 0.3) * rng.normal(size=dimension))
            for with_ties, with_costs in ((False, False), (True, False), (False, True), (True, True)):
                chosen = Tied(model, random_ties(rng, policies)) if with_ties else model
                costs = random_costs(rng, policies) if with_costs else None
                for form in FORMS:
                    yield Case(f"K = {policies}, d = {dimension}, at random", chosen, form, costs)
    for model in hostile.linear(*_SHAPES[0], rng, extra=0).values():
        for form in FORMS:
            yield Case("K = 8, d = 3, made to break a rule", model, form)
    for source, model in _linear(scope):
        if _small_enough(scope, model):
            for form in FORMS:
                yield Case(source, model, form)


def _linear(scope: Scope) -> list[tuple[str, PreferenceModel]]:
    """The sources that are linear, with a winner."""
    several = [(source, models.load(source).model) for source in scope.sources or STRUCTURED]
    known = [(source, model) for source, model in several if models.condorcet_winner(model) is not None]
    return [(source, model) for source, model in known if within(model, None) is not None]


def _small_enough(scope: Scope, model: PreferenceModel) -> bool:
    return not scope.quick or model.num_policies <= _LARGEST


def checked(several: Sequence[Case], of: Bound = characteristic_time) -> Claim:
    """Whether a bound agrees with an independent solver on these cases."""
    with ThreadPoolExecutor(cores()) as pool:  # compiles both forms at a time
        found = pl.DataFrame(list(pool.map(lambda case: _row(case, of), several)))
    checks = []
    for (kind, form), alike in found.group_by(["kind", "form"], maintain_order=True):
        where = f"{kind}; {form}" + (f"; {len(alike)} instances" if len(alike) > 1 else "")
        for column, what, most in (
            ("apart", "distance between the two intervals of T*", MOST),
            ("difference", "T* of the proportions, as told and as computed again", MOST),
            ("relative_gap", "certified gap", TOLERANCE),
        ):
            worst = float(alike[column].max())  # type: ignore[arg-type]
            checks.append(claims.exact(f"{where}: {what}", worst, most, expected=f"at most {most:g} of T*"))
    return Claim(
        number="C2",
        title="The structured solver's T* is right to within its certificate.",
        null=(
            "The interval that the solver certifies and the one that cutting planes (Kelley) find meet; its "
            "proportions take the time that it says, by another solver of the inner programs; and the certificate "
            "reaches the tolerance. Exact, nothing is random but the instances: both forms, with and without ties and "
            "costs."
        ),
        checks=tuple(checks),
        remarks=(
            f"{len(found)} programs, of {found['policies'].min()} to {found['policies'].max()} policies; cutting "
            f"planes tell T* to {found['width'].max():.1g} of it, the solver to {found['relative_gap'].max():.1g}.",
        ),
        tables={"certificate": found},
    )


def _row(case: Case, of: Bound) -> dict[str, Any]:
    """A case by both, and what is between them, relative to T*."""
    ours = of(case.model, assume="structured", form=case.form, costs=case.costs)
    program, costs = general_program(case.model, case.form, case.costs)
    theirs = independent.structured(program)
    taken = independent.taken(program, independent.shares_of_cost(ours.proportions, costs))
    return {
        "kind": case.kind,
        "form": case.form,
        "policies": case.model.num_policies,
        "ties": models.tie_probabilities(case.model) is not None,
        "costs": case.costs is not None,
        "time": ours.time,
        "relative_gap": ours.relative_gap,
        "low": theirs.low,
        "high": theirs.high,
        "width": theirs.high / theirs.low - 1,
        "apart": max(theirs.low / ours.time, ours.certified / theirs.high, 1.0) - 1,
        "difference": abs(taken / ours.time - 1),
    }


def general_program(
    model: PreferenceModel, form: str, costs: np.ndarray | None = None
) -> tuple[independent.Program, np.ndarray | None]:
    """`independent.program` of a linear model, and the costs by pair [K, K]."""
    linear = within(model, None)
    assert linear is not None
    by_pair = models.pair_costs(costs, model.num_policies)
    features, theta = np.asarray(linear.features), np.asarray(linear.theta)
    return independent.program(features, theta, form, models.tie_probabilities(model), by_pair), by_pair
