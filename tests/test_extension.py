"""A user's module: imported once, and its errors told in one line that says where."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llmpo_jax import extension

BROKEN = {
    "x = 1\nx / 0\n": r"import .*broken.py: ZeroDivisionError: division by zero \(.*broken.py, line 2\)",
    "x = = 1\n": r"import .*broken.py: SyntaxError: invalid syntax \(broken.py, line 1\)",
    "import not_there\n": r"import .*broken.py: ModuleNotFoundError: No module named 'not_there' \(.*line 1\)",
    "raise SystemExit('a\\nb')\n": r"import .*broken.py: SystemExit: a b \(.*line 1\)",
}


@pytest.mark.parametrize("code", BROKEN)
def test_errors_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "broken.py").write_text(code)
    with pytest.raises(ValueError, match=BROKEN[code]) as told:
        extension.load(str(tmp_path / "broken.py"))
    assert "\n" not in str(told.value)


def test_a_module_is_run_once_with_those_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "beside_mine.py").write_text("runs = []\n")
    (tmp_path / "json.py").write_text("import beside_mine\nbeside_mine.runs.append(1)\n")
    first, second = (extension.load(str(tmp_path / "json.py")) for _ in range(2))
    assert first == second and first["file"] == str(tmp_path / "json.py") and len(first["sha256"]) == 64
    assert sys.modules["beside_mine"].runs == [1]
    assert sys.modules["json"].__file__ != first["file"]
    assert extension.load("beside_mine")["file"] == str(tmp_path / "beside_mine.py")
