"""What a log proves, against the literal record fed with the same comparisons."""

from __future__ import annotations

import copy
import functools
import itertools

import numpy as np
import pytest
from scipy.stats import binom

from llmpo_jax.engine import audit as auditing
from llmpo_jax.engine import orders
from llmpo_jax.engine.audit import audit
from llmpo_jax.models import Battles
from llmpo_jax.models.features import identified
from tests import reference
from tests.structured import reference as structured_reference


def battles(n: int, ties: float, seed: int = 0) -> Battles:
    """A log of 5 policies that improve with their number; the pair (0, 4) is never compared."""
    rng = np.random.default_rng(seed)
    first = rng.integers(5, size=n)
    second = (first + 1 + rng.integers(4, size=n)) % 5
    keep = np.abs(first - second) < 4
    outcome = np.where(rng.random(n) < ties, 0.5, rng.random(n) < 0.5 + 0.1 * (first - second))
    return Battles(tuple("abcde"), first[keep], second[keep], outcome[keep])


def test_audit_of_a_log() -> None:
    """Refutations and proofs (the peak of each wealth), who refutes whom, and the next pair, ties left out; to the
    rounding that is taken off, 4 eps a comparison, and what it is taken off for."""
    log = battles(600, ties=0.2)
    record, proofs = reference.Record(5), np.zeros((5, 5))
    for first, second, outcome in zip(log.first, log.second, log.outcome, strict=True):
        if outcome != 0.5:
            record.observe(int(first), int(second), outcome == 1)
            proofs = np.maximum(proofs, record.pair_wealth.T)
    found = audit(log)
    np.testing.assert_allclose(found.refutation, record.peak, atol=4e-4)
    assert found.proofs is not None
    np.testing.assert_allclose(found.proofs, np.where(np.eye(5), np.inf, proofs), atol=4e-4)
    np.testing.assert_array_equal(found.proven(0.05), found.proofs >= np.log(5 / 0.05))
    evidence = np.array([[record.pair_evidence(i, j) if i != j else 0.0 for j in range(5)] for i in range(5)])
    np.testing.assert_array_equal(found.refuter, np.where(evidence.max(axis=1) > 0, evidence.argmax(axis=1), -1))
    assert log.never_compared == ((0, 4),)
    assert found.refuted(0.05).tolist() == [peak >= -np.log(0.05) for peak in record.peak]
    assert found.refuted(0.05).any() and not found.refuted(0.05).all()
    llm_po = reference.SAMPLERS["llm-po"]
    decide = functools.partial(llm_po.decide, record, np.array(record.wealth), llm_po.init(5), ())
    assert found.next_pairs[0] in {option[:2] for option in reference.decisions(decide, 1e-4)}


def favoured(record: reference.Record, first: int, second: int) -> bool:
    """Whether the first has won more of the pair's comparisons or, where they are even, more against the field."""
    won, lost = record.wins[first, second], record.wins[second, first]
    odds = (record.wins.sum(axis=1) + 4) / (record.wins.sum(axis=0) + 4)
    return bool(won > lost if won != lost else odds[first] > odds[second])


def test_a_batch_believes_in_favourites() -> None:
    """The pairs that the literal sampler chooses one after the other, with a win of the favourite after each; and the
    winner against whomever it is least proven to beat, with the proofs that follow."""
    log = battles(600, ties=0.2)
    better = (log.first > log.second) == (np.random.default_rng(1).random(len(log.first)) < 0.6)
    log = Battles(log.names, log.first, log.second, np.where(log.outcome == 0.5, 0.5, better))
    record = reference.Record(5)
    for first, second, outcome in zip(log.first, log.second, log.outcome, strict=True):
        if outcome != 0.5:
            record.observe(int(first), int(second), outcome == 1)
    found = audit(log, following=6)
    llm_po, winner = reference.SAMPLERS["llm-po"], int(found.refutation.argmin())
    proofs, weakest, other = np.array(found.proofs)[winner], [], copy.deepcopy(record)
    own = llm_po.init(5)
    for pair in found.next_pairs:
        options = reference.decisions(functools.partial(llm_po.decide, record, np.array(record.wealth), own, ()), 1e-4)
        (own,) = [option[2] for option in options if option[:2] == pair]
        record.observe(pair[0], pair[1], favoured(record, *pair))
    for _ in found.next_proofs:
        rival = int(proofs.argmin())
        weakest.append((winner, rival))
        before = other.pair_wealth[rival, winner]
        other.observe(winner, rival, favoured(other, winner, rival))
        proofs[rival] += other.pair_wealth[rival, winner] - before
    assert found.next_proofs == tuple(weakest) and len(set(found.next_proofs)) > 1
    assert len(found.next_pairs) == 6 and found.next_pairs[0] == audit(log).next_pairs[0]


