"""Results of live experiments, and of the machinery: several comparisons in flight, speed, files, accelerators."""

from __future__ import annotations

from collections.abc import Iterator

from . import text
from .text import Row


def sections() -> list[str]:
    return [_replay(), _live(), _in_flight(), _speed(), _bounds(), _rest()]


def _replay() -> str:
    samplers = ("thompson", "rucb", "epsilon-greedy", "random-pair", "round-robin")
    found = text.rows("live_stopping")
    by = {(row["task"], row["sampler"]): row for row in found}
    tasks = text.distinct(found, "task")

    def cells(task: str) -> Iterator[str]:
        own = by[task, "llm-po"]
        yield task
        yield text.interval(own["decided"], own["low"], own["high"])
        yield f"{own['with ties']:,.0f}"
        for each in samplers:
            row = by[task, each]
            yield text.interval(row["times llm-po"], row["ratio low"], row["ratio high"], row["censored"] > 0)

    errors = max(by[task, "llm-po"]["errors"] for task in tasks)
    structured = [by[task, "llm-po, structured"] for task in tasks]
    told = "; ".join(
        f"{row['task']} {'no run ends' if row['censored'] == 1 else text.number(row['times llm-po'])}"
        for row in structured
    )
    wrong = text.row("live_misfit", task="first_word_letter", features="factors")
    header = ["task", "`llm-po`", "with ties", *(f"`{name}`" for name in samplers)]
    return f"""## A real LLM

`python benchmarks/live.py` needs no endpoint: it serves SmolLM2-135M-Instruct on loopback and chooses among 16
prompt policies
(4 instructions x with or without an example x temperature 0 or 1) on tasks of Instruction Induction, judged by exact
match.
`--only record` keeps how often each policy is right on 40 inputs, three times each, and on 60 held-out ones
(`results/live_table.json`); `--only replay` draws comparisons from that table. Decided comparisons to a proven
winner at
delta = 0.05 with `e-process`, {found[0]["replications"]:,} replications, 95 % intervals (samplers but `llm-po`: as a
multiple of
it; "at least" where runs were cut at 20,000), most comparisons being ties, since both are right or both wrong:

{text.table(header, (list(cells(task)) for task in tasks))}

`llm-po` errs in at most {errors} of {found[0]["replications"]:,} runs. With the factors as features the structured
space takes,
as a multiple: {told}. On first_word_letter the linear model is wrong (deviance {wrong["deviance"]:.0f} on
{wrong["degrees of freedom"]} degrees of freedom, `results/live_misfit.json`).

![A real LLM](../figures/live.png)"""


def _live() -> str:
    found = text.rows("live_runs")
    lines = []
    for task in text.distinct(found, "task"):
        mine = [row for row in found if row["task"] == task and row["sampler"] == "llm-po"]
        others = [row for row in found if row["task"] == task and row["sampler"] != "llm-po"]
        lines.append(
            [task, _proven(mine), *(_each(mine, name) for name in ("comparisons", "calls", "seconds")), _proven(others)]
        )
    gains = "; ".join(
        f"{row['task']} {text.percent(row['chosen'])} right in place of {text.percent(row['average'])} for the average "
        f"policy, a gain of {text.interval(row['gain on average'], row['low on average'], row['high on average'])}"
        for row in text.rows("live_improvement")
    )
    header = ["task", "`llm-po`: proven", "comparisons", "calls", "seconds", "`round-robin`, `random-pair`: proven"]
    return f"""`--only live` runs experiments on the model itself, two seeds, 4 comparisons in flight, at most 1,000
calls (an input is
answered once at temperature 0, so comparisons outnumber calls; seconds beside other work):

{text.table(header, lines)}

The policy that led in the end, proven or not, on held-out inputs: {gains} (bootstrap over inputs)."""


def _proven(found: list[Row]) -> str:
    return f"{sum(row['proven'] for row in found)} of {len(found)}"


def _each(found: list[Row], column: str) -> str:
    return " and ".join(f"{row[column]:,.0f}" for row in found)


def _in_flight() -> str:
    found = text.rows("in_flight_cost")
    by = {(row["source"], row["in flight"], row["pending"]): row for row in found}

    def cells(source: str) -> Iterator[str]:
        alone = by[source, 1, "believed"]
        yield text.instance(source.removesuffix(".csv"))
        yield f"{alone['asked']:,.0f}"
        for pending in ("believed", "ignored"):
            for number in (8, 32):
                row = by[source, number, pending]
                yield f"{text.number(row['ratio'])} ({text.number(row['settled'] / alone['settled'])})"

    header = ["instance", "alone", "8 in flight", "32 in flight", "8, pending ignored", "32, pending ignored"]
    speed = text.rows("in_flight_speed")
    together = [row["ask, ms"] + row["tell, ms"] for row in speed]
    late = {(row["settled"], row["in flight"]): text.percent(row["refuted"]) for row in text.rows("in_flight_errors")}
    return f"""## Several comparisons in flight

Waiting costs comparisons. Asked until the winner is proven at delta = 0.1, as a multiple of those with one in flight,
{found[0]["runs"]} runs, the ones in flight at the end included; in brackets without them (`python
benchmarks/in_flight.py`, verdicts
return after exponential times):

{text.table(header, (list(cells(source)) for source in text.distinct(found, "source")))}

With wins ten times as slow as losses and delta = 0.1, {late["in ask order", 8]} of
{text.rows("in_flight_errors")[0]["runs"]:,} runs refute
a true winner with 8 comparisons in flight and {late["in ask order", 32]} with 32; settled on arrival
{late["on arrival", 8]} and
{late["on arrival", 32]} would. Asking and telling take {min(together):.0f} to {max(together):.0f} ms together, each
safe on disk; the
first ask, with nothing compiled before, answers after {max(row["first ask, s"] for row in speed):.1f} s (`--only
speed`)."""


