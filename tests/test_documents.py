"""The code that the documents show runs as it stands."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[1]


def python_blocks(name: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    assert blocks, f"{name} shows no Python"
    return "\n".join(blocks)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, for names may be registered."""
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=200, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def test_readme_and_live() -> None:
    done = run("-c", python_blocks("README.md") + python_blocks("docs/live.md"))
    assert done.returncode == 0, done.stderr


def test_tour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook, cell after cell, from a matrix to a figure."""
    monkeypatch.chdir(tmp_path)
    cells = json.loads((ROOT / "docs" / "tour.ipynb").read_text())["cells"]
    plt.switch_backend("agg")
    found: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "outputs are not kept: they would grow old"
            exec("".join(cell["source"]), found)
    plt.close("all")
    assert (tmp_path / "tour.png").stat().st_size > 10_000
    ours, others = (result.summary()[0] for result in found["runs"].values())
    # What the figure is to show: far more than the 95 % intervals.
    assert found["bound"].time < ours.mean_high < others.mean_low


def test_contributing(tmp_path: Path) -> None:
    """A model, a sampler and a rule of the user's own, alone and through a whole study."""
    (tmp_path / "mine.py").write_text(python_blocks("CONTRIBUTING.md"))
    study = ("study", "thurstone:4,spread=2", "--samplers", "llm-po", "top-two", "--stopping", "naive")
    study = (*study, "--delta", "0.1", "--budgets", "20", "--replications", "40", "--output", str(tmp_path / "results"))
    done = run("-m", "llmpo_jax.cli", *study, "--import", str(tmp_path / "mine.py"))
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "results").iterdir()
    table = pl.read_csv(folder / "summary.csv")
    assert set(table["sampler"]) == {"llm-po", "top-two"} and set(table["stopping"]) == {"naive"}
    assert list((folder / "figures").glob("*.png"))


def test_the_documents_name_every_sampler_and_rule() -> None:
    from llmpo_jax.samplers import SAMPLERS
    from llmpo_jax.stopping import STOPPING_RULES

    page = (ROOT / "docs" / "study.md").read_text()
    missing = [name for name in (*SAMPLERS.names(), *STOPPING_RULES.names()) if f"`{name}`" not in page]
    assert not missing


def test_numbers_are_those_of_the_results() -> None:
    """What README.md and benchmarks/README.md say is what the benchmarks have kept, to the letter."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        report = importlib.import_module("report")
    finally:
        sys.path.pop(0)
    for path, page in report.pages().items():
        assert path.read_text() == page, f"{path.name} differs: `python benchmarks/report.py` writes it"


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
    for page in (ROOT / "README.md", ROOT / "benchmarks" / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)[^)]*\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
