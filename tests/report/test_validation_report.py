"""The report of a validation, from claims without simulations."""

from __future__ import annotations

import hashlib
import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from llmpo_jax.report import gallery
from llmpo_jax.validation.claims import Check, Claim
from llmpo_jax.validation.validate import CLAIMS, DRAWINGS
from tests.report import toy_claims as toy

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
PHONE = 390
"""Width of its window, pixels."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a validation in which one claim holds, one fails, one is undecided, and a defect goes through."""
    path = tmp_path_factory.mktemp("validation") / "toy"
    toy.written(path, toy.report(toy.holding(), toy.failing(), toy.undecided(), caught=False))
    return path


def _section(folder: Path, number: str) -> str:
    return (folder / "report.md").read_text(encoding="utf-8").split(f"## {number}: ")[1].split("\n## ")[0]


def test_verdicts_come_first_and_lead_to_their_sections(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "Of 3 claims 1 holds, 1 is undecided, 1 fails. Of 1 planted defects 0 were caught." in text
    page = (folder / "report.html").read_text(encoding="utf-8")
    for anchor in ("c1", "c2", "c7", "planted-defects"):
        assert f"](#{anchor}) |" in text and f'<a id="{anchor}"></a>' in text
        assert f'href="#{anchor}"' in page and f'<h2 id="{anchor}"' in page
    assert '<span class="bad">1 went through</span>' in page


def test_what_fails_stands_before_what_holds_and_many_are_folded(folder: Path) -> None:
    fails = _section(folder, "C2")
    assert fails.index("**fails**") < fails.index("| sound; delta = 0.1 | holds |") and "<details>" not in fails
    holds = _section(folder, "C1")
    assert "<summary>Checks that hold: 12</summary>" in holds and "what nobody claims: 1</summary>" in holds
    assert "In all 12 checks" in holds and "**fails**" not in holds  # one that is told only


def test_undecided_says_how_many_replications_would_decide(folder: Path) -> None:
    text = _section(folder, "C7")
    enough = toy.undecided().checks[0].enough
    assert enough is not None and f"{enough:,} replications would decide 1 of them" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[0].endswith("| would decide |")
    assert rows[2].endswith(f"| 1,000 | {enough:,} |") and rows[3].endswith("| 100 | nobody can say |")


def test_no_name_is_taken_for_markup(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page and page.count(html.escape(toy.EVIL)) > 6
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in _section(folder, "C2").splitlines() if line[:1] == "|"}
    assert cells == {7}


def test_the_tables_are_kept_and_nothing_comes_from_elsewhere(folder: Path) -> None:
    checks = pl.read_parquet(folder / "checks.parquet")
    assert checks["claim"].to_list() == ["C1"] * 13 + ["C2"] * 2 + ["C7"] * 3
    assert checks["verdict"].value_counts(sort=True)["verdict"][0] == "holds"
    assert pl.read_parquet(folder / "C7_levels.parquet").equals(toy.LEVELS)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert all(link.startswith(("#", "data:")) for link in re.findall(r'(?:src|href|srcset)="([^"]*)', page))
    assert "quick" in page and toy.MANIFEST["machine"] in page


def test_a_claim_holds_only_where_all_that_is_asserted_holds() -> None:
    def claim(**verdicts: Any) -> Claim:
        checks = [Check(name, "", 0, 0, 0, verdict, 1) for name, verdict in verdicts.items()]
        return Claim("C1", "", "", tuple(checks))

    assert toy.report(claim(a="holds", b="undecided")).passed
    assert not toy.report(claim(a="holds", b="undecided", c="fails")).passed
    assert not toy.report(claim(a="holds"), caught=False).passed
    assert toy.report(toy.holding()).passed  # what is told only fails


def test_figures_are_drawn_again_from_the_tables(folder: Path, tmp_path: Path) -> None:
    drawings = {"C7": toy.undecided().drawings, "C9": toy.undecided().drawings}
    sizes = {}
    for width in ("page", "column"):
        (drawn,) = gallery.draw(folder, ("svg",), width, drawings, tmp_path)
        assert drawn.files == (tmp_path / "C7_levels.svg",)
        text = drawn.files[0].read_text(encoding="utf-8")
        sizes[width] = re.findall(r'viewBox="0 0 ([\d.]+)', text)[0]
        if width == "page":
            assert text == (folder / "figures" / "C7_levels.svg").read_text(encoding="utf-8")
    assert sizes == {"page": "504", "column": "244.8"}
    digest = hashlib.sha256((folder / "C7_levels.parquet").read_bytes()).hexdigest()
    caption = " ".join((tmp_path / "C7_levels.txt").read_text(encoding="utf-8").split())
    command = f"llmpo-jax figures {folder} --width column --format svg"
    assert caption == f"Rates of {toy.EVIL}. Drawn by `{command}` from C7_levels.parquet, SHA-256 {digest}."


def test_what_cannot_be_drawn_is_said(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"holds no table of a validation, expected some of C2_forms\.parquet"):
        gallery.draw(tmp_path)
    with pytest.raises(ValueError, match=r"format = 'jpg', expected one of png, pdf, svg"):
        gallery.draw(folder, ("jpg",))

    def broken(*_: Any) -> None:
        raise RuntimeError("no\nink")

    monkeypatch.setattr(gallery, "draw", broken)
    toy.written(tmp_path / "toy", toy.report(toy.undecided()))
    assert r"The figures could not be drawn (no ink)." in _section(tmp_path / "toy", "C7")


def test_every_claim_has_its_drawings_registered() -> None:
    for number, claim in CLAIMS.items():
        own = getattr(sys.modules[claim.__module__], "DRAWINGS", {})
        assert DRAWINGS.get(number, {}) == own, number


def _seen(pages: dict[str, str], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """What a browser makes of pages in a window as wide as a phone's, and what it says on its console."""
    frames = "".join(f'<iframe id="{name}" srcdoc="{html.escape(page)}"></iframe>' for name, page in pages.items())
    script = """
    addEventListener("load", () => {
      const found = {};
      for (const frame of document.querySelectorAll("iframe")) {
        const page = frame.contentDocument;
        for (const fold of page.querySelectorAll("details")) fold.open = true;
        found[frame.id] = {
          width: page.documentElement.scrollWidth,
          images: [...page.images].map(image => [image.naturalWidth, image.clientWidth]),
          tables: [...page.querySelectorAll("table")].map(table => table.scrollWidth),
        };
      }
      document.getElementById("found").textContent = JSON.stringify(found);
    });"""
    style = f"<style>iframe {{ width: {PHONE}px; border: 0 }}</style>"
    wrapper = folder / "wrapper.html"
    icon = '<meta charset="utf-8"><link rel="icon" href="data:,">'
    wrapper.write_text(f"<!doctype html>{icon}{style}<pre id=found></pre>{frames}<script>{script}</script>", "utf-8")
    assert CHROMIUM is not None
    how = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={folder}/user"]
    command = [CHROMIUM, *how, "--dump-dom", wrapper.as_uri()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=True)
    found = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout)
    return json.loads(html.unescape(found[0])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_in_a_browser(folder: Path, tmp_path: Path) -> None:
    """Nothing on the console, figures visible, no page wider than a phone; a broken page shows that this is seen."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    broken = re.sub(r'srcset="[^"]*"', 'srcset="data:image/svg+xml;base64,AAAA"', page)
    broken = broken.replace('class="scroll"', "").replace("</body>", '<script>console.error("planted")</script></body>')
    seen, said = _seen({"report": page, "broken": broken}, tmp_path)
    ((natural, shown),) = seen["report"]["images"]
    assert PHONE - 60 < shown <= PHONE and 300 < natural < 400  # the narrow figure, 3.4 inches
    assert seen["report"]["width"] <= PHONE < max(seen["report"]["tables"])
    assert seen["broken"]["width"] > PHONE and seen["broken"]["images"][0][0] == 0
    assert len(said) == 1 and "planted" in said[0]
