"""What a claim is, its checks and their verdicts.

A check tests one null in one place. It `fails` where the data contradict the null at the claim's false-alarm rate,
`holds` where an interval at that level lies inside of what the claim says, and is `undecided` in between; then `enough`
says how many replications would decide it if what was seen is the truth.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl
from scipy import special

from llmpo_jax.report.style import Drawing
from llmpo_jax.theory.intervals import clopper_pearson

Verdict = Literal["holds", "fails", "undecided"]
FALSE_ALARM = 1e-6
"""Of a claim: at most the probability that any of its checks fails where all of its nulls are true."""
Draw = Callable[[pl.DataFrame], Drawing]
"""A figure of a table: nothing else goes into it, so that it is drawn again from the stored table at any width."""
MOST = 10**9
"""Replications beyond which "undecided" says no number."""


@dataclass(frozen=True)
class Check:
    """One null in one place.

    Attributes:
        where: instance, procedure, level: in words.
        expected: what the null says of the estimate, in words such as "at most 0.1".
        estimate, low, high: what was measured and its interval, all of a claim's together at 1 - `FALSE_ALARM` (the
            estimate three times where it is exact).
        verdict: what it means.
        replications: behind the estimate; 0 where nothing is random.
        enough: replications that would decide where undecided; None where nobody can say.
        asserted: whether the claim says that the null is true here. Where it is not (a heuristic rule, a planted
            defect), the verdict is told and no failure.
    """

    where: str
    expected: str
    estimate: float
    low: float
    high: float
    verdict: Verdict
    replications: int
    enough: int | None = None
    asserted: bool = True


@dataclass(frozen=True)
class Claim:
    """What came of a claim.

    Attributes:
        number: "C1" to "C10".
        title: the claim, a sentence.
        null: what is tested, and how.
        checks: the tests.
        remarks: sentences that the checks do not say.
        drawings: figures by file name, each what draws it from the table of that name.
        tables: data behind checks and figures, by file name.
    """

    number: str
    title: str
    null: str
    checks: tuple[Check, ...]
    remarks: tuple[str, ...] = ()
    drawings: Mapping[str, Draw] = field(default_factory=dict)
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst of the asserted checks; undecided where nothing is asserted."""
        found = {check.verdict for check in self.checks if check.asserted}
        return "fails" if "fails" in found else "holds" if found == {"holds"} else "undecided"


def error_rate(where: str, errors: int, trials: int, delta: float, tests: int) -> Check:
    """Whether an error rate is at most delta: exact binomial tests, `tests` of them in the claim together.

    Fails with probability at most `FALSE_ALARM` / (2 tests) where it is.
    """
    low, high = clopper_pearson(errors, trials, 1 - FALSE_ALARM / tests)
    verdict: Verdict = "fails" if low > delta else "holds" if high <= delta else "undecided"
    enough = _trials(errors / trials, delta, tests) if verdict == "undecided" else None
    where = f"{where}; delta = {delta:g}"
    return Check(where, f"at most {delta:g}", errors / trials, low, high, verdict, trials, enough)


def decidable(delta: float, trials: int, tests: int) -> bool:
    """Whether so many trials would tell half the errors that a level allows from the level."""
    return clopper_pearson(round(delta * trials / 2), trials, 1 - FALSE_ALARM / tests)[1] <= delta


def error_rates(where: str, errors: Sequence[int], trials: int, deltas: Sequence[float], tests: int) -> list[Check]:
    """`error_rate` at several levels; those that are not `decidable` are told, unless they fail."""
    checks = [error_rate(where, n, trials, delta, tests) for n, delta in zip(errors, deltas, strict=True)]
    return [
        check if decidable(delta, trials, tests) or check.verdict == "fails" else told(check)
        for check, delta in zip(checks, deltas, strict=True)
    ]


def told(check: Check) -> Check:
    """The same, of something that the claim does not say to be true."""
    return dataclasses.replace(check, asserted=False)


def _trials(rate: float, delta: float, tests: int) -> int | None:
    """Trials after which a rate is told from delta by exact intervals, if it is the true one; to a factor of 1.1."""
    trials = 16
    while trials < MOST:
        low, high = clopper_pearson(round(rate * trials), trials, 1 - FALSE_ALARM / tests)
        if high <= delta or low > delta:
            return trials
        trials = math.ceil(1.1 * trials)
    return None


def quantile(tests: int, freedom: int) -> float:
    """Standard errors to each side of a normal estimate, for `tests` intervals together at 1 - `FALSE_ALARM`.

    Student's, of so many degrees of freedom of the standard error.
    """
    return float(-special.stdtrit(freedom, FALSE_ALARM / (2 * tests)))


def within(
    where: str,
    estimate: float,
    error: float,
    least: float,
    most: float,
    replications: int,
    tests: int,
    asserted: bool = True,
    expected: str | None = None,
    freedom: int | None = None,
) -> Check:
    """Whether a quantity with an asymptotically normal estimate lies between `least` and `most` (either infinite).

    Args:
        error: the standard error.
        tests: number of such tests in the claim.
        expected: what the null says, where it is not "least to most".
        freedom: degrees of freedom of the standard error, where they are not `replications` less 1.
    """
    half = quantile(tests, freedom or replications - 1) * error
    low, high = estimate - half, estimate + half
    if low > most or high < least:
        verdict: Verdict = "fails"
    else:
        verdict = "holds" if low >= least and high <= most else "undecided"
    room = min(abs(estimate - edge) for edge in (least, most) if math.isfinite(edge))
    enough = None
    if verdict == "undecided" and room > 0 and (needed := replications * (half / room) ** 2) < MOST:
        enough = math.ceil(needed)
    said = expected or _range(least, most)
    return Check(where, said, estimate, low, high, verdict, replications, enough, asserted)


def exact(where: str, value: float, most: float, asserted: bool = True, expected: str | None = None) -> Check:
    """Whether a number without chance in it is at most `most`."""
    verdict: Verdict = "holds" if value <= most else "fails"
    return Check(where, expected or f"at most {most:g}", value, value, value, verdict, 0, None, asserted)


def _range(least: float, most: float) -> str:
    if math.isinf(least):
        return f"at most {most:g}"
    return f"at least {least:g}" if math.isinf(most) else f"{least:g} to {most:g}"


def standard_error(samples: np.ndarray) -> float:
    """Of the mean of independent samples [n], n >= 2."""
    return float(samples.std(ddof=1) / math.sqrt(len(samples)))


def table(claims: Sequence[Claim]) -> pl.DataFrame:
    """All checks, one row each: the claim's number, and the fields of `Check`."""
    return pl.DataFrame(
        [{"claim": claim.number, **vars(check)} for claim in claims for check in claim.checks],
        infer_schema_length=None,
    )


def failed(claims: Iterable[Claim]) -> list[Claim]:
    """The claims that should hold and fail."""
    return [claim for claim in claims if claim.verdict == "fails"]


Progress = Callable[[str], None]
"""Called with what is being done, in a few words."""
