"""What the structured stopping rules share: which rival is weighed at a refresh, how, and the verdict."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from llmpo_jax import vectors
from llmpo_jax.protocol import LinearStatistics, Problem, Thresholds, Verdict
from llmpo_jax.stopping.structured import wealth
from llmpo_jax.theory import linear


def approximate_evidence(problem: Problem, statistics: LinearStatistics) -> jax.Array:
    """[K] nats for "the leader is better than k" by a normal approximation, `g_k^2 / (2 c_k . S c_k)` with the
    posterior covariance S; infinite for the leader. Heuristic: it only chooses which rival is looked at closely."""
    contrasts = linear.contrasts(problem, statistics.leader)
    gaps = contrasts @ statistics.estimate
    spread = jnp.sum((contrasts @ statistics.covariance) * contrasts, axis=1)
    leads = vectors.one_hot(statistics.leader, problem.num_policies)
    return jnp.where(leads, jnp.inf, gaps**2 / (2 * jnp.where(leads, 1, spread)))


def least_proven(statistics: LinearStatistics, peak: jax.Array, approximate: jax.Array) -> jax.Array:
    """int32, the rival with the smallest proof [K]; where several have none, the one that looks easiest."""
    key = jnp.where(peak > 0, peak, -approximate)
    return vectors.argmin_except(key, statistics.leader)


def look(
    problem: Problem, statistics: LinearStatistics, bets: wealth.Bets, rival: jax.Array, null: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """What `wealth.least` claims, from `null` [d], over all theta for which `rival` is at least as good as the leader,
    nats, float64; and the null to look at next time, the estimate where the search went astray."""
    features = linear.of(problem).exact.features
    value, following = wealth.least(problem, bets, features[statistics.leader] - features[rival], null)
    return value, jnp.where(jnp.all(jnp.isfinite(following)), following, statistics.estimate)


def verdict(statistics: LinearStatistics, peak: jax.Array) -> Verdict:
    """The leader wins once every rival is refuted."""
    leader = statistics.leader
    others = jnp.where(vectors.one_hot(leader, peak.shape[0]), jnp.inf, peak)
    score = jnp.min(others)
    return Verdict(leader, score, jnp.full_like(score, -jnp.inf))


def thresholds(problem: Problem, delta: float) -> Thresholds:
    """log(1 / delta) nats; that there is no winner is never said, since a linear model has one."""
    return Thresholds(-math.log(delta), math.inf)
