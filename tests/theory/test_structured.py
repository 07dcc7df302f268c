"""The structured bound: the oracle, an independent convex solver, a recomputed certificate, and its own symmetries."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import Any

import cvxpy as cp
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit, log_expit

from llmpo_jax import (
    BradleyTerry,
    LinearBradleyTerry,
    Tabular,
    Tied,
    characteristic_time,
    characteristic_times,
    lower_bound,
    models,
)
from llmpo_jax.machine import quick_to_compile
from llmpo_jax.theory import alternatives, ascent, program, structured
from llmpo_jax.theory import bounds as package_bounds
from llmpo_jax.theory.alternatives import EXACT
from llmpo_jax.theory.divergence import confidence_divergence
from llmpo_jax.theory.structured import FORMS, Form, StructuredTime
from tests.shared_files import SHARED, shared

ORACLE = SHARED / "oracle" / "structured.json"
ORACLE_NAMES = [entry["name"] for entry in json.loads(ORACLE.read_text())] if ORACLE.exists() else ["sphere-4-2"]
forms = pytest.mark.parametrize("form", FORMS)


def oracle(name: str) -> tuple[np.ndarray, np.ndarray, dict]:
    entry = next(entry for entry in json.loads(shared("oracle/structured.json").read_text()) if entry["name"] == name)
    return np.array(entry["features"]), np.array(entry["theta"]), entry


def sphere(num_policies: int, dimension: int, seed: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features, theta = rng.normal(size=(num_policies, dimension)), rng.normal(size=dimension)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features, scale * theta / np.linalg.norm(theta)


def costs(features: np.ndarray, theta: np.ndarray, proportions: np.ndarray, form: str) -> np.ndarray:
    """[K - 1, P], what each pair costs at the cheapest alternative of each rival, by a general purpose minimiser.

    The alternatives of rival k lie on `c . lambda = 0`: lambda is written in a basis of that plane (of the learnable
    directions), where scipy's trust region method finds the least cost.
    """
    scores = features @ theta
    best = int(np.argmax(scores))
    first, second = np.triu_indices(len(scores), 1)
    z, w = features[first] - features[second], proportions[first, second]
    mu = expit(z @ theta)
    span = np.linalg.svd(features - features.mean(axis=0))[2][: np.linalg.matrix_rank(features - features.mean(axis=0))]
    rows = []
    for k in range(len(scores)):
        if k == best:
            continue
        c = features[best] - features[k]
        plane = span[:0] if len(span) == 1 else np.linalg.svd((span @ c)[None])[2][1:] @ span
        centre = theta - c * (c @ theta) / (c @ c)
        if form == "fisher":
            curve = (z.T * (w * mu * (1 - mu))) @ z
            along = -plane.T @ np.linalg.solve(plane @ curve @ plane.T, plane @ curve @ (centre - theta))
            rows.append(mu * (1 - mu) * (z @ (centre + along - theta)) ** 2 / 2)
            continue

        def cost(y: np.ndarray, centre: np.ndarray = centre, plane: np.ndarray = plane) -> np.ndarray:
            logits = z @ (centre + y @ plane)
            own = mu * log_expit(z @ theta) + (1 - mu) * log_expit(-z @ theta)
            return own - mu * log_expit(logits) - (1 - mu) * log_expit(-logits)

        def gradient(y: np.ndarray, centre: np.ndarray = centre, plane: np.ndarray = plane) -> np.ndarray:
            return plane @ (z.T @ (w * (expit(z @ (centre + y @ plane)) - mu)))

        def hessian(y: np.ndarray, centre: np.ndarray = centre, plane: np.ndarray = plane) -> np.ndarray:
            chance = expit(z @ (centre + y @ plane))
            return plane @ (z.T * (w * chance * (1 - chance))) @ z @ plane.T

        found = optimize.minimize(
            lambda y, cost=cost: w @ cost(y),
            np.zeros(len(plane)),
            jac=gradient,
            hess=hessian,
            method="trust-exact",
            options={"gtol": 1e-12, "maxiter": 500},
        )
        rows.append(cost(found.x))
    return np.array(rows)


def exact_value(features: np.ndarray, theta: np.ndarray, proportions: np.ndarray) -> float:
    """`min_k f_k(w)` of the exact form with 60 digits from the numbers as they are, nothing shared with the package."""
    pairs = [(i, j, mpmath.mpf(proportions[i, j])) for i, j in np.argwhere(proportions > 0)]
    with mpmath.workdps(60):
        rows = [mpmath.matrix([mpmath.mpf(x) for x in row]) for row in features]
        true = mpmath.matrix([mpmath.mpf(x) for x in theta])
        scores = [(row.T * true)[0] for row in rows]
        best = max(range(len(rows)), key=lambda k: scores[k])
        size = len(true)

        def chances(x: Any) -> tuple[Any, Any]:
            return 1 / (1 + mpmath.exp(-x)), 1 / (1 + mpmath.exp(x))

        def least(k: int) -> mpmath.mpf:
            c = rows[best] - rows[k]
            pivot = max(range(size), key=lambda n: abs(c[n]))
            plane = mpmath.matrix(size, size - 1)
            for column, n in enumerate(n for n in range(size) if n != pivot):
                plane[n, column], plane[pivot, column] = 1, -c[n] / c[pivot]
            at = true - c * ((c.T * true)[0] / (c.T * c)[0])

            def value(at: mpmath.matrix) -> mpmath.mpf:
                total = mpmath.mpf(0)
                for i, j, weight in pairs:
                    x, y = ((((rows[i] - rows[j]).T) * point)[0] for point in (true, at))
                    for p, q in zip(chances(x), chances(y), strict=True):
                        total += weight * p * mpmath.log(p / q)
                return total

            now = value(at)
            for _ in range(1000 if size > 1 else 0):
                gradient, hessian = mpmath.zeros(size, 1), mpmath.zeros(size)
                for i, j, weight in pairs:
                    z = rows[i] - rows[j]
                    (p, _), (q, against) = chances((z.T * true)[0]), chances((z.T * at)[0])
                    gradient += weight * (q - p) * z
                    hessian += weight * q * against * (z * z.T)
                slope = plane.T * gradient
                step = mpmath.lu_solve(plane.T * hessian * plane, -slope)
                promised, move, share = -(slope.T * step)[0], plane * step, mpmath.mpf(1)
                while (new := value(at + share * move)) > now - share * promised / 10 and promised > now * 1e-40:
                    share /= 2
                if promised <= now * 1e-30:
                    return now
                at, now = at + share * move, new
            if size > 1:
                raise AssertionError("the reference did not converge")
            return now

        return float(min(least(k) for k in range(len(rows)) if k != best))


def with_gaps(num_policies: int, dimension: int, seed: int, gaps: list[float], scale: float = 1.0):
    """Random features, some of them moved along theta so that the best policy leads by these gaps."""
    features, theta = sphere(num_policies, dimension, seed, scale)
    order = np.argsort(-features @ theta)
    for rival, gap in zip(order[1:], gaps, strict=False):
        lead = (features[order[0]] - features[rival]) @ theta
        features[rival] += theta * ((lead - gap) / (theta @ theta))
    return features, theta


def bounds(
    features: np.ndarray,
    theta: np.ndarray,
    found: StructuredTime,
    decided: np.ndarray | float = 1.0,
    price: np.ndarray | float = 1.0,
) -> tuple[float, float]:
    """Lower and upper bound on 1 / T*: the value of the proportions, and the best prices by a linear program.

    Of a comparison of each pair, [K, K] or all alike: `decided`, the chance that it ends in no tie; `price`, its cost.
    """
    first, second = np.triu_indices(len(features), 1)
    decided, price = (np.broadcast_to(x, found.proportions.shape) for x in (decided, price))
    found_costs = costs(features, theta, found.proportions * decided, found.form)
    found_costs = found_costs * (decided / price)[first, second]
    spent = (found.proportions * price)[first, second]
    lower = float((found_costs @ spent).min()) / spent.sum()
    rivals, pairs = found_costs.shape
    least = optimize.linprog(
        np.r_[np.zeros(rivals), 1],
        A_ub=np.c_[found_costs.T / lower, -np.ones(pairs)],
        b_ub=np.zeros(pairs),
        A_eq=[np.r_[np.ones(rivals), 0]],
        b_eq=[1],
    )
    return lower, float(least.fun) * lower


@forms
@pytest.mark.parametrize("name", ORACLE_NAMES)
def test_oracle(name: str, form: Form) -> None:
    """Every reference value within the tolerance and its own gap, the certificate as stated when recomputed."""
    features, theta, entry = oracle(name)
    for tolerance in (1e-4, 1e-6):
        found = characteristic_time(LinearBradleyTerry(features, theta), form=form, tolerance=tolerance)
        assert isinstance(found, StructuredTime)
        reference = entry[form]
        assert found.time == pytest.approx(reference["characteristic_time"], rel=tolerance + reference["relative_gap"])
        assert (found.status, found.winner, found.form) == ("optimal", entry["winner"], form)
        assert found.relative_gap <= tolerance
        assert found.proportions.sum() == pytest.approx(1)
        assert (np.triu(found.proportions, 1) == found.proportions).all() and (found.proportions >= 0).all()
        lower, upper = bounds(features, theta, found)
        assert 1 / found.time == pytest.approx(lower, rel=1e-6)
        # The program's prices are the best ones or worse, so its own gap is the larger.
        assert -1e-6 <= upper / lower - 1 <= found.relative_gap + 1e-6


def random_by_pair(num_policies: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ties up to 0.9 and costs from 1 to 30, by pair."""
    drawn = np.random.default_rng(seed).uniform(size=(2, num_policies, num_policies))
    ties, price = np.triu(drawn, 1) + np.triu(drawn, 1).mT
    return 0.9 * ties, 30**price


