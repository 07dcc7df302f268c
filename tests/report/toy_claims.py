"""Claims without simulations: one that holds, one that fails, one that is undecided and has a figure."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl

from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.report import style, validation
from llmpo_jax.report.style import Drawing
from llmpo_jax.validation import claims
from llmpo_jax.validation.claims import Claim
from llmpo_jax.validation.defects import Defect
from llmpo_jax.validation.scope import Scope
from llmpo_jax.validation.validate import Finished, Report

EVIL = "<script>alert(1)</script> & a|b *c* [d](e) `f` \"g\" 'h' $x$"
"""A name that a page must not take for anything else."""
LEVELS = pl.DataFrame({"name": [EVIL, "llm-po"] * 2, "delta": [0.1] * 2 + [1e-3] * 2, "rate": [0.05, 0.1] * 2})
MANIFEST = {"versions": {"llmpo-jax": "1"}, "git": None, "device": "1 x cpu", "machine": "x", "import": None}


def levels(table: pl.DataFrame) -> Drawing:
    """A panel for each name."""
    names = table["name"].unique(maintain_order=True).to_list()
    figure, panels = style.grid(len(names), len(names), 1.9)
    for panel, name in zip(panels, names, strict=True):
        mine = table.filter(pl.col("name") == name)
        panel.set_title(name[:20])
        panel.loglog(mine["delta"], mine["rate"], marker="o", label="rate")
    style.label_axes(panels, "delta", "rate")
    style.legend_above(figure, [style.handle("rate", marker="o")])
    return Drawing(figure, f"Rates of {names[0]}.")


def holding() -> Claim:
    checks = (
        *(claims.exact(f"instance {n}", n * 1e-9, 1e-6) for n in range(12)),
        claims.exact("told", 2.0, 1.0, False),
    )
    return Claim("C1", "The closed form is the optimum of the linear program.", "They differ by 1e-6.", checks)


def failing() -> Claim:
    """One check that fails, beside one that holds."""
    checks = (claims.error_rate("sound", 0, 5000, 0.1, 2), claims.error_rate(EVIL, 900, 1000, 0.1, 2))
    return Claim("C2", f"No {EVIL} errs.", f"{EVIL} errs.", checks, (f"Remark on {EVIL}.",))


def undecided() -> Claim:
    checks = (
        claims.error_rate("rate near its level", 90, 1000, 0.1, 3),
        claims.within("estimate on an edge", 1.0, 0.1, 1.0, 2.0, 100, 3),
        claims.exact("sound", 0.0, 1.0),
    )
    remarks = ("What was drawn is drawn.",)
    return Claim("C7", "Rates are small.", "They are.", checks, remarks, {"levels": levels}, {"levels": LEVELS})


def defect(caught: bool) -> Defect:
    return Defect("sign", "a sign in the e-process", "C2", caught, f"errors of {EVIL}")


def report(*found: Claim, caught: bool = True) -> Report:
    """What came of a validation of these claims."""
    return Report(tuple(Finished(claim, 1.2) for claim in found), (defect(caught),), 3.4)


def written(folder: Path, what: Report, command: str = f"llmpo-jax validate '{EVIL}'") -> tuple[Path, Path]:
    """The report in its folder."""
    study = StudyFolder(folder)
    with study.held():
        study.begin(dataclasses.replace(Scope(), sources=(EVIL,)).asked(), MANIFEST, resume=False, overwrite=True)
    return validation.write(what, study, command)
