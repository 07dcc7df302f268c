"""`llmpo-jax plot`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from llmpo_jax.cli.console import console


@dataclass(frozen=True)
class Plot:
    """Draw the figures of a finished study again, from its tables: for a paper, at the size of its page.

    The captions lie beside the pictures, in FOLDER/figures/NAME.txt.

    For example:

    llmpo-jax plot results/bradley-terry-16 --format pdf --width column

    llmpo-jax plot results/bradley-terry-16 --format png svg --samplers llm-po thompson round-robin
    """

    folder: tyro.conf.Positional[Path]
    """Folder of the study, as `llmpo-jax study` left it."""
    format: tuple[Literal["pdf", "svg", "png"], ...] = ("png",)
    """Formats of the pictures."""
    width: Literal["column", "page"] = "page"
    """As wide as a column (3.4 in) or a page (7 in) of a paper; the text is 7 pt in both."""
    samplers: tuple[str, ...] = ()
    """Which samplers to draw; by default all of the study."""

    def run(self) -> None:
        from llmpo_jax.report import figures

        for path in figures.draw(self.folder, self.format, self.width, self.samplers):
            console.print(str(path), soft_wrap=True)
