"""What a log of comparisons already proves, by the e-process that LLM-PO stops on."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmpo_jax.arithmetic import pinned
from llmpo_jax.engine.following import Choice, Pair, choose, pairs_after, proofs_after, renewed
from llmpo_jax.engine.orders import in_order, shuffled
from llmpo_jax.fold import compared
from llmpo_jax.models import Battles, identified
from llmpo_jax.protocol import Design, Problem, StoppingRule
from llmpo_jax.registry import nearest
from llmpo_jax.spaces import STRUCTURED, UNSTRUCTURED, Space
from llmpo_jax.stopping import e_process
from llmpo_jax.stopping.structured import e_process as structured_e_process
from llmpo_jax.theory.independence import ORDERS, independence
from llmpo_jax.theory.linear import make_design
from llmpo_jax.theory.refutation import pair_evidence

UNORDERED = "unordered"
"""The alarm where a log without an order is to be read in its order."""


@dataclass(frozen=True)
class Audit:
    """What is proven of each policy.

    Attributes:
        order: "log" or "any", how the rows were read.
        alarm: what the rows look like if not like independent comparisons (see `llmpo_jax.theory.independence`), or
            `UNORDERED` where they have no order and one is asked for. Then nothing is proven: no refutation, no
            refuter, no proof, no next pairs.
        refutation: float64 [K] nats against "k is the Condorcet winner" (with features, against "k is the best
            policy"); k is refuted at level exp(-refutation), and at every larger one.
        refuter: int64 [K], the opponent with most evidence against k (with features, the leader); -1 where there is
            none.
        proofs: float64 [K, K] nats for "i beats j", infinite on the diagonal; None with features.
        next_pairs: the pairs that LLM-PO would compare next, where it is known that a Condorcet winner exists.
        next_proofs: the pairs that would do most to prove, without that assumption, that the least refuted policy beats
            every other one; empty with features.
    """

    order: str
    alarm: str | None
    refutation: np.ndarray
    refuter: np.ndarray
    proofs: np.ndarray | None
    next_pairs: tuple[Pair, ...]
    next_proofs: tuple[Pair, ...]

    def refuted(self, delta: float) -> np.ndarray:
        """bool [K], which policies are refuted at level `delta`."""
        return self.refutation >= -np.log(delta)

    def proven(self, delta: float) -> np.ndarray:
        """bool [K, K], where i is proven to beat j, each policy's row at level `delta / K` (unstructured space)."""
        assert self.proofs is not None
        return self.proofs >= math.log(len(self.proofs)) - np.log(delta)


def audit(
    battles: Battles, features: np.ndarray | None = None, order: str = "log", seed: int = 0, following: int = 1
) -> Audit:
    """Weigh a log of comparisons.

    What is asked of the log: given all earlier rows, a row that is decided is won with a chance that depends on its
    pair alone. So no two rows may stem from one verdict. Where the rows look otherwise, nothing is proven but that
    (`Audit.alarm`, false in at most one log in a million).

    - order "log": the rows are in the order in which the comparisons were made. The evidence is the peak of the
      e-process along the log. Valid for any rule by which the pairs were chosen and the log was ended.
    - order "any": the order is lost, or the rows are sorted, but the PAIRS (and the end of the log) were chosen without
      looking at outcomes. The evidence is the log of the wealth at the end, not at its peak, averaged over random
      orders. In each of them the wealth has mean at most 1 while k is the winner, so their average has too, and by
      Markov's inequality it reaches 1 / delta with probability at most delta. This holds for any number of orders;
      here it is `llmpo_jax.engine.orders.number_of_orders`. The answer depends on the seed, to be chosen without
      looking at the answer, and on who beat whom how often, not on the rows' order.

    What may be said, all of it together with an error of at most delta (without features):
    - "if one policy beats all others, it is X", where all but X are refuted, or "no policy does", where all are.
      If there is a winner i*, both are wrong only if i* is refuted.
    - besides the former, "X beats every other policy", where `proven` has the whole row of X. If there is a winner,
      this too is wrong only if i* is refuted. If there is none, some policy beats k or ties with it for each k, so k
      is proven to beat it with probability at most delta / K, and any of them with probability at most delta.
    With features a linear Bradley-Terry model is assumed, which always has a best policy: where all are refuted, the
    linear model does not fit.

    A tie says nothing about who is better and adds no evidence. Without features it counts as half a win for each in
    the Bradley-Terry table; with them it is left out: the linear model is one of the decided comparisons.

    Args:
        battles: the log.
        features: [K, d] for the structured space; None for the unstructured one.
        order: "log" or "any".
        seed: of the random orders.
        following: how many next pairs are wanted, as one batch (see `llmpo_jax.engine.following`).

    Raises:
        ValueError: an unknown order, `following` below 1, or features as `llmpo_jax.models.identified`.
    """
    if order not in ORDERS:
        raise ValueError(f"order = {order!r}{nearest(str(order), ORDERS)}")
    if following < 1:
        raise ValueError(f"following = {following}, expected at least 1")
    k = len(battles.names)
    coordinates = None if features is None else identified(features, battles.names).coordinates
    unordered = UNORDERED if order == "log" else None  # where the order in which rows stand says nothing
    alarm = independence(battles).alarm(order) if battles.ordered else unordered
    if alarm is not None:
        proofs = None if features is not None else np.where(np.eye(k, dtype=bool), np.inf, 0.0)
        return Audit(order, alarm, np.zeros(k), np.full(k, -1), proofs, (), ())
    space = UNSTRUCTURED if coordinates is None else STRUCTURED
    codes = in_order(battles) if order == "log" else shuffled(battles, space.name, seed)
    with pinned():
        if coordinates is None:
            weighed = _unstructured(k, codes)
            pairs = pairs_after(k, weighed.choice, following)
        else:
            design = make_design(coordinates)
            weighed = _structured(coordinates.shape, design, codes)
            pairs = pairs_after(k, weighed.choice, following, (coordinates.shape[1], design))
        refutation, proofs, least = _evidence(order, weighed.peak, weighed.final), None, ()
        if coordinates is None:
            proofs, leader = _evidence(order, weighed.proof_peak, weighed.proof_final), int(refutation.argmin())
            least = proofs_after(weighed.choice.known, proofs[leader], leader, following)
    return Audit(order, None, refutation, np.asarray(weighed.refuter, np.int64), proofs, pairs, least)


class _Weighed(NamedTuple):
    """Of M logs of the same rows, each in its order; empty proofs with features.

    Attributes:
        peak, final: [M, K], largest and last log wealth against each policy.
        proof_peak, proof_final: [M, K, K], largest and last log wealth for "i beats j".
        refuter: int32 [K], by the first log.
        choice: what is to be compared next, by the first log.
    """

    peak: jax.Array
    final: jax.Array
    proof_peak: jax.Array
    proof_final: jax.Array
    refuter: jax.Array
    choice: Choice


def _weigh(log: Callable[[jax.Array], tuple[list[jax.Array], jax.Array, Choice]], logs: jax.Array) -> _Weighed:
    """What `log` says of one log (the values, then the rest), of all; one log by itself takes half the time."""
    if len(logs) == 1:
        values, refuter, choice = log(logs[0])
        return _Weighed(*(value[None] for value in values), refuter=refuter, choice=choice)
    values, refuters, choices = jax.vmap(log)(logs)
    return _Weighed(*values, refuter=refuters[0], choice=jax.tree.map(lambda value: value[0], choices))


def _evidence(order: str, peak: jax.Array, final: jax.Array) -> np.ndarray:
    """Nats that hold at any level, from the log wealths [M, ...] of all logs."""
    if order == "log":
        return np.maximum(np.asarray(peak[0], np.float64), 0)
    return np.maximum(np.logaddexp.reduce(np.asarray(final, np.float64), axis=0) - math.log(len(final)), 0)


@functools.partial(jax.jit, static_argnums=0)
def _unstructured(num_policies: int, codes: jax.Array) -> _Weighed:
    """Logs `codes` [M, n], weighed."""
    problem = Problem(num_policies, "certify")
    rule, sampler = UNSTRUCTURED.stopping.get("e-process"), UNSTRUCTURED.samplers.get("llm-po")

    def step(carry, code):
        statistics, state = _moved(UNSTRUCTURED, problem, rule, carry[:2], code)
        place = tuple(jnp.stack([code // num_policies, code % num_policies])[::turn] for turn in (1, -1))
        return (statistics, state, carry[2].at[place].max(state.proofs.pairs[place])), None

    def scan(log):
        state = rule.init(problem)
        start = (UNSTRUCTURED.start(problem), state, state.proofs.pairs)
        (statistics, state, highest), _ = jax.lax.scan(step, start, log)
        record = statistics.record.astype(problem.dtype)
        against = pair_evidence(record[..., 0], record[..., 1])
        refuter = jnp.where(jnp.max(against, axis=1) > 0, jnp.argmax(against, axis=1), -1)
        doubt = e_process.rounding(problem, statistics)
        # What follows from the rest: the loop then does not keep it up to date, which takes longer than all else there.
        refutation = jnp.sum(against, axis=1)
        statistics = statistics._replace(sums=jnp.stack([refutation, jnp.zeros_like(refutation)]))
        state = state._replace(proofs=state.proofs._replace(weakest=jnp.min(state.proofs.pairs, axis=1)))
        values = state.peak, rule.evidence(problem, state, statistics), highest, state.proofs.pairs
        choice = choose(UNSTRUCTURED, problem, (statistics, state), sampler.init(Problem(num_policies)))
        return [value - doubt for value in values], refuter, choice

    return _weigh(scan, codes)


def _structured(shape: tuple[int, int], design: Design, codes: np.ndarray) -> _Weighed:
    """Logs `codes` [M, n], weighed with features [K, d]."""
    # Whole periods; what is missing in the last one changes nothing.
    missing = -codes.shape[1] % STRUCTURED.period
    blocks = np.pad(codes, ((0, 0), (0, missing)), constant_values=-1).reshape(len(codes), -1, STRUCTURED.period)
    return _linear(shape, design, blocks)


@functools.partial(jax.jit, static_argnums=0)
def _linear(shape: tuple[int, int], design: Design, blocks: jax.Array) -> _Weighed:
    """Logs `blocks` [M, n / 8, 8], weighed with the features [K, d] of a design."""
    problem = Problem(shape[0], dimension=shape[1], design=design)
    rule, sampler = STRUCTURED.stopping.get("e-process"), STRUCTURED.samplers.get("llm-po")

    def step(carry, code):
        moved = _moved(STRUCTURED, problem, rule, carry, code)
        return jax.tree.map(lambda new, old: jnp.where(code < 0, old, new), moved, carry), None

    def period(carry, block):
        *before, own = carry
        known, _ = jax.lax.scan(step, tuple(before), block)
        known, own = renewed(problem, known, own)
        return (*known, own), None

    def scan(log):
        start = (STRUCTURED.start(problem), rule.init(problem), sampler.init(problem))
        (statistics, state, own), _ = jax.lax.scan(period, start, log)
        rivals = jnp.arange(problem.num_policies, dtype=jnp.int32)
        values = jax.vmap(lambda rival: structured_e_process.settle(problem, state, statistics, rival))(rivals)
        # The leader is not compared with itself: nothing is claimed against it.
        values = jnp.where(rivals == statistics.leader, -jnp.inf, values)
        peak = jnp.maximum(state.peak, values)
        refuter = jnp.where(peak > 0, statistics.leader, -1)
        choice = choose(STRUCTURED, problem, (statistics, state), own)
        return [peak, values, jnp.zeros(0), jnp.zeros(0)], refuter, choice

    return _weigh(scan, blocks)


def _moved(space: Space, problem: Problem, rule: StoppingRule, before: tuple, code: jax.Array) -> tuple:
    """Statistics and evidence after the row `code`."""
    winner, loser = jnp.maximum(code, 0) // problem.num_policies, code % problem.num_policies
    return compared(space, rule, problem, before, winner, loser, code >= 0)
