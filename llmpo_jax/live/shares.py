"""Anytime-valid tests of a share: that two policies are equal within epsilon, and that a judge follows the order.

Both bet against "the chance of a success, given the past, is at least q". Before each trial a chance p <= q is fixed
from the past; the wealth is multiplied by p / q after a success and by (1 - p) / (1 - q) after a failure. If the chance
is mu >= q the factor has mean mu p / q + (1 - mu) (1 - p) / (1 - q), which falls with mu, as p / q <= 1 <= (1 - p) /
(1 - q), and is 1 at mu = q: so the wealth is a non-negative supermartingale started at 1. By Ville's inequality it ever
reaches 1 / level with probability at most `level`, whatever chooses the trials and whenever one looks.

Rounding: in float64 a step of the log wealth is right to a few units in the last place of numbers of size at most
|log p| + |log q| + 2; `ROUNDING` of it is taken off every step.
"""

from __future__ import annotations

import math

ROUNDING = 2.0**-48


class Below:
    """The evidence that a chance is below `q`, in (0, 1).

    Args:
        q: the share that the hypothesis allows, and more.
        mean, strength: of the prior that the bets start from: `strength` trials, a share of `mean` of them successes.
            Any are valid; near the truth they are quick.
    """

    def __init__(self, q: float, mean: float, strength: float) -> None:
        self._q = q
        self._successes, self._trials = mean * strength, strength
        self._nats = 0.0
        self.peak = 0.0
        """Nats, the largest that the log wealth has been: what is once proven stays so."""

    def observe(self, success: bool) -> None:
        """Weigh one trial."""
        p = min(self._successes / self._trials, self._q)
        gain = math.log(p / self._q) if success else math.log((1 - p) / (1 - self._q))
        self._nats += gain - ROUNDING * (2 + abs(math.log(p)) + abs(math.log(1 - self._q)) + abs(self._nats))
        self.peak = max(self.peak, self._nats)
        self._successes += success
        self._trials += 1


class Equivalence:
    """Which pairs of K policies are proven equal within epsilon: |mu - 1/2| < epsilon for the chance mu among decided
    comparisons that one beats the other.

    Of every pair both "mu >= 1/2 + epsilon" and "mu <= 1/2 - epsilon" are bet against, and it is proven equal once both
    wealths have reached P / level, P = K (K - 1) / 2. At most one of the two is true, so a pair is proven wrongly with
    probability at most level / P, and any pair with probability at most `level`: under any sampler, at any time,
    whether there is a Condorcet winner or not.

    The bets start from 1 / epsilon^2 / 4 comparisons at 1/2: a spread of epsilon around even.
    """

    def __init__(self, num_policies: int, epsilon: float, level: float) -> None:
        self._epsilon = epsilon
        self._threshold = math.log(num_policies * (num_policies - 1) / 2) - math.log(level)
        self._pairs: dict[tuple[int, int], tuple[Below, Below]] = {}

    def observe(self, first: int, second: int, won: bool) -> None:
        """Weigh one decided comparison."""
        pair, won = ((first, second), won) if first < second else ((second, first), not won)
        if pair not in self._pairs:
            strength = 0.25 / self._epsilon**2
            self._pairs[pair] = (
                Below(0.5 + self._epsilon, 0.5, strength),
                Below(0.5 + self._epsilon, 0.5, strength),
            )
        above, below = self._pairs[pair]
        above.observe(won)
        below.observe(not won)

    def proven(self, first: int, second: int) -> bool:
        """Whether the two are proven equal within epsilon."""
        tests = self._pairs.get((min(first, second), max(first, second)))
        return tests is not None and all(test.peak >= self._threshold for test in tests)


ORDER_SHARE = 0.8
ORDER_LEVEL = 1e-3


class OrderFollowing:
    """Whether a judge is proven to follow the order of presentation: more than `ORDER_SHARE` of its decided verdicts
    are for the answer shown first, or for the one shown second, as a chance given the past.

    The order is a fair coin that nobody sees before the pair is fixed, so a judge that does not look at it has a share
    of 1/2, whatever the policies. A judge whose share lies between 1 - `ORDER_SHARE` and `ORDER_SHARE` is called
    unusable with probability at most `ORDER_LEVEL`: a leaning towards a side blurs what is compared, but random orders
    keep it from favouring a policy.
    """

    def __init__(self) -> None:
        self._second = Below(1 - ORDER_SHARE, 0.02, 2.0), Below(1 - ORDER_SHARE, 0.02, 2.0)

    def observe(self, shown_first_won: bool) -> None:
        """Weigh one decided verdict."""
        for test, won in zip(self._second, (not shown_first_won, shown_first_won), strict=True):
            test.observe(won)

    @property
    def proven(self) -> bool:
        """Whether the judge is unusable."""
        return any(test.peak >= math.log(2 / ORDER_LEVEL) for test in self._second)
