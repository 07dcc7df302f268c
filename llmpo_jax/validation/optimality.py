"""C4: as delta falls LLM-PO needs as few comparisons as theory allows, and others as many as their proportions say."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import numpy as np
import polars as pl

from llmpo_jax.engine.result import Result
from llmpo_jax.models.given import given
from llmpo_jax.protocol import SpaceName
from llmpo_jax.report import style
from llmpo_jax.report.style import Drawing
from llmpo_jax.spaces import SPACES
from llmpo_jax.theory.allocation import time_of
from llmpo_jax.theory.intervals import mean_interval
from llmpo_jax.validation import claims, knowledge, places
from llmpo_jax.validation.claims import Check, Claim, Verdict
from llmpo_jax.validation.places import LEAST, UNIFORM, levels
from llmpo_jax.validation.runs import Run, Runs
from llmpo_jax.validation.scope import Scope

SKIPPED = 1
"""Largest levels that the fit leaves out: there a run is still looking for the pairs that matter."""
SLACK = 0.05
"""By so much a limit may be off where only the form of the second-order term is to blame."""
PRECISION = 0.25
"""An interval that reaches further than this from 1 decides nothing."""
MIDDLE = 1e-25
"""Long-run proportions are those of the comparisons from here to the end."""
_CUT = 10_000
"""Comparisons at which baselines are cut that stop sampling what is needed, so that their limit is infinite."""
_NEVER = ("thompson", "rucb")


class Case(NamedTuple):
    """A procedure on an instance, and which limit its stopping time over `T* log(1 / delta)` is to have: 1 where
    proportions become "optimal", `T(w) / T*` where they are "uniform", or become whatever they do ("own")."""

    run: Run
    share: Literal["optimal", "uniform", "own"]


class Limit(NamedTuple):
    """A limit by two forms of the second-order term, and standard errors: log(L), and sqrt(L)."""

    log: float
    log_error: float
    root: float
    root_error: float

    def interval(self, quantile: float) -> tuple[float, float]:
        """What is left open by chance and by the form."""
        ends = [(x - quantile * e, x + quantile * e) for x, e in (self[:2], self[2:])]
        return min(low for low, _ in ends), max(high for _, high in ends)


def limit(nats: np.ndarray, multiples: np.ndarray) -> Limit:
    """The limit of E[tau] / L as L grows, from stopping times at several L.

    Least squares of the mean on `{L, g(L), 1}` with weights 1 / L, as variances grow like L, once with g = log and once
    with g = sqrt: learning rates costs the former, forced exploration and the slowest of several rivals the latter. The
    coefficient of L is linear in the times, so that every replication has one, and their spread is its error, however
    levels of one run hang together.

    Args:
        nats: [D], L = log(1 / delta), rising. multiples: [R, D], stopping times, of any unit per nat.
    """
    found = []
    for second in (np.log, np.sqrt):
        columns = np.stack([nats, second(nats), np.ones_like(nats)], axis=1)
        scale = 1 / np.sqrt(nats)
        own = multiples @ (np.linalg.pinv(columns * scale[:, None])[0] * scale)
        found += [float(own.mean()), claims.standard_error(own)]
    return Limit(*found)


def claim(scope: Scope, runs: Runs) -> Claim:
    """C4. Each cell is a procedure on an instance; the limit of its multiple of `T* log(1 / delta)` is the test."""
    cases = [case for assume in SPACES for case in _cases(scope, assume)]
    checks, rows = limit_checks(runs, cases)
    return Claim(
        number="C4",
        title=(
            "E[tau] / (T* log(1 / delta)) tends to 1 for LLM-PO in both spaces, and to T(w) / T* of their limiting "
            "proportions w for the baselines."
        ),
        null=(
            "E[tau] / (T(w) log(1 / delta)) tends to 1, where w are the limiting proportions: optimal ones for "
            "LLM-PO, equal ones for round-robin and random-pair, for others those of the comparisons "
            f"between the stops at {MIDDLE:g} and {LEAST:g}. The limit is extrapolated by "
            "regressing mean stopping times at levels from "
            f"{levels(LEAST)[SKIPPED]:.1g} to {LEAST:g} on L = log(1 / delta), a second-order term, and 1. Its form "
            "is not known; the interval spans the fits with log(L) and with sqrt(L), each with its error by chance. "
            f"The claim fails where it misses 1 by more than {SLACK:g}, and holds where it meets 1 and nothing of it "
            f"is further away than {PRECISION:g}. That the truth lies between the two fits is an assumption."
        ),
        checks=checks,
        remarks=tuple(_remarks(rows)),
        drawings=DRAWINGS,
        tables={"optimality": rows, **({} if scope.quick else knowledge.tables(scope, runs))},
    )


def _cases(scope: Scope, assume: str) -> list[Case]:
    sources, cheap = places.instances(scope, assume), places.cheap(scope, assume)
    found = [
        Case(places.until(source, "llm-po", LEAST, scope), "optimal") for source in dict.fromkeys((*sources, *cheap))
    ]
    for source in cheap:
        for name in places.baselines(scope, assume):
            limit = _CUT if name in _NEVER else None
            share = "uniform" if name in UNIFORM else "own"
            found.append(Case(places.until(source, name, LEAST, scope, limit), share))
    return found


def limit_checks(runs: Runs, cases: Sequence[Case]) -> tuple[tuple[Check, ...], pl.DataFrame]:
    """The limits of procedures, of which each `share` is expected; and their stopping times, a row per case and level.

    A procedure that was cut before the last level is told, as cut, and not tested.
    """
    results = runs.all([case.run for case in cases])
    earlier = dict.fromkeys(
        index for index, case in enumerate(cases) if case.share == "own" and not _is_cut(results[index])
    )
    middle = runs.all([dataclasses.replace(cases[index].run, deltas=levels(MIDDLE)) for index in earlier])
    before = dict(zip(earlier, middle, strict=True))
    found = [
        _found(case, result, before.get(index), len(cases))
        for index, (case, result) in enumerate(zip(cases, results, strict=True))
    ]
    return tuple(check for check, _ in found), pl.concat([rows for _, rows in found])


def _is_cut(result: Result) -> bool:
    return bool((result.stopping_time < 0).any())


def _found(case: Case, result: Result, middle: Result | None, tests: int) -> tuple[Check, pl.DataFrame]:
    """The test of one case, and its rows."""
    assert result.time is not None
    nats = -np.log(result.deltas)
    times = np.stack([result.spent(index) for index in range(len(nats))], axis=1)
    where = f"{case.run.source}; {case.run.procedure_name}"
    if _is_cut(result):
        reached = float(times[:, -1].mean() / (result.time * nats[-1]))
        aim, check = math.nan, Check(where, "cut", reached, reached, math.inf, "undecided", len(times), asserted=False)
    else:
        aim, off = _aim(case, result, middle)
        found = limit(nats[SKIPPED:], times[:, SKIPPED:] / aim)
        found = Limit(found.log, math.hypot(found.log_error, off), found.root, math.hypot(found.root_error, off))
        check = judged(where, found, len(times), tests)
    rows = []
    for index, delta in enumerate(result.deltas):
        mean, low, high = mean_interval(times[:, index] / (result.time * nats[index]))
        rows.append(
            {
                "instance": case.run.source,
                "space": result.assume,
                "sampler": case.run.procedure or str(case.run.sampler),
                "delta": delta,
                "multiple": mean,
                "low": low,
                "high": high,
                "censored": float((result.stopping_time[:, index] < 0).mean()),
                "limit": aim / result.time,
                "fitted / limit": check.estimate,
                "replications": len(times),
            }
        )
    return check, pl.DataFrame(rows)


def _aim(case: Case, result: Result, middle: Result | None) -> tuple[float, float]:
    """T(w) of the limiting proportions, and its relative standard error."""
    assert result.time is not None
    if case.share == "optimal":
        return result.time, 0.0
    model = given(case.run.model)
    space = cast(SpaceName, result.assume)
    if case.share == "uniform":
        return time_of(model, np.ones_like(result.counts), space), 0.0
    assert middle is not None
    groups = result.group_counts - middle.group_counts
    each = np.array([time_of(model, group, space) for group in groups if group.any()])
    whole = time_of(model, result.counts - middle.counts, space)
    return whole, claims.standard_error(each) / whole


def judged(where: str, found: Limit, replications: int, tests: int) -> Check:
    """Whether a limit, relative to the expected one, is 1."""
    quantile = claims.quantile(tests, replications - 1)
    low, high = found.interval(quantile)
    if low > 1 + SLACK or high < 1 - SLACK:
        verdict: Verdict = "fails"
    else:
        verdict = "holds" if low <= 1 <= high and max(high - 1, 1 - low) <= PRECISION else "undecided"
    forms = max(abs(found.log - 1), abs(found.root - 1))
    room = PRECISION - forms if low <= 1 <= high else forms - SLACK
    enough = None
    if verdict == "undecided" and room > 0:
        enough = math.ceil(replications * (quantile * max(found.log_error, found.root_error) / room) ** 2)
    expected = f"1, the interval within {PRECISION:g} of it"
    return Check(where, expected, (found.log + found.root) / 2, low, high, verdict, replications, enough)


def _remarks(rows: pl.DataFrame) -> list[str]:
    last = rows.unique(["instance", "sampler"], keep="last", maintain_order=True)
    cut = last.filter(pl.col("limit").is_nan())["sampler"].unique(maintain_order=True).to_list()
    if not cut:
        return []
    return [
        f"{', '.join(cut)}: cut before the smallest level. They compare what is needed to refute the last rivals ever "
        "more rarely, as they are made for a small regret, and no finite limit is known for them.",
    ]


def _drawing(rows: pl.DataFrame) -> Drawing:
    """The multiple of `T* log(1 / delta)` against delta: LLM-PO on all instances, then all samplers, space by space."""
    ours = rows.filter(pl.col("sampler") == "llm-po")
    compared = rows.filter(pl.col("instance").is_in(rows.filter(pl.col("sampler") != "llm-po")["instance"].implode()))
    panels = [("llm-po on every instance", ours, "instance")]
    panels += [(str(name), some, "sampler") for (name,), some in compared.group_by("instance", maintain_order=True)]
    figure, axes = style.grid(len(panels), 2, 2.3, above=0.4)
    for panel, (title, some, by) in zip(axes, panels, strict=True):
        panel.set_title(title)
        panel.axhline(1, color="0.2", linewidth=0.8)
        for index, ((name,), line) in enumerate(some.group_by(by, maintain_order=True)):
            look = {**places.look(index), "label": name}
            if by == "sampler":
                look = style.sampler_styles([str(name)])[str(name)].line()
            nats = -np.log10(line["delta"].to_numpy())
            whole = line["censored"].to_numpy() == 0
            mean, low, high = (line[column].to_numpy() for column in ("multiple", "low", "high"))
            panel.fill_between(nats[whole], low[whole], high[whole], color=look["color"], alpha=0.15, linewidth=0)
            panel.plot(nats[whole], mean[whole], **look)
            if by == "sampler":
                panel.plot([nats[-1]] * 2, [line["limit"][0]] * 2, linestyle="none", marker="_", color=look["color"])
                panel.axhline(line["limit"][0], color=look["color"], linewidth=0.6, linestyle=":")
        panel.set_xscale("log")
        panel.set_yscale("log")
        high = float(some.filter(pl.col("censored") == 0)["multiple"].max() or 1)  # pyright: ignore[reportArgumentType]
        if by == "instance":
            panel.set_ylim(top=high ** (1 + 0.12 * some["instance"].n_unique()))
            panel.legend(loc="upper right", handlelength=1.5, labelspacing=0.2)
        style.log_ticks(panel.yaxis, 1, 1.2 * high, 1.6)
        style.fixed_ticks(panel.xaxis, [1, 3, 10, 50], ["0.1", "1e-3", "1e-10", "1e-50"])
        panel.set_xlabel("level delta")
        panel.set_ylabel("mean / (T* log(1/delta))")
    samplers = compared["sampler"].unique(maintain_order=True).to_list()
    style.legend_above(figure, style.sampler_handles(samplers))
    caption = (
        "Mean stopping time as a multiple of T* log(1/delta), proven e-process rule, 95 % intervals of the mean. "
        "Solid black line: 1, the least that any delta-PAC procedure needs as delta tends to 0. Dotted: T(w) / T*, "
        "what a sampler's own limiting proportions w allow. Lines end where a run was cut at its limit. "
        f"{rows['replications'].max():,} replications."
    )
    return Drawing(figure, caption)


DRAWINGS: dict[str, claims.Draw] = {"optimality": _drawing, **knowledge.DRAWINGS}
