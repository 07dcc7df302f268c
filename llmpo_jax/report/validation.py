"""The report of a validation: Markdown, one HTML page that holds everything, and the tables behind them."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import polars as pl

from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.report import gallery
from llmpo_jax.report.pages import Block, Cell, Command, Page, Picture, Section, Span, Table
from llmpo_jax.validation import claims
from llmpo_jax.validation.claims import Check, Claim, Verdict
from llmpo_jax.validation.defects import Defect
from llmpo_jax.validation.validate import PLANTED, Finished, Report

_MANY = 8
"""Checks from which on those that need no attention are folded."""
_LOOKS: dict[Verdict, Any] = {"holds": "good", "fails": "bad", "undecided": "open"}
_ORDER: tuple[Verdict, ...] = ("fails", "undecided", "holds")
ASSUMED = (
    "A claim is tested where it was tested: on these instances, with these procedures, at these levels and lengths.",
    "A verdict is one of statistics but for what is exact. A claim that is true in all of its nulls fails with "
    "at most the probability that stands beside it; one that is false may be undecided, and holds by chance no more "
    "often than its intervals miss.",
    "Outcomes of comparisons are simulated: independent, with win rates that do not change. All randomness comes from "
    "the seed, so that the same versions on the same kind of machine find the same.",
    "A check that is told and not asserted is of something that nobody claims, such as a heuristic rule, or a level "
    "too small for these replications. It counts for no verdict.",
)


def write(report: Report, folder: StudyFolder, command: str) -> tuple[Path, Path]:
    """Write report.md, report.html, checks.parquet, a table CLAIM_NAME.parquet for each of a claim, and figures/.

    Args:
        folder: of the validation, with its manifest.
        command: by which it was made.

    Returns:
        The paths of report.md and report.html.
    """
    folder.write("checks.parquet", _parquet(claims.table(report.claims)))
    for claim in report.claims:
        for name, table in claim.tables.items():
            folder.write(f"{claim.number}_{name}.parquet", _parquet(table))
    page = contents(report, folder.read_manifest(), command, _pictures(report.claims, folder.path))
    for name, text in (("report.md", page.markdown()), ("report.html", page.html())):
        folder.write(name, _text(text))
    return folder.path / "report.md", folder.path / "report.html"


def _parquet(table: pl.DataFrame) -> Callable[[IO[bytes]], object]:
    return lambda file: table.write_parquet(file)


def _text(text: str) -> Callable[[IO[bytes]], object]:
    return lambda file: file.write(text.encode())


def _pictures(found: Sequence[Claim], folder: Path) -> dict[str, list[Block]]:
    """The figures of each claim; where they cannot be drawn, why."""
    drawings = {claim.number: claim.drawings for claim in found if claim.drawings}
    if not drawings:
        return {}
    try:
        with tempfile.TemporaryDirectory() as beside:
            drawn = gallery.draw(folder, ("png", "svg"), "page", drawings)
            narrow = gallery.draw(folder, ("svg",), "column", drawings, Path(beside))
            pictures = [
                Picture(f"figures/{one.name}.png", _svg(one.files[1]), one.caption, _svg(slim.files[0]))
                for one, slim in zip(drawn, narrow, strict=True)
            ]
    except Exception as error:  # whatever it is, it comes after the results
        reason = " ".join(str(error).split()) or type(error).__name__
        return {number: [f"The figures could not be drawn ({reason})."] for number in drawings}
    return {
        number: [picture for picture in pictures if picture.file.startswith(f"figures/{number}_")]
        for number in drawings
    }


def _svg(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def contents(report: Report, manifest: dict[str, Any], command: str, pictures: dict[str, list[Block]]) -> Page:
    """What the report says; `pictures` by number of the claim."""
    sections = [_section(each, pictures.get(each.claim.number, [])) for each in report.finished]
    if report.defects:
        sections.append(_planted(report.defects))
    sections.append(Section("What is assumed", ASSUMED, "assumed"))
    sections.append(Section("How it was made", _made(report, manifest, command), "made"))
    opening = (summary(report), Table(_overview(report)))
    return Page("Validation", sections, opening)


def summary(report: Report) -> str:
    """How many claims came out in which way, and how many planted defects were caught, in a sentence."""
    found = Counter(claim.verdict for claim in report.claims)
    said = ", ".join(f"{found[verdict]} {_plural(verdict, found[verdict])}" for verdict in reversed(_ORDER))
    text = f"Of {len(report.claims)} claims {said}."
    if report.defects:
        caught = sum(defect.caught for defect in report.defects)
        text += f" Of {len(report.defects)} planted defects {caught} were caught."
    return text


def _plural(verdict: Verdict, number: int) -> str:
    one = {"holds": "holds", "fails": "fails", "undecided": "is undecided"}
    several = {"holds": "hold", "fails": "fail", "undecided": "are undecided"}
    return (one if number == 1 else several)[verdict]


def counts(claim: Claim) -> str:
    """The asserted checks: how many hold, fail, are undecided."""
    found = Counter(check.verdict for check in claim.checks if check.asserted)
    return f"{found['holds']} / {found['fails']} / {found['undecided']}"


def _overview(report: Report) -> list[list[Cell]]:
    rows: list[list[Cell]] = [["claim", "verdict", "what it says", "checks: hold / fail / undecided", "seconds"]]
    for claim, seconds in report.finished:
        number = Span(claim.number, to=_anchor(claim.number))
        rows.append([number, _verdict(claim.verdict), claim.title, counts(claim), f"{seconds:.0f}"])
    if report.defects:
        missed = sum(not defect.caught for defect in report.defects)
        said = f"{len(report.defects)} broken versions; each is caught by a claim or test."
        verdict = Span(f"{missed} went through", "bad") if missed else Span("all caught", "good")
        rows.append([Span(PLANTED, to=_anchor(PLANTED)), verdict, said, "", ""])
    return rows


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _verdict(verdict: Verdict, asserted: bool = True) -> Span:
    return Span(verdict, _LOOKS[verdict] if asserted else "")


def _section(finished: Finished, pictures: Iterable[Block]) -> Section:
    claim = finished.claim
    blocks: list[Block] = [
        claim.title,
        f"Null: {claim.null}",
        "False alarm: if all of its nulls are true, any of its checks fails with probability at most one in "
        f"{1 / claims.FALSE_ALARM:,.0f}.",
        f"Verdict: {claim.verdict}. {meaning(claim)}",
        *_tables(claim.checks),
        *claim.remarks,
        *pictures,
    ]
    return Section(f"{claim.number}: {claim.verdict}", blocks, _anchor(claim.number))


def meaning(claim: Claim) -> str:
    """What the verdict of a claim means."""
    asserted = [check for check in claim.checks if check.asserted]
    concerned = [check for check in asserted if check.verdict == claim.verdict]
    share = f"{len(concerned)} of {len(asserted)} checks"
    if claim.verdict == "fails":
        return f"In {share} the data contradict what the claim says."
    if claim.verdict == "holds":
        return f"In all {len(asserted)} checks the interval of what was measured lies inside of what the claim says."
    known = [check.enough for check in concerned if check.enough is not None]
    text = f"None contradicts the claim, but in {share} the interval reaches beyond what it says."
    if known:
        of = "" if len(known) == len(concerned) else f" {len(known)} of"
        text += f" If what was seen is the truth, {max(known):,} replications would decide{of or ' all of'} them."
    return text


def _tables(checks: Sequence[Check]) -> list[Block]:
    """Those that fail or are undecided, those that hold, and those that are told only."""
    ordered = sorted(checks, key=lambda check: _ORDER.index(check.verdict))
    shown = [check for check in ordered if check.asserted and check.verdict != "holds"]
    held = [check for check in ordered if check.asserted and check.verdict == "holds"]
    told = [check for check in ordered if not check.asserted]
    if len(held) <= _MANY:
        shown, held = shown + held, []
    groups = ((shown, ""), (held, "Checks that hold"), (told, "Told beside them, of what nobody claims"))
    return [Table(_rows(group), words and f"{words}: {len(group)}") for group, words in groups if group]


def _rows(checks: Sequence[Check]) -> list[list[Cell]]:
    rows: list[list[Cell]] = [["where", "verdict", "expected", "estimate", "interval", "replications"]]
    undecided = any(check.verdict == "undecided" for check in checks)
    if undecided:
        rows[0].append("would decide")
    for check in checks:
        certain = check.replications == 0
        interval = "exact" if certain else f"{check.low:.3g} to {check.high:.3g}"
        replications = "" if certain else f"{check.replications:,}"
        verdict = _verdict(check.verdict, check.asserted)
        row = [check.where, verdict, check.expected, f"{check.estimate:.4g}", interval, replications]
        rows.append([*row, *([_enough(check)] if undecided else [])])
    return rows


def _enough(check: Check) -> str:
    if check.verdict != "undecided":
        return ""
    return "nobody can say" if check.enough is None else f"{check.enough:,}"


def _planted(defects: Sequence[Defect]) -> Section:
    rows: list[list[Cell]] = [["defect", "verdict", "what is broken", "looked for by", "evidence"]]
    for defect in sorted(defects, key=lambda defect: defect.caught):
        caught = Span("caught", "good") if defect.caught else Span("went through", "bad")
        rows.append([defect.name, caught, defect.what, defect.by, defect.evidence])
    words = "Broken versions of the toolkit, to see that what is tested would be noticed. None may go through."
    return Section(f"{PLANTED[0].upper()}{PLANTED[1:]}", (words, Table(rows)), _anchor(PLANTED))


def _made(report: Report, manifest: dict[str, Any], command: str) -> tuple[Block, ...]:
    asked = manifest["arguments"]
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    module = manifest["import"] and f"{manifest['import']['file']}, SHA-256 {manifest['import']['sha256']}"
    rows = [
        ("scope", "quick" if asked["quick"] else "full"),
        ("sources", ", ".join(asked["sources"]) or "the collection's"),
        ("further samplers", ", ".join(asked["samplers"]) or "none"),
        ("further stopping rules", ", ".join(asked["stopping"]) or "none"),
        ("module", module or "none"),
        ("seed", f"{asked['seed']}"),
        ("versions", versions),
        ("code", manifest["git"] or "no checkout"),
        ("machine", f"{manifest['device']}, {manifest['machine']}"),
        ("seconds", f"{report.seconds:.0f}, without what an earlier call had simulated"),
    ]
    tables = (
        "checks.parquet holds all checks, CLAIM_NAME.parquet what figures are drawn from; "
        "llmpo-jax figures draws them again for a paper."
    )
    return (Command(command), Table([("what", "which"), *rows]), tables)
