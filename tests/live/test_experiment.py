"""An experiment decides as the engine does, weighs verdicts in ask order, and ends for the reasons that it states."""

from __future__ import annotations

import re

import numpy as np
import pytest

import llmpo_jax as lp
from llmpo_jax.stopping import STOPPING_RULES
from llmpo_jax.stopping.structured import STRUCTURED_RULES
from tests.live.driving import Answers, create, drive, names
from tests.samplers.trajectory import follow, plan_for, procedure

STRENGTHS = [1.6, 0.6, 0.3, 0.0, -0.4]
MODEL = lp.BradleyTerry(STRENGTHS)
MU = np.asarray(lp.win_probabilities(MODEL), float)
FEATURES = np.random.default_rng(1).normal(size=(8, 3))
LINEAR = lp.LinearBradleyTerry(FEATURES, [1.6, -0.8, 0.4])

# Without randomness, with randomness and a state, with a state that is told outcomes by the record alone.
KINDS = ("llm-po", "rucb", "beat-the-mean")
UNSTRUCTURED = [(sampler, "e-process", "assumed") for sampler in KINDS]
UNSTRUCTURED += [("llm-po", rule, "assumed") for rule in STOPPING_RULES.names() if rule not in ("e-process", "dkwt")]
UNSTRUCTURED += [("llm-po", "e-process", "certify")]
STRUCTURED = [(s, "e-process") for s in ("llm-po", "thompson", "rage-glm")] + [
    ("llm-po", rule) for rule in STRUCTURED_RULES.names() if rule != "e-process"
]
LIMIT = 300
RUN: dict = {"deltas": (0.1, 0.05), "budgets": (40, LIMIT), "max_comparisons": LIMIT}


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Hundreds of asks and tells in every test wait for no disk; that all is safe there is for test_journal.py."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.mark.parametrize(("sampler", "stopping", "existence"), UNSTRUCTURED)
def test_one_in_flight_decides_as_the_engine(tmp_path, sampler: str, stopping: str, existence: str):
    arguments = {"sampler": sampler, "stopping": stopping, "existence": existence, "seed": 2**40 + 7}
    result = lp.simulate(MODEL, replications=16, **RUN, **arguments)
    created = create(tmp_path / "e", 5, delta=0.05, **arguments)
    _same(drive(created, Answers(MU, 2**40 + 7, names(5)), LIMIT), result)


@pytest.mark.parametrize(("sampler", "stopping"), STRUCTURED)
def test_one_in_flight_decides_as_the_engine_with_features(tmp_path, sampler: str, stopping: str):
    mu = np.asarray(lp.win_probabilities(LINEAR), float)
    arguments = {"sampler": sampler, "stopping": stopping, "seed": 5}
    result = lp.simulate(LINEAR, replications=16, **RUN, **arguments)
    created = create(tmp_path / "e", 8, delta=0.05, features=FEATURES, **arguments)
    _same(drive(created, Answers(mu, 5, names(8)), LIMIT), result)


def _same(experiment: lp.Experiment, result: lp.Result) -> None:
    """The stopping time and the winner of replication 0."""
    status, stopped = experiment.status(), int(result.stopping_time[0, 1])
    assert (status.stop is None) == (stopped < 0)
    if stopped >= 0:
        assert status.decided == stopped
        assert status.winner == f"p{result.recommendation[0, 1]}"
        assert status.evidence >= status.threshold


def test_one_in_flight_compares_as_the_engine(tmp_path):
    """Comparison for comparison."""
    chosen = procedure("llm-po", 5)
    run = follow(chosen, plan_for(chosen, MU, deltas=(1e-30,), seed=11), 0)
    experiment = drive(create(tmp_path / "e", 5, delta=1e-30, seed=11), Answers(MU, 11, names(5)), 300)
    pairs = [(ask.first, ask.second, verdict == "first") for ask, verdict in experiment.comparisons]
    wanted = zip(run.shuffled[run.first], run.shuffled[run.second], run.won, strict=True)
    assert pairs == [(f"p{first}", f"p{second}", bool(won)) for first, second, won in wanted][:300]


