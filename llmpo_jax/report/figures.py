"""The figures of a finished study."""

from __future__ import annotations

import functools
import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from llmpo_jax.registry import nearest
from llmpo_jax.report import curves, names, spread, stored, style
from llmpo_jax.report.stored import Findings
from llmpo_jax.report.style import Drawing

FIGURES: dict[str, Callable[[Findings, str], Drawing | None]] = {
    "correct_selection": curves.correct_selection,
    "stopping_time": spread.stopping_time,
    "ratio": curves.ratio,
    "proportions": spread.proportions,
}
"""File name to what draws it at a width; None where a study has not what it takes."""
_METADATA = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Date": None},
}
"""Formats, and what is left out of their files so that the same numbers give the same bytes."""
_NAME_LETTERS = {"column": 18, "page": 24}
_CAPTION_LETTERS = 100


def draw(
    folder: Path, formats: Sequence[str] = ("png",), width: str = "page", samplers: Sequence[str] = ()
) -> list[Path]:
    """Draw the figures of a finished study into `folder`/figures/.

    `correct_selection`, `stopping_time`, `ratio` and `proportions`, in every format, and beside each its caption as
    NAME.txt; with several sources one of each per source, as `ratio_SOURCE.png`. A figure for which the study has no
    data (no budgets, no deltas, no Condorcet winner) is left out. Every file is written under another name and then
    renamed; the same numbers give the same bytes.

    Args:
        folder: a study's folder (`llmpo_jax.engine.storage`).
        formats: of "png", "pdf", "svg", at least one.
        width: "column" (3.4 inches) or "page" (7 inches).
        samplers: which to draw; empty for all.

    Returns:
        The pictures, in the order drawn.

    Raises:
        ValueError: the folder holds no study, one that is not complete, or one of another version; an unknown
            format, width or sampler.
    """
    check_look(formats, width)
    found = [_only(findings, samplers) for findings in stored.load(folder)]
    target = folder / "figures"
    target.mkdir(exist_ok=True)
    families, missing = names.fonts(text for findings in found for text in _texts(findings))
    names.note_missing(missing)
    written = []
    with style.look(families):
        for findings in found:
            suffix = f"_{findings.source}" if len(found) > 1 else ""
            readable = _drawable(findings, _NAME_LETTERS[width], missing)
            for name, maker in FIGURES.items():
                drawing = maker(readable, width)
                if drawing is not None:
                    save_caption(drawing.caption, target, name + suffix)
                    written += save_figure(drawing.figure, target, name + suffix, formats)
    return written


def check_look(formats: Sequence[str], width: str) -> None:
    """Whether there are such formats, at least one, and such a width.

    Raises:
        ValueError: anything else.
    """
    for each in formats or ("",):
        if each not in _METADATA:
            raise ValueError(f"format = {each!r}{nearest(each, _METADATA)}")
    if width not in style.WIDTHS:
        raise ValueError(f"width = {width!r}{nearest(width, style.WIDTHS)}")


def _only(findings: Findings, samplers: Sequence[str]) -> Findings:
    """What was found with these samplers, all if there are none; in the order of the study."""
    for sampler in samplers:
        if sampler not in findings.samplers:
            raise ValueError(f"sampler {sampler!r} is not in {findings.folder}{nearest(sampler, findings.samplers)}")
    kept = tuple(sampler for sampler in findings.samplers if not samplers or sampler in samplers)
    frames = {"table": findings.table, "pairs": findings.pairs, "summary": findings.summary}
    shown = {name: frame.filter(pl.col("sampler").is_in(kept)) for name, frame in frames.items() if len(frame)}
    return replace(findings, samplers=kept, **shown)


def _texts(findings: Findings) -> list[str]:
    return [*findings.policies, *findings.samplers, *findings.rules]


def _drawable(findings: Findings, length: int, missing: set[str]) -> Findings:
    """The same with names as they can be drawn."""
    policies, samplers, rules = (
        names.drawable(those, length, missing) for those in (findings.policies, findings.samplers, findings.rules)
    )
    columns = {"first": policies, "second": policies, "sampler": samplers, "stopping": rules}

    def renamed(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.col(name).replace(columns[name]) for name in frame.columns if name in columns)

    return replace(
        findings,
        samplers=tuple(samplers.values()),
        rules=tuple(rules.values()),
        table=renamed(findings.table),
        pairs=renamed(findings.pairs),
        summary=renamed(findings.summary),
        full_names={new: old for old, new in policies.items() if new != old},
    )


def save_caption(caption: str, folder: Path, name: str) -> None:
    """Keep as `folder`/NAME.txt what stands below a figure in a paper."""
    text = textwrap.fill(caption, _CAPTION_LETTERS, break_long_words=False, break_on_hyphens=False) + "\n"
    _replace(folder / f"{name}.txt", lambda path: path.write_text(text, encoding="utf-8"))


def save_figure(figure: Figure, folder: Path, name: str, formats: Sequence[str]) -> list[Path]:
    """Keep a figure as `folder`/NAME in every format, each file whole or not at all."""
    _settle(figure)
    paths = [folder / f"{name}.{kind}" for kind in dict.fromkeys(formats)]
    for path in paths:
        kind = path.suffix[1:]
        _replace(path, functools.partial(figure.savefig, format=kind, metadata=_METADATA[kind]))
    return paths


def _settle(figure: Figure) -> None:
    """Fix the layout, without the last digits of its solver, which are not the same every time."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.get_axes():
        axes.set_position(Bbox(axes.get_position().get_points().round(4)))


def _replace(path: Path, writer: Callable[[Path], object]) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        writer(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
