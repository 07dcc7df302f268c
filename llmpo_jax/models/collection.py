"""The collection: the named instances with their default parameters, and those on which results are told."""

from __future__ import annotations

UNSTRUCTURED = ("bradley-terry:16", "cyclic:17", "random-condorcet:16", "hidden-winner:10")
"""On which procedures over the unstructured space are compared."""
STRUCTURED = ("linear-bradley-terry:32,8,seed=2",)
"""The same over the structured space."""
COLLECTION = (
    *UNSTRUCTURED,
    *STRUCTURED,
    "bradley-terry-line:16",
    "cyclic:16",
    "hidden-winner:16",
    "no-winner:16",
    "linear-bradley-terry:32,8",
    "linear-embedded:32,8",
    "linear-embedded:32,8,seed=6",
)
"""All of them, as sources: each named instance at K = 16 (linear ones 32 policies, 8 features), and the above."""
