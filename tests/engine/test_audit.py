"""What a log proves, against the literal record fed with the same comparisons."""

from __future__ import annotations

import functools

import numpy as np

from llmpo_jax.engine.audit import audit
from llmpo_jax.models import Battles
from tests import reference


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
