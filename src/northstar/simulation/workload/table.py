"""Tables and lists of JSON as frozen types, a row at a time; what does not fit is named by file, line and column."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec

from northstar.domain.misfits import alike
from northstar.simulation.workload.errors import (
    TraceColumnMissing,
    TraceColumnUnknown,
    TraceEmpty,
    TraceRowInvalid,
    TraceUnsorted,
)
from northstar.simulation.workload.trace_file import document_of, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Row = TypeVar("Row", bound=msgspec.Struct)
_T = TypeVar("_T")

_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`")
_MISSING: Final = re.compile(r"Object missing required field `(.*)`")
_NOTHING: Final = "nothing"


class Place(NamedTuple):
    """Where a row stands."""

    path: Path
    line: int


def rows_of(path: Path, kind: type[Row], *, time: str = "", is_harmless: bool = False) -> Iterator[Row]:
    """The rows of a CSV file. See `numbered_rows_of`."""
    for _, row in numbered_rows_of(path, kind, time=time, is_harmless=is_harmless):
        yield row


def numbered_rows_of(
    path: Path, kind: type[Row], *, time: str = "", is_harmless: bool = False
) -> Iterator[tuple[int, Row]]:
    """The rows of a CSV file with a line of names, each with the line on which it ends. A column is called as `kind` encodes it; an empty field is not given.

    `time` is the field by which rows must be in order; "": any order. `is_harmless`: an apostrophe before a text was put there for
    spreadsheets, and is taken off.

    Raises:
        TraceUnreadable, TraceTooLarge: see `lines_of`.
        TraceColumnUnknown, TraceColumnMissing: of the first line.
        TraceRowInvalid: a row has more or fewer fields than there are columns, or one that is not possible.
        TraceUnsorted: a row is earlier than the one before.
        TraceEmpty: there are no rows.
    """
    reader = csv.reader(lines_of(path), strict=True)
    header = _header(path, reader, kind)
    name_of_time = next((one.encode_name for one in msgspec.structs.fields(kind) if one.name == time), "")
    before: Any = None
    read = False
    for record in _records(path, reader):
        if not record:
            continue  # a blank line, as editors leave at the end
        place = Place(path, reader.line_num)
        row = _row(place, header, record, kind, is_harmless=is_harmless)
        if time:
            now = getattr(row, time)
            if before is not None and now < before:
                raise TraceUnsorted(path, line=place.line, column=name_of_time, found=now, before=before)
            before = now
        read = True
        yield place.line, row
    if not read:
        raise TraceEmpty(path)


def json_rows_of(path: Path, kind: type[Row], *, time: str) -> Iterator[Row]:
    """The rows of a file with a JSON object on each line, in the order of `time`. Raises as `rows_of`."""
    decoder = msgspec.json.Decoder(kind)
    before: Any = None
    for number, line in enumerate(lines_of(path), start=1):
        if not line.strip():
            continue
        place = Place(path, number)
        row = _decoded(place, decoder, line)
        now = getattr(row, time)
        if before is not None and now < before:
            raise TraceUnsorted(path, line=number, column=time, found=now, before=before)
        before = now
        yield row
    if before is None:
        raise TraceEmpty(path)


def json_document_of(path: Path, kind: type[_T]) -> _T:
    """A file that is one JSON document. Raises as `rows_of`, with the path inside the document for a column."""
    found = document_of(path)
    if not found.strip():
        raise TraceEmpty(path)
    return _decoded(Place(path, 1), msgspec.json.Decoder(kind), found)


def _header(path: Path, reader: Any, kind: type[Row]) -> list[str]:
    header = next(_records(path, reader), [])
    if not header:
        raise TraceEmpty(path)
    fields = msgspec.structs.fields(kind)
    known = [field.encode_name for field in fields]
    for column in header:
        if column not in known:
            raise TraceColumnUnknown(path, line=1, column=column, hint=_instead(column, known))
    if len(set(header)) < len(header):
        twice = next(column for column in header if header.count(column) > 1)
        raise TraceRowInvalid(path, line=1, column=twice, found="the column twice", expected="each column once")
    lacking = [field.encode_name for field in fields if field.required and field.encode_name not in header]
    if lacking:
        raise TraceColumnMissing(path, columns=lacking)
    return header


def _records(path: Path, reader: Any) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as exc:
        raise TraceRowInvalid(
            path, line=reader.line_num, column="(the whole row)", found=str(exc), expected="CSV as in RFC 4180"
        ) from exc


def _row(place: Place, header: list[str], record: list[str], kind: type[Row], *, is_harmless: bool) -> Row:
    if len(record) != len(header):
        raise TraceRowInvalid(
            place.path,
            line=place.line,
            column=header[min(len(record), len(header)) - 1],
            found=f"{len(record)} fields",
            expected=f"{len(header)}, one for each column",
        )
    given = {name: text for name, text in zip(header, record, strict=True) if text}
    if is_harmless:
        given = {name: text.removeprefix("'") for name, text in given.items()}
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise _refusal(place, exc, given) from exc


def _decoded(place: Place, decoder: msgspec.json.Decoder[_T], text: str | bytes) -> _T:
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as exc:
        raise _refusal(place, exc, {}) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise TraceRowInvalid(
            place.path, line=place.line, column="(the whole of it)", found=str(exc), expected="JSON"
        ) from exc


def _refusal(place: Place, exc: msgspec.ValidationError, given: dict[str, str]) -> Exception:
    words, _, where = str(exc).partition(" - at `")
    column = where.strip("`").removeprefix("$").removeprefix(".")
    if unknown := _UNKNOWN.fullmatch(words):
        name = f"{column}.{unknown[1]}".lstrip(".")
        return TraceColumnUnknown(place.path, line=place.line, column=name, hint="take it out, or check its spelling")
    if missing := _MISSING.fullmatch(words):
        name = f"{column}.{missing[1]}".lstrip(".")
        return TraceRowInvalid(place.path, line=place.line, column=name, found=_NOTHING, expected="a value")
    expected, _, got = words.removeprefix("Expected ").partition(", got ")
    found = repr(given[column]) if column in given else got or "something else"
    return TraceRowInvalid(
        place.path, line=place.line, column=column or "(the whole of it)", found=found, expected=expected
    )


def _instead(column: str, known: list[str]) -> str:
    near = alike(column, known)
    return f"did you mean {near!r}?" if near else f"take it out; known are {', '.join(known)}"