def test_ties_add_no_evidence() -> None:
    """With the ties taken out of the log all that is proven stays the same, to the bit."""
    log = battles(400, ties=0.3, seed=1)
    decided = log.outcome != 0.5
    assert 50 < (~decided).sum() < 200
    without = Battles(log.names, log.first[decided], log.second[decided], log.outcome[decided])
    one, other = audit(log), audit(without)
    np.testing.assert_array_equal(one.refutation, other.refutation)
    np.testing.assert_array_equal(one.refuter, other.refuter)
    assert one.next_pairs == other.next_pairs and one.next_proofs == other.next_proofs


def test_nothing_is_proven_by_nothing() -> None:
    """A log of ties only refutes nobody, and no opponent is credited with it."""
    log = Battles(("a", "b", "c"), np.array([0, 1]), np.array([1, 2]), np.array([0.5, 0.5]))
    found = audit(log)
    assert found.refutation.tolist() == [0, 0, 0]
    assert found.refuter.tolist() == [-1, -1, -1]
    assert log.never_compared == ((0, 2),)


FEATURES = np.array([[0.0, 0.3], [0.5, -0.2], [1.0, 0.4], [1.6, 0.0], [2.0, 0.1]])


def test_audit_with_features() -> None:
    """Refutations in the structured space: the literal record's peaks, and its log wealth against all at the end."""
    log = battles(400, ties=0.0)
    log = Battles(log.names, log.first[:320], log.second[:320], log.outcome[:320])
    run = structured_reference.Run(identified(FEATURES).coordinates)
    for first, second, outcome in zip(log.first, log.second, log.outcome, strict=True):
        run.observe(int(first), int(second), outcome == 1)
    expected = run.peak.copy()
    for rival in set(range(5)) - {run.leader}:
        expected[rival] = max(expected[rival], run.least(run.bets(rival), rival, run.null[rival])[0])
    found = audit(log, FEATURES)
    np.testing.assert_allclose(found.refutation, expected, atol=1e-2)
    assert found.refuted(0.05).sum() >= 2 and not found.refuted(0.05)[run.leader]
    assert found.refuter.tolist() == [run.leader if peak > 0 else -1 for peak in expected]
    assert found.next_pairs == (run.next_pair(),) and found.next_proofs == ()
    assert log.never_compared == ((0, 4),)


def test_ties_are_left_out_with_features() -> None:
    """At the end of a period, ties change nothing: the log with 8 of them appended proves the same."""
    log = battles(400, ties=0.0, seed=2)
    first, second, outcome = (x[:312] for x in (log.first, log.second, log.outcome))
    longer = Battles(log.names, np.append(first, [0] * 8), np.append(second, [1] * 8), np.append(outcome, [0.5] * 8))
    one, other = audit(Battles(log.names, first, second, outcome), FEATURES), audit(longer, FEATURES)
    np.testing.assert_allclose(other.refutation, one.refutation, atol=0.05)


def test_audit_in_any_order() -> None:
    """The final wealth, whole and on each pair, averaged over the literal record fed in each of the orders. To 1e-3,
    since in some orders `pooling` is 0 but for rounding, which then decides on the bet."""
    log = battles(30, ties=0.2)
    found = audit(log, order="any", seed=3)
    wealth, proofs = [], []
    for codes in orders.shuffled(log, "unstructured", 3):
        record = reference.Record(5)
        for code in codes:
            record.observe(*divmod(int(code), 5), True)
        wealth.append(record.wealth)
        proofs.append(record.pair_wealth.T + np.where(np.eye(5), np.inf, 0))
    assert len(wealth) == 256 and found.proofs is not None
    for value, expected in ((found.refutation, wealth), (found.proofs, proofs)):
        np.testing.assert_allclose(value, np.maximum(np.log(np.exp(expected).mean(axis=0)), 0), atol=1e-3)
    assert found.refutation.max() > 0.5


