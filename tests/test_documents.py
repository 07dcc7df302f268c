"""The code that the documents show runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_python_blocks_run(name: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    assert blocks, f"{name} shows no Python"
    exec(compile("\n".join(blocks), name, "exec"), {"__name__": name})


def test_the_documents_name_every_sampler_and_rule() -> None:
    from llmpo_jax.samplers import SAMPLERS
    from llmpo_jax.stopping import STOPPING_RULES

    readme = (ROOT / "README.md").read_text()
    missing = [name for name in (*SAMPLERS.names(), *STOPPING_RULES.names()) if f"`{name}`" not in readme]
    assert not missing
