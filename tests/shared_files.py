"""Access to the reference files that lie beside the repository and are not part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared(path: str) -> Path:
    """`../shared/path`, or skip the test where it is missing."""
    file = SHARED / path
    if not file.exists():
        pytest.skip(f"needs ../shared/{path}, which is missing")
    return file


def real_matrices() -> list[str]:
    """The names of the real win matrices, none where they are missing (for parametrising)."""
    files = sorted((SHARED / "data").glob("*.csv"))
    other = ("_battles", ".counts", ".features", ".ordered")
    return [file.name for file in files if not file.stem.endswith(other)]
