"""A file of rows and cells, whatever program wrote it: its encoding, its separator, its lines.

CSV with comma, semicolon, tab or bar, columns aligned by blanks, JSON lines, a JSON array of objects, Parquet; any of
these compressed by gzip; text in UTF-8, UTF-16 or Windows-1252 (which has all of Latin-1's letters). Polars reads it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl  # slow to import, and needed only where a file is read

SEPARATORS = "\t;|,"
"""Tried in this order: a comma in a cell is common, a tab is not."""

_SAMPLE = 30
"""Lines by which the separator is found."""

#: A row of a file: its line number (from 1; its first one, where a cell has line breaks) and its cells.
Row = tuple[int, list[str]]


@dataclass(frozen=True, eq=False)
class Sheet:
    """The cells of a file, as text without blanks around it.

    Attributes:
      path: the file, as it is named in messages.
      frame: one column of text per column of the file, rows that are not blank; the first one is the header, where the
        file has any. Cells that are missing are "".
      row: the number of each row in the file, from 0.
      separator: what stood between the cells, "" where that was no character.
    """

    path: str
    frame: pl.DataFrame
    row: pl.Series
    separator: str

    @property
    def header(self) -> list[str]:
        """The cells of the first row."""
        return list(self.frame.row(0))

    def line(self, index: int) -> int:
        """The line of the file at which a row starts, from 1."""
        import polars as pl

        before = self.frame.head(index).select(pl.all().str.count_matches("\n").sum())
        return int(self.row[index]) + 1 + (sum(before.row(0)) if index else 0)

    def rows(self) -> list[Row]:
        """All rows with their lines; for files that are small."""
        import polars as pl

        breaks = self.frame.select(pl.sum_horizontal(pl.all().str.count_matches("\n"))).to_series()
        lines = self.row + 1 + breaks.cum_sum() - breaks
        return [(line, list(cells)) for line, cells in zip(lines, self.frame.iter_rows(), strict=True)]


def read_sheet(path: str | os.PathLike[str]) -> Sheet:
    """The rows of a file that are not blank, at least one.

    A UserWarning tells where the text is taken to be Windows-1252.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a directory, an empty file, no text, a row with more cells than the first one, or quotes that are not
        closed; the message names the line.
    """
    import polars as pl

    if Path(path).is_dir():
        raise ValueError(f"{path} is a directory, expected a file")
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a table such as a CSV file")
    data = _unpacked(path, Path(path).read_bytes())
    if data.startswith(b"PAR1"):
        return _with_header(path, _as_text(pl.read_parquet(io.BytesIO(data))))
    text = _text(path, data).replace("\r\n", "\n").replace("\r", "\n")
    objects = _objects(path, text)
    if objects is not None:
        return _with_header(path, objects)
    separator = _separator(text)
    if not separator:
        text, separator = "\n".join(",".join(line.split()) for line in text.split("\n")), ","
    return _sheet(path, _cells(path, text, separator), separator)


def _sheet(path: str | os.PathLike[str], frame: pl.DataFrame, separator: str, first: int = 0) -> Sheet:
    """The rows of a frame that are not blank, numbered from `first`."""
    import polars as pl

    frame = frame.select(pl.all().str.strip_chars().fill_null("")).with_row_index("row")
    cells = pl.all().exclude("row")
    frame = frame.filter(pl.any_horizontal(cells != ""))
    if frame.is_empty():
        raise ValueError(f"{path}: the file is empty, expected a header or a row of numbers")
    return Sheet(str(path), frame.drop("row"), frame["row"].cast(pl.Int64) + first, separator)


def _unpacked(path: str | os.PathLike[str], data: bytes) -> bytes:
    if data.startswith(b"PK\x03\x04"):
        raise ValueError(f"{path} is a zip archive or an Excel workbook, expected text: save the sheet as CSV")
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise ValueError(f"{path}: damaged gzip file ({error}), expected one that unpacks") from None


def _text(path: str | os.PathLike[str], data: bytes) -> str:
    """The text of a file, by its byte order mark, the zeros of UTF-16 without one, or what it decodes as."""
    marked, start = data.startswith((b"\xff\xfe", b"\xfe\xff")), data[:256]
    if marked or start.count(0) > len(start) // 3:
        little = data.startswith(b"\xff\xfe") or (not marked and data[1:2] == b"\0")
        try:
            return data.decode("utf-16-le" if little else "utf-16-be").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is no text ({error}), expected CSV or JSON lines, in UTF-8 or UTF-16") from None
    if 0 in data:
        raise ValueError(f"{path} is no text (byte 0 at {data.index(0):,}), expected CSV, JSON lines or Parquet")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        warnings.warn(f"{path} is not in UTF-8, and is read as Windows-1252 (Latin-1)", stacklevel=4)
        return data.decode("cp1252", errors="replace")


def _objects(path: str | os.PathLike[str], text: str) -> pl.DataFrame | None:
    """The values of JSON lines or of a JSON array of objects, one column per key; None for other text.

    Lists and objects among the values (whole conversations, in the logs of arenas) are no cells, and left out.
    """
    import polars as pl

    start = text.lstrip()[:1]
    if start not in ("{", "["):
        return None
    data = io.BytesIO(text.encode())
    try:
        read = pl.read_ndjson if start == "{" else pl.read_json
        return _as_text(read(data, infer_schema_length=None))
    except (pl.exceptions.PolarsError, ValueError):
        pass  # values of several types in one column, or no JSON
    try:
        rows = [json.loads(line) for line in text.split("\n") if line.strip()] if start == "{" else json.loads(text)
    except ValueError as error:
        if start == "[":
            return None  # a policy's name may start so
        raise ValueError(f"{path}: {_place(text)}{error}, expected JSON lines, an object in each") from None
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: expected objects with the same keys, in JSON lines or in one array")
    keys = dict.fromkeys(key for row in rows for key in row)
    return pl.DataFrame({key: [_cell(row.get(key)) for row in rows] for key in keys}, dict.fromkeys(keys, pl.String))


def _place(text: str) -> str:
    """The line of the first object that is no JSON."""
    for number, line in enumerate(text.split("\n"), 1):
        try:
            json.loads(line or "0")
        except ValueError:
            return f"line {number}: "
    return ""


def _cell(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None or isinstance(value, list | dict) else str(value)


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    import polars as pl
    import polars.selectors as cs

    return frame.select(~(cs.nested() | cs.binary() | cs.object())).cast(pl.String)


def _with_header(path: str | os.PathLike[str], frame: pl.DataFrame) -> Sheet:
    """The names of the columns as a first row, as text files have them."""
    import polars as pl

    if not frame.width:
        raise ValueError(f"{path}: no values but lists and objects, expected an object with plain values for each row")
    header = pl.DataFrame([frame.columns], schema=frame.schema, orient="row")
    return _sheet(path, pl.concat([header, frame]), "", first=-1)


def _separator(text: str) -> str:
    """The character between cells: the first one that splits all lines alike, or the one that splits the first best.

    "" where it is none, but blanks split all lines alike.
    """
    lines = [line for line in text[:65536].split("\n") if line.strip()][:_SAMPLE]
    widths = {separator: _widths(lines, separator) for separator in SEPARATORS}
    for separator, found in widths.items():
        if len(set(found)) == 1 and found[0] > 1:
            return separator
    best = max(reversed(SEPARATORS), key=lambda separator: (widths[separator] or [0])[0])
    blanks = {len(line.split()) for line in lines}
    alone = not widths[best] or widths[best][0] == 1
    return "" if alone and len(blanks) == 1 and blanks != {1} else best


def _widths(lines: list[str], separator: str) -> list[int]:
    """Cells of each row."""
    try:
        return [len(row) for row in csv.reader(lines, delimiter=separator)]
    except csv.Error:
        return []


def _cells(path: str | os.PathLike[str], text: str, separator: str) -> pl.DataFrame:
    """The cells of CSV text. Polars reads it; what it refuses is read by Python's slower reader, which tells where."""
    import polars as pl

    def read(text: str) -> pl.DataFrame:
        data = io.BytesIO(text.encode())
        return pl.read_csv(data, separator=separator, has_header=False, infer_schema=False)

    try:
        return read(text)
    except pl.exceptions.NoDataError:
        return pl.DataFrame({"": [""]})
    except pl.exceptions.PolarsError:
        return _slowly(path, text, separator)


