"""What a log proves, against the literal record fed with the same comparisons."""

from __future__ import annotations

import functools

import numpy as np

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
    """Refutations (the peak of each wealth), who refutes whom, and the next pair, ties left out; float32 to 1e-4."""
    log = battles(600, ties=0.2)
    record = reference.Record(5)
    for first, second, outcome in zip(log.first, log.second, log.outcome, strict=True):
        if outcome != 0.5:
            record.observe(int(first), int(second), outcome == 1)
    found = audit(log)
    np.testing.assert_allclose(found.refutation, record.peak, atol=1e-4)
    evidence = np.array([[record.pair_evidence(i, j) if i != j else 0.0 for j in range(5)] for i in range(5)])
    np.testing.assert_array_equal(found.refuter, np.where(evidence.max(axis=1) > 0, evidence.argmax(axis=1), -1))
    assert found.never_compared == ((0, 4),)
    assert found.refuted(0.05).tolist() == [peak >= -np.log(0.05) for peak in record.peak]
    assert found.refuted(0.05).any() and not found.refuted(0.05).all()
    llm_po = reference.SAMPLERS["llm-po"]
    decide = functools.partial(llm_po.decide, record, np.array(record.wealth), llm_po.init(5), ())
    assert found.next_pair in {option[:2] for option in reference.decisions(decide, 1e-4)}


def test_ties_add_no_evidence() -> None:
    """With the ties taken out of the log all that is proven stays the same, to the bit."""
    log = battles(400, ties=0.3, seed=1)
    decided = log.outcome != 0.5
    assert 50 < (~decided).sum() < 200
    without = Battles(log.names, log.first[decided], log.second[decided], log.outcome[decided])
    one, other = audit(log), audit(without)
    np.testing.assert_array_equal(one.refutation, other.refutation)
    np.testing.assert_array_equal(one.refuter, other.refuter)
    assert one.next_pair == other.next_pair


def test_nothing_is_proven_by_nothing() -> None:
    """A log of ties only refutes nobody, and no opponent is credited with it."""
    log = Battles(("a", "b", "c"), np.array([0, 1]), np.array([1, 2]), np.array([0.5, 0.5]))
    found = audit(log)
    assert found.refutation.tolist() == [0, 0, 0]
    assert found.refuter.tolist() == [-1, -1, -1]
    assert found.never_compared == ((0, 2),)


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
    assert found.next_pair == run.next_pair()
    assert found.never_compared == ((0, 4),)


def test_ties_are_left_out_with_features() -> None:
    """At the end of a period, ties change nothing: the log with 8 of them appended proves the same."""
    log = battles(400, ties=0.0, seed=2)
    first, second, outcome = (x[:160] for x in (log.first, log.second, log.outcome))
    ties = np.zeros(8, int), np.ones(8, int), np.full(8, 0.5)
    longer = Battles(log.names, *(np.concatenate(both) for both in zip((first, second, outcome), ties, strict=True)))
    one, other = audit(Battles(log.names, first, second, outcome), FEATURES), audit(longer, FEATURES)
    np.testing.assert_allclose(other.refutation, one.refutation, atol=0.05)
