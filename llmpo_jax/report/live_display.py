"""What is seen while an experiment runs: a display kept up to date, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from llmpo_jax.live.protocol import Status
from llmpo_jax.report import live_words
from llmpo_jax.report.words import count

EVERY = 5.0
"""Seconds between two plain lines."""

Show = Callable[[Status], None]


@contextmanager
def display(console: Console, delta: float, clock: Callable[[], float] = time.monotonic) -> Iterator[Show]:
    """A function that shows the status it is given."""
    if not console.is_terminal:
        yield _plain(console, clock)
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield lambda status: live.update(picture(status, delta))


def picture(status: Status, delta: float) -> Group:
    """The status at a glance."""
    share = min(max(status.evidence / status.threshold, 0.0), 1.0)
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        "evidence",
        ProgressBar(total=1.0, completed=share, width=40),
        f"{status.evidence:.2f} of {status.threshold:.2f} nats",
    )
    left = "" if status.left is None else f", about {count(status.left)} more"
    rows = [
        Text.assemble(
            (status.leader, "bold"), f" leads; {len(status.refuted)} of {len(status.standings)} refuted at {delta:g}"
        ),
        bar,
        Text(live_words.comparisons(status).rstrip(".") + left),
        Text(live_words.spent(status.usage).rstrip(".")),
        Text(live_words.health(status), style="dim"),
    ]
    return Group(*rows)


def _plain(console: Console, clock: Callable[[], float]) -> Show:
    """Lines, one in `EVERY` seconds at most."""
    last = -EVERY

    def show(status: Status) -> None:
        nonlocal last
        now = clock()
        if now - last < EVERY and status.stop is None:
            return
        last = now
        console.print(line(status), soft_wrap=True, markup=False)

    return show


def line(status: Status) -> str:
    """The status in one line."""
    left = "" if status.left is None else f", about {count(status.left)} more"
    return (
        f"{status.leader} leads, {len(status.refuted)} of {len(status.standings)} refuted, evidence "
        f"{status.evidence:.2f} of {status.threshold:.2f}; {live_words.comparisons(status).rstrip('.')}{left}; "
        f"{live_words.spent(status.usage).rstrip('.')}"
    )
