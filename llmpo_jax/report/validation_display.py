"""What is seen of a validation in a terminal: where it is, and the verdicts at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.text import Text

from llmpo_jax.report.listing import Listing
from llmpo_jax.report.validation import counts
from llmpo_jax.validation.defects import Defect
from llmpo_jax.validation.validate import Report, Show

_STYLES = {"holds": "green", "fails": "bold red", "undecided": "yellow"}


@contextmanager
def display(console: Console, clock: Callable[[], float] = time.monotonic) -> Iterator[Show]:
    """A function that shows which claim is checked, and what runs for it: a line that changes, or lines for a log."""
    started = clock()

    def line(claim: str, what: str) -> str:
        return f"{claim}: {what}, {timedelta(seconds=round(clock() - started))}"

    if not console.is_terminal:
        yield lambda claim, what: console.print(line(claim, what), soft_wrap=True)
        return
    with console.status("starting") as status:
        yield lambda claim, what: status.update(Text(line(claim, what)))


def verdict_table(report: Report) -> Listing:
    """A line for each claim."""
    headers = [("claim", False), ("what it says", False), ("verdict", False), ("hold / fail /\nundecided", True)]
    lines = [
        [
            Text(claim.number),
            Text(claim.title),
            Text(claim.verdict, style=_STYLES[claim.verdict]),
            Text(counts(claim)),
            Text(f"{seconds:.0f}"),
        ]
        for claim, seconds in report.finished
    ]
    return Listing([*headers, ("seconds", True)], lines)


def defect_table(defects: Sequence[Defect]) -> Listing:
    """A line for each planted defect."""
    headers = [("planted defect", False), ("what is broken", False), ("looked for by", False), ("", False)]
    lines = [
        [
            Text(defect.name),
            Text(defect.what),
            Text(defect.by),
            Text("caught", style="green") if defect.caught else Text("went through", style="bold red"),
        ]
        for defect in defects
    ]
    return Listing(headers, lines)
