"""What published procedures needed with their authors' code on their own instances, and what is needed here.

    python benchmarks/published.py            about 3 minutes on 2 cores
    python benchmarks/published.py --quick

The instances, and the comparisons of the published procedures at delta = 0.05, are in published.json. Intervals are at
95 %. The matrices of a tournament are drawn at random, and each counts as one sample: Student's interval for the mean
over matrices, and for the ratio of two such means, paired by matrix. On the linear instances intervals are over our
runs. Of SEEBS and HyTS only means are known: they get no interval, and that of HyTS counts as exact in the ratio.
Error rates have exact intervals. A run that was cut enters at the limit: its mean and ratio are lower bounds, and there
is no ratio to a mean of llm-po with such runs.
"""

from __future__ import annotations

import json
import time
from typing import Any

import common
import numpy as np
from scipy import stats

from llmpo_jax import LinearBradleyTerry, Tabular, simulate
from llmpo_jax.protocol import Existence, SpaceName
from llmpo_jax.theory.intervals import clopper_pearson, mean_interval, ratio_of_means

PEERS = json.loads((common.HERE / "published.json").read_text())
DELTA = PEERS["delta"]
LIMIT = 500_000
PROCEDURES: dict[str, tuple[int, str, str, Existence]] = {
    "llm-po": (100, "llm-po", "e-process", "assumed"),
    "llm-po, certify": (100, "llm-po", "e-process", "certify"),
    "dkwt": (20, "dkwt", "dkwt", "assumed"),
}
"""Runs on each matrix, sampler, stopping rule, existence of a winner."""
UNKNOWN = (None, None, None)

NO_TIES = "a Condorcet winner exists, no two policies are tied"
ASSUMES = {
    "DKWT (authors)": NO_TIES,
    "SEEBS (authors)": "strong stochastic transitivity, stochastic triangle inequality",
    "HyTS (authors)": "linear Bradley-Terry, features known, a bound on |theta| known",
    "dkwt": NO_TIES,
    "llm-po": "a Condorcet winner exists",
    "llm-po, certify": "nothing: may find that no winner exists",
    "llm-po, linear": "linear Bradley-Terry, features known",
}
"""Where each procedure's statement is wrong with probability delta at most."""


def row(instance: str, procedure: str, runs: int, errors: int, cut: float, mean: Any, times: Any) -> dict[str, Any]:
    """A line of the table; `mean` and `times` with their intervals, None where there are none."""
    error_low, error_high = clopper_pearson(errors, runs)
    return {
        "instance": instance,
        "procedure": procedure,
        "runs": runs,
        "mean": mean[0],
        "low": mean[1],
        "high": mean[2],
        "times llm-po": times[0],
        "times low": times[1],
        "times high": times[2],
        "errors": errors,
        "error low": error_low,
        "error high": error_high,
        "cut": cut,
        "valid if": ASSUMES[procedure],
    }


def matrix(policies: int, chances: list[float]) -> Tabular:
    """The win matrix with these chances above its diagonal."""
    mu = np.full((policies, policies), 0.5)
    first, second = np.triu_indices(policies, 1)
    mu[first, second], mu[second, first] = chances, 1 - np.array(chances)
    return Tabular(mu)


def strongly_transitive(mu: np.ndarray) -> bool:
    """Whether i beats k at least as clearly as i beats j and j beats k, for all i, j, k of which these two hold."""
    weaker = np.maximum(mu[:, :, None], mu[None])
    return bool(np.all((mu[:, None] >= weaker - 1e-6) | ~((mu[:, :, None] > 0.5) & (mu[None] > 0.5))))


