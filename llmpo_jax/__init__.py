"""Best-policy identification from pairwise comparisons: simulation and theory validation in JAX."""

from llmpo_jax.engine.result import Result
from llmpo_jax.engine.simulate import simulate
from llmpo_jax.models import (
    BradleyTerry,
    Tabular,
    condorcet_winner,
    instances,
    read_battles,
    read_matrix,
    win_probabilities,
)
from llmpo_jax.theory.unstructured import CharacteristicTime, characteristic_time, lower_bound

__all__ = [
    "BradleyTerry",
    "CharacteristicTime",
    "Result",
    "Tabular",
    "characteristic_time",
    "condorcet_winner",
    "instances",
    "lower_bound",
    "read_battles",
    "read_matrix",
    "simulate",
    "win_probabilities",
]
