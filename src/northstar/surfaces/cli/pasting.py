"""Commands that are printed, as they must be typed: with the options by which this command was told where its cell is.

Sentences of all layers name commands as one types them where nothing was said: `northstar jobs list`. Whoever has said --data-dir or
--valkey must say it again, else the command that was pasted asks another cell, or none. An invite wants the address that machines dial;
where the settings do not tell it, the command that is printed has a place for it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Final

#: What leads to a cell, in the order in which it is printed.
PLACE_OPTIONS: Final = ("--config", "--data-dir", "--valkey", "--cell")
#: Commands that are followed by another one.
GROUPS: Final = frozenset(
    {"budget", "dead", "jobs", "keys", "machines", "models", "pools", "tenants", "validate", "webhooks"}
)
#: Commands that do not take all of these options, with those that they take.
TAKES: Final[Mapping[str, tuple[str, ...]]] = {
    # Typed on the host of a machine, where none of this was said.
    "agent": (),
    "completion": (),
    "demo": (),
    "evaluate": (),
    "gate": (),
    "logs": ("--config", "--data-dir"),
    "plan": (),
    "pools print": (),
    "pools workflow": (),
    "pools workflows": (),
    "simulate": (),
    "tenants check": (),
    "validate monthly": (),
    "validate reliability": (),
    "validate show": (),
    "validate weekly": (),
    "version": (),
}
_COMMAND: Final = re.compile(r"(?<![\w./-])northstar ([a-z]+)(?: ([a-z]+))?")
#: In place of an address that may hold a password: what is printed ends in logs and on other people's screens.
_HIDDEN_URL: Final = "URL"

#: What invites machines, and what stands for the address that these dial where nobody can tell it.
_INVITES: Final = "machines invite"
_PLACE: Final = "URL"

#: Where machines dial, as far as it can be found out, for commands that must say it; None: they need not.
_dialled: ContextVar[Callable[[], str] | None] = ContextVar("dialled", default=None)
_said: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("said", default=())


def remember(*, config: Path | None, data_dir: Path | None, valkey: str | None, cell: str | None) -> None:
    """Note what this command was told, for every command that it prints from now on."""
    shown = None if valkey is None else _HIDDEN_URL if "@" in valkey else valkey
    given = zip(PLACE_OPTIONS, (config, data_dir, shown, cell), strict=True)
    _said.set(tuple((option, str(value)) for option, value in given if value is not None))


def remember_join(url: str, *, dialled: Callable[[], str] = str) -> None:
    """Note the address that machines dial, `join.url`; empty: whoever invites must say it.

    `dialled` then finds out where they can dial, or that nobody can tell (empty); it is asked when such a command is printed.
    """
    _dialled.set(None if url else dialled)


def pasteable(text: str) -> str:
    """The text, each `northstar` command in it with what this command was told.

    >>> remember(config=None, data_dir=Path("/my data"), valkey=None, cell=None)
    >>> pasteable("next: northstar jobs show j-1, or northstar pools print")
    "next: northstar jobs show --data-dir '/my data' j-1, or northstar pools print"
    >>> remember(config=None, data_dir=None, valkey=None, cell=None)
    >>> pasteable("next: northstar jobs show j-1")
    'next: northstar jobs show j-1'
    """
    said = dict(_said.get())
    if "--config" in said:
        text = text.replace(" --config FILE", "")  # it is known which
    return _COMMAND.sub(_completed, text) if said or _dialled.get() is not None else text


def _completed(found: re.Match[str]) -> str:
    first, second = found[1], found[2] or ""
    if first in GROUPS and not second:
        return found[0]  # the group as such is named, and takes no options
    command, rest = (f"{first} {second}", "") if first in GROUPS else (first, f" {second}" if second else "")
    options = _options_of(command)
    dialled = _dialled.get()
    if command == _INVITES and dialled is not None and not _says_url(found):
        options = f"{options} --url {shlex.quote(dialled() or _PLACE)}".strip()
    return " ".join(filter(None, (f"northstar {command}", options))) + rest


def _says_url(found: re.Match[str]) -> bool:
    """Whether the rest of the command, up to the end of its line, says the address already."""
    return " --url " in found.string[found.end() :].partition("\n")[0]


def _options_of(command: str) -> str:
    taken = TAKES.get(command, PLACE_OPTIONS)
    return " ".join(f"{option} {shlex.quote(value)}" for option, value in _said.get() if option in taken)
