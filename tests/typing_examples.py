"""What pyright must accept, and what it must flag: an ignore that is not needed is an error here, too.

Nothing runs: `.ci/run` has pyright read it.
"""
# pyright: basic, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import numpy as np
import polars as pl

import llmpo_jax as lp
from llmpo_jax.samplers import SAMPLERS


def accepted(model: lp.BradleyTerry, own: str) -> list[float]:
    """All of this runs."""
    results = [
        lp.simulate(model, "llm-po", "stylised", deltas=[0.1], budgets=range(10, 30, 10)),
        lp.simulate("bradley-terry:5", deltas=np.array([0.1, 0.01]), budgets=np.arange(1, 3)),
        lp.simulate(model, deltas=(np.float64(0.1), np.float32(0.01)), budgets=[np.int64(7)]),
        lp.simulate(model, replications=np.int64(10), seed=np.uint64(3), progress=True),
        lp.simulate(model, features=[[1.0, 0.0], [0.0, 1]], progress=lambda finished, comparisons: None),
        lp.simulate(lp.Tabular([[0.5, 0.6], [0.4, 0.5]], ["a", "b"]), own, own),
        lp.simulate(model, SAMPLERS.get(own), stopping=own),
        *(lp.simulate(model, name) for name in ("llm-po", "rucb")),
        *(lp.simulate(model, name) for name in ["llm-po", "rucb"]),
        *(lp.simulate(model, name) for name in SAMPLERS.names()),
    ]
    times = lp.characteristic_times([model, "bradley-terry:5"], form="fisher", tolerance=np.float32(1e-3))
    times += lp.characteristic_times([lp.Tied(model, 0.1), lp.Tied("cyclic:5", np.eye(5))], costs=[1, 2.5, 3, 4, 5])
    times.append(lp.characteristic_time(lp.Tied(model, [[0, 0.1], [0.1, 0]]), costs=np.ones((2, 2))))
    lp.instances.make("linear-bradley-terry", np.int64(5), dimension=np.int64(3), scale=np.float64(2.0))
    lp.fit_linear_bradley_terry([[1.0], [0.0]], np.eye(2), pl.DataFrame({"a": [0, 3], "b": [7, 0]}).to_numpy())
    return [lp.lower_bound(model, np.float64(0.1)), *(time.time for time in times), results[0].summary()[0].mean]


def flagged(model: lp.BradleyTerry) -> None:
    """None of this runs. A misspelt name is flagged where the result is used."""
    lp.simulate(model, "llm-op").summary()  # pyright: ignore[reportAttributeAccessIssue]
    lp.simulate(model, stopping="eprocess").summary()  # pyright: ignore[reportAttributeAccessIssue]
    lp.simulate(model, deltas=0.1)  # pyright: ignore[reportCallIssue, reportArgumentType]
    lp.simulate(model, budgets=["10"])  # pyright: ignore[reportCallIssue, reportArgumentType]
    lp.simulate(model, existence="asumed")  # pyright: ignore[reportCallIssue, reportArgumentType]
    lp.simulate(model, assume="linear")  # pyright: ignore[reportCallIssue, reportArgumentType]
    lp.simulate(np.eye(2))  # pyright: ignore[reportCallIssue, reportArgumentType]
    lp.simulate(model, delta=(0.1,))  # pyright: ignore[reportCallIssue]
    lp.characteristic_time(model, form="exakt")  # pyright: ignore[reportArgumentType]
    lp.lower_bound(model, [0.1])  # pyright: ignore[reportArgumentType]
    lp.Tied([model], 0.1)  # pyright: ignore[reportArgumentType]
    lp.Tied(model)  # pyright: ignore[reportCallIssue]
    lp.condorcet_winner([model])  # pyright: ignore[reportArgumentType]
    lp.Experiment.create("e", ["a", "b"], ["x"], presentation="bth")  # pyright: ignore[reportArgumentType]
