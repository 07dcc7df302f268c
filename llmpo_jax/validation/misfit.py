"""C8: what a wrong linear model costs in errors, and whether a test of its fit would have told."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from scipy.special import expit, logit

from llmpo_jax.engine.result import Result
from llmpo_jax.models import LinearBradleyTerry, PreferenceModel, Tabular, condorcet_winner, host_probabilities, load
from llmpo_jax.protocol import SpaceName
from llmpo_jax.report import style
from llmpo_jax.report.identify_words import MISFIT
from llmpo_jax.report.style import Drawing
from llmpo_jax.theory.intervals import clopper_pearson
from llmpo_jax.theory.ranking import goodness_of_fit
from llmpo_jax.validation import claims, places
from llmpo_jax.validation.claims import Claim
from llmpo_jax.validation.runs import Run, Runs, in_words
from llmpo_jax.validation.scope import Scope

SOURCE = places.LINEAR
NOISES = (0.0, 0.1, 0.2, 0.4, 0.8)
"""Standard deviations of what is added to the logit of each pair."""
DELTA = 0.05
ALARMS = 10.0
"""Times its level that the test of fit may raise false alarms: it is approximate where counts are small."""
PRIOR_SCALE = 2.0
_BESIDE = 0.016
"""Logits by which the draws of a noise are drawn beside each other; two lines of a panel, by half of it."""
_DATA = ("same pairs", "all pairs alike")
"""Which comparisons the test of fit sees."""
_LIMIT = 30_000
_STEPS = 12
"""Of Newton's method."""


class Told(NamedTuple):
    """Of data sets with as many comparisons as a run has in the mean: how many spoke of the fit, and how many of these
    denied it."""

    drawn: int
    denied: int


def bent(model: LinearBradleyTerry, noise: float, rng: np.random.Generator) -> Tabular:
    """The model with normal noise of this standard deviation added to the logit of every pair."""
    mu = host_probabilities(model)
    upper = np.triu(logit(mu) + noise * rng.normal(size=mu.shape), 1)
    return Tabular(expit(upper - upper.T))


def claim(scope: Scope, runs: Runs) -> Claim:
    """C8. Each cell is a noise and an assumption; the instance is given."""
    model = load(SOURCE).model
    assert isinstance(model, LinearBradleyTerry)
    truths = [
        (noise, draw, _with_the_winner(model, noise, scope.seed, draw))
        for noise in NOISES
        for draw in range(scope.replications(1, 5) if noise else 1)
    ]
    assumptions: tuple[SpaceName, ...] = ("structured", "unstructured")
    cells = [
        (noise, truth, _run(scope, model, f"noise {noise:g}, draw {draw}", truth, space))
        for noise, draw, truth in truths
        for space in assumptions
    ]
    results = runs.all([run for _, _, run in cells])
    rng = np.random.default_rng(scope.seed)
    rows = []
    for (noise, truth, run), result in zip(cells, results, strict=True):
        rows.append(_row(noise, run, result))
        if result.assume == "structured":
            spread = np.full_like(
                result.counts, result.counts.sum() / (len(result.counts) * (len(result.counts) - 1) / 2)
            )
            number = scope.replications(5_000, 50_000) if noise == 0 else scope.replications(500, 2_000)
            for name, counts in zip(_DATA, (result.counts, spread), strict=True):
                rows[-1] |= {name: told(model, truth, counts, number, rng)}
    tested = [_fit_check(row, name) for row in rows[:1] for name in _DATA]
    index = 0 if scope.quick else -1
    for (_, _, run), result in list(zip(cells, results, strict=True))[: len(assumptions)]:
        level = result.summary()[index]
        where = f"{run.source}; {run.procedure_name}; delta = {level.delta:g}"
        tested.append(claims.error_rate(where, level.errors, level.replications, level.delta, 4))
    table = pl.DataFrame([_flat(row) for row in rows])
    return Claim(
        number="C8",
        title="Where the linear model holds it errs at its level; what it costs where it is wrong is told.",
        null=(
            f"Without noise both procedures err at most at their level, {0.3 if scope.quick else DELTA:g} here (C3 has "
            f"the others), and the test of fit (Pearson's, level {MISFIT:g}) denies the model in at most "
            f"{ALARMS * MISFIT:g} of fresh data sets with as many comparisons of each pair as a run has in the mean "
            "(its distribution is approximate). Where the model is wrong nothing is claimed."
        ),
        checks=tuple(tested),
        remarks=tuple(_remarks(table)),
        drawings=DRAWINGS,
        tables={"misfit": table},
    )


