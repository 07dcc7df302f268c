"""Where the commands speak."""

from __future__ import annotations

import io
import sys

from rich.console import Console

from llmpo_jax.report.plain import ERRORS

# Names are printed as they are given: `[openai:gpt-4o]` is no markup, and `:smile:` no picture.
console = Console(highlight=False, markup=False, emoji=False)


def write_anything() -> None:
    """Let standard output and error spell out what their encoding cannot hold, in place of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)
