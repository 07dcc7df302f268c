"""The journal of an experiment: `journal.jsonl`, one JSON record a line, only appended to, on disk record by record.

Every line ends with a checksum of the rest, so that damage is found where it is. A last line without its end, which a
process that died left behind, is cut off on opening. One process holds the journal at a time, by a lock that dies with
it.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAME = "journal.jsonl"

Record = dict[str, Any]


def _line(record: Record) -> bytes:
    try:
        body = json.dumps(record, ensure_ascii=False, separators=(", ", ": "), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{record['type']}, expected what JSON can hold: {error}") from None
    data = body.encode(errors="replace")  # half of a surrogate pair, which a model may return, is no text
    return data[:-1] + f', "crc": "{_checksum(data)}"}}\n'.encode()


def _checksum(body: bytes) -> str:
    return f"{zlib.crc32(body):08x}"


def _record(line: bytes, number: int, path: Path) -> Record:
    """The record of a line.

    Raises:
        ValueError: it is not what was written.
    """
    body, mark, tail = line.rpartition(b', "crc": "')
    if not mark or tail != f'{_checksum(body + b"}")}"}}'.encode():
        raise ValueError(
            f"{path}, line {number} of the journal is damaged: it does not fit its checksum. What stands before it is "
            f"whole; a copy of the first {number - 1} lines can be gone on with"
        )
    return json.loads(body + b"}")


def exists(folder: Path) -> bool:
    """Whether a folder holds a journal."""
    return (folder / NAME).is_file()


class Journal:
    """The journal of a folder, open for appending; only for reading where it is not `locked`."""

    def __init__(self, path: Path, descriptor: int, locked: bool) -> None:
        self.path = path
        self._descriptor: int | None = descriptor
        self._locked = locked
        self._length = os.fstat(descriptor).st_size

    @classmethod
    def create(cls, folder: Path, header: Record) -> Journal:
        """A new journal that starts with `header`: there whole or not at all.

        Raises:
            ValueError: there is one already, or the folder cannot be written to.
        """
        path = folder / NAME
        if path.exists():
            raise ValueError(f"{folder} holds an experiment already, expected a new folder (or to open this one)")
        partial = path.with_suffix(".partial")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        except OSError as error:
            raise ValueError(f"cannot write to {folder}: {error.strerror}") from error
        journal = cls(path, descriptor, locked=True)
        try:
            journal._lock()
            journal.append([header])
            os.rename(partial, path)
            _sync_folder(folder)
        except (OSError, ValueError) as error:
            journal.close()
            partial.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise ValueError(f"cannot write {path}: {error.strerror}") from error
            raise
        return journal

    @classmethod
    def open(cls, folder: Path, *, locked: bool = True) -> tuple[Journal, list[Record]]:
        """The journal of a folder and its records. Without the lock it is only read, also while another process writes.

        Raises:
            ValueError: there is none, another process holds it, or it is damaged (the message says where).
        """
        path = folder / NAME
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND if locked else os.O_RDONLY)
        except FileNotFoundError:
            raise ValueError(f"{folder} holds no experiment (no {NAME})") from None
        except OSError as error:
            raise ValueError(f"cannot open {path}: {error.strerror}") from error
        journal = cls(path, descriptor, locked)
        try:
            if locked:
                journal._lock()
            return journal, journal._read()
        except BaseException:
            journal.close()
            raise

    def _lock(self) -> None:
        import fcntl  # not on Windows, where everything else works

        assert self._descriptor is not None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{self.path.parent} is in use by another process (or was not closed); one at a time may go on with it"
            ) from None

    def _read(self) -> list[Record]:
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if self._locked and whole < len(content):
            assert self._descriptor is not None
            os.ftruncate(self._descriptor, whole)
        self._length = whole
        records = [_record(line, i, self.path) for i, line in enumerate(content[:whole].split(b"\n")[:-1], 1)]
        if not records or records[0].get("type") != "header":
            raise ValueError(f"{self.path} does not start with a header: it is no journal of an experiment")
        return records

    def append(self, records: Sequence[Record]) -> None:
        """Write records, safe on disk when this returns: all of them, or none.

        Raises:
            ValueError: they cannot be written (a full disk); the journal is as it was.
        """
        if not self._locked:
            raise ValueError(f"{self.path.parent} is open for reading only, expected it to be opened with its lock")
        if self._descriptor is None:
            raise ValueError(f"{self.path.parent} is closed, expected an open experiment")
        data = b"".join(_line(record) for record in records)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self._length)
            raise ValueError(
                f"cannot write {self.path}: {error.strerror}; what was told before is kept, and the experiment can be "
                "opened and gone on with"
            ) from error
        self._length += len(data)

    def close(self) -> None:
        """Let go of the file and its lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        self.close()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