@forms
def test_ties_and_costs(form: Form) -> None:
    """Against independent solvers, and the certificate with 60 digits; also where costs make some pairs a waste."""
    features, theta = sphere(8, 3, 0, 3.0)
    ties, price = random_by_pair(8, 1)
    model = Tied(LinearBradleyTerry(features, theta), ties)
    found = characteristic_time(model, form=form, costs=price, tolerance=1e-6)
    assert isinstance(found, StructuredTime) and found.status == "optimal"
    lower, upper = bounds(features, theta, found, 1 - ties, price)
    assert 1 / found.time == pytest.approx(lower, rel=1e-6) and -1e-6 <= upper / lower - 1 <= 2e-6
    assert found.proportions.sum() == pytest.approx(1)
    plain = characteristic_time(model, form=form, tolerance=1e-6).proportions
    assert found.time < 0.9 / bounds(features, theta, dataclasses.replace(found, proportions=plain), 1 - ties, price)[0]
    if form == "exact":
        value = exact_value(features, theta, found.proportions * (1 - ties)) / (found.proportions * price).sum()
        assert value * (1 - 1e-6) <= 1 / found.time <= value * (1 + 1e-14)
        same = package_bounds.over_space(model, "structured", "assumed", features, price)
        assert same is not None and same.time == pytest.approx(found.time, rel=1e-4)
        assert lower_bound(model, 0.1, costs=price) == pytest.approx(found.time * confidence_divergence(0.1), rel=1e-4)


