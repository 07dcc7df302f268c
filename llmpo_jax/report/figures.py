"""The figures of a finished study."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from llmpo_jax.report import curves, spread, stored
from llmpo_jax.report.stored import Findings

FIGURES: dict[str, Callable[[Findings], Figure | None]] = {
    "correct_selection": curves.correct_selection,
    "stopping_time": spread.stopping_time,
    "ratio": curves.ratio,
    "proportions": spread.proportions,
}
"""File name to what draws it; None where a study has not what it takes."""


def draw(folder: Path) -> list[Path]:
    """Draw the figures of a finished study into `folder`/figures/.

    `correct_selection.png`, `stopping_time.png`, `ratio.png`, `proportions.png`; with several sources one of each per
    source, as `ratio_SOURCE.png`. A figure for which the study has no data (no budgets, no deltas, no Condorcet
    winner) is left out. Every file is written under another name and then renamed.

    Args:
        folder: a study's folder (`llmpo_jax.engine.storage`).

    Returns:
        The files, in the order drawn.

    Raises:
        ValueError: the folder holds no study, or one that is not complete.
    """
    found = stored.load(folder)
    target = folder / "figures"
    target.mkdir(exist_ok=True)
    written = []
    for findings in found:
        for name, maker in FIGURES.items():
            figure = maker(findings)
            if figure is None:
                continue
            suffix = f"_{findings.source}" if len(found) > 1 else ""
            written.append(_write(figure, target / f"{name}{suffix}.png"))
    return written


def _write(figure: Figure, path: Path) -> Path:
    """Save whole or not at all; the same numbers give the same bytes."""
    partial = path.with_name(path.name + ".partial")
    try:
        figure.savefig(partial, format="png", metadata={"Software": None})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
