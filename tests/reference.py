"""A slow, literal implementation of the procedures in NumPy and Python floats: what the fast one must agree with.

Everything is recomputed from the plain record of who won against whom, as the docstrings and the theory state it. It
takes the same random numbers as the engine (threefry keys from global numbers), so decisions can be compared one by
one. Where two options are equal in exact arithmetic, rounding decides which one the fast implementation takes; such
ties are enumerated (`decisions`), so that agreement can be asked for without asking for the same rounding.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mpmath
import numpy as np

from llmpo_jax.protocol import EVIDENCE_TIE
from llmpo_jax.samplers import baselines, llm_po, llm_po_budget, posterior
from llmpo_jax.stopping import forecast
from llmpo_jax.theory import strength
from tests.guess import best_guess

TIE = 1e-9
"""Scores closer than this are equal but for rounding in float64."""

COIN_TYPE, INDEX_TYPE = jnp.float32, jnp.int32
"""What the baselines draw their coins and pairs as (JAX's defaults, which depend on its x64 setting)."""


# Randomness: the same numbers as the engine's.


class Randomness(NamedTuple):
    """What a replication draws: the numbering [K], outcome bits uint32 [n], and the sampler's keys [n]."""

    shuffled: np.ndarray
    bits: np.ndarray
    keys: jax.Array


@functools.partial(jax.jit, static_argnums=(2, 3))
def _randomness(root: jax.Array, replication: jax.Array, num_policies: int, steps: int) -> tuple[jax.Array, ...]:
    key = jax.random.fold_in(root, replication)
    shuffled = jax.random.permutation(jax.random.fold_in(key, 0), num_policies)
    keys = jax.vmap(lambda t: jax.random.fold_in(key, t))(jnp.arange(1, steps + 1))
    bits = jax.vmap(lambda step: jax.random.bits(step, (), jnp.uint32))(keys)
    return shuffled, bits, jax.vmap(lambda step: jax.random.fold_in(step, 1))(keys)


def randomness(seed: int, replication: int, num_policies: int, steps: int) -> Randomness:
    """The random numbers of comparisons 1 .. `steps` of a replication."""
    shuffled, bits, keys = _randomness(jax.random.key(seed), jnp.asarray(replication), num_policies, steps)
    return Randomness(np.asarray(shuffled), np.asarray(bits), keys)


# The record and the evidence.


def half_divergence(p: float) -> float:
    """kl(p, 1/2) in nats."""
    return math.log(2) + sum(x * math.log(x) for x in (p, 1 - p) if x > 0)


class Record:
    """All that was observed, the wealth of the bets on it, and nothing clever."""

    def __init__(
        self, num_policies: int, existence: str = "assumed", ties: bool = False, costs: np.ndarray | None = None
    ) -> None:
        self.num_policies = num_policies
        self.existence = existence
        self.may_tie = ties
        self.costs = costs
        self.wins = np.zeros((num_policies, num_policies), int)
        self.ties = np.zeros((num_policies, num_policies), int)
        self.pooling = 0.0
        #: What the bets are made of: strengths and variances of the policies in each filter, weights of the experts.
        self.strengths = [[0.0] * num_policies for _ in forecast.VARIANCES]
        self.variances = [[variance] * num_policies for variance in forecast.VARIANCES]
        self.weights = [1 / forecast.EXPERTS] * forecast.EXPERTS
        self.wealth = [0.0] * num_policies
        self.peak = [0.0] * num_policies
        #: [k, j], the part of k's wealth that was won on the pair with j.
        self.pair_wealth = np.zeros((num_policies, num_policies))

    @property
    def t(self) -> int:
        return int(self.wins.sum() + np.triu(self.ties).sum())

    @property
    def counts(self) -> np.ndarray:
        return self.wins + self.wins.T

    def pair_evidence(self, i: int, j: int) -> float:
        """`n d(wins / n)` against "i is at least as good as j", 0 unless i lost more than it won."""
        wins, n = int(self.wins[i, j]), int(self.wins[i, j] + self.wins[j, i])
        return n * half_divergence(wins / n) if 2 * wins < n else 0.0

    def refutation(self) -> np.ndarray:
        """Z [K], from scratch."""
        k = range(self.num_policies)
        return np.array([math.fsum(self.pair_evidence(i, j) for j in k if j != i) for i in k])

    def odds(self) -> np.ndarray:
        """[K], total wins over total losses, both with the pseudo-comparisons added."""
        wins, losses = self.wins.sum(axis=1), self.wins.sum(axis=0)
        return (wins + strength.SHRINKAGE) / (losses + strength.SHRINKAGE)

    def pooled_chance(self, i: int, j: int) -> float:
        """The chance that i beats j, judged by their records against the field."""
        odds = self.odds()
        return float(odds[i] / (odds[i] + odds[j]))

    def expected(self, values: Sequence[float], i: int, j: int) -> float:
        """The chance that i beats j by these strengths."""
        return 1 / (1 + math.exp(values[j] - values[i]))

    def forecasts(self, i: int, j: int) -> list[float]:
        """The chance that i beats j by each expert."""
        priors = [(prior, 0.5) for prior in forecast.PAIR_PRIORS]
        for values in self.strengths:
            priors += [(prior, self.expected(values, i, j)) for prior in forecast.POOLED_PRIORS]
        return [float((self.wins[i, j] + prior * mean) / (self.counts[i, j] + prior)) for prior, mean in priors]

    def bet(self, i: int, j: int) -> float:
        """The e-process's prediction, at most 1/2, that i beats j."""
        return min(0.5, math.fsum(w * p for w, p in zip(self.weights, self.forecasts(i, j), strict=True)))

    def learn(self, winner: int, loser: int) -> None:
        """Bayes' rule for the experts, with a share of the weight given to all; a step of every filter."""
        likely = [w * p for w, p in zip(self.weights, self.forecasts(winner, loser), strict=True)]
        kept = (1 - forecast.SHARE) / math.fsum(likely)
        self.weights = [kept * x + forecast.SHARE / forecast.EXPERTS for x in likely]
        for values, variances in zip(self.strengths, self.variances, strict=True):
            chance = self.expected(values, winner, loser)
            spread = 1 / (chance * (1 - chance)) + variances[winner] + variances[loser]
            for policy, sign in ((winner, 1), (loser, -1)):
                values[policy] += sign * variances[policy] / (spread * chance)
                variances[policy] -= variances[policy] ** 2 / spread

    def price(self, i: int, j: int) -> float:
        """What a decided comparison of i and j is believed to cost."""
        cost = 1.0 if self.costs is None else float(self.costs[i, j])
        if not self.may_tie:
            return cost
        share = (self.wins.sum() + 1) / (self.t + 1)
        decided = int(self.counts[i, j])
        made = decided + int(self.ties[i, j])
        return cost / ((decided + llm_po.TIE_PRIOR * share) / (made + llm_po.TIE_PRIOR))

    def observe(self, first: int, second: int, won: bool, tied: bool = False) -> None:
        """One comparison: first the bets and predictions, then the outcome. A tie was compared, and that is all."""
        if tied:
            self.ties[first, second] += 1
            self.ties[second, first] += 1
            return
        winner, loser = (first, second) if won else (second, first)
        gains = {winner: math.log(2 * self.bet(winner, loser)), loser: math.log(2 * (1 - self.bet(loser, winner)))}
        for policy, other in ((winner, loser), (loser, winner)):
            self.wealth[policy] += gains[policy]
            self.peak[policy] = max(self.peak[policy], self.wealth[policy])
            self.pair_wealth[policy, other] += gains[policy]
        self.learn(winner, loser)
        n = int(self.counts[winner, loser])
        if 1 <= n < strength.CONTEST_COUNTS:
            own = (self.wins[winner, loser] + 2) / (n + 4)
            gain = math.log(self.pooled_chance(winner, loser) / own)
            self.pooling = min(strength.CONTEST_CAP, self.pooling + gain)
        self.wins[winner, loser] += 1


# Stopping rules: (winner, score, absence) of a record, and the thresholds.


class Statement(NamedTuple):
    winner: int
    score: float
    absence: float


def _statement(record: Record, refutations: np.ndarray, proofs: np.ndarray, proof_penalty: float) -> Statement:
    """Assumed: all but one are refuted. Certify: one beats each other (`proofs` [i, j]), or all are refuted."""
    if record.existence == "assumed":
        leader = int(np.argmin(refutations))
        return Statement(leader, float(np.delete(refutations, leader).min()), -math.inf)
    weakest = np.where(np.eye(len(proofs), dtype=bool), math.inf, proofs).min(axis=1)
    best = int(np.argmax(weakest))
    return Statement(best, float(weakest[best]) - proof_penalty, float(refutations.min()))


def _likelihood_proofs(record: Record) -> np.ndarray:
    k = range(record.num_policies)
    return np.array([[record.pair_evidence(j, i) if i != j else 0.0 for j in k] for i in k])


def e_process_statement(record: Record) -> Statement:
    return _statement(record, np.array(record.peak), record.pair_wealth.T, 0.0)


def stylised_statement(record: Record) -> Statement:
    penalty = math.log(1 + math.log(record.t))
    return _statement(record, record.refutation() - penalty, _likelihood_proofs(record), penalty)


def kaufmann_koolen_statement(record: Record) -> Statement:
    arms = record.num_policies - 1
    penalty = 3 * arms * math.log(1 + math.log(1 + record.t / arms))
    # Below a count of 1 nothing is proven.
    pair_penalty = 3 * np.log1p(np.log(np.maximum(record.counts, 1)))
    return _statement(record, record.refutation() - penalty, _likelihood_proofs(record) - pair_penalty, 0.0)


@functools.cache
def deviation_threshold(x: float) -> float:
    """T(x) of Kaufmann and Koolen (2021), eq. 13: h^-1 by bisection, the minimum over z by golden section."""
    with mpmath.workdps(40):

        def inverse_h(y: Any) -> Any:
            low, high = mpmath.mpf(1), y + 2 * mpmath.log(y + 1) + 2
            for _ in range(120):
                middle = (low + high) / 2
                low, high = (middle, high) if middle - mpmath.log(middle) < y else (low, middle)
            return low

        y = (inverse_h(1 + mpmath.mpf(x)) + mpmath.log(2 * mpmath.zeta(2))) / 2

        def value(log_z: Any) -> Any:
            return mpmath.exp(log_z) * (y - mpmath.log(log_z))

        low, high = mpmath.mpf(10) ** -30, mpmath.log(mpmath.mpf(3) / 2)
        ratio = (mpmath.sqrt(5) - 1) / 2
        for _ in range(180):
            left, right = high - ratio * (high - low), low + ratio * (high - low)
            low, high = (low, right) if value(left) < value(right) else (left, high)
        return float(2 * value(high))


def _level(delta: float, num_policies: int, existence: str) -> float:
    return math.log(1 / delta) + (math.log(num_policies) if existence == "certify" else 0.0)


def e_process_thresholds(delta: float, num_policies: int, existence: str) -> tuple[float, float]:
    level = _level(delta, num_policies, existence)
    return level, level


def stylised_thresholds(delta: float, num_policies: int, existence: str) -> tuple[float, float]:
    return math.log(1 / delta), math.log(1 / delta)


KAUFMANN_KOOLEN_ROUNDING = 1 + 1e-4


def kaufmann_koolen_thresholds(delta: float, num_policies: int, existence: str) -> tuple[float, float]:
    level = _level(delta, num_policies, existence)
    joint = (num_policies - 1) * deviation_threshold(level / (num_policies - 1)) * KAUFMANN_KOOLEN_ROUNDING
    return (joint if existence == "assumed" else deviation_threshold(level) * KAUFMANN_KOOLEN_ROUNDING), joint


class StoppingReference(NamedTuple):
    statement: Callable[[Record], Statement]
    thresholds: Callable[[float, int, str], tuple[float, float]]
    evidence: Callable[[Record], np.ndarray]


STOPPING: dict[str, StoppingReference] = {
    "e-process": StoppingReference(e_process_statement, e_process_thresholds, lambda r: np.array(r.wealth)),
    "stylised": StoppingReference(stylised_statement, stylised_thresholds, Record.refutation),
    "kaufmann-koolen": StoppingReference(kaufmann_koolen_statement, kaufmann_koolen_thresholds, Record.refutation),
}


# Samplers: decide(record, evidence, state, draw, ties) -> (first, second, state).


class Ties:
    """Takes the smallest of some scores, or compares two; where these are equal to within `tolerance`, as scripted."""

    def __init__(self, tolerance: float, script: Sequence[int]) -> None:
        self._tolerance = tolerance
        self.script = list(script)
        self.branches: list[list[int]] = []
        self._position = 0

    def _take(self, options: Sequence[int]) -> int:
        if self._position == len(self.script):
            self.branches += [[*self.script, option] for option in options[1:]]
            self.script.append(options[0])
        self._position += 1
        return self.script[self._position - 1]

    def smallest(self, values: Sequence[float] | np.ndarray, barred: int | None = None) -> int:
        """The index of the smallest value; the lowest one first among equals."""
        values = np.array(values, float)
        if barred is not None:
            values[barred] = math.inf
        return self._take(np.flatnonzero(values <= values.min() + self._tolerance).tolist())

    def least_refuted(self, values: Sequence[float] | np.ndarray, barred: int | None = None) -> int:
        """The lowest index within EVIDENCE_TIE of the smallest value."""
        values = np.array(values, float)
        if barred is not None:
            values[barred] = math.inf
        bound, doubt = values.min() + EVIDENCE_TIE, min(self._tolerance, EVIDENCE_TIE / 2)
        first = int(np.flatnonzero(values <= bound)[0])
        surely = int(np.flatnonzero(values <= bound - doubt)[0])
        maybe = np.flatnonzero(values[: surely + 1] <= bound + doubt).tolist()
        return self._take([first, *(index for index in maybe if index != first)])

    def at_least(self, value: float, bound: float) -> bool:
        """`value >= bound`."""
        likely = int(value >= bound)
        return bool(self._take([likely, 1 - likely] if 0 < abs(value - bound) <= self._tolerance else [likely]))


def decisions(decide: Callable[[Ties], Any], tolerance: float = TIE) -> Iterator[Any]:
    """All that `decide` may lead to when near-ties fall either way; by the lowest numbers first."""
    pending: list[list[int]] = [[]]
    while pending:
        ties = Ties(tolerance, pending.pop(0))
        yield decide(ties)
        pending += ties.branches


def _pairs(num_policies: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(num_policies) for j in range(i + 1, num_policies)]


def _nothing(num_policies: int) -> Any:
    return None


def _no_draw(key: jax.Array, num_policies: int, dtype: Any) -> Any:
    return ()


def _llm_po(record: Record, evidence: np.ndarray, tests: dict[int, int], draw: Any, ties: Ties) -> tuple[int, int, Any]:
    k = record.num_policies
    leader = ties.least_refuted(record.refutation())
    if record.existence == "certify":
        proofs = [record.pair_evidence(j, leader) if j != leader else 0.0 for j in range(k)]
        return leader, ties.smallest(proofs, barred=leader), tests
    rival = ties.least_refuted(evidence, barred=leader)
    swap = tests.get(leader, 0) < llm_po.LEADER_TESTS * math.sqrt(tests.get(rival, 0))
    if swap:
        leader, rival = rival, leader
    tested = tests.get(rival, 0) + 1
    counts = [int(record.counts[rival, j] + record.ties[rival, j]) if j != rival else 2**40 for j in range(k)]
    if (min(counts) + 1) ** 1.5 < tested / llm_po.FORCED - 1e-12:
        return rival, counts.index(min(counts)), {**tests, rival: tested}
    pooled = ties.at_least(record.pooling, 0.0)
    preference = 1e-6
    if pooled and not swap:
        preference = min(llm_po.PREFERENCE / math.sqrt(tested), llm_po.MOST_PREFERENCE)
    index = []
    for j in range(k):
        n, wins = int(record.counts[rival, j]), int(record.wins[rival, j])
        prior, mean = llm_po.PAIR_PRIOR, llm_po.PAIR_MEAN
        if pooled:
            prior, mean = llm_po.POOLED_PRIOR, record.pooled_chance(rival, j)
        centre = (wins + prior * mean) / (n + prior)
        width = llm_po.BONUS * math.log(1 + record.t) / (n + 1)
        root = math.sqrt(width * (centre * (1 - centre) + width / 4))
        index.append((centre + width / 2 - root) / (1 + width) - (preference if j == leader else 0))
    if record.may_tie or record.costs is not None:
        for j in range(k):
            chance, price = min(max(index[j], 0.0), 1.0), record.price(rival, j)
            gain = half_divergence(chance)
            index[j] = -gain / price if chance < 0.5 else gain * price
    return rival, ties.smallest(index, barred=rival), {**tests, rival: tested}


def _plug_in(record: Record, ties: Ties) -> np.ndarray:
    """Optimal proportions [K, K] (upper triangle) of the KT estimates, by the closed form of theory section 2."""
    k = record.num_policies
    leader = ties.least_refuted(record.refutation())
    mean = (record.wins + 0.5) / (record.counts + 1)
    opponents: dict[int, list[int]] = {}
    for rival in range(k):
        if rival != leader:
            allowed = range(k) if record.existence == "assumed" else [leader]
            opponents[rival] = [j for j in allowed if j != rival and mean[rival, j] < 0.5]
    unbeaten = [rival for rival, found in opponents.items() if not found]
    effort = np.zeros((k, k))
    for rival, found in opponents.items():
        if unbeaten:
            effort[rival, leader] = rival in unbeaten
            continue
        least = min(mean[rival, j] for j in found)
        toughest = [j for j in found if mean[rival, j] <= least + 1e-12]
        for j in toughest:
            effort[rival, j] = 1 / half_divergence(least) / len(toughest)
    return np.triu(effort + effort.T, 1) / effort.sum()


def _d_tracking(record: Record, evidence: np.ndarray, state: Any, draw: Any, ties: Ties) -> tuple[int, int, Any]:
    pairs = _pairs(record.num_policies)
    counts = [int(record.counts[pair]) for pair in pairs]
    if min(counts) < math.sqrt(record.t) - len(pairs) / 2:
        return *pairs[ties.smallest(counts)], state
    proportions = _plug_in(record, ties)
    behind = [record.t * proportions[pair] - n for pair, n in zip(pairs, counts, strict=True)]
    return *pairs[ties.smallest(-np.array(behind))], state


def _c_tracking(record: Record, evidence: np.ndarray, owed: Any, draw: Any, ties: Ties) -> tuple[int, int, Any]:
    pairs = _pairs(record.num_policies)
    floor = (len(pairs) ** 2 + record.t) ** -0.5 / 2
    proportions = _plug_in(record, ties)
    owed = owed + np.array([(1 - len(pairs) * floor) * proportions[pair] + floor for pair in pairs])
    behind = owed - [record.counts[pair] for pair in pairs]
    return *pairs[ties.smallest(-behind)], owed


def _round_robin(record: Record, evidence: np.ndarray, state: Any, draw: Any, ties: Ties) -> tuple[int, int, Any]:
    pairs = _pairs(record.num_policies)
    return *pairs[record.t % len(pairs)], state


def _random_pair_draw(key: jax.Array, num_policies: int, dtype: Any) -> Any:
    return jax.random.randint(key, (), 0, len(_pairs(num_policies)), INDEX_TYPE)


def _random_pair(record: Record, evidence: np.ndarray, state: Any, draw: Any, ties: Ties) -> tuple[int, int, Any]:
    return *_pairs(record.num_policies)[int(draw)], state


def _epsilon_greedy_draw(key: jax.Array, num_policies: int, dtype: Any) -> Any:
    explore_key, pair_key = jax.random.split(key)
    return jax.random.uniform(explore_key, (), COIN_TYPE), _random_pair_draw(pair_key, num_policies, dtype)


def _epsilon_greedy(record: Record, evidence: np.ndarray, state: Any, draw: Any, ties: Ties) -> tuple[int, int, Any]:
    if draw[0] < baselines.EPSILON:
        return *_pairs(record.num_policies)[int(draw[1])], state
    wins, losses = record.wins.sum(axis=1), record.wins.sum(axis=0)
    rate = (wins + 1) / (wins + losses + 2)
    best = ties.smallest(-rate)
    return best, ties.smallest(-rate, barred=best), state


def _thompson_draw(key: jax.Array, num_policies: int, dtype: Any) -> Any:
    normal_key, exponential_key = jax.random.split(key)
    shape = (2 * num_policies + posterior.spare(2 * num_policies),)
    return jax.random.normal(normal_key, shape, dtype), jax.random.exponential(exponential_key, shape, dtype)


def gamma_draws(shapes: list[float], normals: np.ndarray, exponentials: np.ndarray) -> list[float]:
    """Marsaglia and Tsang (2000): each its own proposal, and while it is rejected the next of those at the end."""
    spare = len(shapes)
    found = []
    for own, shape in enumerate(shapes):
        d, number = shape - 1 / 3, own
        while True:
            x, log_uniform = float(normals[number]), -float(exponentials[number])
            v = max(1 + x / math.sqrt(9 * d), 0.0) ** 3
            if v > 0 and log_uniform < x**2 / 2 + d - d * v + d * math.log(v):
                break
            number, spare = spare, spare + 1
        found.append(d * v)
    return found


def _thompson(record: Record, evidence: np.ndarray, state: Any, draw: Any, ties: Ties) -> tuple[int, int, Any]:
    k = record.num_policies
    leader = ties.least_refuted(record.refutation())
    shapes = [1.0 + wins for wins in (*record.wins[leader], *record.wins[:, leader])]
    gammas = gamma_draws(shapes, *draw)
    chances = [a / (a + b) for a, b in zip(gammas[:k], gammas[k:], strict=True)]
    return leader, ties.smallest(chances, barred=leader), state


def _rucb_draw(key: jax.Array, num_policies: int, dtype: Any) -> Any:
    keep_key, draw_key = jax.random.split(key)
    return jax.random.uniform(keep_key, (), COIN_TYPE), jax.random.uniform(draw_key, (num_policies,), dtype)


def _rucb(record: Record, evidence: np.ndarray, champion: Any, draw: Any, ties: Ties) -> tuple[int, int, Any]:
    k = record.num_policies
    upper = np.full((k, k), 2.0)
    for i in range(k):
        for j in range(k):
            n = int(record.counts[i, j])
            if n:
                upper[i, j] = record.wins[i, j] / n + math.sqrt(baselines.RUCB_ALPHA * math.log(max(record.t, 1)) / n)
        upper[i, i] = 0.5
    candidates = [i for i in range(k) if all(ties.at_least(upper[i, j], 0.5) for j in range(k))]
    champion = champion if champion in candidates else None
    if len(candidates) == 1:
        champion = candidates[0]
    coin, lots = draw
    if champion is not None and (len(candidates) == 1 or coin < 0.5):
        first = champion
    else:
        pool = [i for i in candidates if i != champion] or list(range(k))
        first = min(pool, key=lambda i: lots[i])
    return first, ties.smallest(-upper[:, first], barred=first), champion


BUDGET = 2000
"""What the samplers that are told their budget are told."""


def _sequential_halving(
    record: Record, evidence: np.ndarray, survivors: list[int], draw: Any, ties: Ties
) -> tuple[int, int, Any]:
    phases = math.ceil(math.log2(record.num_policies))
    starts = [BUDGET * phase // phases for phase in range(phases)]
    if record.t in starts[1:]:
        wins, losses = record.wins.sum(axis=1).tolist(), record.wins.sum(axis=0).tolist()
        best = sorted(survivors, key=lambda i: (-Fraction(wins[i] + 1, wins[i] + losses[i] + 2), i))
        survivors = sorted(best[: -(-len(survivors) // 2)])
    # A tournament: the last one stays, the others move on; where they are odd in number, it is a rest that stays.
    circle = [*survivors] if len(survivors) % 2 else survivors[:-1]
    rounds = []
    for number in range(len(circle)):
        staying = [] if len(survivors) % 2 else [(survivors[-1], circle[number])]
        moved = circle[number:] + circle[:number]
        rounds += staying + [(moved[c], moved[-c]) for c in range(1, (len(circle) + 1) // 2)]
    turn = record.t - max(start for start in starts if start <= record.t)
    return *rounds[turn % len(rounds)], survivors


class BudgetedReference(NamedTuple):
    """State of llm-po-budget: tests, scores and information of each policy, the contest, the last pair and its wins."""

    tests: list[int]
    scores: list[float]
    information: list[float]
    contest: float = 0.0
    last: tuple[int, int, int] | None = None

    def learnt(self, record: Record) -> BudgetedReference:
        """With the outcome of the last comparison."""
        if self.last is None:
            return self
        first, second, before = self.last
        won = bool(record.wins[first, second] > before)
        wins, n = before, int(record.counts[first, second]) - 1
        contest = self.contest
        if n < strength.CONTEST_COUNTS:
            spread = 1 / self.information[first] + 1 / self.information[second]
            chance = logistic((self.scores[first] - self.scores[second]) / math.sqrt(1 + math.pi / 8 * spread))
            own = (wins + 1) / (n + 2)
            gain = math.log(chance / own) if won else math.log((1 - chance) / (1 - own))
            contest = min(contest + gain, strength.CONTEST_CAP)
        scores, information = list(self.scores), list(self.information)
        for i in (first, second):
            gradient, information[i] = -self.scores[i], 1.0
            for j in range(record.num_policies):
                chance = logistic(self.scores[i] - self.scores[j])
                gradient += record.wins[i, j] - record.counts[i, j] * chance
                information[i] += record.counts[i, j] * chance * (1 - chance)
            scores[i] += gradient / information[i]
        return BudgetedReference(self.tests, scores, information, contest)


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _llm_po_budget(
    record: Record, evidence: np.ndarray, state: BudgetedReference, draw: Any, ties: Ties
) -> tuple[int, int, Any]:
    state, k = state.learnt(record), record.num_policies
    strong = ties.at_least(state.contest, llm_po_budget.DOUBT)
    scores = np.array(state.scores) if strong else np.log(record.odds()) - record.refutation()
    size = max(2, math.floor(k * ((BUDGET - record.t) / BUDGET) ** llm_po_budget.POWER))
    rest, alive = -scores, list(range(k))
    if size < k:
        alive = []
        for _ in range(size):
            alive.append(ties.smallest(rest))
            rest[alive[-1]] = math.inf
    tested = min(alive, key=lambda i: (state.tests[i], i))
    best = ties.smallest(-scores, barred=tested)
    if strong and state.tests[tested] % 2 == 0:
        opponent = best
    elif strong:
        counts = record.counts.sum(axis=1)
        similar = [
            counts[j] + abs(state.scores[j] - state.scores[tested]) if j in alive else math.inf for j in range(k)
        ]
        opponent = ties.smallest(similar, barred=tested)
    else:
        index = []
        for j in range(k):
            n, wins = int(record.counts[tested, j]), int(record.wins[tested, j])
            centre = (wins + llm_po.PAIR_PRIOR * llm_po.PAIR_MEAN) / (n + llm_po.PAIR_PRIOR)
            width = llm_po_budget.BONUS * math.log(1 + record.t) / (n + 1)
            root = math.sqrt(width * (centre * (1 - centre) + width / 4))
            index.append((centre + width / 2 - root) / (1 + width) - (llm_po_budget.BEST_BONUS if j == best else 0))
        opponent = ties.smallest(index, barred=tested)
    tests = [count + (i == tested) for i, count in enumerate(state.tests)]
    last = (tested, opponent, int(record.wins[tested, opponent]))
    return tested, opponent, state._replace(tests=tests, last=last)


def _two_least(record: Record, evidence: np.ndarray, state: Any, draw: Any, ties: Ties) -> tuple[int, int, Any]:
    first = ties.least_refuted(evidence)
    return first, ties.least_refuted(evidence, barred=first), state


class SamplerReference(NamedTuple):
    """`draw(key, K, dtype)` is all that the sampler takes from its key, whatever the record."""

    init: Callable[[int], Any]
    draw: Callable[[jax.Array, int, Any], Any]
    decide: Callable[[Record, np.ndarray, Any, Any, Ties], tuple[int, int, Any]]


SAMPLERS: dict[str, SamplerReference] = {
    "llm-po": SamplerReference(lambda k: {}, _no_draw, _llm_po),
    "llm-po-budget": SamplerReference(
        lambda k: BudgetedReference([0] * k, [0.0] * k, [1.0] * k), _no_draw, _llm_po_budget
    ),
    "llm-po-d-tracking": SamplerReference(_nothing, _no_draw, _d_tracking),
    "llm-po-c-tracking": SamplerReference(lambda k: np.zeros(k * (k - 1) // 2), _no_draw, _c_tracking),
    "round-robin": SamplerReference(_nothing, _no_draw, _round_robin),
    "random-pair": SamplerReference(_nothing, _random_pair_draw, _random_pair),
    "epsilon-greedy": SamplerReference(_nothing, _epsilon_greedy_draw, _epsilon_greedy),
    "thompson": SamplerReference(_nothing, _thompson_draw, _thompson),
    "rucb": SamplerReference(_nothing, _rucb_draw, _rucb),
    "sequential-halving": SamplerReference(lambda k: list(range(k)), _no_draw, _sequential_halving),
    "dkwt": SamplerReference(_nothing, _no_draw, _two_least),
}


def draws(name: str, keys: jax.Array, num_policies: int, dtype: Any) -> list[Any]:
    """What the sampler draws at each comparison, as NumPy values."""
    drawn = jax.jit(jax.vmap(lambda key: SAMPLERS[name].draw(key, num_policies, dtype)))(keys)
    arrays = jax.tree.map(np.asarray, drawn)
    return [jax.tree.map(lambda x, t=t: x[t], arrays) for t in range(len(keys))]


# A whole replication, as the engine's `simulate` describes it.


@dataclass
class Run:
    """Policies are numbered as in the model; codes as in `llmpo_jax.protocol`; `counts` [K, K] upper triangle."""

    stopping_time: list[int]
    recommendation: list[int]
    budget_recommendation: list[int]
    counts: np.ndarray
    stopping_cost: list[float]


def outcome(bits: int, mu: float, tie: float) -> tuple[bool, bool]:
    """Whether the first policy won, and whether there was a tie: the 2^32 numbers are wins, then ties, then losses."""
    wins, ties = math.floor(mu * (1 - tie) * 2**32), math.floor(tie * 2**32)
    return bits < wins, wins <= bits < wins + ties


def replicate(
    mu: np.ndarray,
    sampler: str,
    stopping: str,
    *,
    deltas: Sequence[float],
    budgets: Sequence[int] = (),
    max_comparisons: int,
    existence: str = "assumed",
    seed: int = 0,
    replication: int = 0,
    dtype: Any = jnp.float32,
    pairs: Sequence[tuple[int, int]] | None = None,
    tie_chances: np.ndarray | None = None,
    costs: np.ndarray | None = None,
) -> Run:
    """One replication, comparison by comparison; given `pairs` (in its own numbering), these are compared."""
    k = len(mu)
    rule, reference = STOPPING[stopping], SAMPLERS[sampler]
    random = randomness(seed, replication, k, max_comparisons)
    drawn = draws(sampler, random.keys, k, dtype)
    record, state = Record(k, existence), reference.init(k)
    run = Run([-1] * len(deltas), [-1] * len(deltas), [-1] * len(budgets), np.zeros((k, k), int), [0.0] * len(deltas))
    tie_chances = np.zeros((k, k)) if tie_chances is None else tie_chances
    thresholds = [rule.thresholds(delta, k, existence) for delta in deltas]
    for t in range(1, max_comparisons + 1):
        if all(time >= 0 for time in run.stopping_time) and t > max(budgets, default=0):
            break
        if pairs is None:
            ties = Ties(0.0, [])
            first, second, state = reference.decide(record, rule.evidence(record), state, drawn[t - 1], ties)
        else:
            first, second = pairs[t - 1]
        i, j = int(random.shuffled[first]), int(random.shuffled[second])
        record.observe(first, second, *outcome(int(random.bits[t - 1]), mu[i, j], tie_chances[i, j]))
        if costs is not None:
            run.stopping_cost = [
                cost + (costs[i, j] if time < 0 else 0.0)
                for cost, time in zip(run.stopping_cost, run.stopping_time, strict=True)
            ]
        run.counts[min(i, j), max(i, j)] += run.stopping_time[-1] < 0
        statement = rule.statement(record)
        for level, (winner_threshold, absence_threshold) in enumerate(thresholds):
            named = statement.score >= winner_threshold
            if run.stopping_time[level] < 0 and (named or statement.absence >= absence_threshold):
                run.stopping_time[level] = t
                run.recommendation[level] = int(random.shuffled[statement.winner]) if named else -2
        for place, budget in enumerate(budgets):
            if budget == t:
                run.budget_recommendation[place] = int(random.shuffled[best_guess(record.wins.astype(float))])
    return run