@forms
def test_units_of_cost_and_uniform_ties(form: Form) -> None:
    """Change the unit of T*, and no proportions."""
    features, theta = sphere(8, 3, 1)
    model = LinearBradleyTerry(features, theta)
    ties, price = random_by_pair(8, 2)
    solve = functools.partial(characteristic_time, form=form, regularisation=1e-3)
    plain, tied, same = solve(model), solve(Tied(model, 0.75)), solve(model, costs=np.full(8, 0.05))
    for other, times in ((tied, 4), (same, 0.1)):
        assert other.time == pytest.approx(times * plain.time, rel=1e-4)
        np.testing.assert_allclose(other.proportions, plain.proportions, rtol=0, atol=1e-3)
    once, often = (solve(Tied(model, ties), costs=unit * price) for unit in (1, 10))
    assert often.time == pytest.approx(10 * once.time, rel=1e-4)
    np.testing.assert_allclose(often.proportions, once.proportions, rtol=0, atol=1e-3)


def two_policies(gap: float) -> float:
    """T* of two policies, `1 / kl(sigmoid(gap), 1/2)`, with enough digits."""
    with mpmath.workdps(700):
        p = 1 / (1 + mpmath.exp(-mpmath.mpf(gap)))
        return float(1 / (p * mpmath.log(2 * p) + (1 - p) * mpmath.log(2 * (1 - p))))


