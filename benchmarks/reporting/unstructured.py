"""Results of the unstructured space."""

from __future__ import annotations

from . import text

_LEVELS = (0.1, 0.01, 1e-10, 1e-50)


def sections() -> list[str]:
    return [_complexity(), _baselines(), _knowledge(), _published(), _budget(), _costs(), _errors()]


def _complexity() -> str:
    found = text.rows("sample_complexity")
    shown = [row for row in found if row["stopping"] in ("e-process", "stylised") and row["delta"] in _LEVELS]
    values = {(row["instance"], row["stopping"], row["delta"]): row["ratio"] for row in found}
    header = ["instance", *(f"{rule}: {delta:g}" for rule in ("e-process", "stylised") for delta in _LEVELS)]
    lines = [
        [
            text.instance(name),
            *(text.number(values[name, rule, d]) for rule in ("e-process", "stylised") for d in _LEVELS),
        ]
        for name in text.distinct(shown, "instance")
    ]
    errors = {(row["instance"], row["stopping"]): row["error rate"] for row in found if row["delta"] == 0.1}
    cyclic, hidden = "cyclic-17", "hidden-winner-10"
    slow = {
        row["delta"]: row["ratio"]
        for row in found
        if (row["instance"], row["stopping"]) == ("bradley-terry-16", "kaufmann-koolen")
    }
    return f"""## The unstructured space

![LLM-PO against the lower bound and the baselines](../figures/sample_complexity.png)

Mean stopping time of `llm-po` as a multiple of T* log(1 / delta), 500 replications, 95 % intervals within
{text.widest(shown)} of the value (`python benchmarks/sample_complexity.py`); 1 is what the lower bound allows as
delta tends
to 0:

{text.table(header, lines)}

`kaufmann-koolen`, equally proven, needs {text.number(slow[0.1])} at delta = 0.1 and {text.number(slow[1e-50])} at
1e-50 on
`bradley-terry:16`. What the stylised threshold saves it pays for in errors: at delta = 0.1 `llm-po` errs in
{text.percent(errors[cyclic, "stylised"])} of the runs on `cyclic:17` and in
{text.percent(errors[hidden, "stylised"])} on
`hidden-winner:10`; with `e-process` in {text.percent(errors[cyclic, "e-process"])} and
{text.percent(errors[hidden, "e-process"])}."""


def _baselines() -> str:
    found = text.rows("baselines", delta=0.05, stopping="e-process")
    samplers = ("beat-the-mean", "rmed1", "top-two-thompson", "double-thompson", "thompson", "rucb")
    by = {(row["instance"], row["sampler"]): row for row in found}
    names = text.distinct(found, "instance")
    lines = [
        [text.instance(name), f"{by[name, 'llm-po']['mean']:,.0f}", *(text.times(by[name, each]) for each in samplers)]
        for name in names
    ]
    ahead = [f"`{row['sampler']}` on {text.instance(row['instance'])}" for row in found if row["high"] < 1]
    verdict = f"Ahead of it beyond the interval: {', '.join(ahead)}." if ahead else "None is ahead beyond its interval."
    return f"""Comparisons that other samplers need with `e-process` at delta = 0.05, as a multiple of those of
`llm-po`,
{by[names[0], "llm-po"]["replications"]} replications paired by seed, 95 % intervals (`python
benchmarks/baselines.py`; the other
samplers are in `results/baselines.json`; "at least" where runs were cut at three times the mean of `llm-po` at delta
= 0.01).
{verdict}

{text.table(["instance", "`llm-po`", *(f"`{name}`" for name in samplers)], lines)}"""


def _knowledge() -> str:
    told = text.validated("C4_knowledge", told="all three")
    return f"""![The price of not knowing](../figures/C4_knowledge.png)

At moderate levels a procedure also pays for what it does not know: told the winner, the rates and whom to compare
with whom it
needs {text.span(row["multiple"] for row in told)} times T* log(1 / delta) at delta = 0.1,
{told[0]["replications"]:,} replications
(`llmpo-jax validate --full`)."""


def _published() -> str:
    found = text.rows("published")
    parts = []
    for name in ("DKWT", "SEEBS", "HyTS"):
        times = [row["times llm-po"] for row in found if row["procedure"].startswith(name) and row["times llm-po"]]
        parts.append(f"{name} {text.span(times)}")
    return f"""Published procedures on their own instances at delta = 0.05, with the authors' code, as a multiple of
the comparisons
of `llm-po` with `e-process`: {"; ".join(parts)} (`python benchmarks/published.py`, which says what each assumes;
intervals in
`results/published.json`)."""


def _budget() -> str:
    found = text.rows("budget_selection")
    samplers = ("llm-po", "llm-po-budget", "sequential-halving", "epsilon-greedy")
    by = {(row["instance"], row["comparisons"]): row for row in found}
    budgets = text.distinct(found, "comparisons")
    lines = [
        [
            text.instance(name),
            *(" / ".join(f"{by[name, budget][sampler]:.0f}" for budget in budgets) for sampler in samplers),
        ]
        for name in text.distinct(found, "instance")
    ]
    half = max((row[f"{s} high"] - row[f"{s} low"]) / 2 for row in found for s in samplers)
    return f"""Told a budget instead of a level: probability of naming the best policy after
{" / ".join(map(str, budgets))}
comparisons, in percent, 2,000 replications, all by the same rule (`python benchmarks/budget.py`; exact 95 %
intervals are
within {half:.1f} points of the value; the constants of `llm-po-budget` were chosen on these instances):

{text.table(["instance", *(f"`{name}`" for name in samplers)], lines)}"""


def _costs() -> str:
    lines = [
        [
            text.instance(row["instance"]),
            row["with"],
            f"{row['delta']:g}",
            text.interval(row["told / ignoring"], row["low"], row["high"]),
        ]
        for row in text.rows("costs")
    ]
    return f"""Where comparisons have costs, spread 1 : 30, or end in ties: what `llm-po` that is told of them
spends, as a share of
what it spends when it ignores them, 95 % intervals (`python benchmarks/costs.py`):

{text.table(["instance", "with", "delta", "told / ignoring"], lines)}"""


def _errors() -> str:
    found = text.rows("delta_pac")
    proven = [row for row in found if row["stopping"] != "stylised"]
    rest = [row for row in found if row["stopping"] == "stylised"]
    tenth = [row for row in proven if row["delta"] == 0.1]
    worst = max(tenth, key=lambda row: row["errors"] / row["replications"])
    holding = sum(row["verdict"] == "holds" for row in proven)
    failing = sum(row["verdict"] == "FAILS" for row in rest)
    return f"""Error rates against delta, exact intervals, on easy, hard, cyclic and real instances and on some
without a winner,
{worst["replications"]:,} replications each (`python benchmarks/delta_pac.py`). The proven rules hold in {holding} of
{len(proven)} cases: the worst rate at delta = 0.1, {text.percent(worst["errors"] / worst["replications"])}, is that of
`{worst["sampler"]}` on {text.instance(worst["instance"])}. `stylised` fails in {failing} of {len(rest)} cases."""
