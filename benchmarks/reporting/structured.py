"""Results of the structured space."""

from __future__ import annotations

from . import text

_LEVELS = (0.1, 0.05, 0.01, 1e-10)
_RULES = ("e-process", "stylised")


def sections() -> list[str]:
    return [_bound(), _baselines(), _designs(), _forms(), _guarantee(), _duplicates()]


def _bound() -> str:
    found = text.rows("structured_bound")
    values = {(row["instance"], row["stopping"], row["delta"]): row["ratio"] for row in found}
    sizes = {row["instance"]: row["T*"] for row in found}
    lines = [
        [f"`{name}`", text.number(time), *(text.number(values[name, rule, d]) for rule in _RULES for d in _LEVELS)]
        for name, time in sizes.items()
    ]
    first = next(iter(sizes))
    mixture = [values[first, "mixture", delta] for delta in _LEVELS]
    shown = [row for row in found if row["stopping"] in _RULES]
    said = f"`mixture`, equally proven, needs {', '.join(map(text.number, mixture))} times that on the first instance."
    return f"""## The structured space

`python benchmarks/structured.py` (`--only PART` for a part), tables in `results/structured_*.json`. Mean stopping
time of
`llm-po` as a multiple of T* log(1 / delta), K = 32 policies, d = 8 features, 300 replications, 95 % intervals within
{text.widest(shown)} of the value:

{text.table(["instance", "T*", *(f"{rule}: {d:g}" for rule in _RULES for d in _LEVELS)], lines)}

The price of proof is the gap between the two rules. {said}"""


def _baselines() -> str:
    found = text.rows("structured_baselines", delta=0.05)
    rules = text.distinct(found, "stopping")
    by = {(row["sampler"], row["stopping"]): row for row in found}
    lines = [
        [
            f"`{name}`",
            *(
                text.interval(row["times llm-po"], row["low"], row["high"], row["censored"] > 0)
                for rule in rules
                if (row := by[name, rule])
            ),
        ]
        for name in text.distinct(found, "sampler")
        if name != "llm-po"
    ]
    return f"""On the first instance the other samplers need, as a multiple of `llm-po` with the same rule at delta =
0.05 ("at least"
where runs were cut):

{text.table(["sampler", *rules], lines)}

Tracking the true optimum from the start is not the best at moderate delta: `llm-po` looks first where the winner is
still in
doubt. `thompson` and `rucb` use the features and stop early under the heuristic rule; under the proven ones they stall,
because they cease to compare what would prove the point.

![The structured space](../figures/structured.png)"""


def _designs() -> str:
    found = text.rows("structured_designs", delta=0.05)
    by = {(row["instance"], row["sampler"]): row for row in found}
    samplers = ("g-optimal", "rage-glm")
    lines = [
        [
            text.instance(name),
            f"{'at least ' if by[name, 'llm-po']['censored'] > 0 else ''}{by[name, 'llm-po']['mean']:,.0f}",
            *(text.times(by[name, sampler]) for sampler in samplers),
        ]
        for name in text.distinct(found, "instance")
    ]
    return f"""Against designs, `e-process`, delta = 0.05, {found[0]["replications"]} replications (`--only
designs`; runs are cut at 100,000, and ratios where both were cut say little):

{text.table(["instance", "`llm-po`", *(f"`{name}`" for name in samplers)], lines)}"""


def _forms() -> str:
    largest = max(row["fisher"] / row["exact"] for row in text.rows("structured_forms"))
    spread = {
        row["d"]: row["quantiles"][len(row["quantiles"]) // 2]
        for row in text.rows("allocation_spread", ratio="structured / unstructured")
    }
    saved = ", ".join(f"{100 * share:.0f} % at d = {d}" for d, share in spread.items())
    return f"""Fisher's form, cheaper and common in the literature, is the exact program's limit for small gaps and
up to
{text.number(largest)} times too large beyond. The median of T* with the features, over random instances, as a share
of T*
without them (`python benchmarks/allocation.py`, K = 16): {saved}.

![T* over random linear models](../figures/allocation.png)"""


def _guarantee() -> str:
    proven = [row for row in text.rows("structured_pac") if row["stopping"] != "stylised"]
    holding = sum(row["verdict"] == "holds" for row in proven)
    errors = sum(row["errors"] for row in proven)
    lines = [
        [row["instance"].partition(", ")[2] or "none", row["assume"], f"{row['errors']}", f"{row['mean']:,.0f}"]
        for row in text.rows("structured_space", delta=0.1)
    ]
    return f"""The proven rules hold in {holding} of {len(proven)} cases of `--only pac`, {errors} errors in all,
1,000 runs each. Where
the model is wrong nothing holds (`--only space`, K = 12, d = 4, delta = 0.1, 300 runs, noise added to the logits of
pairs):

{text.table(["noise", "assumed", "errors", "mean comparisons"], lines)}"""


def _duplicates() -> str:
    row = text.row("near_duplicate_tail", delta=0.05)
    unsafe = [each for each in text.rows("near_duplicate_stylised") if each["delta"] == 0.05]
    told = ", ".join(f"{each['errors']} of {each['replications']:,} with `{each['sampler']}`" for each in unsafe)
    return f"""Near-duplicates: with a rival whose features are the best policy's turned by 0.1, `llm-po` with
`e-process` needs
{text.interval(row["mean / lower bound"], row["low"], row["high"])} times the lower bound in the mean at delta = 0.05
({row["replications"]} runs, none beyond {row["longest"]:,} comparisons; `python benchmarks/near_duplicate.py`).
`stylised`, which is
not proven, errs there at 0.05 in {told}."""