def _speed() -> str:
    sizes = text.rows("speed_sizes")
    by = {(row["K"], row["stopping"]): row for row in sizes}
    rules = ("e-process", "kaufmann-koolen", "stylised")
    lines = [
        [
            str(k),
            *(text.rate(by[k, rule]["comparisons per second"]) for rule in rules),
            f"{by[k, 'e-process']['of one native core']:.2f}",
        ]
        for k in text.distinct(sizes, "K")
    ]
    samplers = text.rows("speed_samplers")
    others = ", ".join(f"`{row['sampler']}` {text.rate(row['comparisons per second'])}" for row in samplers)
    compiled = [row["compilation, s"] for row in samplers]
    peers = ", ".join(
        f"{row['who'].removeprefix('duelpy ')} {row['comparisons per second']:,.0f}"
        for row in text.rows("speed_peers")
        if row["who"].startswith("duelpy")
    )
    growing = text.rows("speed_replications")
    guess = text.rows("speed_guesses")[-1]
    rates = ", ".join(f"{text.rate(row['comparisons per second'])} with {row['replications']:,}" for row in growing)
    cold, warm = (text.row("speed_first", compilation_cache=cached) for cached in ("no", "yes"))
    devices = ", ".join(
        f"{text.rate(row['comparisons per second'])} on {row['devices']}" for row in text.rows("speed_devices")
    )
    header = ["K", *(f"`{rule}`" for rule in rules), "`e-process` / one native core"]
    return f"""## Speed

`python benchmarks/speed.py` (about 7 minutes); {text.content("speed_sizes")["machine"]}; beside a native loop on one
core in the
same run. Comparisons per second, `llm-po`, 4,096 replications; the native loop is a single replication without
bookkeeping:

{text.table(header, lines)}

- Samplers at K = 16 with `e-process`, 512 replications: {others}. Compilation takes {min(compiled):.1f} to
  {max(compiled):.1f} s per
  procedure. duelpy 1.0.0 on one core: {peers}.
- With the {guess["budgets"]} budgets of a study, at each of which a best guess is worked out:
  {100 * guess["of the speed without"]:.0f} % of the speed without.
- Replications at K = 16: {rates}; never more than {max(row["peak memory, MB"] for row in growing):.0f} MB of memory.
- A first result (`simulate` with its defaults, K = 16): import {cold["import, s"]:.1f} s, compilation
  {cold["compilation, s"]:.1f} s
  ({warm["compilation, s"]:.1f} s from a filled compilation cache), run {cold["run, s"]:.1f} s.
- Lanes split over devices of the host, a test of what accelerators do: {devices}.

Rates drift on a shared machine; the ratios come from one run.

![Speed](../figures/speed.png)"""


def _bounds() -> str:
    rates = ", ".join(
        f"{text.rate(row['comparisons per second'])} with `{row['stopping']}`"
        for row in text.rows("structured_speed", K=32, d=8)
    )
    worst: dict[str, float] = {}
    for row in text.rows("allocation_times", form="exact"):
        shape = f"K = {row['K']}, d = {row['d']}"
        worst[shape] = max(worst.get(shape, 0.0), row["worst, s"])
    times = ", ".join(f"{seconds:.2g} s at {shape}" for shape, seconds in worst.items())
    together = "; ".join(
        f"{row['what']}: {row['instances']:,} instances, {row['together, ms']:.2g} ms each together, "
        f"{row['alone, ms']:.2g} alone"
        for row in text.rows("allocation_together")
    )
    return f"""In the structured space, K = 32, d = 8, 256 replications, comparisons per second: {rates} (`python
benchmarks/structured.py --only speed`). The structured bound, exact form to 1e-4, beside a busy process (`python
benchmarks/allocation.py --only times`): {times}, once it is compiled. Many at once: {together}."""


def _rest() -> str:
    hunt = text.rows("hunt")
    sound = [row for row in hunt if not row["planted"]]
    planted = [row for row in hunt if row["planted"]]
    reading = "; ".join(f"{row['form']} {row['rows']:,} rows in {row['seconds']:.1f} s" for row in text.rows("reading"))
    chips = text.rows("tpu", program="advance")
    memory = "; ".join(
        f"{row['case']}, {row['lanes']:,} lanes: {row['scratch, MB'] / 1000:.2g} GB of scratch, "
        f"{text.percent(row['of its memory'])} of the memory in all"
        for row in chips
    )
    return f"""## Counterexamples, files, accelerators

- `python benchmarks/hunt.py`: {sum(row["cells"] for row in sound)} cells of {len(sound)} proven procedures, of which
  {sum(row["verdict"] == "holds" for row in sound)} hold; {sum(row["verdict"] == "found" for row in planted)} of
  {len(planted)} planted
  defects are found.
- `python benchmarks/reading.py`, logs of comparisons: {reading}.
- `python benchmarks/tpu.py`, compiled for one chip of a TPU v5e by its own compiler, never run there: {memory}.
- `python benchmarks/gpu.py` checks an accelerator against its CPU and times it. It has so far run on CPU only."""
