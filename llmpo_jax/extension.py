"""A user's module, in which samplers, stopping rules and instances are registered, to be used by name."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType


def load(module: str) -> dict[str, str]:
    """Import a file (`mine.py`, `lab/mine.py`) or a module that Python finds by its name (`lab.mine`).

    A file is imported once, under a private name, with its folder on the path for modules beside it.

    Returns:
        `file` and `sha256`, where the module is and what is in it.

    Raises:
        ValueError: there is no such module, or an error inside of it; one line.
    """
    try:
        found = _from_file(Path(module).resolve()) if module.endswith(".py") else importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"import {module}: {what}{_where(error)}") from error
    if found.__file__ is None:
        raise ValueError(f"import {module}: a folder, expected a module or a file such as mine.py")
    return {"file": found.__file__, "sha256": hashlib.sha256(Path(found.__file__).read_bytes()).hexdigest()}


def _from_file(path: Path) -> ModuleType:
    name = f"_llmpo_jax_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # since it ends in .py
    sys.modules[name] = found = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(found)
    except BaseException:
        del sys.modules[name]
        raise
    return found


def _where(error: BaseException) -> str:
    """The line of the module that an error came through; a SyntaxError tells its own."""
    machinery = (__file__, importlib.__file__)
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in machinery and not frame.filename.startswith("<")
    ]
    return f" ({own[0].filename}, line {own[0].lineno})" if own and not isinstance(error, SyntaxError) else ""
