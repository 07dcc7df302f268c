"""The literal counterparts of the baselines that are not the paper's, among those of `tests.reference`."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.special import bdtr

from llmpo_jax.samplers import baselines, beat_the_mean, posterior, rmed
from tests.reference import SAMPLERS, Record, SamplerReference, Ties, gamma_draws


@functools.cache
def log_ahead(wins: int, losses: int) -> float:
    """log P(Beta(1 + wins, 1 + losses) > 1/2), which is that of `wins` heads at most in wins + losses + 1 tosses."""
    return math.log(max(float(bdtr(wins, wins + losses + 1, 0.5)), np.finfo(float).tiny))


def _upper_bounds(record: Record) -> list[list[float]]:
    wins, counts, logarithm = record.wins.tolist(), record.counts.tolist(), math.log(max(record.t, 1))

    def bound(i: int, j: int) -> float:
        if i == j:
            return 0.5
        if counts[i][j] == 0:
            return 2.0
        return wins[i][j] / counts[i][j] + math.sqrt(baselines.RUCB_ALPHA * logarithm / counts[i][j])

    return [[bound(i, j) for j in range(len(wins))] for i in range(len(wins))]


def _double_draw(key: jax.Array, num_policies: int, dtype: Any) -> Any:
    ahead_key, tie_key, beta_key = jax.random.split(key, 3)
    normal_key, exponential_key = jax.random.split(beta_key)
    number = 2 * num_policies + posterior.spare(2 * num_policies)
    return (
        jax.random.exponential(ahead_key, (num_policies * (num_policies - 1) // 2,), dtype),
        jax.random.uniform(tie_key, (num_policies,), dtype),
        jax.random.normal(normal_key, (number,), dtype),
        jax.random.exponential(exponential_key, (number,), dtype),
    )


def _double(record: Record, evidence: np.ndarray, state: Any, draw: Any, ties: Ties) -> tuple[int, int, Any]:
    lots, tie_lots, normals, exponentials = draw
    k, bounds = record.num_policies, _upper_bounds(record)
    optimistic = [sum(not ties.at_least(0.5, bound) for bound in row) for row in bounds]
    copeland = [0] * k
    for number, (i, j) in enumerate(itertools.combinations(range(k), 2)):
        ahead = ties.at_least(float(lots[number]), -log_ahead(int(record.wins[i, j]), int(record.wins[j, i])))
        copeland[i if ahead else j] += 1
    score = [tie_lots[i] - copeland[i] if optimistic[i] == max(optimistic) else math.inf for i in range(k)]
    first = ties.smallest(score)

    shapes = [1.0 + wins for wins in (*record.wins[:, first], *record.wins[first])]
    gammas = gamma_draws(shapes, normals, exponentials)
    chances = np.array(gammas[:k]) / (np.array(gammas[:k]) + gammas[k:])
    uncertain = [i for i in range(k) if i != first and ties.at_least(bounds[first][i], 0.5)]
    for i in set(range(k)) - set(uncertain or range(k)):
        chances[i] = -1.0
    return first, ties.smallest(-chances, barred=first), state


def _top_two_draw(key: jax.Array, num_policies: int, dtype: Any) -> Any:
    return jax.random.gumbel(key, (2, num_policies), dtype)


def _top_two(record: Record, evidence: np.ndarray, state: Any, draw: Any, ties: Ties) -> tuple[int, int, Any]:
    k = range(record.num_policies)
    best = [sum(log_ahead(int(record.wins[i, j]), int(record.wins[j, i])) for j in k if j != i) for i in k]
    first = ties.smallest(-(best + draw[0]))
    return first, ties.smallest(-(best + draw[1]), barred=first), state


def _rmed1(record: Record, evidence: np.ndarray, lists: Any, draw: Any, ties: Ties) -> tuple[int, int, Any]:
    k = record.num_policies
    pairs = list(itertools.combinations(range(k), 2))
    if record.t < len(pairs):
        return *pairs[record.t], lists
    left, following = lists
    divergence = record.refutation()
    best = ties.least_refuted(divergence)
    bound = math.log(record.t) + rmed.FACTOR * k**rmed.POWER
    had_their_turn = [j for j in range(k) if j not in left]
    following = following | {j for j in had_their_turn if ties.at_least(bound, divergence[j] - divergence[best])}
    if not left:
        left, following = following, frozenset()
    turn = min(left)
    rates = [record.wins[turn, j] / record.counts[turn, j] if j != turn else math.inf for j in range(k)]
    beaten_by = [j for j in range(k) if j != turn and rates[j] <= 0.5]
    opponent = best if best in beaten_by or not beaten_by else ties.smallest(rates)
    if opponent == turn:
        opponent = ties.least_refuted(divergence, barred=best)
    return turn, opponent, (left - {turn}, following)


def _beat_the_mean_draw(key: jax.Array, num_policies: int, dtype: Any) -> Any:
    return jax.random.uniform(key, (2, num_policies), dtype)


class Working(NamedTuple):
    """The working set, the comparisons that count as (b, opponent, wins of b), and the last pair with b's wins then."""

    active: frozenset[int]
    counted: tuple[tuple[int, int, int], ...]
    last: tuple[int, int, int] | None


