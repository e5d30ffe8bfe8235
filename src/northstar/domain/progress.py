"""Progress of a job on a machine: the one type that connectors report, machines send and people are shown."""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from northstar.domain.runs import LatestRun

#: What a machine does with a job, in the order of a run. Before them the job is queued, after them it is done.
Phase: TypeAlias = Literal["fetching", "loading", "running", "storing"]

#: Characters of a message, a model's name, and the tokens of one report.
MESSAGE_CHARS: Final = 500
NAME_CHARS: Final = 256
TOKENS_CHARS: Final = 8_000
#: Bytes of a preview that travels; a larger one is left out.
PREVIEW_BYTES: Final = 24 * 1024
#: Bytes of one report as it travels.
WIRE_BYTES: Final = 65_536
_MOST_BYTES: Final = 10**15
_MOST_COUNT: Final = 10**9

_Bytes = Annotated[int, msgspec.Meta(ge=0, le=_MOST_BYTES)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST_COUNT)]
_Name = Annotated[str, msgspec.Meta(max_length=NAME_CHARS)]


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """News from a job on a machine; lossy by nature, so nothing may depend on receiving it.

    `phase` is None where none has begun (the job waits inside the engine), or where the reporter cannot tell. `fraction`, in
    0..1, is the share done of what is going on: of the file while fetching, of the engine's whole work while loading and
    running, of the outputs while storing; None when unknown. `message` is a short sentence. `tokens` is the text since the
    report before. `preview` is a small picture.

    While fetching, `model` names the file and `bytes_done` of `bytes_total` are here (total None: the source does not say);
    while loading, `model` may name what is loaded; while storing, the bytes are those of the outputs. The work is at `node` of
    `nodes` (from 1), called `node_name`, and in it at `step` of `steps`; None for an engine that does not tell.
    """

    phase: Phase | None = None
    fraction: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    message: Annotated[str, msgspec.Meta(max_length=MESSAGE_CHARS)] = ""
    tokens: Annotated[str, msgspec.Meta(max_length=TOKENS_CHARS)] | None = None
    preview: Annotated[bytes, msgspec.Meta(max_length=PREVIEW_BYTES)] | None = None
    model: _Name = ""
    bytes_done: _Bytes | None = None
    bytes_total: _Bytes | None = None
    node: _Count | None = None
    nodes: _Count | None = None
    node_name: _Name = ""
    step: _Count | None = None
    steps: _Count | None = None


def to_wire(news: Progress) -> bytes:
    """The report as it travels: JSON, with every field cut to its bound.

    >>> to_wire(Progress(phase="running", fraction=7.0, step=3, steps=20))
    b'{"phase":"running","fraction":1.0,"step":3,"steps":20}'
    """
    is_small = news.preview is not None and len(news.preview) <= PREVIEW_BYTES
    bounded = msgspec.structs.replace(
        news,
        fraction=_share(news.fraction),
        message=_text(news.message, MESSAGE_CHARS),
        tokens=None if news.tokens is None else _text(news.tokens, TOKENS_CHARS),
        preview=news.preview if is_small else None,
        model=_text(news.model, NAME_CHARS),
        bytes_done=_number(news.bytes_done, _MOST_BYTES),
        bytes_total=_number(news.bytes_total, _MOST_BYTES),
        node=_number(news.node, _MOST_COUNT),
        nodes=_number(news.nodes, _MOST_COUNT),
        node_name=_text(news.node_name, NAME_CHARS),
        step=_number(news.step, _MOST_COUNT),
        steps=_number(news.steps, _MOST_COUNT),
    )
    text = msgspec.json.encode(bounded)
    # Letters of several bytes can fill a message with what they are worth; the picture is then the part to miss.
    return text if len(text) <= WIRE_BYTES else msgspec.json.encode(msgspec.structs.replace(bounded, preview=None))


def from_wire(text: bytes) -> Progress | None:
    """What a machine sent; fields that this build does not know are passed over. None for what is no progress report.

    >>> from_wire(b'{"phase": "loading", "mood": "bright"}').phase, from_wire(b'{"fraction": 7}')
    ('loading', None)
    """
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


class ProgressOrder:
    """What may be shown of one job: never an older run, and within a run never a phase that is over.

    A run goes fetching → at work → storing, and at work it is loading or running. These two may take turns: a graph that
    needs a second model in its middle truly loads again after it has run. Such a turn back is believed only from a later node
    than the one shown, since then the work itself has moved on; any other report of loading after running was overtaken on
    its way and is old news, and so is one from an earlier node. A report without a phase belongs to the one that is shown,
    except after fetching: then the job waits inside its engine, and fetches no more. A newer run, known by its lease's
    token, starts anew.
    """

    def __init__(self) -> None:
        self._latest = LatestRun()
        self._shown: Progress | None = None
        self._has_fetched = False

    @property
    def run(self) -> int:
        """The number of the latest run heard of; 0 before the first."""
        return self._latest.number

    @property
    def shown(self) -> Progress | None:
        """The latest report of the latest run; None before the first."""
        return self._shown

    def hear(self, token: str, news: Progress) -> Progress | None:
        """What to show now; None for old news. Tokens are passed on from whatever phase, once each."""
        if self._latest.is_older(token):
            return None
        if self._latest.begins_with(token):
            self._shown, self._has_fetched = None, False
        if news.phase is None and self._shown is not None and self._shown.phase == "fetching":
            self._shown, self._has_fetched = news, True
            return self._shown
        is_old = news.phase == "fetching" and self._has_fetched
        if self._shown is None or (may_follow(self._shown, news) and not is_old):
            self._shown = _continued(self._shown, news)
            return self._shown
        return msgspec.structs.replace(self._shown, tokens=news.tokens, preview=None) if news.tokens else None


def may_follow(shown: Progress, news: Progress) -> bool:
    """Whether `news` can have happened after what is shown of the same run."""
    if news.phase is None or shown.phase is None:
        return True
    before, now = _STRETCH[shown.phase], _STRETCH[news.phase]
    if before != now:
        return before < now
    if now != _AT_WORK:
        return True
    if shown.node is not None and news.node is not None and news.node != shown.node:
        return news.node > shown.node
    return not (shown.phase == "running" and news.phase == "loading")


def _continued(shown: Progress | None, news: Progress) -> Progress:
    """`news`, with the phase and fraction that it leaves open or would take back."""
    if shown is None:
        return news
    phase = news.phase or shown.phase
    if shown.fraction is None or phase is None or shown.phase is None or not _same_stretch(shown, news, phase):
        return msgspec.structs.replace(news, phase=phase)
    fraction = shown.fraction if news.fraction is None else max(shown.fraction, news.fraction)
    return msgspec.structs.replace(news, phase=phase, fraction=fraction)


def _same_stretch(shown: Progress, news: Progress, phase: Phase) -> bool:
    if shown.phase is None or _STRETCH[shown.phase] != _STRETCH[phase]:
        return False
    # One file after the other is fetched, each from its beginning.
    return phase != "fetching" or news.model in {"", shown.model}


def _share(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else min(1.0, max(0.0, value))


def _text(value: str, most: int) -> str:
    """Cut, and without half letters (lone surrogates), which JSON from an engine may hold and ours may not."""
    return value[:most].encode(errors="replace").decode()


def _number(value: int | None, most: int) -> int | None:
    return None if value is None else min(most, max(0, value))


_AT_WORK: Final = 1
_STRETCH: Final[dict[Phase, int]] = {"fetching": 0, "loading": _AT_WORK, "running": _AT_WORK, "storing": 2}
_DECODER: Final = msgspec.json.Decoder(Progress)
