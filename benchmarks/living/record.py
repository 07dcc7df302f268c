"""The table of generations: how often each policy is right on each input. Only counts are kept."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import common
import numpy as np

from . import client, environment, tasks
from .judging import is_right

SAMPLES = 3
TABLE = common.RESULTS / "live_table.json"
SEED = 20_000


def counted(address: str, task: tasks.Task, pairs: tuple[tuple[str, str], ...], samples: int) -> tuple[list, list]:
    """Right answers [K][N] out of `samples`, and tokens (prompts, answers) of each policy."""
    jobs = [(k, n, s) for k in range(len(task.policies)) for n in range(len(pairs)) for s in range(samples)]

    def one(job: tuple[int, int, int]) -> tuple[bool, int, int]:
        k, n, sample = job
        answer = client.complete(address, task.policies[k], pairs[n][0], SEED + 1000 * (samples * k + sample) + n)
        return is_right(answer.text, pairs[n][1]), answer.usage.prompt_tokens, answer.usage.completion_tokens

    with ThreadPoolExecutor(4) as pool:
        found = np.array(list(pool.map(one, jobs)), np.int64)
    shaped = found.reshape(len(task.policies), len(pairs), samples, 3)
    return shaped[..., 0].sum(axis=2).tolist(), shaped[..., 1:].sum(axis=(1, 2)).tolist()


def record(samples: int = SAMPLES, inputs: int | None = None) -> dict:
    """The table of all tasks: inputs that experiments draw from, and one sample of each that is held out.

    `inputs` cuts either kind short.
    """
    table = {"model": tasks.MODEL, "packages": list(environment.PACKAGES), "samples": samples, "tasks": {}}
    with environment.serving() as address:
        for name in tasks.NAMES:
            task, started = tasks.load(name), time.time()
            right, tokens = counted(address, task, task.used[:inputs], samples)
            held_out, more = counted(address, task, task.held_out[:inputs], 1)
            table["tasks"][name] = {
                **task.source,
                "policies": [policy.name for policy in task.policies],
                "factors": [list(factors) for factors in task.factors],
                "right": right,
                "held out": held_out,
                "tokens": (np.array(tokens) + more).tolist(),
                "seconds": round(time.time() - started),
            }
            common.console.print(f"{name}: recorded in {time.time() - started:.0f} s")
    return table


def accuracies(table: dict) -> list[dict]:
    """Accuracy of every policy on either kind of inputs."""
    rows = []
    for name, part in table["tasks"].items():
        kinds = {"used": np.array(part["right"]) / table["samples"], "held out": np.array(part["held out"])}
        for k, policy in enumerate(part["policies"]):
            found = {kind: float(right[k].mean()) for kind, right in kinds.items()}
            rows.append({"task": name, "policy": policy, **found, "tokens": sum(part["tokens"][k])})
    return rows


def keep(table: dict) -> None:
    """Write the table, one line for each policy of each part."""
    text = json.dumps(table, indent=1)
    for part in table["tasks"].values():
        for row in (*part["right"], *part["held out"], *part["tokens"], *part["factors"]):
            text = text.replace(json.dumps(row, indent=1).replace("\n", "\n    "), json.dumps(row))
    TABLE.write_text(text + "\n")


def load() -> dict:
    """The table under version control."""
    return json.loads(TABLE.read_text())
