"""What tests of claims share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.validation.runs import Runs
from llmpo_jax.validation.scope import Scope


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Runs]:
    """Simulations in a folder of their own."""
    folder = StudyFolder(tmp_path / "v")
    with folder.held():
        folder.begin(Scope().asked(), {"chunk": 0, "files": {}}, resume=False, overwrite=False)
        yield Runs(folder, Scope().asked(), 0, lambda what: None)
