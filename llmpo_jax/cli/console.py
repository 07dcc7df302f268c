"""Where the commands speak."""

from __future__ import annotations

import io
import sys

from rich.console import Console

from llmpo_jax.report.plain import ERRORS

console = Console(highlight=False)


def write_anything() -> None:
    """Let standard output and error spell out what their encoding cannot hold, in place of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)
