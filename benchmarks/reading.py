"""How long it takes to read a log of a million comparisons.

    python benchmarks/reading.py              (about a minute; `--quick` for a tenth of the rows)

The same log of 20 policies with ties and a column of text that is not used, in the forms that people have, kept in
results/reading.json. Seconds are the best of three, from the file to `llmpo_jax.models.Battles`.
"""

from __future__ import annotations

import gzip
import io
import tempfile
import time
from pathlib import Path
from typing import Any

import common
import numpy as np
import polars as pl

import llmpo_jax as lp

ROWS = 1_000_000


def log(rows: int) -> pl.DataFrame:
    """Comparisons at random."""
    rng = np.random.default_rng(0)
    first = rng.integers(20, size=rows)
    second = (first + rng.integers(1, 20, size=rows)) % 20
    names, sides = np.array([f"model-{k}" for k in range(20)]), np.array(["model_a", "model_b", "tie"])
    text = pl.Series(np.arange(rows)).cast(pl.String) + " words of a question that nobody reads here"
    columns = {"model_a": names[first], "model_b": names[second], "winner": sides[rng.integers(3, size=rows)]}
    return pl.DataFrame(columns | {"question": text})


def forms(frame: pl.DataFrame) -> dict[str, bytes]:
    """The log as files."""
    text = frame.write_csv()
    by_name = pl.when(pl.col("winner") == "tie").then(pl.lit("tie"))
    by_name = by_name.when(pl.col("winner") == "model_a").then("model_a").otherwise("model_b").alias("winner")
    parquet = io.BytesIO()
    frame.write_parquet(parquet)
    return {
        "CSV": text.encode(),
        "CSV, winner by name": frame.with_columns(by_name).write_csv().encode(),
        "CSV, UTF-16": text.encode("utf-16"),
        "CSV, gzip": gzip.compress(text.encode(), 6),
        "JSON lines": frame.write_ndjson().encode(),
        "Parquet": parquet.getvalue(),
    }


def timed(path: Path) -> float:
    """Seconds to read a file."""
    started = time.perf_counter()
    lp.read_battles(path)
    return time.perf_counter() - started


def main() -> None:
    arguments = common.parser(__doc__).parse_args()
    started = time.time()
    count = ROWS // 10 if arguments.quick else ROWS
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        for form, data in forms(log(count)).items():
            path.write_bytes(data)
            seconds = min(timed(path) for _ in range(3))
            rows.append({"form": form, "rows": count, "megabytes": len(data) / 1e6, "seconds": seconds})
    common.show("Reading a log", rows)
    if not arguments.quick:
        common.keep("reading", rows, started)


if __name__ == "__main__":
    main()