@pytest.mark.parametrize("gap", [10.0**-n for n in range(9)] + [30.0, 700.0])
def test_two_policies_to_the_last_digits(gap: float) -> None:
    """One pair decides: T* is known in closed form, at gaps where differences of logarithms have no digit left."""
    found = structured.solve(np.array([[1.0], [0.0]]), np.array([gap]))
    assert found.status == "optimal" and found.relative_gap < 1e-11
    assert found.time == pytest.approx(two_policies(gap), rel=1e-11)
    assert found.certified <= two_policies(gap) <= found.time


TINY = [[1e-3], [1e-5, 3e-5], [1e-6], [1e-7, 0.3], [1e-8], [1e-8, 2e-8, 1e-7], [1e-8, 1e-4, 0.5]]
CERTIFIED = [(5, 2, seed, gaps, 1.0) for seed, gaps in enumerate(TINY)]
CERTIFIED += [(4, 3, seed, gaps, 3.0) for seed, gaps in enumerate(TINY)]
CERTIFIED += [(4, 3, seed, [], scale) for seed in range(2) for scale in (1.0, 10.0, 40.0, 200.0)]


@pytest.mark.parametrize(("num_policies", "dimension", "seed", "gaps", "scale"), CERTIFIED)
def test_the_certificate_is_true(num_policies: int, dimension: int, seed: int, gaps: list[float], scale: float) -> None:
    """With 60 digits: the value of the proportions is as stated, and no better ones contradict the other end."""
    features, theta = with_gaps(num_policies, dimension, seed, gaps, scale)
    found = structured.solve(features, theta)
    value = exact_value(features, theta, found.proportions)
    assert found.status == "optimal" and found.relative_gap <= 1e-4
    assert value * (1 - 1e-6) <= 1 / found.time <= value * (1 + 1e-14)
    better = structured.solve(features, theta, tolerance=1e-8)
    assert exact_value(features, theta, better.proportions) * found.certified <= 1 + 1e-14


def test_a_value_is_certified_before_the_alternatives_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newton's method cut short: what its alternatives cost is above f_k(w), and the certified end below it."""
    features, theta = sphere(8, 3, 1, 4.0)
    proportions = structured.solve(features, theta).proportions
    value = exact_value(features, theta, proportions)
    weights = jnp.asarray(proportions[np.triu_indices(8, 1)])
    instance, _ = program.make(program.Instance(features, theta))
    pairs, rivals = jax.tree.map(jnp.asarray, (instance.pairs, instance.rivals))

    @functools.partial(jax.jit, static_argnums=0, compiler_options=quick_to_compile())
    def cut_short(steps: int, weights: jax.Array) -> tuple[Any, jax.Array]:
        monkeypatch.setattr(alternatives, "STEPS", steps)
        near = alternatives.nearest(EXACT, pairs, weights, rivals, jnp.zeros_like(rivals.contrasts))
        return near, alternatives.least(EXACT, pairs, weights, rivals, near.shifts).min()

    for steps in (1, 4):
        with structured.settings():
            near, lower = cut_short(steps, weights)
        assert near.value.min() >= value * (1 - 1e-12) and lower <= value * (1 + 1e-14)


@forms
@pytest.mark.parametrize("scale", [200.0, 1e4, 1e8])
def test_very_large_theta(scale: float, form: str) -> None:
    """An answer, or a status that says that there is none; a certified end below what is surely enough."""
    features, theta = sphere(12, 4, 3)
    found = structured.solve(features, theta * scale, form)
    assert found.status in ("optimal", "inaccurate")
    assert (found.status == "optimal") == (found.relative_gap <= 1e-4)
    assert 0 <= found.certified <= found.time
    if form == "exact" and scale == 200:
        assert found.status == "optimal"
    if form == "exact":  # comparing the best with each other policy equally often is enough
        assert found.certified <= 11 / np.log(2) * (1 + 1e-9)


