"""A hunt for logs that are read the wrong way round: names that could be mistaken for verdicts, files of all forms."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections import Counter

import pytest

from llmpo_jax import models

NAMES = [
    *(
        "a",
        "b",
        "A",
        "B",
        "tie",
        "draw",
        "both",
        "none",
        "null",
        "nan",
        "-",
        "True",
        "model_a",
        "model_b",
        "left",
        "right",
    ),
    *("1", "2", "0", "1.0", "0.2", "2.0", "first", "x y", "gpt-4o [v1]", "na,me", "semi;colon", 'q"uote', "new\nline"),
    *("tab\tname", "中文", "é", "|bar", "#hash", "=1+1", "[x]", "{y}", "model_1", "player 2"),
]
SCHEMES = [
    ("model_a", "model_b", "model_a", "model_b", "tie"),
    ("left", "right", "left", "right", "draw"),
    ("player_1", "player_2", "1", "2", "Tie"),
    ("Model A", "Model B", "A", "B", "tie (bothbad)"),
    ("first", "second", "FIRST", "SECOND", "equal"),
    ("model_a", "model_b", "", "", "tie"),  # the winner by name
]
OTHERS = {
    **dict.fromkeys(["", "id", "turn", "evaluation_order"], "0"),
    **dict.fromkeys(["score_a", "score_b", "tokens_a", "rating_left"], "1"),
    **dict.fromkeys(["question", "judge", "response_a", "response_b", "conversation_1"], "text, with; all\tkinds"),
    **dict.fromkeys(["is_code", "anony", "tie_reason", "winner_reason", "prompt_b"], "False"),
}
"""Columns that say nothing of who won, and what they hold."""
LOGS = 250


def written(header: list[str], rows: list[list[str]], rng: random.Random) -> bytes:
    """A file of these cells in one of many forms."""
    form = rng.choice(["csv", "tsv", "semicolon", "lines", "array"])
    if form in ("lines", "array"):
        objects = [dict(zip(header, row, strict=True)) for row in rows]
        text = json.dumps(objects) if form == "array" else "\n".join(map(json.dumps, objects))
    else:
        file = io.StringIO()
        csv.writer(file, delimiter={"csv": ",", "tsv": "\t", "semicolon": ";"}[form]).writerows([header, *rows])
        text = file.getvalue()
    data = text.encode(rng.choice(["utf-8", "utf-8-sig", "utf-16"]))
    return gzip.compress(data) if rng.random() < 0.2 else data


@pytest.mark.filterwarnings("ignore:.*rows are skipped")
def test_no_log_is_read_the_wrong_way(tmp_path):
    rng, read = random.Random(0), 0
    for _ in range(LOGS):
        first_column, second_column, *labels = rng.choice(SCHEMES)
        names = rng.sample(NAMES, rng.randint(2, 5))
        pairs = [rng.sample(names, 2) for _ in range(rng.randint(1, 12))]
        results = [rng.choice([0, 0, 1, 2]) for _ in pairs]
        others = rng.sample(sorted(OTHERS), rng.randint(0, 4))
        order = rng.sample(range(3 + len(others)), 3 + len(others))
        columns = [first_column, second_column, "winner", *others]
        rows = [
            [*p, labels[r] or p[r], *(OTHERS[name] for name in others)] for p, r in zip(pairs, results, strict=True)
        ]
        path = tmp_path / "log"
        shuffled = [[row[place] for place in order] for row in (columns, *rows)]
        path.write_bytes(written(shuffled[0], shuffled[1:], rng))
        try:
            log = models.read_battles(path)
        except ValueError as error:  # what could mean two things is refused
            assert "may" in str(error).removeprefix(str(path)) and "\n" not in str(error)
            continue
        read += 1
        names_of = [[log.names[k] for k in side] for side in (log.first, log.second)]
        found = Counter(zip(*names_of, log.outcome.tolist(), strict=True))
        assert found == Counter((*p, (1.0, 0.0, 0.5)[r]) for p, r in zip(pairs, results, strict=True)), rows
    assert read > 0.8 * LOGS
