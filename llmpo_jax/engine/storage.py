"""A study's folder: the manifest, the chunks while it runs, and the tables once it is complete.

    NAME/manifest.json      what was asked, with which versions, on which machine, how far it got
    NAME/chunks/*.npz       finished chunks, from which everything below is made
    NAME/table.parquet      one row per statement of a replication (at a delta, or at a budget)
    NAME/pairs.parquet      one row per pair: mean comparisons and proportions until the stop at the last delta
    NAME/summary.csv        one row per sampler, stopping rule and delta

Every file is written under another name and then renamed, so a reader never sees half of one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from llmpo_jax.engine.workers import Arrays

FORMAT = 3


class StudyFolder:
    """The folder of one study.

    Raises:
        ValueError: where the folder holds another study, something else, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._manifest = path / "manifest.json"
        self._chunks = path / "chunks"

    def begin(
        self, arguments: dict[str, Any], facts: dict[str, Any], *, resume: bool, overwrite: bool
    ) -> dict[str, Any]:
        """Claim the folder for a study with these arguments, and return its manifest.

        A study that is resumed keeps the size of its chunks, wherever it goes on.
        """
        if self.path.is_dir() and any(self.path.iterdir()):
            if not self._manifest.is_file():
                raise ValueError(f"{self.path} holds files that are no study; choose another --name")
            if overwrite:
                shutil.rmtree(self.path)
            elif not resume:
                raise ValueError(
                    f"{self.path} holds a study already; --resume goes on with it, --overwrite starts it anew"
                )
            else:
                self._check_same(arguments)
                facts = facts | {"chunk": self.read_manifest()["chunk"]}
        manifest = {"format": FORMAT, "arguments": arguments, "complete": False, **facts}
        try:
            self._chunks.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"cannot write to {self.path}: {error.strerror}") from error
        self.write_manifest(manifest)
        return manifest

    def _check_same(self, arguments: dict[str, Any]) -> None:
        manifest = self.read_manifest()
        if manifest["format"] != FORMAT:
            raise ValueError(
                f"{self.path} was written by another version (format {manifest['format']}, now {FORMAT}), "
                "which --resume cannot go on with; expected --overwrite or another --name"
            )
        before = manifest["arguments"]
        for name in sorted({*before, *arguments}):
            if before.get(name) != arguments.get(name):
                raise ValueError(
                    f"{self.path} holds a study with other arguments: {name} was {before.get(name)!r}, "
                    f"now {arguments.get(name)!r}; give the same ones to --resume, or --overwrite"
                )

    def read_manifest(self) -> dict[str, Any]:
        try:
            return json.loads(self._manifest.read_text())
        except FileNotFoundError:
            raise ValueError(f"{self.path} holds no study (no manifest.json)") from None

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        text = json.dumps(manifest, indent=1) + "\n"
        self.write("manifest.json", lambda path: path.write_text(text))

    def write(self, name: str, writer: Callable[[Path], object]) -> None:
        """Let `writer` make the file `name`, whole or not at all.

        Raises:
            ValueError: it cannot be written; the message says why, and that what is there already is kept.
        """
        target = self.path / name
        partial = target.with_name(target.name + ".partial")
        try:
            writer(partial)
            os.replace(partial, target)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise ValueError(
                f"cannot write {target}: {error.strerror or error}; what is finished is kept, --resume goes on with it"
            ) from error

    def has_chunk(self, name: str) -> bool:
        return (self._chunks / f"{name}.npz").is_file()

    def save_chunk(self, name: str, arrays: Arrays) -> None:
        def writer(path: Path) -> None:
            with path.open("wb") as file:
                np.savez_compressed(file, **vars(arrays))

        self.write(f"chunks/{name}.npz", writer)

    def load_chunk(self, name: str) -> Arrays:
        with np.load(self._chunks / f"{name}.npz") as stored:
            arrays = {key: stored[key] for key in stored.files}
        return Arrays(**{**arrays, "simulated": int(arrays["simulated"])})
