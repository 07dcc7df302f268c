"""What is simulated: preference models, their named instances, and the reading of comparison files."""

from llmpo_jax.models import instances
from llmpo_jax.models.files import Battles, empirical_model, read_battles, read_matrix
from llmpo_jax.models.preference import (
    BradleyTerry,
    PreferenceModel,
    Tabular,
    condorcet_winner,
    host_probabilities,
    num_policies,
    policy_names,
    win_probabilities,
)
from llmpo_jax.models.sources import Source, load

__all__ = [
    "Battles",
    "BradleyTerry",
    "PreferenceModel",
    "Source",
    "Tabular",
    "condorcet_winner",
    "empirical_model",
    "host_probabilities",
    "instances",
    "load",
    "num_policies",
    "policy_names",
    "read_battles",
    "read_matrix",
    "win_probabilities",
]
