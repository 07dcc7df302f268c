"""What the public functions refuse, by name and before any work; what they take, as Python's own numbers."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any, get_args

import jax.numpy as jnp
import numpy as np
import pytest

import llmpo_jax as lp
from llmpo_jax import spaces
from llmpo_jax.engine.simulate import Options
from llmpo_jax.models import Identified, identified
from llmpo_jax.protocol import SpaceName
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.theory.structured import FORMS, Form

MODEL = lp.BradleyTerry([2.0, 1.0, 0.5, 0.2, 0.0])
RUN: dict[str, Any] = {"deltas": (0.2, 0.1), "budgets": (10, 100), "replications": 16, "max_comparisons": 300}
A_MODEL = "expected a preference model such as lp.Tabular(mu), or a source such as 'bradley-terry:16'"

SIMULATE: list[tuple[dict[str, Any], str]] = [
    ({"deltas": 0.1}, "deltas = 0.1, expected a sequence of numbers strictly between 0 and 1, such as (0.1,)"),
    ({"deltas": np.array(0.1)}, "deltas = 0.1, expected a sequence of numbers"),
    ({"deltas": "0.1"}, "deltas = '0.1', expected a sequence"),
    ({"deltas": None}, "deltas = None, expected a sequence"),
    ({"deltas": ("0.1",)}, "deltas contains '0.1', expected numbers strictly between 0 and 1"),
    ({"deltas": (0.1, 0.0)}, "deltas contains 0.0, expected numbers strictly between 0 and 1"),
    ({"deltas": [True]}, "deltas contains True, expected numbers strictly between 0 and 1"),
    ({"deltas": np.ones((2, 2)) / 2}, "deltas contains array([0.5, 0.5]), expected numbers"),
    ({"deltas": (1.0,)}, "deltas contains 1.0, expected numbers strictly between 0 and 1"),
    ({"deltas": (float("nan"),)}, "deltas contains nan, expected numbers strictly between 0 and 1"),
    ({"deltas": (0.1, np.float64(0.1))}, "deltas contains 0.1 more than once, expected different ones"),
    ({"deltas": (), "budgets": ()}, "deltas and budgets are both empty, expected at least one"),
    ({"budgets": 10}, "budgets = 10, expected a sequence of positive whole numbers of comparisons, such as (100,)"),
    ({"budgets": (0,)}, "budgets contains 0, expected positive whole numbers"),
    ({"budgets": (1.5,)}, "budgets contains 1.5, expected positive whole numbers"),
    ({"budgets": (float("inf"),)}, "budgets contains inf, expected positive whole numbers"),
    ({"budgets": (7, 7.0)}, "budgets contains 7 more than once, expected different ones"),
    ({"budgets": (200,), "max_comparisons": 100}, "budgets contains 200, expected at most max_comparisons = 100"),
    ({"replications": 0}, "replications = 0, expected a whole number from 1 to 2^31 - 1"),
    ({"replications": 2.5}, "replications = 2.5, expected a whole number"),
    ({"replications": True}, "replications = True, expected a whole number"),
    ({"replications": "10"}, "replications = '10', expected a whole number"),
    ({"replications": [10]}, "replications = [10], expected a whole number"),
    ({"max_comparisons": 0}, "max_comparisons = 0, expected a whole number from 1 to 1073741824"),
    ({"max_comparisons": 2**31}, "max_comparisons = 2147483648, expected a whole number from 1 to 1073741824"),
    ({"seed": "a"}, "seed = 'a', expected a whole number from 0 to 2^64 - 1"),
    ({"seed": -1}, "seed = -1, expected a whole number from 0 to 2^64 - 1"),
    ({"first_replication": -1}, "first_replication = -1, expected a whole number from 0 to"),
    ({"existence": "asumed"}, "did you mean 'assumed'?"),
    ({"existence": None}, "existence = None, expected one of assumed, certify"),
    ({"assume": "linear"}, "assume = 'linear', expected one of unstructured, structured"),
    ({"assume": ""}, "assume = '', expected one of unstructured, structured"),
    ({"sampler": None}, "sampler = None, expected a Sampler or one of llm-po, llm-po-budget, "),
    ({"sampler": "lmm-po"}, "unknown sampler 'lmm-po', expected one of"),
    ({"sampler": ""}, "unknown sampler '', expected one of llm-po"),
    ({"stopping": "eprocess"}, "did you mean 'e-process'?"),
    ({"stopping": SAMPLERS.get("rucb")}, "expected a StoppingRule or one of e-process, "),
    ({"features": "a"}, "features = 'a', expected an array of real numbers"),
    ({"progress": 3}, "progress = 3, expected True, False or a function of two counts"),
]


@pytest.mark.parametrize(("arguments", "message"), SIMULATE)
def test_simulate(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        lp.simulate(MODEL, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "function",
    [
        lp.simulate,
        lp.characteristic_time,
        lambda model: lp.characteristic_times([MODEL, model]),
        lambda model: lp.lower_bound(model, 0.1),
        lp.condorcet_winner,
        lp.win_probabilities,
    ],
)
def test_models(function: Callable[[Any], Any]) -> None:
    """Wherever a model is expected, what is none is refused, and a text is a source."""
    mu = np.full((2, 2), 0.5)
    for given, what in (
        (mu, "a numpy.ndarray"),
        (mu.tolist(), "a list"),
        (None, "a NoneType"),
        (lp.Tabular, "the class Tabular"),
    ):
        with pytest.raises(ValueError, match=re.escape(f" is {what}, {A_MODEL}")):
            function(given)
    with pytest.raises(ValueError, match=r"unknown instance 'bradley-tery', .*did you mean 'bradley-terry'"):
        function("bradley-tery:5")


def test_sources() -> None:
    """A source gives what its model gives."""
    model = lp.instances.make("bradley-terry", num_policies=5)
    assert lp.condorcet_winner("bradley-terry:5") == lp.condorcet_winner(model)
    np.testing.assert_array_equal(lp.win_probabilities("bradley-terry:5"), lp.win_probabilities(model))
    assert lp.lower_bound("bradley-terry:5", 0.1) == lp.lower_bound(model, 0.1)
    ours, theirs = lp.simulate("bradley-terry:5", **RUN), lp.simulate(model, **RUN)
    np.testing.assert_array_equal(ours.stopping_time, theirs.stopping_time)


def untyped(value: Any) -> Any:
    """What no type checker lets through."""
    return value


def fit(**arguments: Any) -> lp.LinearFit:
    return lp.fit_linear_bradley_terry([[1.0], [0.0]], [[0, 10], [10, 0]], [[0, 7], [3, 0]], **arguments)


CALLS: list[tuple[Callable[[], Any], str]] = [
    (lambda: lp.lower_bound(MODEL, delta=untyped([0.1])), "delta = [0.1], expected a number strictly between 0 and 1"),
    (lambda: lp.lower_bound(MODEL, delta=True), "delta = True, expected a number strictly between 0 and 1"),
    (lambda: lp.characteristic_time(MODEL, form=untyped("exakt")), "form = 'exakt', expected one of exact, fisher"),
    (lambda: lp.characteristic_time(MODEL, tolerance=0), "tolerance = 0, expected a number strictly between 0 and 1"),
    (lambda: lp.characteristic_time(MODEL, regularisation=-1), "regularisation = -1, expected a finite number >= 0"),
    (lambda: lp.characteristic_time(MODEL, assume=untyped(3)), "assume = 3, expected one of unstructured, structured"),
    (
        lambda: lp.characteristic_times(untyped(MODEL)),
        "models = BradleyTerry(scores=float64[5], names=None), ",
    ),
    (lambda: lp.characteristic_times("cyclic"), "models = 'cyclic', expected a sequence of preference models"),
    (lambda: lp.characteristic_times(untyped(None), existence=untyped("x")), "existence = 'x', expected one of"),
    (lambda: lp.instances.make("cyclic", num_policies=True), "num_policies = True, expected a whole number from 2"),
    (lambda: lp.instances.make(untyped(None)), "unknown instance None, expected one of bradley-terry"),
    (lambda: lp.BradleyTerry([1.0, 0.0], untyped(3)), "names = 3, expected a sequence of strings"),
    (lambda: lp.BradleyTerry(["1", "2"]), "scores = ['1', '2'], expected an array of real numbers"),
    (lambda: lp.Tabular([[True, False]] * 2), "mu = [[True, False], [True, False]], expected an array of real"),
    (lambda: lp.fit_linear_bradley_terry("a", [[0]], [[0]]), "features = 'a', expected an array of real numbers"),
    (lambda: fit(prior_scale=0), "prior_scale = 0, expected a finite number from 1e-20 to 1e+20"),
    (lambda: fit(prior_scale=untyped("a")), "prior_scale = 'a', expected a finite number"),
]


@pytest.mark.parametrize(("call", "message"), CALLS, ids=[message for _, message in CALLS])
def test_others(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_numbers_become_pythons() -> None:
    """Of NumPy, of JAX, in arrays of no dimension, whole ones as floats: all are taken, and none is left."""
    given = {
        "deltas": np.array([0.2, 0.1]),
        "budgets": [np.int64(10), 100.0],
        "replications": np.array(16),
        "max_comparisons": jnp.asarray(300),
        "seed": np.uint64(0),
        "first_replication": np.float64(0),
    }
    result = lp.simulate(MODEL, SAMPLERS.get("llm-po"), **given)
    assert (result.deltas, result.budgets, result.max_comparisons, result.seed) == ((0.2, 0.1), (10, 100), 300, 0)
    assert result.sampler == "llm-po", "an object that has a name is called by it"
    scalars = [*result.deltas, *result.budgets, result.max_comparisons, result.seed, result.time, result.simulated]
    scalars += [value for level in result.summary() for value in dataclasses.astuple(level)]
    assert {type(value) for value in scalars} == {int, float, str}
    np.testing.assert_array_equal(result.stopping_time, lp.simulate(MODEL, **RUN).stopping_time)


def test_a_glance() -> None:
    """What is shown of a result: two lines, and HTML in which nothing of a user's is markup."""
    result = dataclasses.replace(lp.simulate(MODEL, **RUN), sampler="<b>mine</b>")
    level = result.summary()[0]
    first, second = repr(result).splitlines()
    assert "<b>mine</b> with e-process, 5 policies, 16 replications" in first
    assert f"{level.mean:,.1f} comparisons and {level.error_rate:.2%} errors at delta 0.2" in second
    assert "correct after 100" in second
    shown = result._repr_html_()
    assert "&lt;b&gt;mine&lt;/b&gt;" in shown and "<b>" not in shown
    assert f"({level.mean_low:,.1f} to {level.mean_high:,.1f})" in shown
    assert shown.count("<tr>") == 1 + len(result.deltas) + 1 + len(result.budgets)