def _with_the_winner(model: LinearBradleyTerry, noise: float, seed: int, draw: int) -> Tabular:
    """The model with noise that leaves it a Condorcet winner, whoever it is: the first such one of a stream `draw`."""
    rng = np.random.default_rng((seed, draw))
    while condorcet_winner(found := bent(model, noise, rng)) is None:
        pass
    return found


def _run(scope: Scope, model: LinearBradleyTerry, bend: str, truth: PreferenceModel, assume: SpaceName) -> Run:
    return Run(
        truth,
        "llm-po",
        "e-process",
        places.levels(DELTA, 0.3),
        places.NO_BUDGETS,
        places.replications(scope),
        _LIMIT,
        assume=assume,
        features=np.asarray(model.features, np.float64) if assume == "structured" else None,
        name=f"{in_words(SOURCE)}, {bend}",
        procedure=f"llm-po, e-process, {assume}",
    )


def told(
    model: LinearBradleyTerry, truth: PreferenceModel, counts: np.ndarray, number: int, rng: np.random.Generator
) -> Told:
    """How often the test of fit denies the model of `model`'s features in data from `truth`.

    Comparisons are drawn anew, `counts` (rounded) of each pair whatever their outcomes: those of a run itself were
    chosen by outcomes, which the test knows nothing of.

    Args:
        counts: [K, K], the pair (i, j) at i < j. number: of data sets.
    """
    features, mu = np.asarray(model.features, np.float64), host_probabilities(truth)
    upper = np.triu(np.rint(counts), 1).astype(int)
    together, drawn = upper + upper.T, rng.binomial(upper, mu, size=(number, *upper.shape))
    won = drawn + (upper - drawn).swapaxes(1, 2)
    found = [
        goodness_of_fit(together, wins, strength, features.shape[1])
        for wins, strength in zip(won, fitted(features, together, won), strict=True)
    ]
    spoken = [fit for fit in found if fit is not None]
    return Told(len(spoken), sum(fit.p_value < MISFIT for fit in spoken))


def fitted(features: np.ndarray, counts: np.ndarray, wins: np.ndarray) -> np.ndarray:
    """Scores [N, K] fitted to the outcomes `wins` [N, K, K] of the same `counts` [K, K], as `fit_linear_bradley_terry`.

    All data sets at once: Newton's method from zero, without the safeguards that single, extreme logs need.
    """
    first, second = np.nonzero(np.triu(counts, 1))
    z, n, won = features[first] - features[second], counts[first, second], wins[:, first, second]
    precision = 1 / PRIOR_SCALE**2
    theta = np.zeros((len(wins), z.shape[1]))
    for _ in range(_STEPS):
        chance = expit(theta @ z.T)
        gradient = (won - n * chance) @ z - precision * theta
        curvature = (z.T * (n * chance * (1 - chance))[:, None, :]) @ z + precision * np.eye(z.shape[1])
        theta = theta + np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
    return theta @ features.T


def _fit_check(row: dict, name: str) -> claims.Check:
    where = f"test of fit without noise, {name}"
    if row[name].drawn == 0:
        return claims.Check(where, "too few comparisons to test", 0.0, 0.0, 1.0, "undecided", 0, asserted=False)
    return claims.error_rate(where, row[name].denied, row[name].drawn, ALARMS * MISFIT, 4)


def _row(noise: float, run: Run, result: Result) -> dict:
    level = result.summary()[-1]
    return {
        "instance": run.source,
        "noise": noise,
        "space": result.assume,
        "delta": level.delta,
        "errors": level.errors,
        "replications": level.replications,
        "mean": level.mean,
        "censored": level.censored,
    }


def _flat(row: dict) -> dict:
    """With the tests of fit as numbers, null where there are none."""
    flat = {key: value for key, value in row.items() if not isinstance(value, Told)}
    for name in _DATA:
        found = row.get(name)
        flat |= {f"{name}, drawn": found and found.drawn, f"{name}, denied": found and found.denied}
    return flat


