"""What one run of a job took, as the machine that ran it measured it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final

import msgspec

from northstar.domain.models import ModelName

#: Bytes of one report as it travels and is kept, JSON.
REPORT_BYTES: Final = 1_024
#: Files named in one report; the larger ones matter more, so whoever makes it names them first.
MAX_MODELS: Final = 8
#: Characters of a hash: enough to tell versions of one file apart.
HASH_CHARS: Final = 16
_MOST_S: Final = 30 * 86_400
_MOST: Final = 10**15
_MOST_VRAM_MB: Final = 10_000_000
_PARTS: Final = ("fetching_s", "loading_s", "running_s", "storing_s", "waiting_s")

_Seconds = Annotated[float, msgspec.Meta(ge=0, le=_MOST_S)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]


class ModelUsed(msgspec.Struct, frozen=True, array_like=True):
    """A model file that the run worked with: its name, its size and the beginning of its SHA-256, where the machine knows them."""

    name: ModelName
    size_bytes: _Count = 0
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{0,16}$")] = ""


class RunReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Seconds of each part of a run, and what it moved. 0 and empty are "not known", or none of it.

    It is the word of a machine that may be a stranger's: good for statistics, and never for a decision about who may do what.
    """

    fetching_s: _Seconds = 0.0
    loading_s: _Seconds = 0.0
    #: The work itself: neither queue, nor fetch, nor load, nor storing.
    running_s: _Seconds = 0.0
    storing_s: _Seconds = 0.0
    #: Waiting inside the engine, behind its other work.
    waiting_s: _Seconds = 0.0
    #: What had to come before the work could begin.
    fetched_bytes: _Count = 0
    #: How fast it came.
    link_bytes_per_s: Annotated[float, msgspec.Meta(ge=0, le=_MOST)] = 0.0
    #: The most GPU memory in use while it ran, MB.
    peak_vram_mb: Annotated[int, msgspec.Meta(ge=0, le=_MOST_VRAM_MB)] = 0
    models: Annotated[tuple[ModelUsed, ...], msgspec.Meta(max_length=MAX_MODELS)] = ()


def to_wire(report: RunReport) -> str:
    """The report as it travels, every number cut to its bound; models at the end are left out until it is short enough.

    >>> to_wire(RunReport(running_s=2.25, storing_s=-1.0))
    '{"running_s":2.25}'
    """
    measured: dict[str, Any] = {name: _seconds(getattr(report, name)) for name in _PARTS}
    measured |= {
        "fetched_bytes": _count(report.fetched_bytes),
        "link_bytes_per_s": float(_count(report.link_bytes_per_s)),
        "peak_vram_mb": min(_MOST_VRAM_MB, _count(report.peak_vram_mb)),
    }
    said = {name: value for name, value in measured.items() if value}
    for most in range(min(len(report.models), MAX_MODELS), -1, -1):
        models = [msgspec.to_builtins(model) for model in report.models[:most]]
        text = msgspec.json.encode(said | ({"models": models} if models else {}))
        if len(text) <= REPORT_BYTES:
            return text.decode()
    raise AssertionError("nine bounded numbers are longer than a kilobyte")


def from_wire(text: str) -> RunReport | None:
    """What a machine sent; fields that this build does not know are passed over. None for what is no report, or too long for one.

    >>> from_wire('{"running_s": 2.5, "mood": "bright"}').running_s, from_wire('{"running_s": -1}'), from_wire("")
    (2.5, None, None)
    """
    if not text or len(text) > REPORT_BYTES or len(text.encode(errors="replace")) > REPORT_BYTES:
        return None
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None


def believed(text: str) -> str:
    """What of a stranger's report is kept: itself, written anew; empty for what is none.

    >>> believed('{"running_s": 2.5, "mood": "bright"}'), believed("[")
    ('{"running_s":2.5}', '')
    """
    report = from_wire(text)
    return "" if report is None else to_wire(report)


def _seconds(value: float) -> float:
    return round(min(_MOST_S, max(0.0, value)), 3) if math.isfinite(value) else 0.0


def _count(value: float) -> int:
    return int(min(_MOST, max(0, value))) if math.isfinite(value) else 0


_DECODER: Final = msgspec.json.Decoder(RunReport)
