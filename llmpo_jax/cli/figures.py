"""`llmpo-jax figures`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from llmpo_jax.cli.console import console
from llmpo_jax.cli.validate import Validate


@dataclass(frozen=True)
class Figures:
    """Draw the gallery from the tables of a validation: for a paper, at the size of its page.

    The captions lie beside the pictures, in FOLDER/figures/NAME.txt; each ends with the command that draws the picture,
    its table and the table's SHA-256. What `llmpo-jax study` left is drawn by `llmpo-jax plot`.

    For example:

    llmpo-jax figures results/validation-quick --width column

    llmpo-jax figures results/validation-full --run --full
    """

    folder: tyro.conf.Positional[Path] = Path("results/validation-quick")
    """Folder of the validation, as `llmpo-jax validate` left it."""
    format: tuple[Literal["pdf", "svg", "png"], ...] = ("pdf", "svg", "png")
    """Formats of the pictures."""
    width: Literal["column", "page"] = "page"
    """As wide as a column (3.4 in) or a page (7 in) of a paper; the text is 7 pt in both."""
    first: Annotated[tyro.conf.FlagCreatePairsOff[bool], tyro.conf.arg(name="run")] = False
    """Validate first; a validation that the folder holds is gone on with."""
    full: tyro.conf.FlagCreatePairsOff[bool] = False
    """With --run: a full validation instead of a quick one."""

    def run(self) -> None:
        from llmpo_jax.report import gallery

        if self.full and not self.first:
            raise ValueError("full is given without run, expected both or none")
        if self.first:
            place = self.folder.resolve()  # "." has no name
            Validate(name=place.name, output=place.parent, full=self.full, resume=True).carry_out()
        for drawn in gallery.draw(self.folder, self.format, self.width):
            for path in drawn.files:
                console.print(f"{path}", soft_wrap=True)
