"""Fisher's form of the structured program by accelerated projected gradient steps with an annealed softmin.

The min over rivals is smoothed (`program.softmin`); the smooth function is maximised over the simplex by Nesterov's
method with restarts (O'Donoghue and Candes 2015) and a step size that is halved where a step promised too much; and the
temperature falls by `_COOLING` whenever what is left to gain is small against it.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from llmpo_jax.theory import linear, program
from llmpo_jax.theory.program import Program

MAX_STEPS = 2000
_STEEPEST = 1e20
"""Curvature, in units of the value, beyond which no step size helps: there is no information in float64."""
_HOTTEST = 0.3
_COOLING = 4.0
_LEFT = 0.5
"""Of a temperature, what may be left to gain when the next one begins."""
_RIDGE = 1e-13
"""Of the information matrix, relative to its trace: proportions of zero leave directions without any."""


class Ascent(NamedTuple):
    """Where the ascent is.

    Attributes:
        weights: [P], the point. ahead: [P], extrapolated from it, where the gradient is taken. momentum: Nesterov's.
        curvature: the inverse of the step size. temperature: of the softmin.
        lower, upper: bounds on the value so far, in units of `Program.scale`.
        best: [P], where the lower one was met. gains: [P], the slope where the upper one was; shifts: [R, d], there.
        steps: int32.
    """

    weights: jax.Array
    ahead: jax.Array
    momentum: jax.Array
    curvature: jax.Array
    temperature: jax.Array
    lower: jax.Array
    upper: jax.Array
    best: jax.Array
    gains: jax.Array
    shifts: jax.Array
    steps: jax.Array


def ascend(instance: Program, start: jax.Array, tolerance: float) -> Ascent:
    """From `start` [P] on the simplex until the gap between the bounds is below `tolerance`, or `MAX_STEPS`."""
    from optax.projections import projection_simplex  # slow to import, and seldom needed

    pairs, rivals = instance.pairs, instance.rivals
    spread = jax.nn.sigmoid(pairs.logits) * jax.nn.sigmoid(-pairs.logits) * pairs.worth
    ridge = _RIDGE * jnp.eye(pairs.z.shape[1])

    def smooth(weights: jax.Array, temperature: jax.Array) -> tuple[jax.Array, ...]:
        information = linear.information(pairs.products, weights * spread)
        inverse, _ = linear.inverse(information + jnp.trace(information) * ridge)
        values, shifts = program.fisher(inverse, rivals.contrasts, rivals.gaps)
        values = values / instance.scale
        prices, value = program.softmin(values, temperature)
        return value, values.min(), prices, shifts

    def improve(at: Ascent) -> Ascent:
        value, least, prices, shifts = smooth(at.ahead, at.temperature)
        slope = program.fisher_gains(pairs.products, spread, prices, shifts) / instance.scale
        point = projection_simplex(at.ahead + slope / at.curvature)
        found, reached, _, _ = smooth(point, at.temperature)
        step = point - at.ahead
        kept = found >= value + slope @ step - at.curvature / 2 * (step @ step) - 1e-13 * value
        cooled = kept & (slope.max() - slope @ at.ahead <= _LEFT * at.temperature)
        cooler = jnp.maximum(at.temperature / _COOLING, tolerance / 8 * least)
        momentum = (1 + jnp.sqrt(1 + 4 * at.momentum**2)) / 2
        moved = point - at.weights
        restart = cooled | (step @ moved < 0)
        ahead = jnp.maximum(point + jnp.where(restart, 0, (at.momentum - 1) / momentum) * moved, 0)
        better, cheaper = kept & (reached > at.lower), slope.max() < at.upper
        return Ascent(
            weights=jnp.where(kept, point, at.weights),
            ahead=jnp.where(kept, ahead, at.ahead),
            momentum=jnp.where(kept, jnp.where(restart, 1, momentum), at.momentum),
            curvature=at.curvature * jnp.where(kept, jnp.where(cooled, _COOLING / 2, 0.97), 2),
            temperature=jnp.where(cooled, cooler, at.temperature),
            lower=jnp.where(better, reached, at.lower),
            upper=jnp.where(cheaper, slope.max(), at.upper),
            best=jnp.where(better, point, at.best),
            gains=jnp.where(cheaper, slope, at.gains),
            shifts=jnp.where(cheaper, shifts, at.shifts),
            steps=at.steps + 1,
        )

    one = jnp.ones(())
    begin = Ascent(
        weights=start,
        ahead=start,
        momentum=one,
        curvature=10 * one,
        temperature=_HOTTEST * one,
        lower=0 * one,
        upper=jnp.inf * one,
        best=start,
        gains=jnp.zeros_like(start),
        shifts=jnp.zeros_like(rivals.contrasts),
        steps=jnp.zeros((), jnp.int32),
    )

    def unfinished(at: Ascent) -> jax.Array:
        return (at.upper > at.lower * (1 + tolerance)) & (at.steps < MAX_STEPS) & (at.curvature < _STEEPEST)

    return jax.lax.while_loop(unfinished, improve, begin)
