"""The hunt for counterexamples: its two stages on indicators of known rates, and planted defects beside clean rules.

Where a hunt is run, `FALSE_ALARM` = 1e-6 bounds the probability that it accuses a sound procedure (seeds are fixed, so
that a test always or never fails).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from llmpo_jax import spaces
from llmpo_jax.hunting import cells, defects, drivers, instances, search
from llmpo_jax.hunting.float32_certificate import FLOAT32_CERTIFICATE
from llmpo_jax.hunting.samplers import BLOCK, HOSTILE
from llmpo_jax.hunting.search import Cell
from llmpo_jax.machine import quick_to_compile
from llmpo_jax.models import condorcet_winner, identified
from llmpo_jax.protocol import Problem
from llmpo_jax.theory.linear import make_design

DELTAS = (0.1, 0.01)
quickly = functools.partial(jax.jit, compiler_options=quick_to_compile())


def synthetic(name: str, rates: Sequence[float], late: Sequence[float] | None = None) -> Cell:
    """Errors at these rates; in stage 2 at the rates `late`, where given."""

    def errors(numbers: range) -> np.ndarray:
        draws = np.random.default_rng([7, numbers.start]).random((len(numbers), len(rates)))
        return draws < np.array(rates if late is None or numbers.start < 400 else late)

    return Cell(name, "nowhere", DELTAS, errors, 400, 4000)


def verdicts(groups: Sequence[Sequence[Cell]], most: int = search.SUSPECTS) -> dict[str, search.Verdict]:
    return {verdict.procedure: verdict for verdict in search.hunt(groups, lambda counts: None, most)}


def test_tail_is_the_exact_one() -> None:
    errors = np.array([0, 1, 3, 40])
    expected = scipy.stats.binom.sf(errors - 1, 100, 0.03)
    np.testing.assert_allclose(search.tail(errors, 100, np.full(4, 0.03)), expected, rtol=1e-10)


def test_only_rates_above_delta_are_broken() -> None:
    """At three times one of two levels it is found, at delta itself and below it holds (false alarm 1e-6)."""
    rates = {"thrice": (0.01, 0.03), "even": DELTAS, "below": (0.05, 0.005)}
    found = verdicts([[synthetic(name, rate)] for name, rate in rates.items()])
    assert {name: verdict.broken for name, verdict in found.items()} == {"thrice": True, "even": False, "below": False}
    assert found["thrice"].worst.worst == 1 and found["thrice"].worst.replications == 4000


def test_only_fresh_replications_decide() -> None:
    """Errors of stage 1 make a suspect and nothing more (false alarm 1e-6); what is clean there is left alone."""
    found = verdicts([[synthetic("at first", (0.9, 0.9), late=(0.0, 0.0))], [synthetic("later", (0, 0), late=(1, 1))]])
    assert found["at first"].suspects == 1 and not found["at first"].broken
    assert found["later"].suspects == 0 and not found["later"].broken


def test_suspects_are_the_worst_cells_of_each_procedure() -> None:
    groups = [[synthetic("a", (0.1 * i, 0)) for i in range(1, 10)], [synthetic("b", (0.5, 0))]]
    counts = search.screen(groups, lambda counts: None)
    accused = search.suspects(counts, most=2)
    assert [count.cell for count in accused] == [groups[0][8], groups[0][7], groups[1][0]]
    assert search.threshold(accused) == search.FALSE_ALARM / 6


def test_indicators_of_another_shape_are_refused() -> None:
    cell = Cell("odd", "nowhere", DELTAS, lambda numbers: np.zeros(len(numbers), bool), 4, 4)
    with pytest.raises(ValueError, match=r"errors of 'odd' are bool \(4,\), expected bool \(4, 2\)"):
        search.counted(cell, range(4))


def test_defects_of_drivers_are_found() -> None:
    """Settled on arrival and the peak of an average, beside their sound counterparts (false alarm 1e-6)."""
    found = verdicts([g for wrong in (True, False) for g in drivers.settlement(wrong, 0) + drivers.average(wrong, 0)])
    assert {name for name, verdict in found.items() if verdict.broken} == {
        "settled on arrival",
        "average over orders, peak",
    }


def test_verdicts_arrive_in_order_one_by_one() -> None:
    won = np.random.default_rng(0).random((4, 50)) < 0.5
    order = drivers.arrivals(won, drivers.Verdicts(1), np.random.default_rng(1))
    np.testing.assert_array_equal(order, np.broadcast_to(np.arange(50), (4, 50)))
    later = drivers.arrivals(won, drivers.Verdicts(8), np.random.default_rng(1))
    assert won[np.arange(4)[:, None], later][:, :25].mean() < 0.45


def test_a_defect_of_a_rule_is_found_and_the_rule_holds() -> None:
    """The e-process that bets after the outcome, beside the true one, on two hard instances (false alarm 1e-6)."""
    models = instances.with_winner(3, np.random.default_rng(0))
    models = {name: models[name] for name in ("near tie, outliers", "usurper")}
    rules = {"late": defects.LATE, "e-process": "e-process"}
    found = verdicts([g for name in rules for g in cells.groups(name, rules[name], models, ("against-leader",), 0)], 1)
    assert found["late"].broken and not found["e-process"].broken
    assert found["late"].suspects == 1 and found["e-process"].cells == 2


def test_the_float32_certificate_is_found() -> None:
    """The first certificate of the structured space, on the instance that has shown it up."""
    groups = cells.groups("float32", FLOAT32_CERTIFICATE, instances.KILLERS, ("llm-po",), 0)
    assert verdicts(groups)["float32"].broken


@functools.cache
def small(space: str) -> tuple[Problem, Callable[..., Any]]:
    """A problem with K = 4 (d = 2) and what a comparison adds to its statistics, compiled once for all samplers."""
    rules = spaces.space(space)
    design = make_design(identified(np.random.default_rng(0).normal(size=(4, 2))).coordinates)
    problem = Problem(4, dimension=2, design=design) if space == "structured" else Problem(4)
    return problem, quickly(lambda s, i, j, won: rules.observe(problem, s, rules.judged(s, i, j, won)))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("space", ["unstructured", "structured"])
def test_hostile_samplers_are_legal(name: str, space: str) -> None:
    """Two different policies at each of 60 comparisons of K = 4, and what each sampler is there for."""
    sampler, rules = HOSTILE[name], spaces.space(space)
    problem, observe = small(space)
    statistics, state = rules.start(problem), sampler.init(problem)
    select = quickly(lambda key, statistics, state: sampler.select(problem, key, statistics, jnp.zeros(4), state))
    pairs = []
    for key in jax.random.split(jax.random.key(0), 60):
        first, second, state = select(key, statistics, state)
        statistics = observe(statistics, first, second, first < second)  # the lower number wins
        pairs.append((int(first), int(second)))
    assert all(0 <= i < 4 and 0 <= j < 4 and i != j for i, j in pairs)
    if name == "opening":
        assert set(pairs[:8]) == {(0, 1)}
    if name == "shunning":
        assert {i for pair in pairs for i in pair} == {1, 2, 3}
    if name == "against-one":
        assert np.mean([0 in pair for pair in pairs]) > 0.6
    if name == "stop-and-go":
        assert len(set(pairs)) == 1
    if name == "sorted":
        assert BLOCK > 60 and set(pairs) == {(0, 1)}


def test_instances_are_what_their_names_say() -> None:
    """A unique winner where one is assumed, none for `certify`; gaps of the near-ties; the shapes asked for."""
    rng = np.random.default_rng(0)
    for k in (2, 3, 5):
        assert all(condorcet_winner(model) is not None for model in instances.with_winner(k, rng).values())
    for k in (3, 5):
        assert all(condorcet_winner(model) is None for model in instances.without_winner(k).values())
    for k, d in ((3, 2), (4, 1), (6, 5)):
        found = instances.linear(k, d, rng, extra=2)
        assert all(model.features.shape == (k, d) for model in found.values())
        assert all(condorcet_winner(model) is not None for model in found.values())
        for name in ("near tie", "near tie, outlier"):
            top = np.sort(np.asarray(found[name].scores))[-2:]
            assert top[1] - top[0] == pytest.approx(instances.GAP, rel=1e-6)
