"""Live experiments: LLM-PO on real policies and a real judge."""

from llmpo_jax.live.experiment import Experiment
from llmpo_jax.live.protocol import Answer, Ask, CallFailed, Judgement, Policy, Status, Usage

__all__ = ["Answer", "Ask", "CallFailed", "Experiment", "Judgement", "Policy", "Status", "Usage"]