def test_nothing_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then no procedure is said to need anything."""
    model = LinearBradleyTerry(*sphere(4, 2, 0))
    monkeypatch.setattr(alternatives, "least", lambda *_: jnp.array([-1.0]))
    monkeypatch.setattr(structured, "compiled", functools.cache(structured.compiled.__wrapped__))
    found = characteristic_time(model)
    assert isinstance(found, StructuredTime)
    assert (found.status, found.time, found.relative_gap, found.certified) == ("inaccurate", np.inf, np.inf, 0)
    assert lower_bound(model, 0.1) == 0


def fisher_by_cvxpy(features: np.ndarray, theta: np.ndarray) -> float:
    """T* of the Fisher form as a semidefinite program: `c . H^-1 c <= t` is a matrix fractional constraint."""
    scores = features @ theta
    best = int(np.argmax(scores))
    first, second = np.triu_indices(len(scores), 1)
    z = features[first] - features[second]
    mu = expit(z @ theta)
    w = cp.Variable(len(z), nonneg=True)
    information = z.T @ cp.diag(cp.multiply(mu * (1 - mu), w)) @ z
    worst = [
        cp.matrix_frac((features[best] - features[k]) / (scores[best] - scores[k]), information)
        for k in range(len(scores))
        if k != best
    ]
    problem = cp.Problem(cp.Minimize(cp.max(cp.hstack(worst))), [cp.Zero(cp.sum(w) - 1)])
    problem.solve(solver=cp.CLARABEL)
    return 2 * float(np.asarray(problem.value))


@pytest.mark.parametrize("seed", range(3))
def test_fisher_against_cvxpy(seed: int) -> None:
    """Random instances, scaled up so that the forms differ."""
    features, theta = sphere(8, 3, seed, scale=3.0)
    assert structured.solve(features, theta, "fisher").time == pytest.approx(fisher_by_cvxpy(features, theta), rel=2e-4)


@forms
def test_one_dimension_by_hand(form: str) -> None:
    """Two policies with one feature: T* is one over the information of their only pair."""
    theta = np.array([0.8])
    mu = expit(0.8)
    divergence = mu * np.log(2 * mu) + (1 - mu) * np.log(2 * (1 - mu))
    value = divergence if form == "exact" else mu * (1 - mu) * 0.8**2 / 2
    found = structured.solve(np.array([[1.0], [0.0]]), theta, form)
    assert found.time == pytest.approx(1 / value, rel=1e-9)
    assert found.proportions[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("form", FORMS)
def test_many_pairs(form: str) -> None:
    """K = 40, d = 6: 780 pairs, of which few are taken in at a time."""
    features, theta = sphere(40, 6, 0)
    found = structured.solve(features, theta, form, tolerance=1e-6)
    assert found.status == "optimal" and found.relative_gap <= 1e-6
    lower, upper = bounds(features, theta, found)
    assert upper / lower - 1 <= 2e-6 and 1 / found.time == pytest.approx(lower, rel=1e-6)


def test_pairs_that_were_not_taken_in_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first phase cut short: what it chose is not enough, and the rounds that follow put it right."""
    features, theta = sphere(12, 3, 2, 6.0)
    expected = structured.solve(features, theta, tolerance=1e-6)
    monkeypatch.setattr(structured, "compiled", functools.cache(structured.compiled.__wrapped__))
    monkeypatch.setattr(ascent, "MAX_STEPS", 1)
    monkeypatch.setattr(structured, "_ROUNDS", 1)
    assert structured.solve(features, theta, tolerance=1e-6).relative_gap > 1e-3
    monkeypatch.undo()
    monkeypatch.setattr(ascent, "MAX_STEPS", 1)
    monkeypatch.setattr(structured, "compiled", functools.cache(structured.compiled.__wrapped__))
    found = structured.solve(features, theta, tolerance=1e-6)
    assert found.status == "optimal" and found.time == pytest.approx(expected.time, rel=2e-6)


