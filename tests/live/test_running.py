"""The loop: answers and verdicts of functions of any kind, failures, limits, orders of presentation, costs."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llmpo_jax as lp
from llmpo_jax.live.protocol import Answer, CallFailed, Judgement, Policy, Status, Usage

QUALITY = {"good": 0.9, "fair": 0.4, "poor": 0.1}
INPUTS = [{"question": str(n)} for n in range(5)]


def luck(*parts: Any) -> float:
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:8], 16) / 2**32


def generate(policy: str, given: dict, seed: int) -> str:
    return "right" if luck(policy, given["question"], seed) < QUALITY[policy] else "wrong"


async def generate_later(policy: str, given: dict, seed: int) -> Answer:
    await asyncio.sleep(0.002 * luck("wait", policy, seed))
    return Answer(generate(policy, given, seed), Usage(calls=1, prompt_tokens=10, completion_tokens=2, cost=0.5))


def judge(given: dict, first: str, second: str) -> str:
    return "tie" if first == second else "first" if first == "right" else "second"


def create(folder: Path, policies: Any = tuple(QUALITY), **arguments: Any) -> lp.Experiment:
    return lp.Experiment.create(folder, policies, INPUTS, **arguments)


def run(experiment: lp.Experiment, generate: Any = generate, judge: Any = judge, **limits: Any) -> Status:
    with experiment:
        return asyncio.run(experiment.run(generate, judge, **limits))


@pytest.mark.parametrize("function", [generate, generate_later])
@pytest.mark.parametrize("in_flight", [1, 8])
def test_the_best_is_found(tmp_path, function: Any, in_flight: int):
    status = run(create(tmp_path / "e"), function, in_flight=in_flight)
    assert (status.stop, status.winner) == ("winner", "good")
    assert status.ties > 0 and status.voids == 0
    assert status.usage.calls == sum(standing.usage.calls for standing in status.standings)
    assert status.usage.calls >= 2 * (status.decided + status.ties)


def test_costs_are_counted_and_limited(tmp_path):
    seen = []
    status = run(create(tmp_path / "e", delta=1e-9), generate_later, max_cost=20.0, progress=seen.append)
    assert status.stop == "cost" and status.reason is not None and "of the 20 allowed. Undecided" in status.reason
    assert 20 <= status.cost <= 20 + 8 * 2 * 0.5
    assert status.usage.prompt_tokens == 10 * status.usage.calls
    assert [s.usage.cost for s in seen] == sorted(s.usage.cost for s in seen)
    with lp.Experiment.open(tmp_path / "e") as again:
        assert again.status() == status
        further = asyncio.run(again.run(generate_later, judge, max_comparisons=status.asked + 5))
    assert (further.stop, further.asked) == ("comparisons", status.asked + 5)


def test_answers_at_temperature_0_are_paid_for_once(tmp_path):
    policies = [Policy(name=name, template=f"{name}: {{question}}", temperature=0.0) for name in QUALITY]

    async def fixed(policy: Policy, given: dict, seed: int) -> Answer:
        return await generate_later(policy.name, given, 7)

    status = run(create(tmp_path / "e", policies), fixed, max_comparisons=200)
    assert status.asked > 15 >= status.usage.calls


@pytest.mark.parametrize("presentation", ["random", "both"])
def test_a_judge_sees_the_order_as_drawn(tmp_path, presentation: str):
    """One that always prefers what is shown first: it is found out, and in both orders all is a tie."""
    status = run(create(tmp_path / "e", presentation=presentation), judge=lambda given, first, second: "first")
    assert status.stop == "judge" and status.health.shown_first == status.health.decided
    assert status.reason is not None and status.reason.startswith(
        "The judge follows the order of presentation: 100% of"
    )
    assert (status.ties > 0) == (presentation == "both")


def test_both_orders_agree_where_the_judge_looks_at_the_answers(tmp_path):
    status = run(create(tmp_path / "e", presentation="both"))
    assert status.winner == "good" and status.health.low < 0.5 < status.health.high


def test_a_judge_may_be_random_and_tell_who_is_right(tmp_path):
    async def with_seed(given: dict, first: str, second: str, seed: int) -> Judgement:
        right = first == "right", second == "right"
        verdict = "tie" if right[0] == right[1] else "first" if right[0] else "second"
        return Judgement(verdict, right, Usage(calls=1, cost=0.25), {"seed": seed})

    status = run(create(tmp_path / "e"), judge=with_seed)
    assert status.winner == "good"
    shares = {s.name: s.right / s.judged for s in status.standings}
    assert shares["good"] > shares["fair"] > shares["poor"]
    assert status.usage.cost == 0.25 * (status.decided + status.ties)


def test_a_failed_call_is_void_and_never_a_win(tmp_path):
    def failing(policy: str, given: dict, seed: int) -> str:
        if luck("fails", policy, seed) < 0.1:
            raise CallFailed("no answer")
        return generate(policy, given, seed)

    status = run(create(tmp_path / "e"), failing)
    assert status.winner == "good" and status.voids > 0
    assert sum(standing.failures for standing in status.standings) == status.voids


@pytest.mark.parametrize("who", ["poor", "judge"])
def test_what_always_fails_ends_the_run(tmp_path, who: str):
    def failing(policy: str, given: dict, seed: int) -> str:
        if policy == who:
            raise CallFailed("500 over and over")
        return generate(policy, given, seed)

    def unclear(given: dict, first: str, second: str) -> str:
        raise CallFailed("the reply is nonsense", Usage(calls=1, cost=1.0))

    status = run(create(tmp_path / "e"), failing, judge if who == "poor" else unclear, in_flight=2)
    assert status.stop == ("policy" if who == "poor" else "judge")
    assert status.reason is not None and "comparisons running: " in status.reason
    assert status.usage.cost == (0 if who == "poor" else status.voids)


@pytest.mark.parametrize(
    ("generate", "judge", "message"),
    [
        (generate, lambda given, first, second: "A", "the judge returned 'A', expected one of first, second"),
        (generate, lambda given, first, second: 1, "the judge returned int"),
        (lambda policy, given, seed: None, judge, "generate returned NoneType, expected a text"),
        (lambda policy, given, seed: 1 / 0, judge, "division by zero"),
    ],
)
def test_what_makes_no_sense_ends_the_run_and_can_be_mended(tmp_path, generate: Any, judge: Any, message: str):
    with pytest.raises((ValueError, ZeroDivisionError), match=message):
        run(create(tmp_path / "e"), generate, judge)
    with lp.Experiment.open(tmp_path / "e") as again:
        assert len(again.pending) == 8
        assert asyncio.run(again.run(globals()["generate"], globals()["judge"])).winner == "good"


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"in_flight": 0}, "in_flight = 0, expected a whole number >= 1"),
        ({"max_cost": -1.0}, "max_cost = -1.0, expected a finite number >= 0"),
        ({"max_comparisons": 0}, "max_comparisons = 0, expected a whole number >= 1"),
    ],
)
def test_bad_limits(tmp_path, limits: dict, message: str):
    with pytest.raises(ValueError, match=message):
        run(create(tmp_path / "e"), **limits)


def test_slow_answers_change_no_evidence(tmp_path):
    """Two equal policies, the wins of one of them late: what is weighed is the same, in the same order, as in turn."""

    async def slow(given: dict, first: str, second: str, seed: int) -> str:
        winner = "a" if luck("coin", seed) < 0.5 else "b"
        await asyncio.sleep(0.004 * luck("wait", seed) if winner == "a" else 0)
        return "first" if first == winner else "second"

    histories = []
    for in_flight in (1, 16):
        experiment = lp.Experiment.create(tmp_path / str(in_flight), ["a", "b"], INPUTS, delta=1e-9)
        run(experiment, lambda policy, given, seed: policy, slow, in_flight=in_flight, max_comparisons=150)
        histories.append([moment.evidence for moment in experiment.history])
    # The two may be named the other way round, which rounds otherwise.
    np.testing.assert_allclose(histories[0], histories[1], atol=1e-4)