def _slowly(path: str | os.PathLike[str], text: str, separator: str) -> pl.DataFrame:
    import polars as pl

    limit = csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    start, width = 1, 0
    try:
        for cells in reader:
            width = width or len(cells)
            rows.append(_fitting(path, start, cells, width))
            start = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}, line {start}: {error}, expected quotes that are closed and doubled inside") from None
    finally:
        csv.field_size_limit(limit)
    rows = [row + [""] * (width - len(row)) for row in rows]
    return pl.DataFrame(rows, schema=[str(column) for column in range(width)], orient="row")


def _fitting(path: str | os.PathLike[str], line: int, cells: list[str], width: int) -> list[str]:
    """The cells of a row, as many as the first row has."""
    if any(cell.strip() for cell in cells[width:]):
        raise ValueError(
            f"{path}, line {line}: {len(cells)} columns, expected {width} as in the first row; a cell that holds the "
            "separator must stand in quotes"
        )
    return (cells + [""] * (width - len(cells)))[:width]


def number(cell: str) -> float | None:
    """The number that a cell holds, or None where it holds something else."""
    try:
        return float(cell)
    except ValueError:
        return None


def words(text: str) -> tuple[str, ...]:
    """The words of a column's name or of a verdict, in lower case: `modelA_name` is ("model", "a", "name")."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z][^A-Z]|[A-Z]$)|(?<=[a-zA-Z])(?=[0-9])", "_", text)
    return tuple(re.findall(r"[^\W_]+", text.lower()))
