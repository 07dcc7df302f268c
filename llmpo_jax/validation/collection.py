"""The table of the collection: what is known of each instance, and how it was checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

import numpy as np

from llmpo_jax import models
from llmpo_jax.engine.facts import machine_facts
from llmpo_jax.models import PreferenceModel
from llmpo_jax.models.collection import COLLECTION
from llmpo_jax.protocol import EXISTENCE
from llmpo_jax.theory.bounds import characteristic_time, within
from llmpo_jax.theory.structured import Form, StructuredTime
from llmpo_jax.validation import closed_form

COLUMNS = {
    "source": "instance",
    "policies": "K",
    "dimension": "d",
    "winner": "winner",
    "gap": "gap",
    "assumed": "T*, winner assumed",
    "certify": "T*, winner certified",
    "program_difference": "off the linear program",
    "exact": "T*, structured",
    "exact_gap": "certified to",
    "fisher": "T*, Fisher's form",
    "fisher_gap": "certified to",
}
"""Fields of a row, and their headers."""
WORDS = (
    "K policies; d: what their features span, for Bradley-Terry models; winner: its number, from 0; gap: the least by "
    "which it wins more often than half of the time. T*: comparisons per nat of required evidence, in the four forms "
    "of the bound. Those of the unstructured space are in closed form, and were checked against a linear program over "
    "all pairs: by how much they are off it, and what their proportions take, relative to T*. Those of the structured "
    "space are what the proportions found take, above the optimum by no more than the share that is certified."
)


def finding(sources: Iterable[str] = COLLECTION) -> dict[str, Any]:
    """The table as plain values: versions, and a row for each instance."""
    rows = [row(source) for source in sources]
    return {"versions": machine_facts()["versions"], "rows": rows}


def row(source: str) -> dict[str, Any]:
    """What is known of an instance; None where there is no winner, or no Bradley-Terry model."""
    model = models.load(source).model
    winner, linear = models.condorcet_winner(model), within(model, None)
    known: dict[str, Any] = dict.fromkeys(COLUMNS)
    known |= {"source": source, "policies": model.num_policies, "winner": winner}
    if winner is not None:
        known |= _unstructured(model, winner)
    if linear is not None:
        known["dimension"] = models.identified(np.asarray(linear.features)).coordinates.shape[1]
        for form in get_args(Form):
            found = characteristic_time(linear, form=form)
            assert isinstance(found, StructuredTime)
            known |= {form: found.time, f"{form}_gap": found.relative_gap}
    return {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in known.items()}


def _unstructured(model: PreferenceModel, winner: int) -> dict[str, float]:
    gaps = np.delete(models.host_probabilities(model)[winner] - 0.5, winner)
    by_form = {existence: closed_form.compared(closed_form.Case("", model, existence)) for existence in EXISTENCE}
    worst = max(max(found["difference"], found["shortfall"]) for found in by_form.values())
    return {"gap": float(gaps.min()), **{name: found["time"] for name, found in by_form.items()}} | {
        "program_difference": worst
    }


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row as text, in the order of `COLUMNS`; a dash where there is nothing to tell."""
    return [_cell(name, row[name]) for name in COLUMNS]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name.endswith(("_gap", "_difference")):
        return f"{value:.0e}"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def made_with(found: Mapping[str, Any]) -> str:
    """The versions, a sentence."""
    return "Made with " + ", ".join(f"{name} {version}" for name, version in found["versions"].items()) + "."


def markdown(found: Mapping[str, Any]) -> str:
    """A finding as a Markdown document."""
    lines = [list(COLUMNS.values()), ["---", *["---:"] * (len(COLUMNS) - 1)], *map(cells, found["rows"])]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        f"# The collection of instances\n\n{WORDS}\n\n{table}\n\n{made_with(found)} This page is what "
        "`llmpo-jax instances --markdown` prints, and `results/instances.json` what `--json` does.\n"
    )