def test_many_at_once() -> None:
    """In their order, whatever their space and shape, and the same as one by one."""
    several: list[models.PreferenceModel] = [LinearBradleyTerry(*sphere(4, 2, seed)) for seed in range(3)]
    several[1:1] = [
        BradleyTerry([1.0, 0.2, 0.0]),
        LinearBradleyTerry(*sphere(8, 3, 0)),
        Tabular([[0.5, 0.6], [0.4, 0.5]]),
    ]
    found = characteristic_times(several, tolerance=1e-5)
    for model, many in zip(several, found, strict=True):
        alone = characteristic_time(model, tolerance=1e-5)
        assert type(many) is type(alone) and many.time == alone.time and many.winner == alone.winner
        np.testing.assert_array_equal(many.proportions, alone.proportions)
    assert characteristic_times([]) == []
    with pytest.raises(ValueError, match="form = 'best'"):
        characteristic_times(several, form="best")  # pyright: ignore[reportArgumentType]


def test_a_batch_under_vmap(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator, the last batch filled up: the same but for rounding."""
    instances = [program.Instance(*sphere(4, 2, seed)) for seed in range(3)]
    alone = structured.solve_all(instances, tolerance=1e-6)
    monkeypatch.setattr(structured, "_together", lambda: 2)
    for many, one in zip(structured.solve_all(instances, tolerance=1e-6), alone, strict=True):
        assert many.status == "optimal" and many.time == pytest.approx(one.time, rel=1e-6)


def test_regularised_solution_is_unique() -> None:
    """From 20 random starts the proportions agree to 1e-3 in the 1-norm; unregularised they need not be unique."""
    features, theta = sphere(8, 3, 1)
    rng = np.random.default_rng(0)
    starts = [rng.dirichlet(np.ones(28)) * 0.99 + 0.01 / 28 for _ in range(20)]
    found = [structured.solve(features, theta, regularisation=1e-2, start=start).proportions for start in starts]
    assert max(np.abs(one - found[0]).sum() for one in found) < 1e-3
    assert all(np.abs(one - found[0]).sum() > 0.5 for one in (np.triu(np.ones((8, 8)), 1) / 28,))


def test_regularised_value_converges() -> None:
    """The value lost is between 0 and rho / 2 of it, and falls with rho (theory, section 3)."""
    features, theta = sphere(8, 3, 1)
    best = structured.solve(features, theta, tolerance=1e-9).time
    lost = [
        structured.solve(features, theta, regularisation=rho, tolerance=1e-9).time / best - 1
        for rho in (1.0, 0.3, 0.1, 0.03, 0.01)
    ]
    for rho, share in zip((1.0, 0.3, 0.1, 0.03, 0.01), lost, strict=True):
        assert -1e-8 <= 1 - 1 / (1 + share) <= rho / 2
    assert lost[0] > 1e-3 and lost[-1] < 1e-5 and (np.diff(lost) < 1e-8).all()


def test_regularised_proportions_spread_out() -> None:
    """The penalty is on the square of the proportions, so they come closer to equal, at a price that is stated."""
    features, theta = sphere(8, 3, 1)
    plain, spread = (structured.solve(features, theta, regularisation=rho) for rho in (1e-3, 10.0))
    assert np.sum(spread.proportions**2) < 0.9 * np.sum(plain.proportions**2)
    assert spread.relative_gap > plain.relative_gap


@forms
def test_only_differences_matter(form: str) -> None:
    """Another basis, units, origin, a redundant feature and other numbers of the policies leave T* as it is."""
    features, theta = sphere(8, 3, 4)
    expected = structured.solve(features, theta, form, tolerance=1e-8)
    rng = np.random.default_rng(1)
    basis = rng.normal(size=(3, 3)) * [1, 100, 0.01]
    changed = structured.solve(features @ basis + [5, -3, 1], np.linalg.solve(basis, theta), form, tolerance=1e-8)
    assert changed.time == pytest.approx(expected.time, rel=1e-6)
    redundant = structured.solve(np.c_[features, features.sum(axis=1)], np.r_[theta, 0], form, tolerance=1e-8)
    assert redundant.time == pytest.approx(expected.time, rel=1e-6)
    order = rng.permutation(7)
    relabelled = structured.solve(features[order], theta, form, regularisation=1e-2)
    expected = structured.solve(features, theta, form, regularisation=1e-2)
    both = expected.proportions + expected.proportions.T
    np.testing.assert_allclose(relabelled.proportions, np.triu(both[np.ix_(order, order)], 1), atol=2e-4)
    assert order[relabelled.winner] == expected.winner


def test_forms_part_as_the_gap_grows() -> None:
    """Fisher's form is the second order of the exact one: they agree for small gaps and differ for large ones."""
    features, theta = sphere(8, 3, 0)
    ratio = [
        structured.solve(features, theta * scale, "fisher").time / structured.solve(features, theta * scale).time
        for scale in (0.05, 0.5, 3.0)
    ]
    assert ratio[0] == pytest.approx(1, abs=2e-3)
    assert abs(ratio[1] - 1) > 3 * abs(ratio[0] - 1) and abs(ratio[2] - 1) > 0.1


def test_bradley_terry_assumed_structured() -> None:
    """One-hot features: T* is that of the linear model on them, and at most that of the unstructured space."""
    model = BradleyTerry([1.0, 0.4, 0.0, -0.3])
    found = characteristic_time(model, assume="structured")
    linear = characteristic_time(LinearBradleyTerry(np.eye(4), [1.0, 0.4, 0.0, -0.3]))
    assert found.time == pytest.approx(linear.time, rel=1e-9)
    assert found.time < characteristic_time(model).time * (1 + 1e-4)
    bound = lower_bound(model, 0.05, assume="structured")
    assert isinstance(found, StructuredTime)
    assert bound == pytest.approx(found.time / (1 + found.relative_gap) * confidence_divergence(0.05), rel=1e-12)
    assert bound == pytest.approx(found.certified * confidence_divergence(0.05), rel=1e-12)
    assert np.copysign(1, lower_bound(model, 0.7, assume="structured")) == 1


def test_more_features_take_more_comparisons() -> None:
    """A larger space holds more alternatives."""
    features, theta = sphere(8, 3, 2)
    model = LinearBradleyTerry(features, theta)
    wider = LinearBradleyTerry(np.c_[features, np.eye(8)[:, 0]], np.r_[theta, 0])
    assert characteristic_time(model).time <= characteristic_time(wider).time * (1 + 1e-4)
    assert characteristic_time(wider).time <= characteristic_time(model, assume="unstructured").time * (1 + 1e-4)


def test_it_is_computed_in_float64() -> None:
    """Whatever the model's type: float32 features change T* by their own rounding only."""
    features, theta = sphere(8, 3, 5)
    single = LinearBradleyTerry(features.astype(np.float32), theta.astype(np.float32))
    found = characteristic_time(single)
    assert found.proportions.dtype == np.float64
    assert found.time == pytest.approx(characteristic_time(LinearBradleyTerry(features, theta)).time, rel=1e-3)


BAD_NAME: Any = "exakt"
TWIN = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
LINEAR = LinearBradleyTerry([[1.0, 0.0], [0.0, 1.0], [0.3, 0.2]], [1.0, 0.5])
structured_time = functools.partial(characteristic_time, assume="structured")
BAD = [
    (lambda: structured_time(LINEAR, form=BAD_NAME), "form = 'exakt'.*did you mean 'exact'"),
    (lambda: structured_time(LINEAR, regularisation=-1), "regularisation = -1, expected a finite number >= 0"),
    (lambda: structured_time(LINEAR, tolerance=0), "tolerance = 0, expected a number strictly between 0 and 1"),
    (lambda: structured_time(LINEAR, "certify"), "existence = 'certify', expected 'assumed' in the structured space"),
    (
        lambda: characteristic_time(LINEAR, assume=BAD_NAME),
        "assume = 'exakt', expected one of unstructured, ",
    ),
    (lambda: structured_time(models.instances.make("cyclic", 5)), "no Bradley-Terry model, expected LinearBradley"),
    (lambda: structured_time(Tabular([[0.5, 0.6], [0.4, 0.5]])), "no Bradley-Terry model, expected LinearBradley"),
    (lambda: structured_time(LinearBradleyTerry(TWIN, [1.0, 0.5])), "features of policy-0 and policy-1 are equal"),
    (
        lambda: structured_time(LinearBradleyTerry([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [1.0, 1.0])),
        "policies 0, 1 share the best score, expected a unique winner",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