def test_verdicts_are_settled_in_ask_order(tmp_path):
    with create(tmp_path / "e", 5) as experiment:
        asks = experiment.ask(6)
        for ask in asks[1:]:
            experiment.tell(ask.id, "first")
        assert experiment.history == []
        assert [ask.id for ask in experiment.pending] == [1]
        assert experiment.status().decided == 5
        experiment.tell(1, "void")
        assert [moment.asked for moment in experiment.history] == [2, 3, 4, 5, 6]


def test_the_order_of_telling_changes_no_evidence(tmp_path):
    with create(tmp_path / "one", 5) as one, create(tmp_path / "other", 5) as other:
        for ask in one.ask(12):
            one.tell(ask.id, "first" if ask.id % 3 else "second")
        for ask in reversed(other.ask(12)):
            other.tell(ask.id, "first" if ask.id % 3 else "second")
        assert one.history == other.history
        assert one.status() == other.status()


def test_ties_and_voids_are_no_evidence(tmp_path):
    answers = Answers(MU, 3, names(5))
    with (
        create(tmp_path / "e", 5, sampler="round-robin") as plain,
        create(tmp_path / "t", 5, sampler="round-robin") as tied,
    ):
        for _ in range(30):
            (ask,) = plain.ask()
            plain.tell(ask.id, answers(ask))
        decided = iter([verdict for _, verdict in plain.comparisons])
        for number in range(60):
            (ask,) = tied.ask()
            tied.tell(ask.id, next(decided) if number % 2 else ("tie", "void")[number // 2 % 2])
        assert [(m.leader, m.evidence) for m in tied.history] == [(m.leader, m.evidence) for m in plain.history]
        status = tied.status()
        assert (status.decided, status.ties, status.voids, status.asked) == (30, 15, 15, 60)


def test_what_is_pending_is_believed(tmp_path):
    with create(tmp_path / "e", 5) as experiment:
        drive(experiment, Answers(MU, 0, names(5)), 60)
        pairs = {frozenset((ask.first, ask.second)) for ask in experiment.ask(32)}
        assert len(pairs) > 1


def test_inputs_and_order_are_drawn_at_random(tmp_path):
    """A fair coin gives fewer than 142 or more than 258 of 400 with probability 5e-9."""
    with create(tmp_path / "e", 5, sampler="round-robin") as experiment:
        asks = experiment.ask(400)
    for fair in ([ask.swapped for ask in asks], [ask.input == "one" for ask in asks]):
        assert 142 <= sum(fair) <= 258
    assert len({ask.seed for ask in asks}) == 400


def test_equal_policies_end_where_epsilon_is_given(tmp_path):
    """p0 and p1 are equal, and beat p2 and p3 nine times in ten."""
    mu = np.where(np.eye(4, dtype=bool), 0.5, [[0.5, 0.5, 0.9, 0.9]] * 2 + [[0.1, 0.1, 0.5, 0.5]] * 2)
    with create(tmp_path / "e", 4, epsilon=0.15, delta=0.1) as experiment:
        status = drive(experiment, Answers(mu, 0, names(4)), 2000).status()
        assert status.stop == "equal" and status.winner is None
        assert set(status.refuted) == {"p2", "p3"}
        assert status.reason is not None and "within 0.15 of 1/2, at error level 0.1" in status.reason
        assert experiment.ask() == []


def test_a_judge_that_follows_the_order_ends_the_run(tmp_path):
    with create(tmp_path / "e", 5) as experiment:
        drive(experiment, lambda ask: "second" if ask.swapped else "first", 100)
        status = experiment.status()
    assert status.stop == "judge" and status.winner is None
    assert status.health.shown_first == status.health.decided == 35
    assert status.health.low > 0.8


def test_a_leaning_judge_is_told_and_not_stopped(tmp_path):
    """65 % for the answer shown first, as of a real judge, in 400 verdicts; then what is decided is by the policies."""
    rng = np.random.default_rng(0)
    with create(tmp_path / "e", 2) as experiment:
        drive(experiment, lambda ask: "first" if (rng.random() < 0.65) != ask.swapped else "second", 400)
        assert experiment.status().stop != "judge"
        assert experiment.status().health.low > 0.5


def test_policies_that_always_tie_use_the_inputs_up(tmp_path):
    policies = [{"name": name, "temperature": 0.0} for name in ("a", "b", "c")]
    with lp.Experiment.create(tmp_path / "e", policies, ["x", "y", "z"]) as experiment:
        losing = drive(
            experiment, lambda ask: "second" if ask.first == "c" else "first" if ask.second == "c" else "tie", 200
        )
        status = losing.status()
    assert status.stop == "inputs" and status.winner is None


def test_a_pair_that_only_ties_is_not_asked_for_ever(tmp_path):
    """p1 and p2 give the same answers, which p0 beats two times in three: all is decided by p0 against either."""
    rng = np.random.default_rng(0)

    def answers(ask):
        if {ask.first, ask.second} == {"p1", "p2"}:
            return "tie"
        if "p3" in (ask.first, ask.second):
            return "second" if ask.first == "p3" else "first"
        return "first" if (ask.first == "p0") == (rng.random() < 0.67) else "second"

    with create(tmp_path / "e", 4) as experiment:
        status = drive(experiment, answers, 1500).status()
    assert status.winner == "p0"
    assert status.ties < status.decided


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"delta": 0}, "delta = 0, expected a number strictly between 0 and 1"),
        ({"policies": ["a"]}, "policies has 1 entries, expected at least 2"),
        ({"policies": ["a", "a"]}, "'a'"),
        ({"policies": ["a", "judge"]}, "named 'judge'"),
        ({"policies": ["a", {"name": "b", "temprature": 1}]}, "did you mean 'temperature'"),
        ({"policies": "ab"}, "expected a sequence"),
        ({"inputs": []}, "inputs is empty"),
        ({"inputs": [object()]}, "expected what JSON can hold"),
        ({"sampler": "llmpo"}, "did you mean 'llm-po'"),
        ({"stopping": "mixture"}, "unknown stopping rule 'mixture'"),
        ({"existence": "sure"}, "existence"),
        ({"epsilon": 0.7}, "epsilon = 0.7, expected"),
        ({"presentation": "bth"}, "did you mean 'both'"),
        ({"seed": -1}, "seed = -1"),
        ({"delta": True}, "delta = True, expected a number"),
        ({"policies": ["a", 3]}, "policies contains 3, expected names or specifications"),
        ({"extra": 3}, "extra = 3, expected a mapping"),
        ({"policies": None}, "policies = None, expected a sequence of names"),
        ({"features": np.ones((3, 2))}, "features has shape (3, 2), expected one row for each of the 2"),
        ({"features": np.ones((2, 2))}, "features"),
        ({"features": np.eye(2), "sampler": "llm-po-oracle"}, "told the truth"),
        ({"stopping": "dkwt"}, "weighs no evidence"),
        ({"features": np.eye(2), "existence": "certify"}, "expected 'assumed'"),
    ],
)
def test_bad_arguments_leave_nothing_behind(tmp_path, arguments: dict, message: str):
    given: dict = {"policies": ["a", "b"], "inputs": ["x", "y"], **arguments}
    with pytest.raises(ValueError, match=re.escape(message)):
        lp.Experiment.create(tmp_path / "e", given.pop("policies"), given.pop("inputs"), **given)
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    ("id", "verdict", "message"),
    [
        (3, "first", "id = 3 was never asked"),
        (1, "fist", "did you mean 'first'"),
        (True, "first", "never asked"),
    ],
)
def test_bad_verdicts_change_nothing(tmp_path, id: int, verdict: str, message: str):
    with create(tmp_path / "e", 5) as experiment:
        experiment.ask(2)
        before = (tmp_path / "e" / "journal.jsonl").read_bytes()
        with pytest.raises(ValueError, match=message):
            experiment.tell(id, verdict)
        assert (tmp_path / "e" / "journal.jsonl").read_bytes() == before
        experiment.tell(1, "first")
        with pytest.raises(ValueError, match="told already"):
            experiment.tell(1, "first")
        with pytest.raises(ValueError, match="usage has a field 'tokns'"):
            experiment.tell(2, "tie", usage={"tokns": 3})
        for detail in ({"right": 1}, {"right": [1, 0]}, {"shown": "left"}, {"what": object()}):
            with pytest.raises(ValueError, match=r"detail: |what JSON can hold"):
                experiment.tell(2, "tie", detail=detail)
        assert experiment.status().in_flight == 1
