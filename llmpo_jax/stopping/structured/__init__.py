"""Stopping rules of the structured space (linear Bradley-Terry), by name."""

from __future__ import annotations

from llmpo_jax import registry
from llmpo_jax.protocol import StoppingRule
from llmpo_jax.stopping.structured.e_process import E_PROCESS
from llmpo_jax.stopping.structured.likelihood_ratio import MIXTURE, STYLISED

STRUCTURED_RULES: registry.Registry[StoppingRule] = registry.Registry("structured stopping rule")
STRUCTURED_RULES.register("e-process", E_PROCESS)
STRUCTURED_RULES.register("mixture", MIXTURE)
STRUCTURED_RULES.register("stylised", STYLISED)
