"""A report as Markdown and as one HTML page that holds everything, without scripts and readable on a phone."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; color: #222;
  overflow-wrap: anywhere }
h2 { margin-top: 2.5rem; line-height: 1.25 }
.scroll { overflow-x: auto; margin: 1rem 0 }
table { border-collapse: collapse; width: 100%; overflow-wrap: normal; font-size: 14px }
td, th { padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; min-width: 3.5rem }
th { white-space: nowrap }
td.long { min-width: 12rem }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto }
summary { cursor: pointer; color: #0b5394 }
img { width: 100%; max-width: 100%; height: auto; display: block }
figure { margin: 1.5rem 0 }
figcaption { color: #555; font-size: 14px; margin-top: .5rem }
.good, .bad, .open { padding: .1rem .4rem; border-radius: .3rem; font-weight: 600; white-space: nowrap }
.good { background: #d9efe3; color: #00553a }
.bad { background: #f8d9d0; color: #8a2b00 }
.open { background: #f3ead0; color: #6b4e00 }
"""
_LONG = 30
"""Letters from which on a cell of a table is given room for more than a word a line."""
PHONE = 640
"""Pixels of a window up to which the narrow version of a picture is shown."""


class Span(NamedTuple):
    """A cell with a look of its own, or one that leads to a section.

    Attributes:
        text: what it says.
        look: good, bad or open where it is a verdict.
        to: anchor of the section that it leads to.
    """

    text: str
    look: Literal["good", "bad", "open", ""] = ""
    to: str = ""


Cell: TypeAlias = str | Span


class Table(NamedTuple):
    """Rows of cells, the header first; hidden behind the words `folded` where there are any."""

    rows: Sequence[Sequence[Cell]]
    folded: str = ""


class Command(NamedTuple):
    """To be run in a shell."""

    text: str


class Picture(NamedTuple):
    """A figure.

    Attributes:
        file: where it lies, seen from the Markdown.
        svg: the same for the page, as SVG.
        caption: what stands below.
        narrow: the same for a phone, where there is one.
    """

    file: str
    svg: str
    caption: str
    narrow: str = ""


Block: TypeAlias = str | Table | Command | Picture
"""A text is a paragraph."""


class Section(NamedTuple):
    """A part of a report: its heading, what stands below, and the anchor that cells lead to."""

    title: str
    blocks: Sequence[Block]
    anchor: str = ""


@dataclass(frozen=True)
class Page:
    """A report: `opening` stands before the sections."""

    title: str
    sections: Sequence[Section]
    opening: Sequence[Block] = ()

    def markdown(self) -> str:
        """As Markdown, in which every name reads as it is."""
        parts = [f"# {_escaped(self.title)}", *map(_marked, self.opening)]
        for section in self.sections:
            anchor = f'<a id="{section.anchor}"></a>\n\n' if section.anchor else ""
            parts += [f"{anchor}## {_escaped(section.title)}", *map(_marked, section.blocks)]
        return "\n\n".join(parts) + "\n"

    def html(self) -> str:
        """As one HTML page."""
        parts = [f"<h1>{html.escape(self.title)}</h1>", *map(_tagged, self.opening)]
        for section in self.sections:
            anchor = f' id="{html.escape(section.anchor)}"' if section.anchor else ""
            parts += [f"<h2{anchor}>{html.escape(section.title)}</h2>", *map(_tagged, section.blocks)]
        head = (
            '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
            # Without it a browser asks for /favicon.ico, and says that there is none.
            f'<link rel="icon" href="data:,"><title>{html.escape(self.title)}</title><style>{_STYLE}</style>'
        )
        body = "\n".join(parts)
        return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _marked(block: Block) -> str:
    match block:
        case str():
            return _escaped(block)
        case Command(text):
            return f"```sh\n{text}\n```"
        case Picture(file=file, caption=caption):
            return f"![{_escaped(caption)}]({file})\n\n{_escaped(caption)}"
        case Table(rows, folded):
            lines = [f"| {' | '.join(map(_marked_cell, row))} |" for row in rows]
            table = "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
            return f"<details><summary>{html.escape(folded)}</summary>\n\n{table}\n\n</details>" if folded else table


def _marked_cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return _escaped(cell)
    text = f"**{_escaped(cell.text)}**" if cell.look in ("bad", "open") else _escaped(cell.text)
    return f"[{text}](#{cell.to})" if cell.to else text


def _escaped(text: str) -> str:
    """Text in Markdown that reads as it is, in one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|&$~])", r"\\\1", " ".join(text.split()))


def _tagged(block: Block) -> str:
    match block:
        case str():
            return f"<p>{html.escape(block)}</p>"
        case Command(text):
            return f"<pre>{html.escape(text)}</pre>"
        case Picture():
            return _figure(block)
        case Table(rows, folded):
            lines = [_row(rows[0], "th"), *(_row(cells, "td") for cells in rows[1:])]
            table = f'<div class="scroll"><table>{"".join(lines)}</table></div>'
            return f"<details><summary>{html.escape(folded)}</summary>{table}</details>" if folded else table


def _row(cells: Sequence[Cell], tag: str) -> str:
    return f"<tr>{''.join(_tagged_cell(cell, tag) for cell in cells)}</tr>"


def _tagged_cell(cell: Cell, tag: str) -> str:
    look, to = ("", "") if isinstance(cell, str) else (cell.look, cell.to)
    plain = cell if isinstance(cell, str) else cell.text
    text = html.escape(plain)
    if look:
        text = f'<span class="{look}">{text}</span>'
    if to:
        text = f'<a href="#{html.escape(to)}">{text}</a>'
    room = ' class="long"' if len(plain) > _LONG else ""
    return f"<{tag}{room}>{text}</{tag}>"


def _figure(picture: Picture) -> str:
    """As images, which keep the names inside of each SVG apart."""
    caption = html.escape(picture.caption)
    image = f'<img src="{_data(picture.svg)}" alt="{caption}">'
    if picture.narrow:
        narrow = f'<source media="(max-width: {PHONE}px)" srcset="{_data(picture.narrow)}">'
        image = f"<picture>{narrow}{image}</picture>"
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _data(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
