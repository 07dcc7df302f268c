"""A bar in a terminal, in a notebook, and nowhere else."""

from __future__ import annotations

import builtins
import sys
import types
from typing import Any

import pytest

from llmpo_jax.progress import bar


def go(description: str = "replications <b>") -> None:
    with bar(description, 6) as advance:
        for done in range(1, 7):
            advance(done)


def test_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error alone, names as they are given; nothing where it is a file."""
    go()
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    go("[b]replications[/b]")
    told = capsys.readouterr()
    assert told.out == "" and "[b]replications[/b]" in told.err and "6/6" in told.err


def test_notebook(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Drawn by the notebook itself, the last state last; nothing asks for widgets."""
    drawn: list[dict[str, str]] = []
    handle = types.SimpleNamespace(update=lambda state, raw: drawn.append(state))

    def display(state: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw and display_id
        drawn.append(state)
        return handle

    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    imported, importing = [], builtins.__import__
    monkeypatch.setattr(builtins, "__import__", lambda name, *more: imported.append(name) or importing(name, *more))
    go()
    monkeypatch.undo()
    assert not [name for name in imported if "widgets" in name]
    assert capsys.readouterr() == ("", "")
    assert 'value="0" max="6"' in drawn[0]["text/html"] and 'value="6" max="6"' in drawn[-1]["text/html"]
    assert "<b>" not in drawn[-1]["text/html"] and drawn[-1]["text/plain"].startswith("replications <b> 6/6")
