"""Samplers by name: what chooses the next pair."""

from __future__ import annotations

from llmpo_jax import registry
from llmpo_jax.protocol import Sampler
from llmpo_jax.samplers import baselines, thompson, tracking
from llmpo_jax.samplers.beat_the_mean import BEAT_THE_MEAN
from llmpo_jax.samplers.dkwt import DKWT
from llmpo_jax.samplers.llm_po import LLM_PO
from llmpo_jax.samplers.llm_po_budget import LLM_PO_BUDGET
from llmpo_jax.samplers.rmed import RMED1
from llmpo_jax.samplers.sequential_halving import SEQUENTIAL_HALVING
from llmpo_jax.samplers.swiss import SWISS

SAMPLERS: registry.Registry[Sampler] = registry.Registry("sampler")
SAMPLERS.register("llm-po", LLM_PO)
SAMPLERS.register("llm-po-budget", LLM_PO_BUDGET)
SAMPLERS.register("llm-po-d-tracking", tracking.D_TRACKING)
SAMPLERS.register("llm-po-c-tracking", tracking.C_TRACKING)
SAMPLERS.register("round-robin", baselines.ROUND_ROBIN)
SAMPLERS.register("random-pair", baselines.RANDOM_PAIR)
SAMPLERS.register("epsilon-greedy", baselines.EPSILON_GREEDY)
SAMPLERS.register("thompson", baselines.THOMPSON)
SAMPLERS.register("rucb", baselines.RUCB)
SAMPLERS.register("sequential-halving", SEQUENTIAL_HALVING)
SAMPLERS.register("double-thompson", thompson.DOUBLE_THOMPSON)
SAMPLERS.register("top-two-thompson", thompson.TOP_TWO_THOMPSON)
SAMPLERS.register("rmed1", RMED1)
SAMPLERS.register("beat-the-mean", BEAT_THE_MEAN)
SAMPLERS.register("swiss", SWISS)
SAMPLERS.register("dkwt", DKWT)
