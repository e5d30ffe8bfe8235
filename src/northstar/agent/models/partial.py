"""A file on its way: its bytes, and beside it a note of what it is to become, so that the next process can go on."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec

from northstar.agent.models.files import Files, read_small
from northstar.agent.models.layout import Layout, ModelKey

#: So many bytes may be lost with the machine's power where no hash could tell that they are wrong.
SYNC_EVERY_BYTES: Final = 64 * 1024 * 1024
_STATE_BYTES: Final = 16 * 1024
_CHUNK_BYTES: Final = 1024 * 1024


class PartialState(msgspec.Struct, frozen=True, kw_only=True):
    """The note. It holds no address, which might be a secret, but only a hash of it."""

    model: str
    #: Hash of the source's address.
    source: str = ""
    #: What the source says of its file's version; empty if it says nothing to be relied on.
    validator: str = ""
    #: Bytes that were set aside on the disk for the whole file.
    reserved_bytes: int = 0
    #: Bytes that the disk has confirmed.
    safe_bytes: int = 0
    expected_sha256: str | None = None


class Partial:
    """One unfinished file. The caller holds the model's exclusive lock. Every method blocks."""

    def __init__(self, layout: Layout, key: ModelKey, *, expected_sha256: str | None) -> None:
        """Open what is there; bytes that cannot be relied on are cut off."""
        self.path = layout.part(key)
        self._state_path = layout.state(key)
        self._files = layout.files
        found = read_state(self._state_path)
        fresh = PartialState(model=key.name, expected_sha256=expected_sha256)
        fits = found is not None and found.model == key.name and found.expected_sha256 == expected_sha256
        self.state = found if found is not None and fits else fresh
        self._fd = self._files.open_part(self.path)
        try:
            self._digest, self.size_bytes = hashlib.sha256(), 0
            if not fits:
                self.restart()
            elif expected_sha256 is None and self._file_bytes() > self.state.safe_bytes:
                self._cut(self.state.safe_bytes)
            self._read_again()
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def sha256(self) -> str:
        """Of all bytes that are there."""
        return self._digest.hexdigest()

    def note(self, *, source: str, validator: str, reserved_bytes: int) -> None:
        """Write down from where the bytes come, and how much room they need."""
        self._write(source=source, validator=validator, reserved_bytes=reserved_bytes)

    def append(self, data: bytes) -> None:
        """Add bytes."""
        self._files.append(self._fd, data, self.path)
        self._digest.update(data)
        self.size_bytes += len(data)
        if self.size_bytes - self.state.safe_bytes >= SYNC_EVERY_BYTES:
            self._files.sync(self._fd, self.path)
            self._write(safe_bytes=self.size_bytes)

    def finish(self) -> None:
        """Have the disk confirm everything."""
        self._files.sync(self._fd, self.path)
        if self.state.expected_sha256 is None:
            self._write(safe_bytes=self.size_bytes)

    def pause(self) -> None:
        """A fetch broke off: keep what came, also where only the disk's word counts; keep nothing if nothing came."""
        if not self.size_bytes:
            self.remove()
        elif self.state.expected_sha256 is None and self.size_bytes > self.state.safe_bytes:
            self.finish()

    def restart(self) -> None:
        """Throw away what is there. The note goes first: bytes must never be taken for those of another file."""
        state = PartialState(model=self.state.model, expected_sha256=self.state.expected_sha256)
        self._save(msgspec.structs.replace(state, reserved_bytes=self.state.reserved_bytes))
        self._cut(0)
        self._digest, self.size_bytes = hashlib.sha256(), 0

    def close(self) -> None:
        """Close the file; it stays."""
        os.close(self._fd)

    def remove(self) -> None:
        """Remove the file and its note."""
        remove_partial(self._files, self.path)

    def _cut(self, size_bytes: int) -> None:
        self._files.truncate(self._fd, size_bytes, self.path)

    def _file_bytes(self) -> int:
        return os.fstat(self._fd).st_size

    def _read_again(self) -> None:
        while data := os.pread(self._fd, _CHUNK_BYTES, self.size_bytes):
            self._digest.update(data)
            self.size_bytes += len(data)

    def _write(self, **changed: str | int) -> None:
        state = msgspec.structs.replace(self.state, **changed)
        if state != self.state:
            self._save(state)

    def _save(self, state: PartialState) -> None:
        self._files.write_whole(self._state_path, msgspec.json.encode(state))
        self.state = state


def read_state(path: Path) -> PartialState | None:
    """A note; None if there is none, or it cannot be read."""
    text = read_small(path, limit_bytes=_STATE_BYTES)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=PartialState)
    except msgspec.DecodeError:
        return None


def remove_partial(files: Files, part: Path) -> None:
    """Remove an unfinished file, its note, and the draft of a note."""
    for path in (part, part.with_suffix(".json"), part.with_suffix(".json.draft")):
        files.unlink(path)
