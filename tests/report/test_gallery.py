"""The gallery in figures/ is drawn from the tables that lie beside the results, and can be drawn again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl
import pytest

from llmpo_jax.report import gallery
from llmpo_jax.validation.validate import DRAWINGS

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
TABLES, REAL = RESULTS / "validation", RESULTS / "validation-data"
NAMES = [f"{claim}_{name}" for claim, those in DRAWINGS.items() for name in those]
OF_REAL_DATA = ["C4_optimality", "C6_profile", "C9_budgets"]
PICTURES = [
    *((TABLES / f"{name}.parquet", ROOT / "figures" / name) for name in NAMES),
    *((REAL / f"{name}.parquet", ROOT / "figures" / "data" / name) for name in OF_REAL_DATA),
]


@pytest.mark.parametrize(("table", "picture"), PICTURES)
def test_the_picture_is_of_the_table(table: Path, picture: Path) -> None:
    caption = picture.with_suffix(".txt").read_text(encoding="utf-8")
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    assert digest in "".join(caption.split()), "`cd figures && python validation.py` draws it"
    assert picture.with_suffix(".png").stat().st_size < 500_000


def test_it_is_drawn_again(tmp_path: Path) -> None:
    drawn = gallery.draw(TABLES, ("png",), "column", target=tmp_path)
    assert [each.name for each in drawn] == NAMES
    assert all(path.stat().st_size > 5_000 for each in drawn for path in each.files)


def test_what_it_shows() -> None:
    """Proven rules below the diagonal, the heuristic one above it; LLM-PO nearer to the bound than the baselines."""
    errors = pl.read_parquet(TABLES / "C3_errors.parquet")
    assert not len(errors.filter("proven", pl.col("low") > pl.col("delta")))
    above = errors.filter(pl.col("rule") == "stylised", pl.col("low") > pl.col("delta"))
    assert "cyclic-17" in above["instance"].to_list()
    checks = pl.read_parquet(TABLES / "checks.parquet")
    assert set(checks["claim"]) == {f"C{number}" for number in range(1, 11)}
    assert "fails" not in checks.filter("asserted")["verdict"].to_list()
    profile = pl.read_parquet(TABLES / "C6_profile.parquet")
    assert {"llm-po", "round-robin"} <= set(profile["sampler"])
    knowledge = pl.read_parquet(TABLES / "C4_knowledge.parquet")
    told = dict(knowledge.group_by("told").agg(pl.col("multiple").max()).iter_rows())
    assert told["all three"] < told["nothing"]
