"""The figures of a study: the numbers that they draw are those of the tables."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from llmpo_jax.engine.storage import StudyFolder
from llmpo_jax.report import curves, ends, figures, names, spread, stored, style
from llmpo_jax.spaces import SPACES
from llmpo_jax.theory.intervals import clopper_pearson, mean_interval
from tests.report.toy_study import BUDGETS, LIMIT, REPLICATIONS, RULES, SAMPLERS, TIME, make_study


@pytest.fixture
def findings(tmp_path: Path) -> Iterator[stored.Findings]:
    with style.look():
        yield stored.load(make_study(tmp_path / "results" / "toy"))[0]


def _line(panel: Axes, label: str) -> Line2D:
    return next(line for line in panel.get_lines() if line.get_label() == label)


def _xy(line: Line2D) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def _drawn(drawing: style.Drawing | None) -> Figure:
    assert drawing is not None
    return drawing.figure


def _caption(drawing: style.Drawing | None) -> str:
    assert drawing is not None
    return drawing.caption


def _written(panel: Axes) -> list[str]:
    return [text.get_text() for text in panel.texts if text.get_text()]


def test_correct_selection_is_the_rate_of_the_table_with_its_exact_interval(findings: stored.Findings) -> None:
    figure = _drawn(curves.correct_selection(findings, "page"))
    for (r, panel), (s, sampler) in itertools.product(enumerate(figure.axes), enumerate(SAMPLERS)):
        budgets, rate = _xy(_line(panel, sampler))
        right = [5 + 5 * b - s + r for b in range(len(BUDGETS))]
        np.testing.assert_array_equal(budgets, BUDGETS)
        np.testing.assert_allclose(rate, np.array(right) / REPLICATIONS)
        assert sampler in _written(panel)
        bands = [each for each in panel.collections if each.get_label() == sampler]
        assert len(bands) == (sampler in ("llm-po", "round-robin"))  # LLM-PO and the best of the others
        for budget, count in zip(BUDGETS, right, strict=True) if bands else ():
            outline = np.asarray(bands[0].get_paths()[0].vertices)
            heights = outline[outline[:, 0] == budget, 1]
            low, high = clopper_pearson(count, REPLICATIONS)
            np.testing.assert_allclose([heights.min(), heights.max()], [low, high])
    assert [panel.get_xscale() for panel in figure.axes] == ["log", "log"]


def test_panels_say_which_rule_is_proven(findings: stored.Findings) -> None:
    titles = [panel.get_title() for panel in _drawn(curves.correct_selection(findings, "page")).axes]
    assert titles == ["e-process (proven)", "stylised (heuristic)"]
    assert style.rule_label("kaufmann-koolen") == "kaufmann-koolen (proven)"
    assert style.rule_label("custom") == "custom"


def test_a_rule_of_which_no_budget_is_asked_has_no_panel(findings: stored.Findings) -> None:
    for number, rules in enumerate(([RULES[0]], [])):
        asked = findings.table.filter(pl.col("budget").is_null() | pl.col("stopping").is_in(rules))
        drawing = curves.correct_selection(dataclasses.replace(findings, table=asked), "page")
        assert (drawing is None) == bool(number)
        assert drawing is None or [panel.get_title() for panel in drawing.figure.axes] == ["e-process (proven)"]


@pytest.mark.parametrize("width", style.WIDTHS)
@pytest.mark.parametrize("maker", figures.FIGURES.values(), ids=figures.FIGURES)
def test_every_figure_fits_its_page_and_its_caption_says_what_it_is(maker, width: str, findings) -> None:
    figure, caption = maker(findings, width)
    assert "toy-6, K = 6, 20 replications" in caption and "results/toy/" in caption
    assert figure.get_figwidth() == style.WIDTHS[width]
    assert [bool(panel.get_xlabel()) for panel in figure.axes] == [width == "page", True]
    figure.draw_without_rendering()
    page = figure.bbox
    texts = [
        each for panel in figure.axes for each in (*panel.texts, panel.title, panel.xaxis.label, panel.yaxis.label)
    ]
    boxes = [each.get_window_extent() for each in (*filter(Text.get_text, texts), *figure.legends)]
    for box in (*boxes, *(panel.get_tightbbox() for panel in figure.axes)):
        assert box.x0 >= -1 and box.x1 <= page.width + 1 and box.y0 >= -1 and box.y1 <= page.height + 1
    labels = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text() in SAMPLERS]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(labels, 2))


def test_labels_stay_in_order_and_apart() -> None:
    places = ends.spread(np.array([0.98, 1.0, 1.0, 0.2]), 0.1)
    np.testing.assert_allclose(places, [0.8, 1.0, 0.9, 0.2])
    np.testing.assert_allclose(np.sort(ends.spread(np.zeros(4), 0.5)), [0, 1 / 3, 2 / 3, 1])


def test_stopping_time_draws_median_mean_and_bound_at_the_smallest_delta(findings: stored.Findings) -> None:
    figure = _drawn(spread.stopping_time(findings, "page"))
    assert "δ = 0.001" in figure.axes[0].get_xlabel()
    runs = findings.table.filter(pl.col("delta") == 0.001)
    for panel, rule in zip(figure.axes, RULES, strict=True):
        means = [line for line in panel.get_lines() if line.get_label() == "mean"]
        for row, sampler in enumerate(SAMPLERS):
            mine = runs.filter((pl.col("stopping") == rule) & (pl.col("sampler") == sampler))
            times = mine["comparisons"].fill_null(LIMIT).to_numpy()
            assert _xy(means[row])[0] == pytest.approx([times.mean()])
            first, third = np.quantile(times, [0.25, 0.75])
            box = panel.patches[row].get_window_extent().transformed(panel.transData.inverted())
            np.testing.assert_allclose([box.x0, box.x1], [first, third])
            median = np.asarray(panel.collections[2 * row + 1].get_paths()[0].vertices)
            np.testing.assert_allclose(median[:, 0], np.median(times))
        bound = [line for line in panel.get_lines() if np.allclose(line.get_xdata(), TIME * math.log(1000) * 0.9)]
        assert len(bound) == 1


def test_stopping_time_marks_censored_samplers_and_no_others(findings: stored.Findings) -> None:
    figure = _drawn(spread.stopping_time(findings, "page"))
    for panel in figure.axes:
        faces = [to_hex(line.get_markerfacecolor()) for line in panel.get_lines() if line.get_label() == "mean"]
        assert faces == ["#000000", "#ffffff", "#000000"]
        assert [text.get_text() for text in panel.texts if "%" in text.get_text()] == ["10%"]
    assert "mean, at least" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_ratio_is_the_mean_over_the_bound_and_hollow_where_censored(findings: stored.Findings) -> None:
    drawing = curves.ratio(findings, "page")
    figure = _drawn(drawing)
    for panel, rule in zip(figure.axes, RULES, strict=True):
        for sampler in SAMPLERS:
            mine = findings.summary.filter((pl.col("stopping") == rule) & (pl.col("sampler") == sampler))
            level, value = _xy(_line(panel, sampler))
            np.testing.assert_allclose(level, [1, 3])
            np.testing.assert_allclose(value, mine["mean"].to_numpy() / (TIME * np.log([10, 1000])))
            color = to_rgb(style.sampler_styles(SAMPLERS)[sampler].color)
            marks = [
                line
                for line in panel.get_lines()
                if line.get_linestyle() == "None" and to_rgb(line.get_color()) == color
            ]
            hollow = [len(_xy(line)[0]) for line in marks if to_hex(line.get_markerfacecolor()) == "#ffffff"]
            assert sum(hollow) == (2 if sampler == "round-robin" else 0)
    assert any(np.allclose(line.get_ydata(), 1.0) for line in figure.axes[0].get_lines())
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0.1", "0.001"]
    assert "Hollow" in _caption(drawing)


def test_ratio_intervals_are_those_of_the_mean(findings: stored.Findings) -> None:
    panel = _drawn(curves.ratio(findings, "page")).axes[0]
    row = findings.summary.row(0, named=True)
    bars = np.asarray(panel.containers[0].lines[2][0].get_paths()[0].vertices)[:, 1]  # pyright: ignore
    scale = TIME * math.log(1 / row["delta"])
    np.testing.assert_allclose(np.sort(bars), [(row["mean"] - 11) / scale, (row["mean"] + 13) / scale])


def test_nothing_is_hollow_without_censoring(findings: stored.Findings) -> None:
    calm = findings.summary.with_columns(censored=pl.lit(0.0))
    assert "Hollow" not in _caption(curves.ratio(_replace(findings, summary=calm), "page"))


def _replace(findings: stored.Findings, **changes) -> stored.Findings:
    return stored.Findings(**{**vars(findings), **changes})


def test_one_replication_has_no_interval_but_a_figure(findings: stored.Findings) -> None:
    wide = findings.summary.with_columns(mean_low=pl.lit(-math.inf), mean_high=pl.lit(math.inf))
    figure = _drawn(curves.ratio(_replace(findings, summary=wide), "page"))
    figure.draw_without_rendering()
    assert np.isfinite(figure.axes[0].get_ylim()).all()


def test_proportions_are_those_of_the_table_and_add_up(findings: stored.Findings) -> None:
    figure = _drawn(spread.proportions(findings, "page"))
    assert "δ = 0.001" in figure.axes[0].get_xlabel()
    assert figure.axes[0].get_ylabel() == "a compared with"
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["f", "e", "d", "c", "b", "10 other pairs"]
    for panel, rule in zip(figure.axes, RULES, strict=True):
        np.testing.assert_allclose([bar.get_width() for bar in panel.patches], np.array([5, 4, 3, 2, 1, 0]) / 15)  # pyright: ignore
        for sampler in SAMPLERS:
            share, _ = _xy(_line(panel, sampler))
            mine = findings.pairs.filter((pl.col("stopping") == rule) & (pl.col("sampler") == sampler))
            listed = mine.filter(pl.col("first") == "a").sort("second", descending=True)["proportion"].to_numpy()
            np.testing.assert_allclose(share, [*listed, 1 - listed.sum()])
        groups = np.array(
            findings.pairs.filter(pl.col("stopping") == rule, pl.col("sampler") == "llm-po")["groups"].to_list()
        )
        interval = np.asarray(panel.collections[0].get_paths()[0].vertices)  # of the first row, the pair of a and f
        np.testing.assert_allclose(interval[:, 0], spread.share_interval(groups[4], groups.sum(axis=0)))


def test_share_intervals_are_students_where_the_groups_are_equally_large() -> None:
    parts = np.array([13, 17, 20, 11, 14, 16, 19, 12])
    _, low, high = mean_interval(parts / 100)
    np.testing.assert_allclose(spread.share_interval(parts, np.full(8, 100)), (low, high))
    assert np.isnan(spread.share_interval(parts, np.array([100] * 7 + [0]))).all()  # seven replications or fewer


def test_without_a_winner_the_most_compared_pairs_stand_alone(tmp_path: Path) -> None:
    findings = stored.load(make_study(tmp_path / "cycle [1]", sources={"cycle": False}))[0]  # brackets are no pattern
    assert not findings.has_winner
    assert curves.correct_selection(findings, "page") is None
    assert curves.ratio(findings, "page") is None
    figure = _drawn(spread.proportions(findings, "page"))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "e vs f" and len(labels) < 15 and labels[-1] == f"{16 - len(labels)} other pairs"
    assert not figure.axes[0].patches and "optimal" not in [text.get_text() for text in figure.legends[0].get_texts()]
    assert "lower bound" not in _caption(spread.stopping_time(findings, "page"))


def test_samplers_keep_their_style_whatever_else_is_drawn() -> None:
    alone, among = style.sampler_styles(["rucb"]), style.sampler_styles(["mine", "llm-po", "rucb", "yours"])
    assert alone["rucb"] == among["rucb"]
    assert len({(look.color, look.dashes, look.marker) for look in among.values()}) == 4
    assert max(among, key=lambda name: among[name].width) == "llm-po"
    known = style.sampler_styles([name for space in SPACES.values() for name in space.samplers.names()])
    assert len({look.color for look in known.values()}) == len({(look.dashes, look.marker) for look in known.values()})
    assert len({look.color for look in known.values()}) == len(known)


def test_draw_writes_every_format_and_the_caption(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "toy", deltas=())
    kinds = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    paths = figures.draw(folder, tuple(kinds), "column", ["mine", "llm-po"])
    assert [path.name for path in paths] == [f"correct_selection.{kind}" for kind in kinds]
    caption = folder / "figures" / "correct_selection.txt"
    assert sorted((folder / "figures").iterdir()) == sorted([*paths, caption])
    assert "for llm-po and mine only" in caption.read_text(encoding="utf-8")
    before = [path.read_bytes() for path in paths]
    assert [content.startswith(start) for content, start in zip(before, kinds.values(), strict=True)] == [True] * 3
    assert b"/FontFile2" in before[2] and b"/Type3" not in before[2] and b"Date" not in before[2]  # text in TrueType
    figures.draw(folder, tuple(kinds), "column", ["mine", "llm-po"])
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"formats": []}, "format = '', expected one of png, pdf, svg"),
        ({"formats": ["jpg"]}, "format = 'jpg', expected one of png, pdf, svg"),
        ({"width": "wide"}, "width = 'wide', expected one of column, page"),
        ({"samplers": ["rucb"]}, "sampler 'rucb' is not in .*, expected one of llm-po, round-robin, mine"),
    ],
)
def test_draw_rejects_what_it_cannot_draw(tmp_path: Path, wrong: dict, message: str) -> None:
    folder = make_study(tmp_path / "toy")
    with pytest.raises(ValueError, match=message):
        figures.draw(folder, **wrong)
    assert not (folder / "figures").exists()


def test_names_are_drawn_as_given_or_as_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mathematics, no boxes, nothing that stands for two policies; the caption has what does not fit."""
    monkeypatch.setattr(names, "_files", lambda: {style.FONT: font_manager.findfont(style.FONT)})
    monkeypatch.setattr(figures, "FIGURES", {"proportions": spread.proportions})
    long = "Answer as briefly as {} sentences allow, and be polite"
    given = ["cost $5 or $6", "短", long.format("ten"), long.format("two"), "e", "f"]
    folder = make_study(tmp_path / "toy")
    renamed = pl.col("first", "second").replace(dict(zip("abcdef", given, strict=True)))
    pl.read_parquet(folder / "pairs.parquet").with_columns(renamed).write_parquet(folder / "pairs.parquet")
    with pytest.warns(UserWarning, match=r"no installed font has the letters 短: .* codes such as \\u77ed;"):
        figures.draw(folder)
    caption = " ".join((folder / "figures" / "proportions.txt").read_text(encoding="utf-8").split())
    assert f"“Answer as … be polite #3” is “{given[2]}”" in caption
    assert f"“Answer as … be polite #4” is “{given[3]}”" in caption and r"“\u77ed” is “短”" in caption
    assert "“cost" not in caption


