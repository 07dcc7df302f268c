"""A real LLM, offline: LLM-PO chooses the best of 16 prompt policies for SmolLM2-135M-Instruct.

    python benchmarks/live.py                  about an hour on 2 cores; needs the package index, once
    python benchmarks/live.py --only replay    one part: record, replay or live
    python benchmarks/live.py --quick          few inputs and replications, nothing is kept

The model is served on loopback by an environment of its own (`benchmarks/.live`, 230 MB, made on the first run). Tasks
are those of `living/tasks.py`, from the data folder beside the project; policies are instruction x shots x temperature;
an answer is right or wrong, and a comparison is decided where exactly one of two is right.

record: how often each policy is right on each input, kept as counts in results/live_table.json.
replay: from these counts, without the model: gaps; probability of correct selection against the budget of decided
    comparisons, and comparisons until a winner is proven, for LLM-PO and the baselines of the paper; whether a linear
    Bradley-Terry model in the factors holds.
live: experiments on the model: what it takes to prove a winner, up to a limit, and its accuracy on held-out inputs.
Intervals are at 95 %: exact for shares, Student for means, the delta method on the logarithm for ratios of means, the
bootstrap over inputs for accuracies.
"""

from __future__ import annotations

import time

import common
from living import contest, outcomes, record, replay


def recorded(quick: bool) -> None:
    table = record.record(samples=1, inputs=4) if quick else record.record()
    common.show("Accuracy of the policies", record.accuracies(table))
    if not quick:
        record.keep(table)


def replayed(quick: bool) -> None:
    table = record.load()
    for name, title, part in (
        ("gaps", "Policies and their gaps", lambda: outcomes.gaps(table)),
        (
            "misfit",
            "Linear models, every pair compared once on each input",
            lambda: outcomes.misfit(table),
        ),
    ):
        _shown(name, title, time.time(), part(), quick)
    started = time.time()
    replications = 20 if quick else 1000
    selection, stopping = replay.procedures(table, replications)
    _shown("selection", f"Probability of correct selection, {replications} replications", started, selection, quick)
    _shown("stopping", f"Decided comparisons to a winner at delta = {replay.DELTA:g}", started, stopping, quick)


def lived(quick: bool) -> None:
    started = time.time()
    rows = contest.contest(seeds=1, calls=50) if quick else contest.contest(seeds=2, calls=1000)
    _shown("runs", "Experiments", started, rows, quick)
    costs = contest.costs(rows)
    common.show("Means over the runs, undecided ones at the limit", costs)
    gains = contest.improvement(rows, record.load())
    _shown("improvement", "Accuracy on held-out inputs", started, gains, quick)
    _markdown(costs)
    _markdown(gains)


def _shown(name: str, title: str, started: float, rows: list[dict], quick: bool) -> None:
    common.show(title, rows)
    if not quick:
        common.keep(f"live_{name}", rows, started)


def _markdown(rows: list[dict]) -> None:
    """The same as a Markdown table."""
    cells = [[f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    for line in (list(rows[0]), ["---"] * len(rows[0]), *cells):
        print("|", " | ".join(line), "|")
    print()


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--only", choices=("record", "replay", "live"), help="run one part")
    options = parser.parse_args()
    if not record.tasks.FOLDER.is_dir():
        raise SystemExit(f"{record.tasks.FOLDER} is missing: this benchmark needs the tasks of the data folder")
    for name, part in (("record", recorded), ("replay", replayed), ("live", lived)):
        if options.only in (None, name):
            part(options.quick)


if __name__ == "__main__":
    main()
