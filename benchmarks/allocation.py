"""The structured bound: how long it takes, and how T* is spread over random instances.

    python benchmarks/allocation.py                    about 7 minutes on 2 cores; draws figures/allocation.png, too
    python benchmarks/allocation.py --only times       one part: times or spread

times: seconds of `characteristic_time` after compilation beside a busy process, with one and with two BLAS threads (the
    worst of 5 instances); of an instance of 256 by `characteristic_times`; of 100,000 closed forms.
spread: for random linear models T* over the structured space as a share of T* over the unstructured one, and T* by
    Fisher's form as a share of the exact one: 1,000 instances for each dimension.
"""

from __future__ import annotations

import subprocess
import sys
import time

import common
import numpy as np
from speed import child
from structured import linear

from llmpo_jax import (
    BradleyTerry,
    LinearBradleyTerry,
    StructuredTime,
    characteristic_time,
    characteristic_times,
    models,
)
from llmpo_jax.theory.structured import Form

SHAPES = ((32, 8), (64, 16), (100, 8))
POLICIES = 16
DIMENSIONS = (2, 4, 8, 12)
INSTANCES = 1000
BUSY = "while True: pass"
SECONDS = "import json, allocation as a; print(json.dumps({'rows': a.seconds('exact') + a.seconds('fisher')}))"


def instances(num_policies: int, dimension: int, number: int) -> list[LinearBradleyTerry]:
    """Random ones: features and theta on the unit sphere."""
    return [linear(f"linear-bradley-terry:{num_policies},{dimension},seed={seed}") for seed in range(number)]


def seconds(form: Form) -> list[dict]:
    """Of single instances, in this process."""
    rows = []
    for num_policies, dimension in SHAPES:
        several = instances(num_policies, dimension, 5)
        took = []
        for model in (several[0], *several, *several):  # what is compiled in the second round is seldom needed
            started = time.time()
            characteristic_time(model, form=form)
            took.append(time.time() - started)
        row = {"K": num_policies, "d": dimension, "form": form, "first, s": took[0], "worst, s": max(took[-5:])}
        rows.append(row)
    return rows


def times() -> list[dict]:
    rows = []
    busy = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        for threads in ("1", "2"):
            found = child(SECONDS, OPENBLAS_NUM_THREADS=threads)["rows"]
            rows += [{"BLAS threads": int(threads), **row} for row in found]
    finally:
        busy.kill()
    return rows


def together() -> list[dict]:
    """Many instances in one call against one by one."""
    several = instances(32, 8, 256)
    rows = []
    for form in ("exact", "fisher"):
        characteristic_times(several, form=form)
        started = time.time()
        for model in several[:64]:
            characteristic_time(model, form=form)
        alone = (time.time() - started) / 64
        started = time.time()
        characteristic_times(several, form=form)
        rows.append(_row(f"K = 32, d = 8, {form}", 256, alone, (time.time() - started) / 256))
    plain: list[models.PreferenceModel] = [BradleyTerry(s) for s in np.random.default_rng(0).normal(size=(10**5, 8))]
    started = time.time()
    characteristic_times(plain)
    batch = (time.time() - started) / len(plain)
    started = time.time()
    for model in plain[:1000]:
        characteristic_time(model)
    return [*rows, _row("K = 8, closed form", len(plain), (time.time() - started) / 1000, batch)]


def _row(what: str, instances: int, alone: float, batch: float) -> dict:
    times = {"alone, ms": 1e3 * alone, "together, ms": 1e3 * batch, "ratio": alone / batch}
    return {"what": what, "instances": instances, **times}


def spread() -> list[dict]:
    rows = []
    for dimension in DIMENSIONS:
        several = instances(POLICIES, dimension, INSTANCES)
        exact, fisher = (characteristic_times(several, form=form) for form in ("exact", "fisher"))
        plain = characteristic_times(several, assume="unstructured")
        saved = [one.time / all_.time for one, all_ in zip(exact, plain, strict=True)]
        forms = [one.time / other.time for one, other in zip(fisher, exact, strict=True)]
        for name, values in (("structured / unstructured", saved), ("Fisher / exact", forms)):
            levels = np.quantile(values, np.linspace(0, 1, 101)).tolist()
            rows.append({"K": POLICIES, "d": dimension, "instances": INSTANCES, "ratio": name, "quantiles": levels})
        worst = max(one.relative_gap for one in (*exact, *fisher) if isinstance(one, StructuredTime))
        common.console.print(f"d = {dimension}: largest relative gap {worst:.1e}")
    return rows


def main() -> None:
    parser = common.parser(__doc__, quick=False)
    parser.add_argument("--only", choices=("times", "spread"), help="run one part")
    options = parser.parse_args()
    if options.only in (None, "times"):
        for name, part in (("times", times), ("together", together)):
            started = time.time()
            rows = part()
            common.show(f"allocation, {name}", rows)
            common.keep(f"allocation_{name}", rows, started)
    if options.only in (None, "spread"):
        started = time.time()
        rows = spread()
        shown = [{**row, "quantiles": " ".join(f"{row['quantiles'][n]:.3g}" for n in (5, 50, 95))} for row in rows]
        common.show("allocation, spread (quantiles at 5, 50 and 95 %)", shown)
        common.keep("allocation_spread", rows, started)
        subprocess.run([sys.executable, str(common.HERE.parent / "figures" / "allocation.py")], check=True)


if __name__ == "__main__":
    main()
