"""What commands of all kinds of applied files have in common: `apply`, `current`, `history` and `reset`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.surfaces.cli.options import confirm, me, run
from northstar.surfaces.cli.printing import console, counted, moment, print_hint, print_json, print_table

if TYPE_CHECKING:
    from northstar.broker.applied_files import AppliedFile, AppliedFiles, UnreadableFile
    from northstar.config import Settings
    from northstar.config.key_changes import KeyChange
    from northstar.domain.errors import NorthstarError
    from northstar.store.cell import Cell

#: What is wondered at when the first file is version 4.
_NUMBERS: Final = "Versions are numbers of the cell, which all that is stored in it shares: they rise, and some belong to other things."


class FileKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of file: its words, and what a file of it says. Functions, so that a command loads only what it needs."""

    #: As the command is called, and what is in force by it.
    command: str
    name: str
    #: What holds while none is applied, as a sentence.
    otherwise: str
    #: The applied files of a cell.
    files: Callable[[Cell], AppliedFiles[Any]]
    #: What a text changes in what holds by the applied file, or without one by the settings. Raises InvalidFile for a text that cannot be used.
    changes: Callable[[Settings, AppliedFile | None, str], list[KeyChange]]
    #: Text and source of what holds by the settings while none is applied.
    unapplied: Callable[[Settings], tuple[str, str]]
    nothing_applied: Callable[[], NorthstarError]
    #: For a version that is not kept, with those that are.
    no_such: Callable[[int, tuple[int, ...]], NorthstarError]


def put_in_force(kind: FileKind, settings: Settings, file: Path, text: str, *, yes: bool, as_json: bool) -> None:
    """Apply a checked text for the whole cell, after showing what it changes. What this version cannot use is replaced too."""
    from northstar.broker.applied_files import AppliedFile

    known = run(_standing(kind, settings))
    changes = _changes(kind, settings, known, text)
    if not changes and isinstance(known, AppliedFile) and known.text == text:
        document = {"version": known.version, "changes": []}
        _say(document, f"{file} is in force already (version {known.version})", as_json=as_json)
        return
    if not as_json and changes:
        print_changes(changes)
    verb = "changes" if len(changes) == 1 else "change"
    plan = f"{counted(len(changes), 'key')} of {kind.name} in force {verb}, for every broker of the cell"
    confirm(plan, yes=yes, as_json=as_json)
    version = run(_apply(kind, settings, text, source=file.name, known=known))
    _say({"version": version, "changes": changes}, f"{file} is in force (version {version})", as_json=as_json)


def _changes(
    kind: FileKind, settings: Settings, known: AppliedFile | UnreadableFile | None, text: str
) -> list[KeyChange]:
    """Key by key, as far as what is in force can be read: else nobody could put other files in force until a newer North Star comes."""
    from northstar.broker.applied_files import UnreadableFile
    from northstar.config.declared_files import InvalidFile
    from northstar.config.key_changes import KeyChange

    unusable = [KeyChange(kind.command, f"{kind.name} that this version cannot use", "those of the file")]
    if isinstance(known, UnreadableFile):
        return unusable
    try:
        return kind.changes(settings, known, text)
    except InvalidFile:
        if known is None:
            raise  # a file of the settings, which nobody replaces by applying another
        return unusable


def print_changes(changes: list[KeyChange]) -> None:
    """Keys and their values before and after."""
    from northstar.surfaces.cli.pool_text import word

    print_table(("KEY", "BEFORE", "AFTER"), ((one.key, word(one.before), word(one.after)) for one in changes))


def print_applied(kind: FileKind, settings: Settings, *, version: int | None, as_json: bool) -> None:
    """Print the text that is in force, or a former one, as it was written."""
    found = run(_kept(kind, settings, version))
    text, source = kind.unapplied(settings) if found is None else (found.text, found.source)
    if as_json:
        print_json({"version": 0 if found is None else found.version, "source": source, "text": text})
    else:
        sys.stdout.write(text)


def print_history(kind: FileKind, settings: Settings, *, as_json: bool) -> None:
    """List what was applied, the one in force first."""
    now, past = run(_history(kind, settings))
    kept = [*([] if now is None else [now]), *past]
    if as_json:
        rows = [{"version": one.version, "source": one.source, "by": one.by, "at_ms": one.at_ms} for one in kept]
        print_json({"in_force": 0 if now is None else now.version, "applied": rows})
        return
    cells = ((one.version, moment(one.at_ms), one.source, one.by, "in force" if one is now else "-") for one in kept)
    print_table(("VERSION", "APPLIED (UTC)", "FILE", "BY", "NOW"), cells)
    if now is None:
        console().print(kind.otherwise, style="dim", markup=False)
    if kept:
        console().print(_NUMBERS, style="dim", markup=False)
    if past:
        file = f"{kind.command}-{past[0].version}.toml"  # never over the file in which somebody works
        hint = f"next: northstar {kind.command} current --version {past[0].version} > {file} && northstar {kind.command} apply {file}"
        print_hint(hint)


def take_back(kind: FileKind, settings: Settings, *, yes: bool, as_json: bool) -> None:
    """Have none in force, after asking. Raises what the kind says where none was applied."""
    known = run(_standing(kind, settings))
    if known is None:
        raise kind.nothing_applied()
    plan = f"{kind.name} of {known.source} (version {known.version}) are taken back; then {kind.otherwise}"
    confirm(plan, yes=yes, as_json=as_json)
    run(_take_back(kind, settings, known))
    sentence = f"taken back; northstar {kind.command} current --version {known.version} still prints them"
    _say({"version": 0}, sentence, as_json=as_json)


def _say(document: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        print_hint(sentence, style="")


async def _standing(kind: FileKind, settings: Settings) -> AppliedFile | UnreadableFile | None:
    from northstar.assembly.session import session

    async with session(settings) as broker:
        return await kind.files(broker.cell).standing()


async def _apply(
    kind: FileKind, settings: Settings, text: str, *, source: str, known: AppliedFile | UnreadableFile | None
) -> int:
    from northstar.assembly.session import session

    async with session(settings) as broker:
        return await kind.files(broker.cell).apply(text, source=source, known=known, by=me())


async def _kept(kind: FileKind, settings: Settings, version: int | None) -> AppliedFile | None:
    from northstar.assembly.session import session

    async with session(settings) as broker:
        files = kind.files(broker.cell)
        if version is None:
            return await files.current()
        found = await files.of_version(version)
        if found is None:
            current = await files.current()
            kept = [*([] if current is None else [current]), *await files.past()]
            raise kind.no_such(version, tuple(one.version for one in kept))
        return found


async def _history(kind: FileKind, settings: Settings) -> tuple[AppliedFile | UnreadableFile | None, list[AppliedFile]]:
    from northstar.assembly.session import session

    async with session(settings) as broker:
        files = kind.files(broker.cell)
        return await files.standing(), await files.past()


async def _take_back(kind: FileKind, settings: Settings, known: AppliedFile | UnreadableFile) -> None:
    from northstar.assembly.session import session

    async with session(settings) as broker:
        await kind.files(broker.cell).take_back(known, by=me())
