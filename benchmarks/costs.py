"""Ties and costs: what LLM-PO saves by choosing the information per unit of cost.

    python benchmarks/costs.py             about 2 minutes on 2 cores; --quick for a tenth of the replications

LLM-PO that is told what comparisons cost, and counts ties by pair, against the same rule that ignores both, on the same
random numbers: the mean cost until the stop with 95 % intervals (Student's), the ratio of the two with one (delta
method, paired), and the lower bound `T* kl(delta, 1 - delta)`. The e-process proves the answers of either. The limit of
the ratio as delta tends to 0 is what the optimal proportions cost against those of who ignores ties and costs.
costs: of the policies, from 1 to 30, evenly spread in their logarithm and shuffled; a pair costs the sum of its two.
the better the dearer: the same costs in the order of the policies' win rates.
ties: of each pair a chance drawn uniformly from 0 to 0.9; a comparison costs 1. both: ties and (shuffled) costs.
"""

from __future__ import annotations

import dataclasses
import time

import common
import numpy as np

from llmpo_jax import Result, Tied, characteristic_time, models, simulate, win_probabilities
from llmpo_jax.models import PreferenceModel
from llmpo_jax.protocol import Sampler
from llmpo_jax.samplers import SAMPLERS
from llmpo_jax.samplers.structured import STRUCTURED_SAMPLERS
from llmpo_jax.theory.divergence import confidence_divergence
from llmpo_jax.theory.intervals import mean_interval, ratio_of_means

DEAREST = 30
MOST_TIES = 0.9
DELTAS = (0.1, 0.01, 1e-10)
CASES = (
    ("random-condorcet:16", "costs", 500),
    ("bradley-terry:16", "costs", 500),
    ("bradley-terry:16", "the better the dearer", 500),
    ("linear-bradley-terry:16,4", "costs", 100),
    ("random-condorcet:16", "ties", 500),
    ("random-condorcet:16", "both", 500),
)


def ignoring(sampler: Sampler) -> Sampler:
    """The same rule, told nothing of costs and ties."""
    refresh = sampler.refresh

    def blind(problem, statistics):
        return dataclasses.replace(problem, priced=False, costs=None), statistics._replace(ties=None)

    def select(problem, drawn, statistics, evidence, state):
        problem, statistics = blind(problem, statistics)
        return sampler.select(problem, drawn, statistics, evidence, state)

    def renew(problem, statistics, state):
        assert refresh is not None
        return refresh(*blind(problem, statistics), state)

    return sampler._replace(select=select, refresh=None if refresh is None else renew)


def costs_of(model: PreferenceModel, what: str) -> np.ndarray | None:
    costs = np.geomspace(1, DEAREST, model.num_policies)
    if what == "the better the dearer":
        return costs[np.argsort(np.argsort(win_probabilities(model).mean(axis=1)))]
    return None if what == "ties" else np.random.default_rng(0).permutation(costs)


def ties_of(num_policies: int) -> np.ndarray:
    above = np.triu(np.random.default_rng(1).uniform(0, MOST_TIES, (num_policies, num_policies)), 1)
    return above + above.T


def limit(model: PreferenceModel, costs: np.ndarray | None) -> float:
    """What the optimal proportions cost against those of who ignores ties and costs, as delta tends to 0."""
    plain = characteristic_time(models.untied(model))
    ties, prices = models.tie_probabilities(model), models.pair_costs(costs, model.num_policies)
    decided = plain.proportions * plain.time * (1 if prices is None else prices)
    return characteristic_time(model, costs=costs).time / float((decided / (1 if ties is None else 1 - ties)).sum())


def runs(name: str, what: str, replications: int) -> tuple[float, Result, Result]:
    """The limit of the ratio, and the runs: told, and ignoring."""
    source = common.source(name)
    assert source is not None
    model, registry = source.model, STRUCTURED_SAMPLERS if name.startswith("linear") else SAMPLERS
    costs, told = costs_of(model, what), registry.get("llm-po")
    if what in ("ties", "both"):
        model = Tied(model, ties_of(model.num_policies))
    asked = {"deltas": DELTAS, "replications": replications, "max_comparisons": 2**20, "costs": costs}
    return limit(model, costs), simulate(model, told, **asked), simulate(model, ignoring(told), **asked)


def rows(name: str, what: str, replications: int) -> list[dict]:
    least, told, blind = runs(name, what, replications)
    assert told.time is not None
    found = []
    for index, delta in enumerate(DELTAS):
        both = [mean_interval(result.spent(index), 0.95) for result in (told, blind)]
        share, low, high = ratio_of_means(told.spent(index), blind.spent(index))
        found.append(
            {
                "instance": name,
                "with": what,
                "delta": delta,
                "replications": replications,
                **{f"{who}, mean": mean for who, (mean, _, _) in zip(("told", "ignoring"), both, strict=True)},
                **{f"{who}, ±": top - mean for who, (mean, _, top) in zip(("told", "ignoring"), both, strict=True)},
                "told / ignoring": share,
                "low": low,
                "high": high,
                "limit": least,
                "lower bound": told.time * confidence_divergence(delta),
                "to T* log 1/delta": both[0][0] / (-told.time * np.log(delta)),
                "errors": [int(result.errors()[:, index].sum()) for result in (told, blind)],
                "censored": int(sum((result.stopping_time[:, index] < 0).sum() for result in (told, blind))),
            }
        )
    return found


def main() -> None:
    options = common.parser(__doc__).parse_args()
    started = time.time()
    found = []
    for name, what, replications in CASES:
        found += rows(name, what, replications // 10 if options.quick else replications)
        common.console.print(f"{name}, {what}: {time.time() - started:.0f} s")
    common.show("What is spent until the stop, told of costs and ties or not", found)
    if not options.quick:
        common.keep("costs", found, started)


if __name__ == "__main__":
    main()
