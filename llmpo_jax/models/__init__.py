"""What is simulated: preference models, their named instances, and the reading of comparison files."""

from llmpo_jax.models import instances
from llmpo_jax.models.battles import Battles, empirical_model
from llmpo_jax.models.features import (
    Identified,
    align_features,
    features_for,
    identified,
    identify_features,
    one_hot,
    read_features,
)
from llmpo_jax.models.given import condorcet_winner, given, win_probabilities
from llmpo_jax.models.linear import LinearBradleyTerry
from llmpo_jax.models.pairs import pair_costs
from llmpo_jax.models.preference import (
    BradleyTerry,
    PreferenceModel,
    Tabular,
    floating,
    host_probabilities,
    num_policies,
    policy_names,
)
from llmpo_jax.models.reading import read_battles, read_matrix
from llmpo_jax.models.sources import Source, load
from llmpo_jax.models.tied import Tied, tie_probabilities, untied
from llmpo_jax.models.ties_and_costs import load_costs, load_ties, tied_rates, with_ties

__all__ = [
    "Battles",
    "BradleyTerry",
    "Identified",
    "LinearBradleyTerry",
    "PreferenceModel",
    "Source",
    "Tabular",
    "Tied",
    "align_features",
    "condorcet_winner",
    "empirical_model",
    "features_for",
    "floating",
    "given",
    "host_probabilities",
    "identified",
    "identify_features",
    "instances",
    "load",
    "load_costs",
    "load_ties",
    "num_policies",
    "one_hot",
    "pair_costs",
    "policy_names",
    "read_battles",
    "read_features",
    "read_matrix",
    "tie_probabilities",
    "tied_rates",
    "untied",
    "win_probabilities",
    "with_ties",
]
