"""The gallery of `llmpo-jax validate`, from the tables in benchmarks/results/validation/.

    cd figures && python validation.py

The tables are those that `llmpo-jax validate` leaves in results/validation-quick/.
"""

from __future__ import annotations

import os
from pathlib import Path

from panels import HERE

from llmpo_jax.report import gallery


def main() -> None:
    os.chdir(HERE.parent)  # so that captions name the tables as a reader finds them
    gallery.draw(Path("benchmarks/results/validation"), ("png",), "page", target=HERE)


if __name__ == "__main__":
    main()
