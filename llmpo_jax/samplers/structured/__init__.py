"""Samplers of the structured space (linear Bradley-Terry), by name."""

from __future__ import annotations

from llmpo_jax import registry
from llmpo_jax.protocol import Sampler
from llmpo_jax.samplers.baselines import RANDOM_PAIR, ROUND_ROBIN
from llmpo_jax.samplers.structured import baselines
from llmpo_jax.samplers.structured.g_optimal import G_OPTIMAL
from llmpo_jax.samplers.structured.llm_po import LLM_PO, LLM_PO_ORACLE
from llmpo_jax.samplers.structured.llm_po_budget import LLM_PO_BUDGET
from llmpo_jax.samplers.structured.rage_glm import RAGE_GLM

STRUCTURED_SAMPLERS: registry.Registry[Sampler] = registry.Registry("structured sampler")
STRUCTURED_SAMPLERS.register("llm-po", LLM_PO)
STRUCTURED_SAMPLERS.register("llm-po-budget", LLM_PO_BUDGET)
STRUCTURED_SAMPLERS.register("llm-po-oracle", LLM_PO_ORACLE)
STRUCTURED_SAMPLERS.register("round-robin", ROUND_ROBIN)
STRUCTURED_SAMPLERS.register("random-pair", RANDOM_PAIR)
STRUCTURED_SAMPLERS.register("epsilon-greedy", baselines.EPSILON_GREEDY)
STRUCTURED_SAMPLERS.register("thompson", baselines.THOMPSON)
STRUCTURED_SAMPLERS.register("rucb", baselines.RUCB)
STRUCTURED_SAMPLERS.register("g-optimal", G_OPTIMAL)
STRUCTURED_SAMPLERS.register("rage-glm", RAGE_GLM)