def rearranged(log: Battles, seed: int) -> Battles:
    """The same rows in another order, some of them with their sides exchanged."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(log.first))
    first, second, outcome = log.first[order], log.second[order], log.outcome[order]
    turned = rng.random(len(order)) < 0.5
    return Battles(
        log.names,
        np.where(turned, second, first),
        np.where(turned, first, second),
        np.where(turned, 1 - outcome, outcome),
    )


@pytest.mark.parametrize("features", [None, np.array([[0.0], [0.6], [1.0], [1.5], [2.2]])], ids=["none", "one"])
def test_any_order_does_not_depend_on_the_order(features: np.ndarray | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, sorted rows included; another seed answers much the same."""
    monkeypatch.setattr(orders, "number_of_orders", lambda *_: 8)
    log = battles(600, ties=0.1)
    one = audit(log, features, order="any")
    order = np.argsort(np.where(log.first < log.second, log.outcome, 1 - log.outcome), kind="stable")
    by_outcome = Battles(log.names, log.first[order], log.second[order], log.outcome[order])
    assert audit(by_outcome, features).alarm == "sorted"
    for other in (rearranged(log, 1), by_outcome):
        again = audit(other, features, order="any")
        assert again.alarm is None and again.next_pairs == one.next_pairs
        np.testing.assert_array_equal(again.refutation, one.refutation)
        np.testing.assert_array_equal(again.refuter, one.refuter)
    assert one.refuted(0.05)[:3].all() and not one.refuted(0.05)[4]
    assert np.abs(audit(log, features, order="any", seed=1).refutation - one.refutation).max() < 3


def test_any_order_with_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """The final wealth over the null, averaged; an order that ends with k in the lead counts nothing against k."""
    monkeypatch.setattr(orders, "number_of_orders", lambda *_: 2)
    log = battles(400, ties=0.0)
    log = Battles(log.names, log.first[:320], log.second[:320], log.outcome[:320])
    wealth = np.zeros((2, 5))
    for row, codes in zip(wealth, orders.shuffled(log, "structured", 0), strict=True):
        run = structured_reference.Run(identified(FEATURES).coordinates)
        for code in codes:
            run.observe(*divmod(int(code), 5), True)
        for rival in set(range(5)) - {run.leader}:
            row[rival] = np.exp(run.least(run.bets(rival), rival, run.null[rival])[0])
    found = audit(log, FEATURES, order="any")
    np.testing.assert_allclose(found.refutation, np.log(np.maximum(wealth.mean(axis=0), 1)), atol=1e-2)
    assert found.proofs is None and found.refuted(0.05).any()


def test_any_order_errs_at_most_at_its_level() -> None:
    """400 logs, half of them sorted by outcome: the winner (which ties with its nearest rival, the worst case) is
    refuted at level 0.1 in at most 71 of them, but for a probability of 1e-6. The peak along the sorted rows, which is
    no evidence, refutes it in most."""
    delta, number = 0.1, 400
    limit = int(binom.isf(1e-6, number, delta))
    mu = np.array([[0.5, 0.5, 0.7], [0.5, 0.5, 0.6], [0.3, 0.4, 0.5]])
    rng = np.random.default_rng(0)
    first, second = np.array(list(itertools.combinations(range(3), 2)) * 20).T
    refuted = peaks = 0
    for index in range(number):
        outcome = (rng.random(60) < mu[first, second]).astype(float)
        order = np.argsort(outcome, kind="stable") if index % 2 else np.arange(60)
        log = Battles(("a", "b", "c"), first[order], second[order], outcome[order])
        refuted += audit(log, order="any").refuted(delta)[0]
        if index % 2:
            peaks += float(auditing._unstructured(3, orders.in_order(log)).peak[0, 0]) >= -np.log(delta)
    assert limit == 71 and refuted <= limit
    assert peaks > number / 4


def test_what_is_not_independent_is_not_weighed() -> None:
    """Nothing is proven, by peak or average, and no pair is proposed."""
    log = Battles(("a", "b"), np.zeros(100, int), np.ones(100, int), np.repeat([1.0, 0.0], [55, 45]))
    found = audit(log)
    assert found.alarm == "sorted" and found.next_pairs == found.next_proofs == () and found.proofs is not None
    assert not found.refuted(0.999).any() and not found.proven(0.999)[0, 1]
    assert audit(log, order="any").alarm is None
    with pytest.raises(ValueError, match="order = 'sorted', expected one of log, any"):
        audit(log, order="sorted")
    with pytest.raises(ValueError, match="following = 0, expected at least 1"):
        audit(log, following=0)


def test_the_number_of_orders_is_bounded() -> None:
    """By rows and by records, and never none."""
    assert orders.number_of_orders("unstructured", 0, 2) == orders.number_of_orders("unstructured", 100, 2) == 256
    assert orders.number_of_orders("unstructured", 10**5, 16) == 41
    assert orders.number_of_orders("unstructured", 10**6, 16) == 16
    assert orders.number_of_orders("structured", 1000, 16) == 131
    assert orders.number_of_orders("structured", 10**6, 16) == 4
    assert orders.number_of_orders("unstructured", 100, 1000) == 8
    assert orders.number_of_orders("unstructured", 100, 10**4) == 1
