"""Verdicts settled in ask order keep the level however late they come; settled on arrival they do not."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy import stats

from benchmarks.living import flight
from llmpo_jax.machine import quick_to_compile

# Compiled as the programs of a live experiment are: the runs take less time than to optimise them would.
RUNS_QUICKLY = jax.jit(flight._runs.__wrapped__, static_argnums=(0, 2), compiler_options=quick_to_compile())  # pyright: ignore[reportFunctionMemberAccess, reportAttributeAccessIssue]
RUNS, DELTA = 100, 0.1
MOST = int(stats.binom.isf(1e-6, RUNS, DELTA))
"""Errors that a procedure of level `DELTA` exceeds with probability at most 1e-6."""


@pytest.mark.parametrize("on_arrival", [False, True])
def test_late_wins(monkeypatch: pytest.MonkeyPatch, on_arrival: bool):
    """Two equal policies, one with wins that take ten times as long as losses, 32 in flight."""
    monkeypatch.setattr(flight, "_runs", RUNS_QUICKLY)
    setting = flight.Setting(32, on_arrival=on_arrival, slow_wins=10.0, limit=200)
    _, named, _ = flight.simulate(np.full((2, 2), 0.5), setting, DELTA, RUNS)
    assert ((named == 1).sum() > MOST) == on_arrival
