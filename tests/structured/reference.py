"""Structured replications again in plain NumPy, float64, formula by formula; nothing of the package's arithmetic.

Outcomes and the pairs of random samplers come from outside. Written for clarity: loops where the package has arrays.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

PERIOD, PRECISION = 8, 15.0
EPOCHS, GROWTH, CAUTION = 48, 1.4, 3.0
HEDGE, LATE, LATE_HEDGE = 0.05, 24, 0.01
STEPS, STEP_SIZE, TEMPERATURE, LARGEST_MOVE, TIE_PRIOR = 4, 0.4, 0.3, 0.1, 8.0
WARM, SOME = 20.0, 1e-3
RADIUS = 1e4


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def bend(x: np.ndarray) -> np.ndarray:
    return sigmoid(x) * sigmoid(-x)


def softmin(values: list[float], temperature: float) -> np.ndarray:
    weight = np.exp([(min(values) - value) / (temperature * min(values)) for value in values])
    return weight / weight.sum()


def project(values: np.ndarray) -> np.ndarray:
    """Euclidean projection onto the simplex, by sorting."""
    ordered = np.sort(values)[::-1]
    excess = (np.cumsum(ordered) - 1) / np.arange(1, len(values) + 1)
    return np.maximum(values - excess[np.flatnonzero(ordered > excess)[-1]], 0)


class Run:
    """State of a replication with LLM-PO and all three stopping statistics."""

    def __init__(self, features: np.ndarray, costs: np.ndarray | None = None, may_tie: bool = False) -> None:
        self.x = features
        self.k, self.d = features.shape
        self.pairs = list(itertools.combinations(range(self.k), 2))
        self.z = np.array([features[i] - features[j] for i, j in self.pairs])
        self.t = 0
        self.counts = np.zeros(len(self.pairs))
        self.wins = np.zeros(len(self.pairs))
        self.ties = np.zeros(len(self.pairs))
        self.costs = np.array([1.0 if costs is None else costs[pair] for pair in self.pairs])
        self.may_tie = may_tie
        self.theta = np.zeros(self.d)
        self.covariance = np.eye(self.d) / PRECISION
        length = (self.z**2).sum(axis=1)
        self.w = length / length.sum()
        self.shifts = np.zeros((self.k, self.d))
        self.exact = np.ones(self.k)
        self.nats = 0.0
        self.peak = np.zeros(self.k)
        self.null = np.zeros((self.k, self.d))
        self.mixture = np.zeros(self.k)
        self.mixture_null = np.zeros((self.k, self.d))
        self.stylised_null = np.zeros((self.k, self.d))
        self.stylised = 0.0
        self.epochs: list[dict] = []

    @property
    def leader(self) -> int:
        return int(np.argmax(self.x @ self.theta))

    def next_pair(self) -> tuple[int, int]:
        """LLM-PO's pair, the one with the better estimate first."""
        comparisons = self.w / self.costs / (self.w / self.costs).sum()
        return self.in_order(*self.pairs[int(np.argmin(self.counts + self.ties - (self.t + 1) * comparisons))])

    def in_order(self, i: int, j: int) -> tuple[int, int]:
        # Before the first refresh the longer row of features counts as the better one.
        scores = self.x @ self.theta if self.t >= PERIOD else (self.x**2).sum(axis=1)
        return (j, i) if scores[j] > scores[i] else (i, j)

    def observe(self, first: int, second: int, won: bool) -> None:
        pair = self.pairs.index((min(first, second), max(first, second)))
        self.t += 1
        self.counts[pair] += 1
        self.wins[pair] += won == (first < second)
        if self.t % PERIOD == 0:
            self.refresh()

    def refresh(self) -> None:
        for _ in range(2):
            mu = sigmoid(self.z @ self.theta)
            gradient = self.z.T @ (self.wins - self.counts * mu) - PRECISION * self.theta
            information = sum(n * m * (1 - m) * np.outer(z, z) for n, m, z in zip(self.counts, mu, self.z, strict=True))
            self.covariance = np.linalg.inv(information + PRECISION * np.eye(self.d))
            self.theta = self.theta + self.covariance @ gradient
        self.design()
        self.weigh()

    def design(self) -> None:
        """The steps of one refresh, with the exact form in as far as evidence allows."""
        a, inverse, worth, spent = self.program(self.w)
        rivals = [k for k in range(self.k) if k != self.leader]
        values, rough = self.fisher(inverse, rivals, None)
        heat = min(1.0, WARM / max(WARM, self.nats))
        warmed = [v * self.exact[k] ** (1 - heat) for v, k in zip(values, rivals, strict=True)]
        weight = softmin(warmed, TEMPERATURE * heat)
        mu = sigmoid(self.z @ self.theta)
        gain = np.zeros(len(self.w))
        for v, q, k in zip(values, weight, rivals, strict=True):
            c = self.x[self.leader] - self.x[k]
            shift = self.shifts[k] - inverse @ c * (c @ (self.theta + self.shifts[k])) / (c @ inverse @ c)
            moved = self.z @ shift
            cost = sum(
                weight * moved**2 * bend(self.z @ self.theta + node * moved)
                for node, weight in (((4 - 6**0.5) / 10, (9 + 6**0.5) / 36), ((4 + 6**0.5) / 10, (9 - 6**0.5) / 36))
            )
            ridge = PRECISION / spent
            self.exact[k] = (self.w @ (worth * cost) + ridge / 2 * shift @ shift) / v
            gain += q * worth * cost
            slope = self.z.T @ (self.w * worth * (sigmoid(self.z @ (self.theta + shift)) - mu)) + ridge * shift
            used = self.w > 0
            curved = max(1.0, max(bend(self.z @ (self.theta + shift))[used] / bend(self.z @ self.theta)[used]))
            self.shifts[k] = shift - inverse @ slope / curved
        self.shifts[self.leader], self.exact[self.leader] = 0, 1
        plain = sum(q * a * (self.z @ shift) ** 2 / 2 for q, shift in zip(weight, rough, strict=True))
        added = SOME * np.max(plain)
        gains = ((gain + added) / (plain + added)) ** (1 - heat)
        for _ in range(STEPS):
            self.w = self.improved(self.w, None, heat, self.exact ** (1 - heat), gains)

    def program(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """The variances, the inverse of the regularised information, what comparisons are worth, and the cost."""
        mu = sigmoid(self.z @ self.theta)
        made = self.counts + self.ties
        decided = (self.counts + TIE_PRIOR * (self.counts.sum() + 1) / (self.t + 1)) / (made + TIE_PRIOR)
        worth = (decided if self.may_tie else 1) / self.costs
        a = mu * (1 - mu) * worth
        information = sum(v * np.outer(z, z) for v, z in zip(w * a, self.z, strict=True))
        spent = float(made @ self.costs)
        return a, np.linalg.inv(information + PRECISION / spent * np.eye(self.d)), worth, spent

    def fisher(self, inverse: np.ndarray, rivals: list[int], gaps: dict[int, float] | None) -> tuple[list, list]:
        values, shifts = [], []
        for k in rivals:
            c = self.x[self.leader] - self.x[k]
            variance = c @ inverse @ c
            gap = c @ self.theta if gaps is None else gaps[k]
            values.append(gap**2 / (2 * variance))
            shifts.append(inverse @ c * gap / variance)
        return values, shifts

    def weigh(self) -> None:
        self.weigh_e_process()
        self.weigh_likelihoods()

    def improved(
        self,
        w: np.ndarray,
        gaps: dict[int, float] | None = None,
        heat: float = 1.0,
        exact: np.ndarray | None = None,
        gains: np.ndarray | float = 1.0,
    ) -> np.ndarray:
        """One step on the proportions, Fisher's form where nothing is exact; given `gaps`, of these rivals alone."""
        a, inverse, _, _ = self.program(w)
        rivals = [k for k in range(self.k) if k != self.leader and (gaps is None or k in gaps)]
        values, shifts = self.fisher(inverse, rivals, gaps)
        if exact is not None:
            values = [value * exact[k] for value, k in zip(values, rivals, strict=True)]
        least, weight = min(values), softmin(values, TEMPERATURE * heat)
        gain = sum(q * a * (self.z @ shift) ** 2 / 2 for q, shift in zip(weight, shifts, strict=True)) * gains
        step = min(STEP_SIZE * heat / len(w), LARGEST_MOVE / max(gain / least))
        return project(w + step * (gain / least - 1))

    def approximate(self) -> np.ndarray:
        found = np.full(self.k, np.inf)
        for k in range(self.k):
            c = self.x[self.leader] - self.x[k]
            if k != self.leader:
                found[k] = (c @ self.theta) ** 2 / (2 * c @ self.covariance @ c)
        return found

    def next_rival(self, peak: np.ndarray) -> int:
        key = np.where(peak > 0, peak, -self.approximate())
        key[self.leader] = np.inf
        return int(np.argmin(key))

    def bets(self, rival: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Wins, losses and the two shares [P] of every epoch."""
        found = []
        for epoch, after in itertools.zip_longest(self.epochs, self.epochs[1:]):
            wins = (self.wins if after is None else after["wins"]) - epoch["wins"]
            counts = (self.counts if after is None else after["counts"]) - epoch["counts"]
            c = self.x[epoch["leader"]] - self.x[rival]
            gap, spread = c @ epoch["theta"], c @ epoch["covariance"] @ c
            on_win = on_loss = np.zeros(len(self.pairs))
            if gap > 0 and spread > 0:
                shift = epoch["covariance"] @ c * gap / spread
                strength = gap**2 / spread
                null = epoch["theta"] - shift
                p, q = sigmoid(self.z @ null), sigmoid(self.z @ (null + shift * strength / (strength + CAUTION)))
                kelly = np.where(q > p, (q - p) / (1 - p), (p - q) / p)
                hedge = (HEDGE if len(found) < LATE else LATE_HEDGE) * (1 - kelly)
                on_win = np.where(q > p, kelly, 0) + hedge * p
                on_loss = np.where(q < p, kelly, 0) + hedge * (1 - p)
            found.append((wins, counts - wins, on_win, on_loss))
        return found

    def log_wealth(self, bets, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Log wealth against theta, its gradient and Hessian."""
        value, gradient, hessian = 0.0, np.zeros(self.d), np.zeros((self.d, self.d))
        for p, z in enumerate(self.z):
            x = z @ theta
            for wins, losses, on_win, on_loss in bets:
                won = 1 - on_loss[p] + on_win[p] * math.exp(-x)
                lost = 1 - on_win[p] + on_loss[p] * math.exp(x)
                value += wins[p] * math.log(won) + losses[p] * math.log(lost)
                r, s = on_win[p] * math.exp(-x) / won, on_loss[p] * math.exp(x) / lost
                gradient += (losses[p] * s - wins[p] * r) * z
                hessian += (wins[p] * r * (1 - r) + losses[p] * s * (1 - s)) * np.outer(z, z)
        return value, gradient, hessian

    def least(self, bets, rival: int, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The bound on the least log wealth that theta proves, rounding left out, and Newton's next theta."""
        c = self.x[self.leader] - self.x[rival]
        value, gradient, hessian = self.log_wealth(bets, theta)
        inverse = np.linalg.inv(hessian + 1e-13 * np.trace(hessian) * np.eye(self.d) + 1e-150 * np.eye(self.d))
        multiplier = max(c @ (theta - inverse @ gradient), 0) / (c @ inverse @ c)
        step = -inverse @ (gradient + multiplier * c)
        sigma = np.clip(self.z @ step, -1, 1)
        kappa = self.curvatures(bets, theta)
        left = gradient + multiplier * c + self.z.T @ (kappa * sigma)
        promised = kappa @ (sigma**2 * (1 + abs(sigma)) / 2)
        reach = RADIUS + np.linalg.norm(theta)
        bound = value + multiplier * c @ theta - promised - 1.01 * reach * np.linalg.norm(left)
        return bound, theta + step / max(np.abs(self.z @ step).max(), 1)

    def curvatures(self, bets, theta: np.ndarray) -> np.ndarray:
        """[P], the second derivative of each pair's log wealth in its logit."""
        found = np.zeros(len(self.pairs))
        for p, z in enumerate(self.z):
            for wins, losses, on_win, on_loss in bets:
                won, lost = on_win[p] * math.exp(-z @ theta), on_loss[p] * math.exp(z @ theta)
                r, s = won / (1 - on_loss[p] + won), lost / (1 - on_win[p] + lost)
                found[p] += wins[p] * r * (1 - r) + losses[p] * s * (1 - s)
        return found

    def weigh_e_process(self) -> None:
        rival = self.next_rival(self.peak)
        value, self.null[rival] = self.least(self.bets(rival), rival, self.null[rival])
        self.peak[rival] = max(self.peak[rival], value)
        if len(self.epochs) < EPOCHS and self.t >= math.ceil(8 * self.d * GROWTH ** len(self.epochs)):
            self.epochs.append(
                {
                    "theta": self.theta.copy(),
                    "covariance": self.covariance.copy(),
                    "leader": self.leader,
                    "wins": self.wins.copy(),
                    "counts": self.counts.copy(),
                }
            )

    def ratio(self, rival: int, null: np.ndarray) -> tuple[float, np.ndarray]:
        half = np.full(len(self.pairs), 0.5)
        least, theta = self.least([(self.wins, self.counts - self.wins, half, half)], rival, null)
        mu = sigmoid(self.z @ self.theta)
        likelihood = self.wins @ np.log(mu) + (self.counts - self.wins) @ np.log(1 - mu)
        return float(likelihood + least + self.t * math.log(2)), theta

    def weigh_likelihoods(self) -> None:
        rival = int(np.argmin(self.approximate()))
        ratio, self.stylised_null[rival] = self.ratio(rival, self.stylised_null[rival])
        self.stylised = ratio - math.log1p(math.log(self.t))
        rival = self.next_rival(self.mixture)
        ratio, self.mixture_null[rival] = self.ratio(rival, self.mixture_null[rival])
        v = sum(n / 4 * np.outer(z, z) for n, z in zip(self.counts, self.z, strict=True))
        price = PRECISION * self.theta @ self.theta + np.linalg.slogdet(np.eye(self.d) + v / PRECISION)[1]
        self.mixture[rival] = max(self.mixture[rival], ratio - price / 2)


class GOptimal(Run):
    """The proportions of least greatest variance, whatever is found; no evidence is weighed."""

    def __init__(self, features: np.ndarray) -> None:
        super().__init__(features)
        self.w = np.full(len(self.z), 1 / len(self.z))
        for _ in range(100):
            inverse = np.linalg.inv(sum(v * np.outer(z, z) for v, z in zip(self.w, self.z, strict=True)))
            self.w = np.array([v * (z @ inverse @ z) / self.d for v, z in zip(self.w, self.z, strict=True)])

    def design(self) -> None:
        pass

    def weigh(self) -> None:
        pass


class RageGlm(Run):
    """Phases of elimination, each with its design; no evidence is weighed."""

    def __init__(self, features: np.ndarray) -> None:
        super().__init__(features)
        self.even, self.prices = self.w, np.ones(len(self.z))
        self.phase, self.level, self.left = -2, 1.0, set(range(self.k))
        self.started, self.began, self.before = 0, 0, self.counts.copy()
        self.ends: list[tuple[int, int]] = []

    def next_pair(self) -> tuple[int, int]:
        due = (self.t - self.began + 1) * self.w
        return self.in_order(*self.pairs[int(np.argmin(self.counts - self.before - due))])

    def variances(self, covariance: np.ndarray) -> np.ndarray:
        """[P], of the differences of two policies that are left, 0 for other pairs."""
        return np.array(
            [z @ covariance @ z * ({i, j} <= self.left) for (i, j), z in zip(self.pairs, self.z, strict=True)]
        )

    def design(self) -> None:
        self.end_phase()
        for _ in range(4):
            mu = sigmoid(self.z @ self.theta)
            a = mu * (1 - mu)
            information = sum(v * np.outer(z, z) for v, z in zip(self.w * a, self.z, strict=True))
            inverse = np.linalg.inv(information + PRECISION / self.t * np.eye(self.d))
            variances = self.variances(inverse)
            self.prices = self.prices * variances / (self.prices @ variances)
            gain = np.zeros(len(self.z))
            for q, c in zip(self.prices, self.z, strict=True):
                gain += q * a * (self.z @ inverse @ c) ** 2
            self.w = self.w * np.sqrt(gain)
            self.w /= self.w.sum()

    def end_phase(self) -> None:
        scores = self.x @ self.theta
        precise = 2 * self.level * self.variances(self.covariance).max() <= 4.0**-self.phase
        if precise:
            best = max(scores[i] for i in self.left)
            self.left = {i for i in self.left if best - scores[i] < 2.0**-self.phase}
            self.phase += 1
        alone = len(self.left) == 1
        over = alone or self.t >= max(2 * self.started, 64)
        if precise or over:
            self.ends.append((self.phase, len(self.left)))
            self.w, self.prices = (self.w + self.even) / 2, np.ones(len(self.z))
            self.began, self.before = self.t, self.counts.copy()
        if over:
            self.level = max(self.level * (2 if alone else 1), math.log(self.t))
            self.phase, self.left, self.started = -2, set(range(self.k)), self.t

    def weigh(self) -> None:
        pass
