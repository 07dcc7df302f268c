"""Oracles are told what is true, by the numbers that policies have in all replications.

No fresh randomness: seeds are fixed.
"""

from __future__ import annotations

import numpy as np
import pytest

from llmpo_jax.models import condorcet_winner, host_probabilities
from llmpo_jax.models.given import given
from llmpo_jax.report import style
from llmpo_jax.validation import knowledge, oracles, places
from llmpo_jax.validation.runs import Runs
from llmpo_jax.validation.scope import Scope

SOURCE = "hidden-winner:5,gap=0.15"


def test_what_there_is_to_be_told() -> None:
    mu = host_probabilities(given("hidden-winner:5"))
    true = oracles.truth(mu)
    assert true.winner == condorcet_winner("hidden-winner:5")
    for policy, opponent in enumerate(true.opponents):
        assert mu[policy, opponent] == np.delete(mu[policy], policy).min()


def test_who_is_told_all_needs_less_and_is_always_right(kept: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    some = {told: oracles.ORACLES[told] for told in ("nothing", oracles.ALL)}
    monkeypatch.setattr(knowledge, "ORACLES", some)
    monkeypatch.setattr(places, "replications", lambda scope: 128)
    scope = Scope(quick=False, sources=(SOURCE,))
    table = knowledge.tables(scope, kept)["knowledge"]
    assert not knowledge.tables(Scope(quick=False, sources=("linear-bradley-terry:8,3", "no-winner:5")), kept)
    told = kept.one(knowledge._runs(scope, SOURCE)[oracles.ALL])
    nothing, everything = table.iter_rows(named=True)
    assert (nothing["told"], everything["told"]) == ("nothing", oracles.ALL)
    assert everything["high"] < nothing["low"]
    assert 0.9 < everything["multiple"] < 1.5, "the bound, and a last comparison that says more than was needed"
    assert not told.errors().any()
    with style.look():
        assert knowledge.DRAWINGS["knowledge"](table).caption.startswith("The price of not knowing.")
