"""A study's folder: the manifest, the chunks while it runs, and the tables once it is complete.

    NAME/manifest.json      what was asked, with which versions, on which machine, how far it got
    NAME/chunks/*.npz       finished chunks, from which everything below is made
    NAME/table.parquet      one row per statement of a replication (at a delta, or at a budget)
    NAME/pairs.parquet      one row per pair: mean comparisons and proportions until the stop at the last delta
    NAME/summary.csv        one row per sampler, stopping rule and delta
    NAME/.lock              held by the process that works on the study

A validation (`llmpo_jax.validation`) has manifest, chunks and lock in common with a study, and other tables.

Every file is written under another name and then renamed, so a reader never sees half of one. Manifest and chunks carry
checksums: a chunk that is damaged, or of something else, is set aside as NAME.npz.damaged and computed again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from llmpo_jax.engine import chunks
from llmpo_jax.engine.chunks import Identity
from llmpo_jax.engine.workers import Arrays

FORMAT = 4
MANIFEST = "manifest.json"
LOCK = ".lock"
_TABLES = ("table.parquet", "pairs.parquet", "summary.csv", "checks.parquet", "C*_*.parquet")
_WRITTEN = (*_TABLES, "report.md", "report.html", "figures", "chunks", MANIFEST)
"""What a study or a validation leaves in its folder, in the order in which it is removed."""


class StudyFolder:
    """The folder of one study.

    Raises:
        ValueError: where the folder holds another study, something else, or cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._manifest = path / MANIFEST
        self._chunks = path / "chunks"

    @contextmanager
    def held(self) -> Iterator[None]:
        """The folder, made if need be, for this process alone: by a lock that dies with it."""
        if self._content():
            self._before(resume=True)  # nothing is left in a folder that holds something else
        with _disk("write to", self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor, self.path)
            yield
        finally:
            os.close(descriptor)

    def begin(
        self, arguments: dict[str, Any], facts: dict[str, Any], *, resume: bool, overwrite: bool
    ) -> dict[str, Any]:
        """Start a study with these arguments in a folder that is `held`, or go on with it, and return its manifest.

        A study that is resumed keeps the size of its chunks, wherever it goes on, and its seconds; where it is
        extended to more replications, the new ones have chunks of their own (`extended` tells from where).
        """
        kept: dict[str, Any] = {"extended": [], "seconds": 0.0}
        if (before := self._before(resume)) is not None:
            if overwrite:
                self._clear()
            elif not resume:
                raise ValueError(
                    f"{self.path} holds a study already; --resume goes on with it, --overwrite starts it anew"
                )
            else:
                self._check_same(before, arguments, facts)
                kept = {name: before[name] for name in ("chunk", "extended", "seconds")}
                if (end := before["arguments"]["replications"]) < arguments["replications"]:
                    kept["extended"] = [*kept["extended"], end]
        manifest = {"format": FORMAT, "arguments": arguments, "complete": False, **facts, **kept}
        with _disk("write to", self._chunks):
            self._chunks.mkdir(exist_ok=True)
        self.write_manifest(manifest)
        return manifest

    def _content(self) -> set[str]:
        """What the folder holds, but for what a process leaves that dies before its study has begun."""
        if not self.path.is_dir():
            return set()
        with _disk("read", self.path):
            names = {entry.name for entry in self.path.iterdir()} - {LOCK, f"{MANIFEST}.partial"}
            return names - {"chunks"} if "chunks" in names and not any(self._chunks.iterdir()) else names

    def _before(self, resume: bool) -> dict[str, Any] | None:
        """The manifest of the study that the folder holds; None where there is none, or it was lost."""
        content = self._content()
        if not content:
            return None
        if MANIFEST in content:
            return self.read_manifest()
        if resume and "chunks" in content:
            return None  # the chunks themselves say what they are
        raise ValueError(f"{self.path} holds files that are no study; choose another --name")

    def _clear(self) -> None:
        for path in [path for pattern in _WRITTEN for path in self.path.glob(pattern)]:
            with _disk("remove", path):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)

    def _check_same(self, before: dict[str, Any], arguments: dict[str, Any], facts: dict[str, Any]) -> None:
        """Whether a study may be gone on with: nothing has changed but for more replications."""
        if before.get("format") != FORMAT:
            raise ValueError(
                f"{self.path} was written by another version (format {before.get('format')}, now {FORMAT}), "
                "which --resume cannot go on with; expected --overwrite or another --name"
            )
        old = before["arguments"]
        for name in sorted({*old, *arguments} - {"replications"}):
            if old.get(name) != arguments.get(name):
                raise ValueError(
                    f"{self.path} holds a study with other arguments: {name} was {old.get(name)!r}, "
                    f"now {arguments.get(name)!r}; give the same ones to --resume, or --overwrite"
                )
        if arguments["replications"] < old["replications"]:
            raise ValueError(
                f"replications = {arguments['replications']}, expected the {old['replications']} that {self.path} "
                "was begun with, or more to extend it"
            )
        for path, digest in facts.get("files", {}).items():
            if before["files"].get(path) != digest:
                raise ValueError(
                    f"{path} is not what it was when the study in {self.path} was begun; expected the same file for "
                    "--resume, or --overwrite"
                )
        module, was = facts.get("import"), before.get("import")
        if module and was and module["sha256"] != was["sha256"]:
            warnings.warn(
                f"{module['file']} has changed since the study in {self.path} was begun: replications of before and "
                "after may be of different procedures",
                stacklevel=2,
            )

    def read_manifest(self) -> dict[str, Any]:
        """The manifest, without its checksum."""
        if not self._manifest.is_file():
            raise ValueError(f"{self.path} holds no study (no {MANIFEST})")
        with _disk("read", self._manifest):
            data = self._manifest.read_bytes()
        cure = "; put back a copy, or move it away: --resume then keeps the chunks that belong to its arguments"
        try:
            manifest = json.loads(data)
        except ValueError as error:
            raise ValueError(f"{self._manifest} is damaged ({error}){cure}") from error
        if not isinstance(manifest, dict) or not isinstance(manifest.get("arguments"), dict):
            raise ValueError(f"{self._manifest} is not the manifest of a study, expected one that `study` wrote")
        if manifest.get("format") == FORMAT and manifest.pop("checksum", None) != _checksum(manifest):
            raise ValueError(f"{self._manifest} is damaged (it does not fit its checksum){cure}")
        return manifest

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        text = json.dumps({**manifest, "checksum": _checksum(manifest)}, indent=1) + "\n"
        self.write(MANIFEST, lambda file: file.write(text.encode()))

    def amend_manifest(self, **changes: Any) -> None:
        self.write_manifest({**self.read_manifest(), **changes})

    def write(self, name: str, writer: Callable[[IO[bytes]], object]) -> None:
        """Make the file `name` of what `writer` puts into a buffer, whole or not at all, and safe on disk.

        Raises:
            ValueError: it cannot be written; the message says why, and that what is there already is kept.
        """
        buffer = io.BytesIO()
        writer(buffer)
        target = self.path / name
        partial = target.with_name(target.name + ".partial")
        try:
            with _disk("write", target, "; what is finished is kept, --resume goes on with it"):
                with partial.open("wb") as file:
                    file.write(buffer.getbuffer())
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(partial, target)
        except ValueError:
            partial.unlink(missing_ok=True)
            raise

    def has_chunk(self, identity: Identity) -> bool:
        """Whether this chunk is there and whole. One that is not is set aside, and a warning says why."""
        path = self._chunks / identity.file
        if not path.is_file():
            return False
        with _disk("read", path):
            data = path.read_bytes()
        try:
            chunks.read(data, identity)
        except ValueError as error:
            aside = path.with_name(f"{path.name}.damaged")
            with _disk("rename", path):
                os.replace(path, aside)
            warnings.warn(f"{path} {error}: set aside as {aside.name} and computed again", stacklevel=2)
            return False
        return True

    def save_chunk(self, identity: Identity, arrays: Arrays) -> None:
        self.write(f"chunks/{identity.file}", lambda file: chunks.write(file, arrays, identity))

    def load_chunk(self, identity: Identity) -> Arrays:
        path = self._chunks / identity.file
        with _disk("read", path):
            data = path.read_bytes()
        try:
            return chunks.read(data, identity)
        except ValueError as error:
            raise ValueError(f"{path} {error}; --resume computes it again") from error


def _checksum(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


@contextmanager
def _disk(verb: str, path: Path, then: str = "") -> Iterator[None]:
    """What the disk refuses, as one line that names the path."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"cannot {verb} {path}: {error.strerror or error}{then}") from error


def _lock(descriptor: int, path: Path) -> None:
    try:
        import fcntl  # not on Windows
    except ImportError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"{path} is in use by another process, expected one at a time on a study") from None
    except OSError as error:  # some shared file systems have no locks
        warnings.warn(f"{path} cannot be locked ({error.strerror}); let no other process work on it", stacklevel=2)
