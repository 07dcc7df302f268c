"""Stopping rules by name: what weighs the evidence, and when a run may stop."""

from __future__ import annotations

from llmpo_jax import registry
from llmpo_jax.protocol import StoppingRule
from llmpo_jax.stopping.dkwt import DKWT
from llmpo_jax.stopping.e_process import E_PROCESS
from llmpo_jax.stopping.likelihood_ratio import KAUFMANN_KOOLEN, STYLISED

STOPPING_RULES: registry.Registry[StoppingRule] = registry.Registry("stopping rule")
STOPPING_RULES.register("e-process", E_PROCESS)
STOPPING_RULES.register("stylised", STYLISED)
STOPPING_RULES.register("kaufmann-koolen", KAUFMANN_KOOLEN)
STOPPING_RULES.register("dkwt", DKWT)
