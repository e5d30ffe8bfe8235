"""What an archive of an installation says of itself: its manifest."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

#: The version of the archive's form that this build writes, and the only one that it reads.
FORMAT: Final = 1

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1_700)]


class ArchivePart(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the archive: its name there, and what its bytes must be."""

    name: _Name
    size_bytes: _Count
    sha256: Sha256


class ArchivedCell(msgspec.Struct, frozen=True, kw_only=True):
    """The cell, as it was at one moment."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    #: What it is known by, whatever others had its name.
    id: str
    #: The layout of its records.
    schema: int
    clock: str
    epoch: int
    #: The id of the latest event, "epoch-sequence"; empty while there was none.
    event: Annotated[str, msgspec.Meta(pattern=r"^(\d+-\d+)?$")]
    #: The server's time of that moment, ms since epoch.
    at_ms: int
    #: The server on which it was, as people say it.
    server: str
    #: Entries of each part that is not empty.
    entries: dict[str, _Count]
    waiting: _Count
    running: _Count


class ArchivedHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The history: in the archive, where it is a file; elsewhere, where a database of its own has it; or none, before there was one."""

    kind: Literal["file", "elsewhere", "none"]
    #: Where it was, without secrets.
    place: str
    #: The revision of its tables; empty where it is not in the archive.
    revision: str = ""


class ArchivedOutputs(msgspec.Struct, frozen=True, kw_only=True):
    """Files of finished jobs: how many are in the archive, and where those are that are not."""

    place: str
    files: _Count = 0
    size_bytes: _Count = 0
    included: bool = False


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in an archive, and of what."""

    format: int
    #: This archive's own; no other has it.
    id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8,64}$")]
    #: The version of North Star that wrote it.
    northstar: str
    cell: ArchivedCell
    history: ArchivedHistory
    outputs: ArchivedOutputs
    parts: Annotated[tuple[ArchivePart, ...], msgspec.Meta(max_length=1_000_000)]
