"""What is seen while a study runs: a bar, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn

from llmpo_jax.progress import columns

EVERY = 10.0
"""Seconds between two plain lines on one cell."""

Show = Callable[[str, int, int], None]
"""Called as `show(cell label, finished replications, replications of the whole study)`."""


@contextmanager
def display(console: Console, clock: Callable[[], float] = time.monotonic) -> Iterator[Show]:
    """A function that shows how far the study is. Nothing is shown before it is called."""
    if not console.is_terminal:
        yield _plain(console, clock)
        return
    bar = Progress(*columns(), TimeRemainingColumn(), console=console)
    task = bar.add_task("starting")

    def show(label: str, finished: int, total: int) -> None:
        bar.start()
        bar.update(task, description=_words(label), completed=finished, total=total)

    try:
        yield show
    finally:
        bar.stop()


def _plain(console: Console, clock: Callable[[], float]) -> Show:
    """Lines for a log: one at each new cell and at the end, and else one in `EVERY` seconds at most."""
    started, first = clock(), -1
    last, cell, told = -EVERY, "", 0
    running: tuple[float, int] | None = None  # since the first replication was over, when programs were compiled

    def show(label: str, finished: int, total: int) -> None:
        nonlocal first, last, cell, told, running
        now = clock()
        first = finished if first < 0 else first
        running = (now, finished) if running is None and finished > first else running
        if label == cell and now - last < EVERY and not told < finished == total:
            return
        last, cell, told = now, label, finished
        left = None
        if running is not None and finished > running[1]:
            left = (now - running[0]) * (total - finished) / (finished - running[1])
        console.print(line(label, finished, total, now - started, left), soft_wrap=True, markup=False)

    return show


def line(label: str, finished: int, total: int, elapsed: float, left: float | None) -> str:
    """How far it is in one line; `elapsed` and `left` in seconds."""
    rest = "" if left is None else f", about {_clock(left)} left"
    share = f"{100 * finished // total} %"
    return f"{_words(label)}: {finished:,} of {total:,} replications, {share}, {_clock(elapsed)}{rest}"


def _words(label: str) -> str:
    return label.replace("__", " ")


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