def test_short_and_comparable() -> None:
    """Whatever is returned fits a line or two, and can be compared and kept in a set."""
    features = np.random.default_rng(0).normal(size=(8, 3))
    things = [
        MODEL,
        lp.LinearBradleyTerry(features, np.ones(3)),
        lp.Tabular(np.full((40, 40), 0.5), [f"policy {index}" for index in range(40)]),
        lp.characteristic_time(MODEL),
        lp.characteristic_time("linear-bradley-terry:8,3"),
        fit(),
        identified(features),
        lp.simulate(MODEL, **RUN),
    ]
    assert isinstance(things[-2], Identified)
    for thing in things:
        assert len(repr(thing)) < 240 and repr(thing).count("\n") <= 1
        assert (thing == thing) is True and (thing == dataclasses.replace(thing)) is False and hash(thing)


def test_types_follow_the_registries() -> None:
    """What type checkers are told is what there is."""
    assert set(get_args(spaces.SamplerName)) == {name for s in spaces.SPACES.values() for name in s.samplers.names()}
    assert set(get_args(spaces.StoppingName)) == {name for s in spaces.SPACES.values() for name in s.stopping.names()}
    assert get_args(SpaceName) == tuple(spaces.SPACES)
    assert get_args(Form) == FORMS
    asked = inspect.signature(lp.simulate).parameters.values()
    assert [each.name for each in asked if each.kind is each.KEYWORD_ONLY] == list(Options.__annotations__)
