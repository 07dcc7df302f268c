"""Best-policy identification from pairwise comparisons: simulation and theory validation in JAX."""

from llmpo_jax.engine.result import Result
from llmpo_jax.engine.simulate import simulate
from llmpo_jax.live.experiment import Experiment
from llmpo_jax.models import (
    BradleyTerry,
    LinearBradleyTerry,
    Tabular,
    Tied,
    condorcet_winner,
    instances,
    read_battles,
    read_matrix,
    win_probabilities,
)
from llmpo_jax.theory.bounds import characteristic_time, characteristic_times, lower_bound
from llmpo_jax.theory.logistic import LinearFit, fit_linear_bradley_terry
from llmpo_jax.theory.structured import StructuredTime
from llmpo_jax.theory.unstructured import CharacteristicTime

__all__ = [
    "BradleyTerry",
    "CharacteristicTime",
    "Experiment",
    "LinearBradleyTerry",
    "LinearFit",
    "Result",
    "StructuredTime",
    "Tabular",
    "Tied",
    "characteristic_time",
    "characteristic_times",
    "condorcet_winner",
    "fit_linear_bradley_terry",
    "instances",
    "lower_bound",
    "read_battles",
    "read_matrix",
    "simulate",
    "win_probabilities",
]
