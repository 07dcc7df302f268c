"""What a study's manifest tells beside the arguments: versions, code, device, and the files that it was made from."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from llmpo_jax.models import instances


def machine_facts() -> dict[str, Any]:
    """Versions, code state and device."""
    names = ("llmpo-jax", "jax", "jaxlib", "numpy", "polars")
    return {
        "versions": {name: _version(name) for name in names} | {"python": platform.python_version()},
        "git": _git_state(),
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}, {jax.process_count()} processes",
        "machine": platform.machine(),
    }


def file_facts(paths: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of those that are files, and not named instances."""
    files = (path for path in paths if path.partition(":")[0] not in instances.names() and Path(path).is_file())
    return {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in files}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_state() -> str | None:
    """The commit of the source tree, marked where it has changes; None outside a checkout."""
    try:
        command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
