"""One client's connection to `/v1/live`, from its key to its last message."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, ClassVar, Final

from northstar.broker.event_errors import FeedEnded, ReaderTooSlow
from northstar.broker.event_log import BEGINNING, read_event_id
from northstar.broker.event_streams import Missing, Quiet
from northstar.broker.gateway.socket import FrameInvalid, SocketClosed
from northstar.broker.job_events import News
from northstar.domain.api_keys import Scope
from northstar.domain.errors import InvalidRequest, NorthstarError, Refused, Unavailable
from northstar.domain.told_events import ToldEvent
from northstar.surfaces.http.v1 import live_frames as frames
from northstar.surfaces.http.v1.live_greeting import greeted, read_frame
from northstar.surfaces.http.v1.sse import Told, news_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from northstar.broker.live import Live
    from northstar.domain.api_keys import Caller
    from northstar.surfaces.http.v1.live_greeting import Strangers, TextSocket


#: A client must take each message within so many seconds.
_TAKE_WITHIN_S: Final = 30.0
_FAREWELL_S: Final = 2.0
#: Subscriptions of one connection, and messages that wait to be sent to it.
MOST_SUBSCRIPTIONS: Final = 16
_MOST_WAITING: Final = 64


class TooManySubscriptions(InvalidRequest):
    """A connection may hear of so much and no more."""

    code: ClassVar[str] = "NS_TOO_MANY_SUBSCRIPTIONS"

    def __init__(self) -> None:
        super().__init__(f"a connection has at most {MOST_SUBSCRIPTIONS} subscriptions; end one, or widen its filter")


class SubscriptionExists(Refused):
    """The client has another subscription of this name."""

    code: ClassVar[str] = "NS_SUBSCRIPTION_EXISTS"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is a subscription {name!r} on this connection; end it first, or give the new one another name"
        )


async def talk(
    socket: TextSocket, live: Live, *, header: str, let_in: Callable[[str], Awaitable[Caller]], strangers: Strangers
) -> NorthstarError | None:
    """All of it; gives why the connection ended, None where the client left. `header` is the key it sent with the call, if any."""
    try:
        key, caller = await greeted(socket, header, let_in, strangers)
        with live.places.taken(caller.key_id):
            await _Talk(socket, live, caller, key).run()
    except SocketClosed:
        return None
    except NorthstarError as exc:
        with contextlib.suppress(SocketClosed, TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await socket.send(
                    frames.encode(frames.Closed(code=exc.code, message=str(exc), retryable=exc.retryable))
                )
        return exc
    return None


class _Talk:
    """After the key."""

    def __init__(self, socket: TextSocket, live: Live, caller: Caller, key: str) -> None:
        self._socket = socket
        self._live = live
        self._caller = caller
        self._key = key
        self._waiting: asyncio.Queue[frames.FromServer] = asyncio.Queue(_MOST_WAITING)
        self._telling: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until the client leaves. Raises SocketClosed, or why it must leave."""
        self._waiting.put_nowait(frames.Welcome(alive_every_s=self._live.every_s))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write())
                tasks.create_task(self._look_at_key())
                tasks.create_task(self._live_on())
                tasks.create_task(self._read(tasks))
        except BaseExceptionGroup as group:
            raise _first(group) from group

    async def _write(self) -> None:
        while True:
            frame = await self._waiting.get()
            try:
                async with asyncio.timeout(_TAKE_WITHIN_S):
                    await self._socket.send(frames.encode(frame))
            except TimeoutError:
                raise ReaderTooSlow(_MOST_WAITING) from None

    async def _live_on(self) -> None:
        """A sign of life. It waits for room as everything does that is told."""
        while True:
            await asyncio.sleep(self._live.every_s)
            await self._waiting.put(frames.Alive())

    async def _look_at_key(self) -> None:
        """Whether the key still counts, however slowly the client takes what it is told. Raises as `Keys.authenticate`, and ScopeMissing."""
        while True:
            await asyncio.sleep(self._live.every_s)
            with contextlib.suppress(Unavailable):  # the cell does not answer; it is asked again
                (await self._live.keys.authenticate(self._key)).expect(Scope.READ)

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            match read_frame(await self._socket.receive()):
                case frames.Subscribe() as wanted:
                    await self._subscribe(wanted, tasks)
                case frames.Unsubscribe(id=name):
                    if name in self._telling:
                        self._telling.pop(name).cancel()
                    await self._waiting.put(frames.Ended(subscription=name))
                case frames.Hello():
                    raise FrameInvalid("a second hello")

    async def _subscribe(self, wanted: frames.Subscribe, tasks: asyncio.TaskGroup) -> None:
        try:
            if wanted.id in self._telling:
                raise SubscriptionExists(wanted.id)
            if len(self._telling) >= MOST_SUBSCRIPTIONS:
                raise TooManySubscriptions
            items = await self._items(wanted)
        except Unavailable:
            raise
        except NorthstarError as exc:
            await self._waiting.put(_ended(wanted.id, exc))
            return
        self._telling[wanted.id] = tasks.create_task(self._tell(wanted.id, items))

    async def _items(self, wanted: frames.Subscribe) -> AsyncIterator[Told]:
        """Raises what a stream cannot begin for."""
        live, after = self._live, read_event_id(wanted.after) if wanted.after else None
        asked = await live.events.expect(self._caller, wanted.filter, after)
        if wanted.job is None:
            return live.events.follow(self._caller, asked, after=after, every_s=live.every_s)
        await live.jobs.expect(self._caller, wanted.job)
        return live.jobs.follow(self._caller, wanted.job, after=after or BEGINNING, every_s=live.every_s)

    async def _tell(self, name: str, items: AsyncIterator[Told]) -> None:
        """Each waits for its turn to be sent: a client that reads slowly lets its feed fill up, which ends the connection."""
        ended, has_begun = frames.Ended(subscription=name), False
        try:
            async with contextlib.aclosing(items) as following:  # type: ignore[type-var]
                async for item in following:
                    if not has_begun:
                        await self._waiting.put(frames.Subscribed(subscription=name))
                        has_begun = True
                    for frame in _framed(name, item):
                        await self._waiting.put(frame)
        except (ReaderTooSlow, FeedEnded):
            raise
        except NorthstarError as exc:
            ended = _ended(name, exc)
        self._telling.pop(name, None)
        await self._waiting.put(ended)


def _framed(name: str, item: Told) -> list[frames.FromServer]:
    match item:
        case ToldEvent():
            return [frames.Change(subscription=name, event=item)]
        case Missing():
            return [frames.Gap(subscription=name, missing=item)]
        case News(progress):
            return [
                frames.Wrote(subscription=name, text=data["text"])
                if kind == "text"
                else frames.Progressed(subscription=name, progress=data)
                for kind, data in news_of(progress)
            ]
        case Quiet(position):
            return [frames.Alive(subscription=name, position=position)] if position else []


def _ended(name: str, error: NorthstarError) -> frames.Ended:
    return frames.Ended(subscription=name, code=error.code, message=str(error), retryable=error.retryable)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What ended the talk: why it must end before that the client has left."""
    found = [_first(one) if isinstance(one, BaseExceptionGroup) else one for one in group.exceptions]
    return next((one for one in found if isinstance(one, NorthstarError)), found[0])