def _beat_the_mean(record: Record, evidence: np.ndarray, state: Working, draw: Any, ties: Ties) -> tuple[int, int, Any]:
    active, counted = state.active, state.counted
    if state.last is not None:
        b, other, wins = state.last
        counted = (*counted, (b, other, int(record.wins[b, other]) - wins))

    def results(b: int) -> list[int]:
        return [won for turn, other, won in counted if turn == b and other in active]

    found = {b: results(b) for b in active}
    means = {b: sum(won) / len(won) if won else 0.5 for b, won in found.items()}
    fewest = min(map(len, found.values()))
    radius = math.sqrt(math.log(1 / beat_the_mean.LEVEL) / (2 * fewest)) if fewest else 1.0
    if ties.at_least(max(means.values()) - radius, min(means.values()) + radius):
        active = active - {ties.smallest([means.get(b, math.inf) for b in range(record.num_policies)])}
        counted = tuple(entry for entry in counted if entry[0] in active and entry[1] in active)

    if len(active) > 1:
        numbers = {b: len(results(b)) for b in active}
        turns = [b for b in active if numbers[b] == min(numbers.values())]
        first = min(turns, key=lambda b: draw[0][b])
        second = min(active - {first}, key=lambda b: draw[1][b])
    else:
        first = ties.least_refuted(record.refutation())
        second = ties.least_refuted(evidence, barred=first)
    return first, second, Working(active, counted, (first, second, int(record.wins[first, second])))


def _swiss(record: Record, evidence: np.ndarray, state: Any, draw: Any, ties: Ties) -> tuple[int, int, Any]:
    games, byes = state
    if not games:
        score = record.wins.sum(axis=1) + byes
        table = sorted(range(record.num_policies), key=lambda i: (-score[i], i))
        games = list(zip(table[::2], table[1::2], strict=False))
        if len(table) % 2:
            byes = byes + (np.arange(len(table)) == table[-1])
    (first, second), *later = games
    return first, second, (later, byes)


SAMPLERS.update(
    {
        "double-thompson": SamplerReference(lambda k: None, _double_draw, _double),
        "top-two-thompson": SamplerReference(lambda k: None, _top_two_draw, _top_two),
        "rmed1": SamplerReference(lambda k: (frozenset(range(k)), frozenset()), lambda *_: (), _rmed1),
        "beat-the-mean": SamplerReference(
            lambda k: Working(frozenset(range(k)), (), None), _beat_the_mean_draw, _beat_the_mean
        ),
        "swiss": SamplerReference(lambda k: ((), np.zeros(k, int)), lambda *_: (), _swiss),
    }
)
