"""A table for the terminal that is legible in a narrow one and in any encoding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD, Box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from llmpo_jax.report.plain import spelt

_PLAIN_HEAD = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)

_LEGIBLE = 12
"""Columns of the terminal below which names are not folded."""


@dataclass(frozen=True)
class Listing:
    """A table for whatever it is printed to.

    Where it does not fit, headers are folded, then names; where that is not enough, every cell gets a line of its own.
    Nothing is cut. Signs that the encoding does not hold are spelt out.

    Attributes:
        headers: of each column the text, and whether it holds numbers, which stand to the right.
        lines: the cells of each line; an empty line ends a section.
        caption: what stands below.
    """

    headers: list[tuple[str, bool]]
    lines: list[list[Text]]
    caption: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [[Text(spelt(cell.plain, options.encoding), style=cell.style) for cell in line] for line in self.lines]
        wide, tight = self._table(options, lines, tight=False), self._table(options, lines, tight=True)
        missing = [
            Measurement.get(console, options.update(max_width=10_000), table).maximum - options.max_width
            for table in (wide, tight)
        ]
        if min(missing) <= self._foldable(lines):
            yield wide if missing[0] <= 0 else tight
            return
        for line in lines:
            yield from self._unfolded(options, line)
        yield spelt(self.caption, options.encoding)

    def _foldable(self, lines: list[list[Text]]) -> int:
        """How much narrower the columns of names may become."""
        names = [index for index, (_, numbers) in enumerate(self.headers) if not numbers]
        return sum(max(0, _widest(lines, index) - _LEGIBLE) for index in names)

    def _unfolded(self, options: ConsoleOptions, line: list[Text]) -> Iterator[Text | Padding]:
        """A line for each cell of a line."""
        yield from line[:1] or [Text()]
        for (header, _), cell in zip(self.headers[1:], line[1:], strict=False):
            if cell.plain:
                label = spelt(f"{' '.join(header.split())}: ", options.encoding)
                yield Padding(Text.assemble(label, (cell.plain.rstrip(), cell.style)), (0, 0, 0, 4), expand=False)

    def _table(self, options: ConsoleOptions, lines: list[list[Text]], tight: bool) -> Table:
        """The table; in a `tight` one headers are folded between words, to the width of the cells."""
        table = Table(
            box=_PLAIN_HEAD if options.ascii_only else SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            caption=spelt(self.caption, options.encoding) or None,
            caption_justify="left",
        )
        for index, (header, numbers) in enumerate(self.headers):
            table.add_column(
                spelt(header, options.encoding),
                justify="right" if numbers else "left",
                overflow="fold",
                width=max(_widest(lines, index), *map(len, header.split())) if tight and numbers else None,
            )
        for line in lines:
            if line:
                table.add_row(*line)
            else:
                table.add_section()
        return table


def _widest(lines: list[list[Text]], index: int) -> int:
    """Columns of the terminal that the cells of a column take."""
    return max((line[index].cell_len for line in lines if index < len(line)), default=1)
