"""`llmpo-jax instances`."""

from __future__ import annotations

from dataclasses import dataclass

from llmpo_jax.cli.console import console


@dataclass(frozen=True)
class Instances:
    """The collection of named instances: policies, winner, gap, and T* in all forms, checked.

    For example:

    llmpo-jax instances

    llmpo-jax instances --markdown > instances.md
    """

    json: bool = False
    """Print JSON instead of a table; what there is none of is null."""
    markdown: bool = False
    """Print a Markdown page instead of a table."""

    def run(self) -> None:
        from rich.text import Text

        from llmpo_jax.report.as_json import as_json
        from llmpo_jax.report.listing import Listing
        from llmpo_jax.validation import collection

        if self.json and self.markdown:
            raise ValueError("--json and --markdown are both given, expected one of them")
        found = collection.finding()
        if self.json:
            print(as_json(found))
        elif self.markdown:
            print(collection.markdown(found), end="")
        else:
            headers = [(header, index > 0) for index, header in enumerate(collection.COLUMNS.values())]
            lines = [[Text(cell) for cell in collection.cells(row)] for row in found["rows"]]
            console.print(Listing(headers, lines, f"{collection.WORDS} {collection.made_with(found)}"))
