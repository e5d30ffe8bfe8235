"""What a ComfyUI server sends through its WebSocket: JSON for events, bytes for small pictures."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

_PREVIEW: Final = 1
_TEXT: Final = 3
_PREVIEW_WITH_METADATA: Final = 4
_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF")
_TEXT_CHARS: Final = 200

#: Frames after which a run does nothing more.
LAST_FRAMES: Final = frozenset({"execution_success", "execution_error", "execution_interrupted"})


class MalformedFrame(ValueError):
    """A frame is neither an event nor one of the known kinds of bytes."""


class Event(msgspec.Struct, frozen=True):
    """One event; `data` is whatever the server and its extensions put there."""

    type: str
    data: dict[str, Any] = {}

    @property
    def run_id(self) -> str | None:
        """The run that the event is about; None where it does not say."""
        found = self.data.get("prompt_id")
        return found if isinstance(found, str) else None

    @property
    def ends_the_run(self) -> bool:
        """Whether the server does nothing more for the run, and has put it into its history or is about to."""
        return self.type in LAST_FRAMES or (self.type == "executing" and self.data.get("node", "") is None)


class Preview(msgspec.Struct, frozen=True):
    """A small picture of unfinished work, as JPEG, PNG or WebP."""

    picture: bytes


class Remark(msgspec.Struct, frozen=True):
    """A line of text that a node shows while it works."""

    text: str


Frame: TypeAlias = Event | Preview | Remark


def event(data: str | bytes) -> Event:
    """Read a text frame.

    Raises:
        MalformedFrame: it is no JSON object with a type.
    """
    try:
        return msgspec.json.decode(data, type=Event)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise MalformedFrame(f"a frame is no event: {error}") from error


def bytes_frame(data: bytes, *, preview_bytes: int) -> Preview | Remark | None:
    """Read a binary frame; None for a kind that extensions invented, and for a picture that is none or too large."""
    kind = int.from_bytes(data[:4], "big")
    if kind == _PREVIEW:
        return _preview(data[8:], preview_bytes)
    if kind == _PREVIEW_WITH_METADATA:
        return _preview(data[8 + int.from_bytes(data[4:8], "big") :], preview_bytes)
    if kind == _TEXT:
        text = data[8 + int.from_bytes(data[4:8], "big") :].decode(errors="replace")
        return Remark(text[:_TEXT_CHARS]) if text.strip() else None
    return None


def _preview(picture: bytes, limit: int) -> Preview | None:
    return Preview(picture) if len(picture) <= limit and picture.startswith(_PICTURES) else None
