"""A chunk as a file: the outcomes of a block of replications, what they are of, and a checksum of both.

The file is a .npz of the fields of `Arrays` with two more: `identity`, JSON that says of which study, cell and
replications the outcomes are, and `checksum`, the SHA-256 of everything else.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote

import numpy as np

from llmpo_jax.engine.workers import Arrays


@dataclass(frozen=True)
class Identity:
    """What a chunk is of.

    Attributes:
        study: what determines every replication of the study: its arguments, but for their number, and its files.
        cell: the label of instance and procedure.
        start, stop: the replications, start included, stop not.
    """

    study: dict[str, Any]
    cell: str
    start: int
    stop: int

    @property
    def file(self) -> str:
        """The name of its file: the label as it stands where that is safe, else with escapes."""
        return f"{quote(self.cell, safe='')}__{self.start}.npz"

    def text(self) -> str:
        return json.dumps(vars(self), sort_keys=True)


def write(file: IO[bytes], arrays: Arrays, identity: Identity) -> None:
    """Write a chunk."""
    fields: dict[str, Any] = {name: np.asarray(value) for name, value in vars(arrays).items()}
    fields["identity"] = np.array(identity.text())
    np.savez_compressed(file, **fields, checksum=np.array(_checksum(fields)))


def read(data: bytes, identity: Identity) -> Arrays:
    """The outcomes that the bytes of a file hold.

    Raises:
        ValueError: they are damaged, or no outcomes of what is asked for; the message ends a sentence on the file.
    """
    try:
        with np.load(io.BytesIO(data)) as stored:
            fields = {name: stored[name] for name in stored.files}
        told = str(fields.pop("checksum"))
        whole = told == _checksum(fields)
        found = str(fields.pop("identity"))
    except Exception as error:  # what damage leads to has no end: BadZipFile, EOFError, zlib.error, MemoryError, ...
        raise ValueError(f"is damaged ({type(error).__name__}: {' '.join(str(error).split())})") from error
    if not whole:
        raise ValueError("is damaged (it does not fit its checksum)")
    if found != identity.text():
        raise ValueError(f"holds something else ({_difference(json.loads(found), identity)})")
    return Arrays(**{**fields, "simulated": int(fields["simulated"])})


def _checksum(fields: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(fields):
        array = fields[name]
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _difference(found: dict[str, Any], expected: Identity) -> str:
    if found["study"] != expected.study:
        return "of another study"
    return f"{found['cell']}, replications {found['start']} to {found['stop'] - 1}"
