"""The report at the end of an experiment: Markdown, and one HTML page that holds everything."""

from __future__ import annotations

import html
import io
import platform
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from llmpo_jax.live.experiment import Experiment
from llmpo_jax.live.protocol import Status
from llmpo_jax.report import live_words
from llmpo_jax.report.style import GREY

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100% }
td, th { padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: left }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto }
svg { max-width: 100%; height: auto }
"""


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        title: its heading.
        paragraphs: sentences.
        rows: a table, its header first.
        command: to be run in a shell.
        picture: whether the evidence over time is drawn here.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    command: str | None = None
    picture: bool = False


def write(experiment: Experiment, command: str, judge: str) -> tuple[Path, Path]:
    """Write report.md (with evidence.svg) and report.html to the experiment's folder, and return their paths."""
    sections = contents(experiment, command, judge)
    drawing = evidence(experiment)
    pages = {
        "evidence.svg": drawing,
        "report.md": markdown(sections),
        "report.html": page(sections, drawing),
    }
    for name, text in pages.items():
        (experiment.folder / name).write_text(text, encoding="utf-8")
    return experiment.folder / "report.md", experiment.folder / "report.html"


def contents(experiment: Experiment, command: str, judge: str) -> list[Section]:
    """What the report says."""
    status, given = experiment.status(), experiment.arrangement
    epsilon = "" if given.epsilon is None else f", epsilon {given.epsilon:g}"
    how = (
        f"Sampler {given.sampler}, stopping rule {given.stopping}, existence {given.existence}, delta {given.delta:g}"
        f"{epsilon}, seed {given.seed}, presentation {given.presentation}, {len(given.inputs)} inputs. "
        f"llmpo_jax {version('llmpo-jax')}, jax {version('jax')}, Python {platform.python_version()}."
    )
    counted = (live_words.comparisons(status), live_words.spent(status.usage))
    replay = f"llmpo-jax live export {experiment.folder} battles.csv && llmpo-jax identify battles.csv"
    return [
        Section("Verdict", (live_words.verdict(status), *assumptions(experiment), *counted)),
        Section("Policies", rows=policies(status)),
        Section("Evidence", ("Evidence against the least refuted rival of the leader, by comparison.",), picture=True),
        Section("Judge", (judge, live_words.health(status))),
        Section("How to reproduce", (how, "The journal holds every ask, answer and verdict."), command=command),
        Section("How to check", ("The told comparisons, weighed anew:",), command=replay),
    ]


def assumptions(experiment: Experiment) -> tuple[str, ...]:
    """What a verdict stands on."""
    given = experiment.arrangement
    cached = any(not isinstance(p, str) and p.temperature == 0 for p in given.policies)
    table = (
        " Answers at temperature 0 are given once for each input, so it is about this table of answers."
        if cached
        else ""
    )
    return (
        f"It is about these {len(given.inputs)} inputs, drawn uniformly with replacement, and this judge: one that "
        f"prefers the wrong answers crowns the wrong policy. Ties and void comparisons are no evidence.{table}",
    )


def policies(status: Status) -> tuple[tuple[str, ...], ...]:
    """The table of policies, its header first."""
    judged = any(standing.judged for standing in status.standings)
    head = ["policy", "won - lost - tied", *(["right (95 % interval)"] if judged else []), "evidence against it"]
    rows = [(*head, "calls", "tokens", "cost")]
    for standing in live_words.ranked(status):
        usage = standing.usage
        cells = [standing.name, live_words.record(standing), *([live_words.accuracy(standing)] if judged else [])]
        tokens = usage.prompt_tokens + usage.completion_tokens
        rows.append((*cells, live_words.fate(standing, status), f"{usage.calls}", f"{tokens}", f"{usage.cost:.4g}"))
    return tuple(rows)


def evidence(experiment: Experiment) -> str:
    """The evidence over time, as SVG."""
    status, history = experiment.status(), experiment.history
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    panel.step(
        [0, *(m.asked for m in history)], [0.0, *(max(m.evidence, 0) for m in history)], where="post", color="#D55E00"
    )
    panel.axhline(status.threshold, color=GREY, linestyle="--", linewidth=1)
    panel.annotate("needed", (0, status.threshold), xytext=(2, 3), textcoords="offset points", color=GREY, fontsize=9)
    panel.set_xlabel("comparisons asked")
    panel.set_ylabel("nats")
    panel.set_xlim(left=0)
    panel.set_ylim(bottom=0, top=1.15 * max(status.threshold, *(m.evidence for m in history), 0.0))
    panel.spines[["top", "right"]].set_visible(False)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def markdown(sections: list[Section]) -> str:
    """The report as Markdown."""
    parts = ["# Live experiment"]
    for section in sections:
        parts.append(f"## {section.title}")
        parts += [_escaped(paragraph) for paragraph in section.paragraphs]
        if section.rows:
            lines = [f"| {' | '.join(map(_escaped, row))} |" for row in section.rows]
            parts.append("\n".join([lines[0], "|" + " --- |" * len(section.rows[0]), *lines[1:]]))
        if section.picture:
            parts.append("![Evidence](evidence.svg)")
        if section.command:
            parts.append(f"```sh\n{section.command}\n```")
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    """Text in Markdown that reads as it is, in one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))


def page(sections: list[Section], drawing: str) -> str:
    """The report as one HTML page."""
    parts = []
    for section in sections:
        parts.append(f"<h2>{html.escape(section.title)}</h2>")
        parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in section.paragraphs]
        if section.rows:
            parts.append(_html_table(section.rows))
        if section.picture:
            parts.append(drawing[drawing.index("<svg") :])
        if section.command:
            parts.append(f"<pre>{html.escape(section.command)}</pre>")
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>Live experiment</title><style>{_STYLE}</style>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head><body><h1>Live experiment</h1>\n{body}\n</body></html>\n'
    )


def _html_table(rows: tuple[tuple[str, ...], ...]) -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + row(rows[0], "th") + "".join(row(cells, "td") for cells in rows[1:]) + "</table>"
