"""C1 and C2: bounds against independent solvers, which are held to values known otherwise, and to planted defects."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special

from llmpo_jax.models import PreferenceModel
from llmpo_jax.theory.structured import StructuredTime
from llmpo_jax.validation import broken_theory, certificate, closed_form, independent
from llmpo_jax.validation.broken_theory import DEFECTS, by_hand
from llmpo_jax.validation.claims import Claim
from llmpo_jax.validation.scope import Scope
from tests.shared_files import shared

QUICK = Scope()
RUNS: Any = None
"""Neither claim simulates."""


def failing(claim: Claim) -> list[str]:
    return [check.where for check in claim.checks if check.verdict == "fails"]


CASES = list(certificate.cases(QUICK))


def some(form: str) -> list[certificate.Case]:
    """The first random instance of the quick validation: plain, with ties, with costs, with both."""
    return [case for case in CASES if case.form == form][:4]


def test_closed_form_is_the_programs_optimum() -> None:
    claim = closed_form.claim(QUICK, RUNS)
    assert claim.verdict == "holds" and claim.number == "C1"
    found = claim.tables["closed-form"]
    assert found["ties"].any() and found["costs"].any() and set(found["existence"]) == {"assumed", "certify"}
    assert {"cyclic:17", "hidden-winner:10"} <= set(found["kind"])


def test_closed_form_on_what_the_user_names() -> None:
    scope = Scope(sources=("cyclic:5", "no-winner:5"))
    kinds = {case.kind for case in closed_form.cases(scope) if ":" in case.kind}
    assert kinds == {"cyclic:5"}  # without a winner there is no bound
    scope = Scope(sources=("cyclic:5", "linear-bradley-terry:5,2"))
    assert {case.kind for case in certificate.cases(scope) if ":" in case.kind} == {
        "linear-bradley-terry:5,2",
    }


def test_structured_solver_is_within_its_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "cases", lambda scope: some("exact"))  # one form, the other is long to compile
    claim = certificate.claim(QUICK, RUNS)
    assert claim.verdict == "holds" and claim.number == "C2" and len(claim.checks) == 3
    assert "Only a full validation takes linear-bradley-terry:32,8,seed=2" in claim.remarks[-1]
    assert claim.tables["certificate"]["width"].max() <= 1e-5  # type: ignore[operator]


@pytest.mark.parametrize("defect", DEFECTS)
def test_planted_defects_are_caught(defect: str) -> None:
    assert DEFECTS[defect](QUICK, RUNS).verdict == "fails"


def test_what_is_not_broken_passes() -> None:
    """The defects' own code without them, so that it is they which are caught."""
    assert not failing(closed_form.checked(list(closed_form.cases(QUICK)), by_hand))

    def unbroken(model: PreferenceModel, *, form: str, costs: Any, **_: Any) -> StructuredTime:
        program, by_pair = certificate.general_program(model, form, costs)
        return broken_theory.told(independent.structured(program), model, form, by_pair)

    assert not failing(certificate.checked(some("fisher"), unbroken))


@pytest.mark.parametrize(
    ("change", "caught"),
    [
        (lambda found: dataclasses.replace(found, time=found.time * 1.001), "distance"),
        (lambda found: dataclasses.replace(found, time=found.time * 0.999), "distance"),
        (lambda found: dataclasses.replace(found, time=found.time * (1 + 1e-7), relative_gap=1e-5), "proportions"),
        (lambda found: dataclasses.replace(found, relative_gap=1e-3), "certified gap"),
    ],
)
def test_a_wrong_certificate_is_caught(change: Callable[[StructuredTime], StructuredTime], caught: str) -> None:
    case = some("fisher")[0]
    program, costs = certificate.general_program(case.model, case.form)
    found = broken_theory.told(independent.structured(program), case.model, case.form, costs)
    assert any(caught in where for where in failing(certificate.checked([case], lambda *_, **__: change(found))))


def test_relative_entropy() -> None:
    x, y = np.meshgrid([0.0, 0.1, 0.5, 0.9, 1.0], [0.01, 0.5, 0.99])
    exact = special.rel_entr(x, y) + special.rel_entr(1 - x, 1 - y)
    assert independent.kl(x, y) == pytest.approx(exact, rel=1e-12)
    near = independent.kl(np.array(0.5 + 1e-8), np.array(0.5))
    assert near == pytest.approx(2e-16, rel=1e-7)  # 2 h^2 to second order; naively it is off in the first digit


def test_two_policies() -> None:
    """A single pair, of which all is known: kl(mu, 1/2), and g^2 mu (1 - mu) / 2 in Fisher's form."""
    gap, mu = 0.8, special.expit(0.8)
    expected = {"exact": mu * np.log(2 * mu) + (1 - mu) * np.log(2 * (1 - mu)), "fisher": gap**2 * mu * (1 - mu) / 2}
    for form, value in expected.items():
        found = independent.structured(independent.program(np.array([[0.0], [2.0]]), np.array([0.4]), form))
        assert (found.low, found.high) == pytest.approx((1 / value, 1 / value), rel=1e-12)


def test_nearest_alternatives() -> None:
    """The inner program by a solver that is told of no plane."""
    rng = np.random.default_rng(4)
    features, theta, shares = rng.normal(size=(4, 2)), rng.normal(size=2), rng.dirichlet(np.ones(6))
    first, second = np.triu_indices(4, 1)
    z, winner = features[first] - features[second], int(np.argmax(features @ theta))
    mu = special.expit(z @ theta)

    def cost(parameter: np.ndarray) -> float:
        y = special.expit(z @ parameter)
        return float(shares @ (special.rel_entr(mu, y) + special.rel_entr(1 - mu, 1 - y)))

    values = []
    for k in set(range(4)) - {winner}:
        behind = {"type": "ineq", "fun": lambda parameter, k=k: (features[k] - features[winner]) @ parameter}
        values.append(optimize.minimize(cost, theta, constraints=[behind], method="SLSQP", tol=1e-12).fun)
    program = independent.program(features, theta, "exact")
    assert 1 / independent.taken(program, shares) == pytest.approx(min(values), rel=1e-6)


def test_values_of_the_oracle() -> None:
    for case in json.loads(shared("oracle/unstructured.json").read_text()):
        mu = np.array(case["mu"])
        for certify, name in ((False, "characteristic_time"), (True, "characteristic_time_certify")):
            found = independent.unstructured(independent.information(mu, case["winner"], certify))
            assert (found.low, found.high) == pytest.approx((case[name], case[name]), rel=1e-9)
    for case in json.loads(shared("oracle/structured.json").read_text()):
        features, theta = np.array(case["features"]), np.array(case["theta"])
        for form in ("exact", "fisher") if len(features) <= 5 else ():
            found, known = independent.structured(independent.program(features, theta, form)), case[form]
            assert found.low <= known["characteristic_time"] * (1 + 1e-9) and known["lower"] <= found.high * (1 + 1e-9)
