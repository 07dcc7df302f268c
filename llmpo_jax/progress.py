"""A bar for what takes long: drawn by rich in a terminal, by the notebook itself in a notebook."""

from __future__ import annotations

import contextlib
import html
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

PERIOD = 0.1
"""Seconds between two drawings in a notebook."""


@contextlib.contextmanager
def bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar while something runs; it yields the function to be told how much of `total` is done.

    On standard error in a terminal; nowhere where standard error is none. In a notebook it is HTML, updated in place,
    which needs no widgets. May be told from any thread.

    Example:
        >>> with bar("replications", 100) as advance:
        ...     advance(50)
    """
    from rich.console import Console  # not needed where nobody asks for a bar

    console = Console(stderr=True)
    with _in_notebook(description, total) if console.is_jupyter else _in_terminal(console, description, total) as found:
        yield found


def columns() -> tuple[ProgressColumn, ...]:
    """What a bar in a terminal shows: what is done, how much of it, and for how long."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

    return TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()


@contextlib.contextmanager
def _in_terminal(console, description: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.progress import Progress

    with Progress(*columns(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextlib.contextmanager
def _in_notebook(description: str, total: int) -> Iterator[Callable[[int], None]]:
    from IPython.display import display  # pyright: ignore[reportMissingImports]

    started = drawn = time.monotonic()
    state = _drawing(description, 0, total, 0.0)
    handle = display(state, raw=True, display_id=True)

    def advance(done: int) -> None:
        nonlocal state, drawn
        now = time.monotonic()
        state = _drawing(description, done, total, now - started)
        if now - drawn >= PERIOD:
            drawn = now
            handle.update(state, raw=True)

    try:
        yield advance
    finally:
        handle.update(state, raw=True)


def _drawing(description: str, done: int, total: int, seconds: float) -> dict[str, str]:
    label = f"{description} {done:,}/{total:,}, {seconds:.0f} s"
    drawn = f'<progress value="{done}" max="{total}"></progress> {html.escape(label)}'
    return {"text/html": drawn, "text/plain": label}