def paired_ratio(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Ratio of the means of paired samples [n], with Student's interval of its linear approximation."""
    ratio = one.mean() / other.mean()
    spread = (one - ratio * other).std(ddof=1) / np.sqrt(len(one)) / other.mean()
    half = float(stats.t.ppf(0.975, len(one) - 1) * spread)
    return ratio, ratio - half, ratio + half


def tournament(group: dict[str, Any], quick: bool) -> list[dict]:
    """A group of matrices, on each of which the published procedures ran once."""
    models = [matrix(group["policies"], chances) for chances in group["chances"]]
    name, number = f"K = {group['policies']}, gap {group['gap']}", len(models)
    found = {}
    for procedure, (replications, sampler, stopping, existence) in PROCEDURES.items():
        runs = -(-replications // 10) if quick else replications
        options: dict[str, Any] = {"existence": existence, "replications": runs, "max_comparisons": LIMIT}
        # Runs on different matrices have nothing in common.
        found[procedure] = [
            simulate(model, sampler, stopping, deltas=(DELTA,), seed=seed, **options)
            for seed, model in enumerate(models)
        ]
    means = {
        procedure: np.array([result.spent(0).mean() for result in results]) for procedure, results in found.items()
    }
    ours, published, seebs = means["llm-po"], np.array(group["dkwt"]), float(group["seebs"])
    rows = [
        row(name, "DKWT (authors)", number, 0, 0.0, mean_interval(published), paired_ratio(published, ours)),
        row(name, "SEEBS (authors)", number, 0, 0.0, (seebs, None, None), (seebs / ours.mean(), None, None)),
    ]
    for procedure, results in found.items():
        errors = sum(int(result.errors().sum()) for result in results)
        cut = float(np.mean([(result.stopping_time < 0).mean() for result in results]))
        runs = sum(len(result.stopping_time) for result in results)
        times = paired_ratio(means[procedure], ours)
        rows.append(row(name, procedure, runs, errors, cut, mean_interval(means[procedure]), times))
    return rows


def linear(instance: dict[str, Any], quick: bool) -> list[dict]:
    """A linear instance, on which the published procedure ran a few times."""
    model = LinearBradleyTerry(np.array(instance["features"]), np.array(instance["theta"]))
    spaces: dict[str, SpaceName] = {"llm-po, linear": "structured", "llm-po": "unstructured"}
    options: dict[str, Any] = {"replications": 10 if quick else 100, "max_comparisons": LIMIT}
    found = {name: simulate(model, deltas=(DELTA,), assume=space, **options) for name, space in spaces.items()}
    ours = found["llm-po, linear"]
    whole = bool((ours.stopping_time >= 0).all())
    name, cut, published = instance["name"], float(instance["hyts"] is None), float(instance["hyts"] or instance["cut"])
    mean, low, high = mean_interval(ours.spent(0))
    times = (published / mean, published / high, published / low) if whole else UNKNOWN
    rows = [row(name, "HyTS (authors)", instance["runs"], 0, cut, (published, None, None), times)]
    for procedure, result in found.items():
        (level,) = result.summary()
        interval = (level.mean, level.mean_low, level.mean_high)
        times = (
            (ratio_of_means(result.spent(0), ours.spent(0)) if result is not ours else (1.0, 1.0, 1.0))
            if whole
            else UNKNOWN
        )
        rows.append(row(name, procedure, level.replications, level.errors, level.censored, interval, times))
    return rows


def main() -> None:
    options = common.parser(__doc__).parse_args()
    started = time.time()
    groups = PEERS["tournaments"]["groups"]
    matrices = [matrix(group["policies"], chances) for group in groups for chances in group["chances"]]
    transitive = sum(strongly_transitive(np.asarray(model.mu)) for model in matrices)
    rows = [line for group in groups for line in tournament(group, options.quick)]
    rows += [line for instance in PEERS["linear"]["instances"] for line in linear(instance, options.quick)]
    title = f"Comparisons at delta = {DELTA}; {transitive} of {len(matrices)} matrices are strongly transitive"
    common.show(title, ({key: "" if value is None else value for key, value in line.items()} for line in rows))
    if not options.quick:
        common.keep("published", rows, started)


if __name__ == "__main__":
    main()
