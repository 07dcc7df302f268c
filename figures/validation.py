"""The gallery of `llmpo-jax validate`, from the tables in benchmarks/results/validation/, and real data in data/.

    cd figures && python validation.py

The tables are those that `llmpo-jax validate --full` leaves in results/validation-full/; of real data, in
benchmarks/results/validation-data/, some of those that `llmpo-jax validate FILE ... --name data` leaves.
"""

from __future__ import annotations

import os
from pathlib import Path

from panels import HERE

from llmpo_jax.report import gallery

FOLDERS = {"validation": HERE, "validation-data": HERE / "data"}


def main() -> None:
    os.chdir(HERE.parent)  # so that captions name the tables as a reader finds them
    for folder, target in FOLDERS.items():
        gallery.draw(Path("benchmarks/results") / folder, ("png",), "page", target=target)


if __name__ == "__main__":
    main()