def _remarks(table: pl.DataFrame) -> list[str]:
    found = []
    for (noise,), rows in table.filter(pl.col("space") == "structured").group_by("noise", maintain_order=True):
        told = [
            f"{_shares(rows, f'{name}, denied', f'{name}, drawn')} with {name}"
            if rows[f"{name}, drawn"].sum()
            else f"never with {name}"
            for name in _DATA
        ]
        found.append(
            f"Noise of {noise:g} a logit: the linear model errs in {_shares(rows, 'errors', 'replications')} of "
            f"runs; the test of fit denies it in {' and '.join(told)}."
        )
    if _draws(table) > 1:
        found.append("In parentheses: the smallest and the largest share among the draws of the noise.")
    return found


def _draws(table: pl.DataFrame) -> int:
    """Of the noise of each size."""
    return int(table["noise"].value_counts()["count"].to_numpy().max()) // table["space"].n_unique()


def _shares(rows: pl.DataFrame, part: str, whole: str) -> str:
    """A share over all draws, and between which shares of single draws it lies."""
    each = (rows[part] / rows[whole]).drop_nans().drop_nulls()
    said = f"{rows[part].to_numpy().sum() / rows[whole].to_numpy().sum():.1%}"
    return said if len(each) < 2 else f"{said} ({each.min():.1%} to {each.max():.1%})"


def _drawing(table: pl.DataFrame) -> Drawing:
    """Error rates against the noise, and how often the test of fit would have told."""
    figure, (left, right) = style.grid(2, 2, 2.2, above=0.1)
    for index, ((space,), rows) in enumerate(table.group_by("space", maintain_order=True)):
        _line(left, index, f"{space} llm-po", rows, "errors", "replications")
    left.axhline(DELTA, color="0.2", linewidth=0.8)
    left.set_ylabel(f"error rate at delta = {DELTA:g}")
    for index, name in enumerate(_DATA):
        rows = table.filter(pl.col("space") == "structured", pl.col(f"{name}, drawn") > 0)
        if len(rows):
            _line(right, index + 2, name, rows, f"{name}, denied", f"{name}, drawn")
    right.set_ylabel("share in which the fit is denied")
    for panel in (left, right):
        panel.set_xlabel("standard deviation of the noise, logits")
        panel.legend(loc="upper left")
        panel.set_ylim(-0.02, 1.35)
        panel.set_yticks(np.linspace(0, 1, 6))
    draws = _draws(table)
    caption = (
        f"A linear Bradley-Terry model whose pairs' logits are off by noise, {draws} draw{'s' * (draws > 1)} of each "
        "size (a mark each; lines go through what all have together). Left: error rates of LLM-PO, e-process rule, "
        f"with the linear model and without; line: the level, {DELTA:g}. Right: how often Pearson's test at {MISFIT:g} "
        "denies the linear model in as many comparisons as a run has in the mean. Bars: exact 95 % intervals."
    )
    return Drawing(figure, caption)


def _line(panel: Axes, index: int, label: str, rows: pl.DataFrame, part: str, whole: str) -> None:
    """Shares with intervals, those of the draws of a noise beside each other, and a line through the shares of all."""
    look: dict[str, Any] = {**places.look(index), "zorder": 3 - index % 2}
    rows = rows.with_columns(draw=pl.int_range(pl.len()).over("noise"), draws=pl.len().over("noise"))
    for _, mine in rows.group_by("draw", maintain_order=True):
        x = mine["noise"] + _BESIDE * (mine["draw"] - (mine["draws"] - 1) / 2 + (index % 2 - 0.5) / 2)
        low, high = np.transpose([clopper_pearson(*each) for each in mine.select(part, whole).iter_rows()])
        panel.vlines(x, low, high, color=look["color"], linewidth=0.8)
        panel.plot(x, mine[part] / mine[whole], **{**look, "linestyle": "none", "markersize": 2.8})
    together = rows.group_by("noise", maintain_order=True).agg(pl.col(part).sum() / pl.col(whole).sum())
    panel.plot(together["noise"], together[part], color=look["color"], linewidth=look["linewidth"])
    panel.plot([], [], label=label, **look)


DRAWINGS: dict[str, claims.Draw] = {"misfit": _drawing}
