"""Names as they can be drawn: in fonts that have their letters, short enough, and no two alike."""

from __future__ import annotations

import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence

from matplotlib import font_manager

from llmpo_jax.report.style import FONT


def fonts(texts: Iterable[str]) -> tuple[list[str], set[str]]:
    """Installed fonts that together have the letters which the figures' own font lacks.

    Returns:
        Their families, those that help most first; the letters that no font has.
    """
    missing = {letter for text in texts for letter in text if letter.isprintable()}
    files = _files()
    missing -= _glyphs(files[FONT], missing)
    families: list[str] = []
    while missing:
        found = {family: _glyphs(file, missing) for family, file in files.items()}
        best = max(found, key=lambda family: (len(found[family]), "Sans" in family, family))
        if not found[best]:
            break
        families.append(best)
        missing -= found[best]
    return families, missing


def _files() -> dict[str, str]:
    """The upright file of each family, without fonts of last resort, which have a box for every letter there is."""
    every = [
        font for font in font_manager.fontManager.ttflist if "lastresort" not in font.name.replace(" ", "").lower()
    ]
    upright_last = sorted(every, key=lambda font: (font.style == "normal", font.weight == 400))
    return {font.name: font.fname for font in upright_last}


def _glyphs(file: str, letters: set[str]) -> set[str]:
    """Which of the letters a font can draw."""
    try:
        face = font_manager.get_font(file)
    except (RuntimeError, OSError):  # a broken file
        return set()
    if not face.scalable:  # pictures of one size, such as emoji
        return set()
    return {letter for letter in letters if face.get_char_index(ord(letter))}


def note_missing(missing: set[str]) -> None:
    """Say once that letters are drawn as codes, and what helps."""
    if missing:
        few = "".join(sorted(missing)[:12]) + ("…" if len(missing) > 12 else "")
        warnings.warn(
            f"no installed font has the letters {few}: the figures write them as codes such as "
            f"{_code(min(missing))}; with a font that has them (Noto Sans CJK, for one) they are drawn as they are",
            UserWarning,
            stacklevel=2,
        )


def drawable(names: Sequence[str], length: int, missing: set[str]) -> dict[str, str]:
    """What to draw for each name: at most `length` letters wide, none of them `missing`, no two alike.

    Where names are alike when shortened, each gets its number among `names`.
    """
    written = {name: [_written(letter, missing) for letter in name] for name in names}
    short = {name: shorten(units, length) for name, units in written.items()}
    times = Counter(short.values())
    for number, name in enumerate(short, start=1):
        if times[short[name]] > 1:
            mark = f" #{number}"
            short[name] = shorten(written[name], length - len(mark)) + mark
    return short


def _written(letter: str, missing: set[str]) -> str:
    if unicodedata.category(letter) == "Zs":
        return " "
    return letter if letter.isprintable() and letter not in missing else _code(letter)


def _code(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def shorten(units: Sequence[str], length: int) -> str:
    """Letters or codes as a text, the middle left out where it is wider than `length` letters."""
    if letters("".join(units)) <= length:
        return "".join(units)
    side = (length - 1) // 2
    return f"{''.join(_head(units, length - 1 - side))}…{''.join(_head(units[::-1], side)[::-1])}"


def _head(units: Sequence[str], length: int) -> Sequence[str]:
    return next(units[:end] for end in range(len(units), -1, -1) if letters("".join(units[:end])) <= length)


def letters(text: str) -> int:
    """How wide a text is, in Latin letters: a Chinese one takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
