"""Where the commands speak."""

from __future__ import annotations

from rich.console import Console

# Names are printed as they are given: `[openai:gpt-4o]` is no markup, and `:smile:` no picture.
console = Console(highlight=False, markup=False, emoji=False)
