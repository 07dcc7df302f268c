"""The few numbers that README.md holds."""

from __future__ import annotations

from . import text


def block() -> str:
    """What stands between its two marks."""
    ratio = {
        (row["instance"], row["delta"]): row["ratio"] for row in text.rows("sample_complexity", stopping="e-process")
    }
    times = [
        row for row in text.rows("baselines", delta=0.05, stopping="e-process") if row["instance"] == "bradley-terry-16"
    ]
    paper = [
        row for row in times if row["sampler"] in ("round-robin", "random-pair", "epsilon-greedy", "thompson", "rucb")
    ]
    linear = {
        row["delta"]: row["ratio"]
        for row in text.rows("structured_bound", stopping="e-process")
        if row["instance"] == "linear-bradley-terry:32,8,seed=2"
    }
    cyclic = text.row("sample_complexity", instance="cyclic-17", stopping="stylised", delta=0.1)
    speed = text.row("speed_sizes", K=16, stopping="e-process")
    first = "bradley-terry-16"
    cut = "; lower bounds where runs were cut" if any(row["censored"] > 0 for row in paper) else ""
    return f"""With the proven rule `llm-po` needs {text.number(ratio[first, 0.1])} times what the lower bound allows as
delta tends to 0 on `bradley-terry:16` at delta = 0.1, {text.number(ratio[first, 1e-10])} times at 1e-10 and
{text.number(ratio[first, 1e-50])} times at 1e-50; with linear features (K = 32, d = 8) {text.number(linear[0.1])}
times at
0.1 and {text.number(linear[1e-10])} at 1e-10. The paper's five baselines need
{text.span(row["times llm-po"] for row in paper)}
times as many comparisons at delta = 0.05{cut}. The threshold that papers plot errs in
{text.percent(cyclic["error rate"])}
of the runs on `cyclic:17` at delta = 0.1. Two cores make {speed["comparisons per second"] / 1e6:.1f} million
comparisons a
second at K = 16. All results, with the commands that make them: [benchmarks/README.md](benchmarks/README.md)."""
