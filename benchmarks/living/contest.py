"""Experiments on the real LLM: what it takes to prove a winner, and what that one is worth on held-out inputs."""

from __future__ import annotations

import asyncio
import itertools
import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import common
import numpy as np

from llmpo_jax import Experiment
from llmpo_jax.live.protocol import Answer, Policy, Status
from llmpo_jax.theory.intervals import mean_interval

from . import client, environment, replay, tasks
from .judging import judge

SAMPLERS = ("llm-po", "round-robin", "random-pair")
IN_FLIGHT = 4
MOST = 10_000
"""Comparisons of an experiment."""
RESAMPLES = 10_000


def experiment(address: str, task: tasks.Task, sampler: str, seed: int, calls: int) -> tuple[Status, float]:
    """Where an experiment stands at its end, and the seconds it took, the compilation of the procedure left out.

    The price of a call is 1, so that the cost limit is one of calls: at temperature 0 the answer to an input is asked
    for once only.
    """
    numbers = {policy.name: k for k, policy in enumerate(task.policies)}

    def generate(policy: Policy, given: dict[str, str], seed: int) -> Answer:
        # Policies answer independently, as the table has it; the comparison has one seed for both.
        own = (seed + 1_000_003 * numbers[policy.name]) % 2**31
        answer = client.complete(address, policy, given["input"], own)
        return replace(answer, usage=replace(answer.usage, cost=1.0))

    inputs = [{"input": given, "right": right} for given, right in task.used]
    with tempfile.TemporaryDirectory() as folder:
        keywords: dict[str, Any] = {"delta": replay.DELTA, "sampler": sampler, "seed": seed}
        with Experiment.create(Path(folder) / "compiled", task.policies, inputs, **keywords) as warm:
            (ask,) = warm.ask()
            warm.tell(ask.id, "first")
        with Experiment.create(Path(folder) / "run", task.policies, inputs, **keywords) as running:
            started = time.time()
            status = asyncio.run(
                running.run(generate, judge, in_flight=IN_FLIGHT, max_cost=calls, max_comparisons=MOST)
            )
            return status, time.time() - started


def contest(seeds: int, calls: int) -> list[dict]:
    """Experiments on each task with each sampler, one a seed."""
    rows = []
    with environment.serving() as address:
        for seed, name, sampler in itertools.product(range(seeds), tasks.LIVE, SAMPLERS):
            status, seconds = experiment(address, tasks.load(name), sampler, seed, calls)
            rows.append({"task": name, "sampler": sampler, "seed": seed, **_row(status, seconds)})
            common.console.print(rows[-1])
    return rows


def _row(status: Status, seconds: float) -> dict:
    return {
        "stop": status.stop,
        "leader": status.leader,
        "proven": status.winner is not None,
        "refuted": len(status.refuted),
        "comparisons": status.asked,
        "decided": status.decided,
        "calls": status.usage.calls,
        "tokens": status.usage.prompt_tokens + status.usage.completion_tokens,
        "seconds": seconds,
    }


def costs(rows: list[dict]) -> list[dict]:
    """Means over the seeds with their intervals; runs that the limit ended enter at the limit."""
    found = []
    for key in dict.fromkeys((row["task"], row["sampler"]) for row in rows):
        several = [row for row in rows if (row["task"], row["sampler"]) == key]
        line = {"task": key[0], "sampler": key[1], "runs": len(several)}
        line["proven"] = sum(row["proven"] for row in several)
        for measure in ("comparisons", "decided", "calls", "tokens", "seconds"):
            mean, low, high = mean_interval(np.array([row[measure] for row in several]))
            line[measure] = f"{mean:.0f}" + ("" if math.isinf(low) else f" ({max(low, 0):.0f} - {high:.0f})")
        found.append(line)
    return found


def improvement(rows: list[dict], table: dict) -> list[dict]:
    """Accuracy on held-out inputs of what LLM-PO chose, against the average policy and the first in the list.

    Differences are paired over the inputs, and averaged over the runs; intervals at 95 % by the bootstrap over inputs.
    """
    found = []
    for name in tasks.LIVE:
        part = table["tasks"][name]
        held_out = np.array(part["held out"], float)
        chosen = [
            part["policies"].index(row["leader"]) for row in rows if (row["task"], row["sampler"]) == (name, "llm-po")
        ]
        right = held_out[chosen].mean(axis=0)
        line: dict[str, Any] = {"task": name, "held-out inputs": held_out.shape[1], "chosen": right.mean()}
        line["best of all"] = held_out.mean(axis=1).max()
        for label, other in (("average", held_out.mean(axis=0)), ("first listed", held_out[0])):
            low, high = _bootstrap(right - other)
            gain = {"gain": (right - other).mean(), "low": low, "high": high}
            line |= {label: other.mean(), **{f"{measure} on {label}": value for measure, value in gain.items()}}
        found.append(line)
    return found


def _bootstrap(differences: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    means = rng.choice(differences, (RESAMPLES, len(differences))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
