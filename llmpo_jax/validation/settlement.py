"""C10: what is live. Verdicts that come late are settled in the order in which they were asked for."""

from __future__ import annotations

from typing import Any

import polars as pl

from llmpo_jax.hunting import drivers, search
from llmpo_jax.validation import claims
from llmpo_jax.validation.claims import Claim
from llmpo_jax.validation.runs import Runs
from llmpo_jax.validation.scope import Scope


def claim(scope: Scope, runs: Runs) -> Claim:
    """C10. Settled on arrival the same evidence is told beside it, and errs."""
    del runs  # evidence alone, without a procedure
    replications = scope.replications(4096, 20_000)
    ask, arrival = (counts(on_arrival, scope.seed, replications) for on_arrival in (False, True))
    checks = [*checked(ask), *(claims.told(check) for check in checked(arrival))]
    return Claim(
        number="C10",
        title="Evidence that is settled in ask order keeps its level, however slowly verdicts come.",
        null=(
            "A fair coin is refuted as worse than fair with probability at most delta, with 1, 8 and 32 comparisons in "
            "flight and wins that take ten times as long as losses: exact binomial tests."
        ),
        checks=tuple(checks),
        remarks=(
            "Settled on arrival the same verdicts refute what is true far more often than delta: quick answers are no "
            "random sample.",
        ),
        tables={"settlement": pl.DataFrame([*_rows("in ask order", ask), *_rows("on arrival", arrival)])},
    )


def counts(on_arrival: bool, seed: int, replications: int) -> list[search.Count]:
    """Errors with evidence settled on arrival, or in ask order, with 1, 8 and 32 in flight."""
    (group,) = drivers.settlement(on_arrival, seed)
    return [search.counted(cell, range(replications)) for cell in group]


def checked(counts: list[search.Count]) -> list[claims.Check]:
    """Exact tests of errors counted outside of the engine, at all of their levels."""
    tests = 2 * sum(len(count.cell.deltas) for count in counts)
    return [
        check
        for count in counts
        for check in claims.error_rates(
            f"{count.cell.procedure}; {count.cell.where}",
            [int(errors) for errors in count.errors],
            count.replications,
            count.cell.deltas,
            tests,
        )
    ]


def _rows(order: str, counts: list[search.Count]) -> list[dict[str, Any]]:
    return [
        {
            "settled": order,
            "where": count.cell.where,
            "delta": delta,
            "errors": int(errors),
            "replications": count.replications,
        }
        for count in counts
        for errors, delta in zip(count.errors, count.cell.deltas, strict=True)
    ]
