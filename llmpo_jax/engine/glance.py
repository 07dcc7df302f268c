"""A result at a glance: two lines at the prompt, a table in a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmpo_jax.theory.intervals import clopper_pearson

if TYPE_CHECKING:
    from llmpo_jax.engine.result import Result

SHOWN = 3
"""Levels and budgets in a text."""


def text(result: Result) -> str:
    """What was run, and in a second line what came out."""
    levels = [
        f"{_mean(level.mean, level.censored)} {level.unit} and {level.error_rate:.2%} errors at delta {level.delta:g}"
        for level in result.summary()
    ]
    guesses = [
        f"{share:.1%} correct after {budget:,}"
        for budget, share in zip(result.budgets, result.correct_selection().mean(axis=0), strict=True)
    ]
    return f"<Result of {_run(result)}:\n {'; '.join(_few(levels) + _few(guesses))}>"


def table(result: Result) -> str:
    """HTML: a row for each delta, and one for each budget, with 95 % intervals."""
    rows = [
        (
            f"{level.delta:g}",
            f"{_mean(level.mean, level.censored)} ({level.mean_low:,.1f} to {level.mean_high:,.1f})",
            "" if level.ratio is None else f"{level.ratio:.2f}",
            f"{level.error_rate:.2%} ({level.error_low:.2%} to {level.error_high:.2%})",
            f"{level.censored:.1%}",
        )
        for level in result.summary()
    ]
    unit = "comparisons" if result.costs is None else "cost"
    head = ("delta", f"{unit}, mean (95 %)", "ratio to T* log(1 / delta)", "errors (95 %)", "censored")
    found = f"<p>{html.escape(_run(result))}</p>" + (_table(head, rows) if rows else "")
    correct, trials = result.correct_selection().sum(axis=0).tolist(), len(result.stopping_time)
    intervals = [clopper_pearson(count, trials) for count in correct]
    guesses = [
        (f"{budget:,}", f"{count / trials:.1%} ({low:.1%} to {high:.1%})")
        for budget, count, (low, high) in zip(result.budgets, correct, intervals, strict=True)
    ]
    return found + (_table(("budget", "correct (95 %)"), guesses) if guesses else "")


def _run(result: Result) -> str:
    replications = len(result.stopping_time)
    return (
        f"{result.sampler} with {result.stopping}, {result.model.num_policies} policies, {replications:,} replications"
    )


def _mean(mean: float, censored: float) -> str:
    """With any censoring the mean is a lower bound."""
    return f"{'at least ' if censored else ''}{mean:,.1f}"


def _few(parts: list[str]) -> list[str]:
    return parts if len(parts) <= SHOWN else [*parts[:SHOWN], f"{len(parts) - SHOWN} more"]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"

    return f"<table>{line('th', head)}{''.join(line('td', row) for row in rows)}</table>"
