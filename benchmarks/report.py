"""The results as documents: benchmarks/README.md, and the numbers in README.md.

    python benchmarks/report.py            writes both from benchmarks/results/
    python benchmarks/report.py --check    exit code 1 where one of them differs

No number is typed: what a benchmark has kept is what the documents say.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from reporting import practice, structured, summary, text, unstructured

HERE = Path(__file__).parent
BLOCK = re.compile(r"(?<=<!-- results -->\n).*?(?=<!-- end of results -->)", re.DOTALL)
"""Of README.md, what comes from the results."""

HEAD = """# Results

Written by `python benchmarks/report.py` from `benchmarks/results/`, which the named commands make; each file there
tells the machine, the versions and the seconds. Intervals are at 95 %. Commands are run from the top of the project
after
`pip install -e '.[test]'`; data come from a folder beside the project, and what needs them is skipped where it is
missing.

Not made again since the e-process bets by experts, so a little off: `in_flight_cost`, `in_flight_speed`, `live_runs`,
`live_improvement`, `speed_*` (but `speed_guesses`); since the structured e-process goes on fixing bets in long runs,
and since structured `llm-po` follows the exact program beyond 20 nats of evidence: `structured_bound`,
`structured_baselines`, `structured_pac`, `structured_speed`.
`python benchmarks/NAME.py` makes each again."""


def pages() -> dict[Path, str]:
    """What each document must be."""
    parts = [HEAD, *unstructured.sections(), *structured.sections(), *practice.sections()]
    readme = HERE.parent / "README.md"
    filled = BLOCK.sub(lambda _: text.filled(summary.block()) + "\n", readme.read_text())
    return {HERE / "README.md": text.filled("\n\n".join(parts)) + "\n", readme: filled}


def main() -> None:
    changed = [path for path, page in pages().items() if not path.is_file() or path.read_text() != page]
    if sys.argv[1:] == ["--check"]:
        sys.exit(f"not what the results say: {', '.join(path.name for path in changed)}" if changed else 0)
    for path, page in pages().items():
        path.write_text(page)


if __name__ == "__main__":
    main()
