"""The figures of a validation, drawn from its stored tables."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from llmpo_jax.report import figures, names, style
from llmpo_jax.validation.claims import Draw
from llmpo_jax.validation.validate import DRAWINGS


class Drawn(NamedTuple):
    """A figure that was drawn: CLAIM_NAME, what stands below it, and its files."""

    name: str
    caption: str
    files: tuple[Path, ...]


def draw(
    folder: Path,
    formats: Sequence[str] = ("png",),
    width: str = "page",
    drawings: Mapping[str, Mapping[str, Draw]] = DRAWINGS,
    target: Path | None = None,
) -> list[Drawn]:
    """Draw the figures of a validation from the tables that it left in `folder`, into `folder`/figures/.

    Beside each figure lies its caption as NAME.txt, which ends with the command that draws it, and with the table and
    its SHA-256. The same tables give the same bytes.

    Args:
        folder: `folder`/CLAIM_NAME.parquet are the tables; those of claims that were not checked may be missing.
        formats: of "png", "pdf", "svg", at least one.
        width: "column" (3.4 inches) or "page" (7 inches).
        drawings: what draws each table, by claim and name.
        target: where to put the figures instead.

    Returns:
        What was drawn, in that order.

    Raises:
        ValueError: a folder without such tables, an unknown format or width.
    """
    figures.check_look(formats, width)
    makers = {f"{claim}_{name}": maker for claim, those in drawings.items() for name, maker in those.items()}
    found = {name: folder / f"{name}.parquet" for name in makers}
    tables = {name: pl.read_parquet(path) for name, path in found.items() if path.is_file()}
    if not tables:
        known = ", ".join(f"{name}.parquet" for name in makers)
        raise ValueError(f"{folder} holds no table of a validation, expected some of {known}")
    target = target or folder / "figures"
    target.mkdir(exist_ok=True)
    families, missing = names.fonts(text for table in tables.values() for text in _texts(table))
    names.note_missing(missing)
    command = f"llmpo-jax figures {shlex.quote(str(folder))} --width {width} --format {' '.join(formats)}"
    written = []
    with style.look(families, width):
        for name, table in tables.items():
            drawing = makers[name](_drawable(table, missing))
            style.plain_powers(drawing.figure)
            digest = hashlib.sha256(found[name].read_bytes()).hexdigest()
            source = f"Drawn by `{command}` from {name}.parquet, SHA-256 {digest}."
            figures.save_caption(f"{drawing.caption} {source}", target, name)
            files = figures.save_figure(drawing.figure, target, name, formats)
            written.append(Drawn(name, drawing.caption, tuple(files)))
    return written


def _texts(table: pl.DataFrame) -> list[str]:
    columns = table.select(pl.col(pl.String)).get_columns()
    return [text for column in columns for text in column.unique().drop_nulls()]


def _drawable(table: pl.DataFrame, missing: set[str]) -> pl.DataFrame:
    """The same without letters that no font has."""
    if not missing:
        return table
    named = names.drawable(_texts(table), 10**6, missing)
    return table.with_columns(pl.col(pl.String).replace(named))
