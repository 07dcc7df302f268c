"""The report at the end of an experiment: Markdown, and one HTML page that holds everything."""

from __future__ import annotations

import io
import platform
from importlib.metadata import version
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from llmpo_jax.live.experiment import Experiment
from llmpo_jax.live.protocol import Status
from llmpo_jax.report import live_words
from llmpo_jax.report.pages import Command, Page, Picture, Section, Table
from llmpo_jax.report.style import GREY


def write(experiment: Experiment, command: str, judge: str) -> tuple[Path, Path]:
    """Write report.md (with evidence.svg) and report.html to the experiment's folder, and return their paths."""
    drawing = evidence(experiment)
    page = Page("Live experiment", contents(experiment, command, judge, drawing))
    pages = {"evidence.svg": drawing, "report.md": page.markdown(), "report.html": page.html()}
    for name, text in pages.items():
        (experiment.folder / name).write_text(text, encoding="utf-8")
    return experiment.folder / "report.md", experiment.folder / "report.html"


def contents(experiment: Experiment, command: str, judge: str, drawing: str) -> list[Section]:
    """What the report says; `drawing` is the evidence as SVG."""
    status, given = experiment.status(), experiment.arrangement
    epsilon = "" if given.epsilon is None else f", epsilon {given.epsilon:g}"
    how = (
        f"Sampler {given.sampler}, stopping rule {given.stopping}, existence {given.existence}, delta {given.delta:g}"
        f"{epsilon}, seed {given.seed}, presentation {given.presentation}, {len(given.inputs)} inputs. "
        f"llmpo_jax {version('llmpo-jax')}, jax {version('jax')}, Python {platform.python_version()}."
    )
    counted = (live_words.comparisons(status), live_words.spent(status.usage))
    replay = f"llmpo-jax live export {experiment.folder} battles.csv && llmpo-jax identify battles.csv"
    evidence = "Evidence against the least refuted rival of the leader, by comparison."
    return [
        Section("Verdict", (live_words.verdict(status), *assumptions(experiment), *counted)),
        Section("Policies", (Table(policies(status)),)),
        Section("Evidence", (Picture("evidence.svg", drawing, evidence),)),
        Section("Judge", (judge, live_words.health(status))),
        Section("How to reproduce", (how, "The journal holds every ask, answer and verdict.", Command(command))),
        Section("How to check", ("The told comparisons, weighed anew:", Command(replay))),
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
