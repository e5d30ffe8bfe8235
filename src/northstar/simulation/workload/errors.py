"""What can be wrong with a trace: each error names the file, the line, the column, what stands there and what should."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from northstar.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Letters of a value that an error shows.
_SHOWN = 80


class TraceUnreadable(InvalidRequest):
    """There is no such file, it may not be read, or its bytes are not what its name says (a cut `.gz`, another encoding)."""

    code: ClassVar[str] = "NS_TRACE_UNREADABLE"

    def __init__(self, path: Path, *, reason: str) -> None:
        super().__init__(f"the trace {path} cannot be read: {reason}")
        self.path = path
        self.reason = reason


class TraceTooLarge(InvalidRequest):
    """A line or a document is longer than any trace has it; nothing more of it is read into memory."""

    code: ClassVar[str] = "NS_TRACE_TOO_LARGE"

    def __init__(self, path: Path, *, line: int, limit: str) -> None:
        super().__init__(f"{path}, line {line}: longer than {limit}, which no trace needs; is it the right file?")
        self.path = path
        self.line = line


class TraceColumnUnknown(InvalidRequest):
    """The file has a column, or an object a field, that such a trace does not have."""

    code: ClassVar[str] = "NS_TRACE_COLUMN_UNKNOWN"

    def __init__(self, path: Path, *, line: int, column: str, hint: str) -> None:
        super().__init__(f"{path}, line {line}: {column[:_SHOWN]!r} is no column of such a trace; {hint}")
        self.path = path
        self.line = line
        self.column = column


class TraceColumnMissing(InvalidRequest):
    """The file lacks a column that such a trace has."""

    code: ClassVar[str] = "NS_TRACE_COLUMN_MISSING"

    def __init__(self, path: Path, *, columns: Iterable[str]) -> None:
        self.columns = tuple(columns)
        super().__init__(f"{path}, line 1: lacks {', '.join(self.columns)}; add it, or name a trace of this form")
        self.path = path


class TraceRowInvalid(InvalidRequest):
    """A row that is not what such a trace has there."""

    code: ClassVar[str] = "NS_TRACE_ROW_INVALID"

    def __init__(self, path: Path, *, line: int, column: str, found: str, expected: str) -> None:
        super().__init__(f"{path}, line {line}, column {column}: found {found[:_SHOWN]}, expected {expected}")
        self.path = path
        self.line = line
        self.column = column
        self.found = found
        self.expected = expected


class TraceUnsorted(InvalidRequest):
    """A row is earlier than the one before it. Rows are read one by one, so they must come in the order of their times."""

    code: ClassVar[str] = "NS_TRACE_UNSORTED"

    def __init__(self, path: Path, *, line: int, column: str, found: object, before: object) -> None:
        super().__init__(
            f"{path}, line {line}, column {column}: found {found}, expected nothing before {before}, "
            "which the row before has; sort the file by this column"
        )
        self.path = path
        self.line = line
        self.column = column


class TraceEmpty(InvalidRequest):
    """The file has no row, so there is nothing to simulate."""

    code: ClassVar[str] = "NS_TRACE_EMPTY"

    def __init__(self, path: Path) -> None:
        super().__init__(f"the trace {path} has no rows; is it whole?")
        self.path = path
