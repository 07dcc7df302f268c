"""Small files of the kinds that people have, rebuilt from public reports: what is right for each."""

from __future__ import annotations

import numpy as np
import pytest

from llmpo_jax import models
from llmpo_jax.models.reading import holds_log, read_sheet
from tests.shared_files import shared

PLAIN = [[0.5, 0.7, 0.9], [0.3, 0.5, 0.6], [0.1, 0.4, 0.5]]

#: Of a log: outcomes for the first policy, and how many rows are skipped.
LOGS = {
    "c01_both_bad.csv": ([1, 0.5, 0, 0.5, 1], 0),
    "c02_rwq.csv": ([1, 0.5], 1),
    "c03_kaggle.csv": ([1, 0, 0.5], 0),
    "c04_names.csv": ([0, 1, 1, 0.5], 0),
    "c04b_comparia.csv": ([0, 0.5], 0),
    "c05_evalica.csv": ([1, 0, 0.5, 1], 0),
    "c06_label_A.csv": ([1, 1], 0),
    "c06_label_MODEL_A.csv": ([1, 1], 0),
    "c06_label_Model_A.csv": ([1, 1], 0),
    "c06_label_Tie.csv": ([1, 0.5], 0),
    "c06_label_draw.csv": ([1, 0.5], 0),
    "c06_label_unresolved.csv": ([1], 1),
    "c07_brackets.csv": ([1, 0, 1], 0),
    "c07b_closing.csv": ([1, 1, 0], 0),
    "c08_field_limit.csv": ([1, 0, 1], 0),
    "c13b_counts.csv": ([1] * 7 + [0] * 3, 0),
    "c14_knockout.csv": ([1] * 7, 0),
    "c18_self.csv": ([1, 0], 1),
    "c19_battles.csv.gz": ([1], 0),
    "c19_bom.csv": ([1, 0], 0),
    "c19_semicolon.csv": ([1, 0], 0),
    "c19_tab.tsv": ([1, 0], 0),
    "c19_utf16.csv": ([1], 0),
    "c26_soft.csv": ([2 - 1.0000048889, 2 - 1.62], 1),
}

MATRICES = {
    "c07c_matrix.csv": [[0.5, 0.7, 0.8], [0.3, 0.5, 0.6], [0.2, 0.4, 0.5]],
    "c19_deccomma.csv": [[0.5, 0.7], [0.3, 0.5]],
    "c20_blankdiag.csv": PLAIN,
    "c20_counts.csv": PLAIN,
    "c20_indexcol.csv": PLAIN,
    "c20_nandiag.csv": PLAIN,
    "c20_percent.csv": [[0.5, 0.67, 0.89], [0.33, 0.5, 0.6], [0.11, 0.4, 0.5]],
    "c20_round2.csv": [[0.5, 0.665, 0.89], [0.335, 0.5, 0.6], [0.11, 0.4, 0.5]],
    "c20_rounded.csv": [[0.5, 0.67, 0.889], [0.33, 0.5, 0.6], [0.111, 0.4, 0.5]],
    "c20_ws.csv": PLAIN,
    "c20_zerodiag.csv": PLAIN,
}

REFUSED = {
    "c19_battles.jsonl": "'model_a', expected a whole number of wins; where it is a verdict of its own, --columns",
    "c20_missing.csv": "the rate of A against C is blank, both ways, expected a number: it is unknown, not 1/2",
    "c20_ties.csv": r"A against C: 0.7 \+ 0.1 = 0.8, expected 1; if what is missing are ties, add half of it to both",
}


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.filterwarnings("ignore:.*rows are skipped")
def test_logs(name):
    sheet = read_sheet(shared(f"cases/{name}"))
    outcomes, skipped = LOGS[name]
    log = models.read_battles(sheet.path)
    assert holds_log(sheet) and log.outcome.tolist() == outcomes and sum(log.skipped.values()) == skipped
    assert log.ordered == (name != "c13b_counts.csv")


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.filterwarnings("ignore:.*rounded to 2 decimals")
def test_matrices(name):
    sheet = read_sheet(shared(f"cases/{name}"))
    assert not holds_log(sheet)
    np.testing.assert_allclose(models.read_matrix(sheet.path).mu, MATRICES[name], rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_the_cause(name):
    with pytest.raises(ValueError, match=REFUSED[name]):
        models.load(str(shared(f"cases/{name}")))


def test_temperatures_are_names():
    log = models.load(str(shared("cases/c21_temps.csv")))
    for name in ("c21_feat_head.csv", "c21_feat_nohead.csv"):
        features = models.features_for(log.model, shared(f"cases/{name}"))
        assert log.model.names == ("0.2", "0.7", "1.0") and features.tolist() == [[1.0], [2.0], [5.0]]
