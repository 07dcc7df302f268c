"""The picture of the README, drawn from benchmarks/results/.

    python figures/sample_complexity.py

Above: mean stopping time of LLM-PO in units of T* log(1 / delta) on each instance of the benchmark; it tends to 1.
Below: how many times the comparisons of LLM-PO each baseline needs at delta = 0.05, with the same stopping rule.
"""

from __future__ import annotations

import functools

from panels import Band, draw_bound, draw_race, rows, rule_handles, save

RULES = ("e-process", "stylised")
RACES = ("bradley-terry-16", "cyclic-17")
SHORT = {"wmt20_mqm_zhen_K8": "WMT20 systems", "wildbench_gpt4o0625_K8": "WildBench models"}
SHORT |= {"alpacaeval2_spread10": "AlpacaEval 2 models"}
CAPTION = (
    "Above: mean stopping time of LLM-PO in units of T* log(1/δ) on each of 12 instances, under a proven and a "
    "heuristic stopping rule; dashed: the lower bound as δ tends to 0; bands: 95 % intervals of 500 replications. "
    "Below: comparisons until the stop at δ = 0.05 with e-process, as a multiple of those of LLM-PO, with 95 % "
    "intervals; hollow, ≥: runs were cut at three times its mean at δ = 0.01. Drawn from "
    "benchmarks/results/sample_complexity.json and baselines.json."
)


def main() -> None:
    found = [row | {"instance": SHORT.get(row["instance"], row["instance"])} for row in rows("sample_complexity")]
    grouped = {name: [row for row in found if row["instance"] == name] for name in [row["instance"] for row in found]}
    bounds = [functools.partial(draw_bound, own, RULES, (1, 2, 4, 8)) for own in grouped.values()]

    level = [row for row in rows("baselines") if row["delta"] == 0.05 and row["stopping"] == "e-process"]
    # Under this rule the sampler `dkwt` is no published procedure.
    level = [row for row in level if row["instance"] in RACES and row["sampler"] != "dkwt"]
    samplers = list(dict.fromkeys(row["sampler"] for row in level))
    races = [
        functools.partial(draw_race, samplers, ["e-process"], [r for r in level if r["instance"] == name], 8)
        for name in dict.fromkeys(row["instance"] for row in level)
    ]
    bands = [
        Band(bounds, 0.9, columns=(2, 4), shared=True, handles=rule_handles(RULES)),
        Band(races, 2.5, shared=True),
    ]
    save("sample_complexity", bands, CAPTION)


if __name__ == "__main__":
    main()
