"""What commands print: tables and sentences for people, JSON for programs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.domain import amounts
from northstar.domain.errors import NorthstarError
from northstar.surfaces.cli.pasting import pasteable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

#: As all layers say them.
counted, span, moment = amounts.counted, amounts.span, amounts.moment

_WIDTH_OF_A_PIPE: Final = 200
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_COLOURS: Final = {
    "succeeded": "green",
    "running": "cyan",
    "offered": "cyan",
    "failed": "red",
    "canceled": "yellow",
    "expired": "yellow",
    "delayed": "magenta",
    "active": "green",
    "draining": "yellow",
    "out of work": "yellow",
    "approved": "green",
    "open": "green",
    "waiting": "magenta",
    "revoked": "red",
    "pass": "green",
    "short": "red",
    "better": "green",
    "worse": "red",
    "gone": "yellow",
    "within": "green",
    "changed": "red",
    "below goal": "red",
}


def console() -> Console:
    """The standard output; a pipe is wide, so that nothing is cut off."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE, highlight=False, emoji=False)


def print_text(text: str, *, end: str = "\n") -> None:
    """Somebody's text and a line end: byte for byte into a pipe; a terminal gets no control characters."""
    sys.stdout.write((_CONTROL.sub("�", text) if sys.stdout.isatty() else text) + end)
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def print_error(error: NorthstarError, *, about: str = "") -> None:
    """An error as all of them look, with commands that can be pasted; `about` comes before its sentence."""
    sys.stderr.write(f"{error.code}: {about + ': ' if about else ''}{pasteable(str(error))}\n")


def print_aside(text: str) -> None:
    """A sentence, with commands that can be pasted, beside a result that somebody may capture: on the standard error."""
    sys.stderr.write(pasteable(harmless(text)) + "\n")


def print_hint(text: str, *, style: str = "dim") -> None:
    """A sentence with commands in it: they can be pasted, so no line is broken."""
    console().print(pasteable(text), style=style, markup=False, soft_wrap=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A table; words that stand for a state are coloured. Nothing in it is read as markup."""
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for at, column in enumerate(columns):
        # What stands first is a name, to be copied; where there is little room, other columns fold.
        table.add_column(column, overflow="fold", no_wrap=at == 0)
    for row in rows:
        table.add_row(*(coloured(str(cell)) for cell in row))
    console().print(table)


def coloured(word: str) -> Text:
    """A word in the colour of the state that it names."""
    from rich.text import Text

    return Text(harmless(word), style=_COLOURS.get(word, ""))


def harmless(text: str) -> str:
    r"""Text that a stranger's machine may have sent, without characters that a terminal obeys.

    >>> harmless("L4\x1b[2J")
    'L4�[2J'
    """
    return _CONTROL.sub("�", text)


def moment_ms(at_ms: int) -> str:
    """A time of the cell's clock, UTC, to the millisecond.

    >>> moment_ms(1_700_000_000_123)
    '2023-11-14 22:13:20.123'
    """
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
