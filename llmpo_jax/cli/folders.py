"""What commands have in common that keep their work in a folder and go on with it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmpo_jax.cli.console import console


def folder_name(name: str) -> str:
    """The name of a folder that a user gave.

    Raises:
        ValueError: it is none, or a path.
    """
    if name in ("", ".", "..") or re.search(r"[/\\]", name) or Path(name).is_absolute():
        raise ValueError(f"name = {name!r}, expected the name of one folder (--output says where it is kept)")
    return name


@contextmanager
def stoppable(resumed: bool) -> Iterator[None]:
    """Within this Ctrl-C ends the program at once, and says how to go on: a command that resumes does so again."""
    try:
        yield
    except KeyboardInterrupt:
        resume = "" if resumed else " with --resume"
        console.print(f"Stopped. What is finished is kept: the same command{resume} goes on.")
        sys.stdout.flush()
        # Not by SystemExit, which would wait for programs that are still being compiled.
        os._exit(130)
