"""Following one run to its end, by frames where they come and by questions where they do not."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, Literal, Self

import aiohttp

from northstar.connectors.comfyui.answers import Ended, Running, Waiting
from northstar.connectors.comfyui.frames import LAST_FRAMES, Event, Frame, MalformedFrame, bytes_frame, event
from northstar.connectors.comfyui.http import CONNECTION
from northstar.connectors.comfyui.server import ComfyServer
from northstar.connectors.errors import EngineError, EngineGone, EngineTimeout, MalformedAnswer

#: Pauses between questions after the frames have said that a run is over: the history follows within milliseconds.
_SETTLING_S: Final = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
#: A run that was in neither queue nor history so long after its last frame will not come into the history.
_CLEARED_S: Final = 0.1
_RETRY_S: Final = 0.2
#: Frames that servers send without the run's id: to a client that comes back, and, old ones, always.
_OURS_UNNAMED: Final = frozenset({"executing", "progress"})
_HOW: Final[Mapping[str, Literal["success", "error", "interrupted"]]] = {
    "execution_success": "success",
    "execution_error": "error",
    "execution_interrupted": "interrupted",
}


class _Silence(enum.Enum):
    QUIET = enum.auto()
    LOST = enum.auto()


class RunFollower:
    """Knows one run. Frames only hasten what questions find out anyway, so a lost socket costs news, never the run."""

    def __init__(
        self,
        server: ComfyServer,
        *,
        run_id: str,
        client_id: str,
        hear: Callable[[Frame], None],
        hear_queued: Callable[[int], None],
    ) -> None:
        self._server = server
        self._patience = server.http.patience
        self._run_id = run_id
        self._client_id = client_id
        self._hear = hear
        self._hear_queued = hear_queued
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._outputs: dict[str, Mapping[str, Any]] = {}
        self._last: Event | None = None
        self._stack = AsyncExitStack()
        self._alive_at = self._ask_at = 0.0
        self._lost_at: float | None = None

    async def __aenter__(self) -> Self:
        """Open the socket, before the run is submitted, so that no frame is missed."""
        await self._connect()
        return self

    async def __aexit__(self, *_raised: object) -> None:
        await self._stack.aclose()

    async def end(self, *, known: bool) -> Ended:
        """Wait until the run is over. `known` says that it was found in the server, so it may be over already.

        Raises:
            EngineGone: the server went away, or came back without the run.
            EngineTimeout: a running run showed no sign of life for too long.
            MalformedAnswer: a frame breaks the protocol.
        """
        now = asyncio.get_running_loop().time
        self._alive_at = now()
        self._ask_at = now() + (0.0 if known else self._patience.poll_s)
        while True:
            heard = await self._next(within_s=self._ask_at - now())
            if isinstance(heard, _Silence):
                ended = await self._after(heard)
            elif heard is not None and self._takes(heard, at=now()):
                ended = await self._settled()
            else:
                continue
            if ended is not None:
                return ended

    async def _after(self, silence: _Silence) -> Ended | None:
        """Ask where the run is; after a lost socket, also try to hear again. None if the run goes on."""
        if silence is _Silence.QUIET:
            return await self._asked()
        await self._disconnect()
        ended = await self._asked()
        if ended is None:
            await self._reconnect()
        return ended

    def _takes(self, frame: Frame, *, at: float) -> bool:
        """Pass a frame on; whether it says that the run is over."""
        if isinstance(frame, Event):
            if frame.run_id != self._run_id and not (frame.run_id is None and frame.type in _OURS_UNNAMED):
                return False  # of another run, or what an extension tells everybody all the time
            output = frame.data.get("output")
            if frame.type == "executed" and isinstance(output, dict):
                self._outputs[str(frame.data.get("node"))] = output
            if frame.type in LAST_FRAMES:
                self._last = frame
        self._alive_at, self._ask_at = at, at + self._patience.poll_s
        self._hear(frame)
        return isinstance(frame, Event) and frame.ends_the_run

    async def _next(self, *, within_s: float) -> Frame | _Silence | None:
        """The next frame, None for one without meaning, or how there was none."""
        if within_s <= 0:
            return _Silence.QUIET
        if self._socket is None:
            await asyncio.sleep(within_s)
            return _Silence.LOST
        try:
            message = await self._socket.receive(timeout=within_s)
            if message.type is aiohttp.WSMsgType.TEXT:
                return event(message.data)
            if message.type is aiohttp.WSMsgType.BINARY:
                return bytes_frame(message.data, preview_bytes=self._server.http.bounds.preview_bytes)
        except TimeoutError:
            return _Silence.QUIET
        except MalformedFrame as error:
            raise MalformedAnswer(str(error), service=self._server.service) from error
        return _Silence.LOST

    async def _settled(self) -> Ended | None:
        """The end as the history has it, once frames have announced it; None if the run goes on after all."""
        for pause_s in _SETTLING_S:
            await asyncio.sleep(pause_s)
            place = await self._place()
            if isinstance(place, Ended):
                return place
            if place is None and pause_s >= _CLEARED_S:
                return self._by_frames()
        self._last = None  # it was the end of an earlier attempt, told late
        return None

    def _by_frames(self) -> Ended | None:
        """The end as the frames had it, for a history that somebody has cleared."""
        if self._last is None:
            return None
        return Ended(how=_HOW[self._last.type], data=self._last.data, outputs=self._outputs)

    async def _asked(self) -> Ended | None:
        """Ask the server where the run is; None if it goes on."""
        place = await self._place()
        now = asyncio.get_running_loop().time()
        self._ask_at = now + self._patience.poll_s
        if isinstance(place, Ended):
            return place
        if isinstance(place, Waiting):
            self._alive_at = now
            self._hear_queued(place.ahead)
        elif isinstance(place, Running):
            if now - self._alive_at > self._patience.silence_s:
                raise EngineTimeout("sign of life", service=self._server.service, limit_s=self._patience.silence_s)
        else:
            raise EngineGone("it no longer knows the run, so it was restarted or cleared", service=self._server.service)
        return None

    async def _place(self) -> Waiting | Running | Ended | None:
        """Where the run is. A server that is gone is awaited for `reconnect_s`; a busy one may be silent as a run may."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience.reconnect_s
        while True:
            try:
                return await self._server.whereabouts(self._run_id)
            except EngineError as error:
                is_busy = isinstance(error, EngineTimeout) and error.awaited != CONNECTION
                last = self._alive_at + self._patience.silence_s if is_busy else until
                if not error.retryable or loop.time() >= last:
                    raise
            await asyncio.sleep(_RETRY_S)

    async def _connect(self) -> None:
        self._socket = await self._stack.enter_async_context(self._server.http.socket(self._client_id))

    async def _reconnect(self) -> None:
        """Try to hear again; without a socket the run is followed by questions alone."""
        now = asyncio.get_running_loop().time()
        often = self._lost_at is not None and now - self._lost_at < self._patience.poll_s
        self._lost_at = now
        if often:
            return  # a server that hangs up at once is asked every `poll_s` and not besieged
        with contextlib.suppress(EngineError):
            await self._connect()

    async def _disconnect(self) -> None:
        self._socket = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()
