"""Reading comparisons of real policies: logs of them, and matrices of win rates, as the field writes them.

Every error is one line that names the file, the place in it, and what was expected there.
"""

from llmpo_jax.models.reading.columns import columns_in
from llmpo_jax.models.reading.logs import comparisons, holds_log, read_battles
from llmpo_jax.models.reading.matrices import read_matrix, read_square
from llmpo_jax.models.reading.sheet import Row, Sheet, number, read_sheet

__all__ = [
    "Row",
    "Sheet",
    "columns_in",
    "comparisons",
    "holds_log",
    "number",
    "read_battles",
    "read_matrix",
    "read_sheet",
    "read_square",
]
