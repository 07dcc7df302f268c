"""Verdicts mean what they say, simulations are kept and shared, and what is planted is caught.

Nothing here is random but for fixed seeds; where an error rate is tested the false-alarm rate is `claims.FALSE_ALARM`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import llmpo_jax as lp
from llmpo_jax.engine.workers import Arrays
from llmpo_jax.models import host_probabilities
from llmpo_jax.validation import claims, defects, errors, runs, settlement
from llmpo_jax.validation.claims import Claim
from llmpo_jax.validation.runs import Run, Runs
from llmpo_jax.validation.scope import Scope

FEW = Run("bradley-terry-line:5", deltas=(0.1, 0.01), replications=16, max_comparisons=500)


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [(0, "holds"), (30, "holds"), (90, "undecided"), (300, "fails")],
)
def test_error_rates(errors: int, verdict: str) -> None:
    check = claims.error_rate("here", errors, 1000, 0.1, tests=1)
    assert check.verdict == verdict and check.asserted
    assert check.low <= errors / 1000 <= check.high
    if check.verdict == "undecided":
        assert check.enough is not None and check.enough > 1000
        again = claims.error_rate("here", round(errors / 1000 * check.enough), check.enough, 0.1, tests=1)
        assert again.verdict == "holds", "as many as were said to be enough decide"


def test_a_level_that_cannot_be_decided_asserts_nothing_unless_it_fails() -> None:
    (told, holds), (fails, _) = (claims.error_rates("here", (n, 0), 1000, (1e-4, 0.1), tests=2) for n in (0, 500))
    assert not told.asserted and holds.asserted and holds.verdict == "holds"
    assert fails.asserted and fails.verdict == "fails"


def test_within() -> None:
    low, high = (claims.within("here", mean, 0.01, 1.0, 2.0, 100, 1) for mean in (0.5, 1.5))
    edge = claims.within("here", 1.01, 0.01, 1.0, 2.0, 100, 1)
    assert (low.verdict, high.verdict, edge.verdict) == ("fails", "holds", "undecided")
    assert edge.enough is not None and edge.enough > 100


def test_a_claim_is_as_good_as_its_worst_asserted_check() -> None:
    good, bad = claims.exact("here", 0, 1), claims.exact("here", 2, 1)
    told = claims.exact("here", 2, 1, asserted=False)
    assert Claim("C", "t", "n", (good, told)).verdict == "holds"
    assert Claim("C", "t", "n", (good, bad)).verdict == "fails"
    assert Claim("C", "t", "n", (told,)).verdict == "undecided", "what asserts nothing holds nothing"
    assert claims.failed([Claim("C", "t", "n", (bad,))])


def test_runs_are_kept_block_by_block(kept: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into blocks or not, from the disk or anew, the outcome is that of `simulate`."""
    monkeypatch.setattr(runs, "_CHUNK", 6)
    found = kept.one(FEW)
    direct = lp.simulate(
        "bradley-terry-line:5", deltas=FEW.deltas, replications=16, max_comparisons=FEW.max_comparisons
    )
    np.testing.assert_array_equal(found.stopping_time, direct.stopping_time)

    def nothing_runs(*_: object) -> Iterator[tuple[int, Arrays]]:
        raise AssertionError("what is kept is run again")

    monkeypatch.setattr(runs, "stream", nothing_runs)
    kept._results.clear()
    np.testing.assert_array_equal(kept.one(FEW).stopping_time, direct.stopping_time)


def test_sources_in_words(tmp_path: Path) -> None:
    (tmp_path / "my rates.csv").write_text("0.5,0.6\n0.4,0.5\n")
    asked = ("cyclic", "linear-bradley-terry:8,3,seed=1", f"{tmp_path}/my rates.csv")
    assert [runs.in_words(source) for source in asked] == ["cyclic", "linear-bradley-terry-8,3,seed=1", "my-rates"]


def test_late_verdicts() -> None:
    """In ask order nothing fails; on arrival something does."""
    asked, arrived = (settlement.checked(settlement.counts(late, 0, 512)) for late in (False, True))
    assert not any(check.verdict == "fails" for check in asked)
    assert any(check.verdict == "fails" for check in arrived)


def test_stopping_times_are_those_of_the_definition(kept: Runs) -> None:
    sound = errors.SPACES["unstructured"].stopping.get("stylised")
    assert errors.stops_as_defined(sound, kept, "sound").verdict == "holds"
    assert defects.PLANTED["an off-by-one stopping time"].checks(Scope(), kept)[0].verdict == "fails"


def test_a_biased_draw_is_caught_and_an_unbiased_one_is_not(kept: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defects, "_REPLICATIONS", 128)
    models = {"near tie": defects._models(Scope())["near tie"]}
    monkeypatch.setattr(defects, "_models", lambda scope: models)
    assert any(check.verdict == "fails" for check in defects._biased_draw(Scope(), kept))
    run = defects._hostile(models["near tie"], "near tie", defects._SOUND, "sound")
    assert not any(check.verdict == "fails" for check in errors.checked([(run, kept.one(run), True)]))


def test_ten_defects_and_more_are_planted() -> None:
    assert len(defects.PLANTED) >= 10
    assert math.isclose(host_probabilities(defects._models(Scope())["near tie"])[0, 1], 0.501)