def test_names_are_shortened_by_their_width() -> None:
    assert names.drawable(["tab\tin", "a\u00a0b", "a b"], 24, set()) == {
        "tab\tin": r"tab\tin",
        "a\u00a0b": "a b #2",
        "a b": "a b #3",
    }
    assert names.drawable(["请用一句话", "12345678"], 7, set()) == {"请用一句话": "请…话", "12345678": "123…678"}


def test_draw_names_the_source_where_there_are_several(tmp_path: Path) -> None:
    paths = figures.draw(make_study(tmp_path / "two", sources={"toy-6": True, "cycle": False}))
    full = [f"{name}_toy-6.png" for name in figures.FIGURES]
    assert [path.name for path in paths] == [*full, "stopping_time_cycle.png", "proportions_cycle.png"]


@pytest.mark.parametrize(
    ("kept", "names"),
    [
        ({"budgets": ()}, ["stopping_time.png", "ratio.png", "proportions.png"]),
        ({"deltas": ()}, ["correct_selection.png"]),
    ],
)
def test_draw_leaves_out_what_has_no_data(tmp_path: Path, kept: dict, names: list[str]) -> None:
    assert [path.name for path in figures.draw(make_study(tmp_path / "part", **kept))] == names


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_study(tmp_path / "toy", deltas=())
    first = figures.draw(folder)[0]
    before = first.read_bytes()

    def broken(self: Figure, path: Path, **_) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", broken)
    with pytest.raises(OSError, match="disk full"):
        figures.draw(folder)
    assert first.read_bytes() == before
    assert not list((folder / "figures").glob("*.partial"))


def test_draw_rejects_what_is_no_finished_study(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no study"):
        figures.draw(tmp_path)
    study = StudyFolder(make_study(tmp_path / "toy"))
    manifest = study.read_manifest()
    study.write_manifest({**manifest, "complete": False})
    with pytest.raises(ValueError, match="not complete"):
        figures.draw(study.path)
    study.write_manifest({**manifest, "format": 1})
    with pytest.raises(ValueError, match=r"another version \(format 1, now"):
        figures.draw(study.path)
