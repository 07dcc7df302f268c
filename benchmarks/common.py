"""What the benchmarks share: where data and results lie, and how a table is shown and kept."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from llmpo_jax import Result, models
from llmpo_jax.machine import cores
from llmpo_jax.theory.intervals import ratio_of_means

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "shared" / "data"
RESULTS = HERE / "results"

# Wide where it goes to a file, whose lines may be long.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def source(name: str) -> models.Source | None:
    """An instance, or a file of the data folder beside the project; None (and a message) where that is missing."""
    if not name.endswith(".csv"):
        return models.load(name)
    if not (DATA / name).is_file():
        console.print(f"{name}: skipped, there is no data folder beside the project")
        return None
    return models.load(str(DATA / name))


def parser(description: str | None, *, quick: bool = True) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark that can be cut short."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if quick:
        made.add_argument("--quick", action="store_true", help="a tenth of the replications, nothing is kept")
    return made


def show(title: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as a table; floats with four digits."""
    rows = list(rows)
    table = Table(*rows[0], title=title, title_justify="left")
    for row in rows:
        table.add_row(*(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()))
    console.print(table)


def multiples(instance: str, result: Result, ours: Result) -> list[dict[str, Any]]:
    """A row for each level: what a sampler spends until the stop, also as a multiple of what `llm-po` does (`ours`)."""
    rows = []
    for index, level in enumerate(result.summary()):
        ratio, low, high = ratio_of_means(result.spent(index), ours.spent(index))
        rows.append(
            {
                "instance": instance,
                "stopping": result.stopping,
                "delta": level.delta,
                "sampler": result.sampler,
                "mean": level.mean,
                "mean low": level.mean_low,
                "mean high": level.mean_high,
                "times llm-po": ratio,
                "low": low,
                "high": high,
                "censored": level.censored,
                "error rate": level.error_rate,
                "replications": level.replications,
            }
        )
    return rows


def run_parts(
    prefix: str, parts: Mapping[str, tuple[str, Callable[[], list[dict[str, Any]]]]], only: str | None, quick: bool
) -> None:
    """Run the parts of a benchmark, titles and rows, or `only` one; show each, and keep it unless it was cut short."""
    for name, (title, part) in parts.items():
        if only in (None, name):
            started = time.time()
            rows = part()
            show(title, rows)
            if not quick:
                keep(f"{prefix}_{name}", rows, started)


def _processor() -> str:
    """The processor's name, as Linux tells it; elsewhere its kind."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def keep(name: str, rows: Iterable[Mapping[str, Any]], started: float) -> None:
    """Keep rows in results/NAME.json with the machine they come from."""
    content = {
        "machine": f"{_processor()}, {cores()} cores, {jax.devices()[0].device_kind}",
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
        "seconds": round(time.time() - started),
        "rows": [{k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in row.items()} for row in rows],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
