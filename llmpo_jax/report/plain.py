"""Text for terminals and files whose encoding cannot hold every character."""

from __future__ import annotations

import codecs

ERRORS = "llmpo-plain"
"""Name of the codec error handler that spells out what the encoding cannot hold."""
_SPELT = {"δ": "delta", "±": "+-", "≥": ">=", "≤": "<=", "…": "..."}


def _spell_out(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(_SPELT.get(c, c.encode("ascii", "backslashreplace").decode()) for c in bad), error.end


codecs.register_error(ERRORS, _spell_out)


def spelt(text: str, encoding: str) -> str:
    """`text` as it is written in `encoding`: signs by their names, other characters that do not fit as escapes."""
    return text.encode(encoding, ERRORS).decode(encoding)
