"""One WebSocket to a broker, dialled again whenever it breaks: frames, answers to calls, and what the broker says by itself."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import aiohttp
import msgspec

from northstar.agent.dialing import Backoff, trouble
from northstar.agent.link_errors import BrokerUnreachable, ProtocolUnknown, said_no
from northstar.connectors.connection_words import connection_words
from northstar.domain.errors import NorthstarError
from northstar.domain.pool_terms import PoolTerms
from northstar.domain.refusals import NoSuchMachine
from northstar.store import wire
from northstar.store.bells import Connected, read_ring
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from northstar.agent.dialing import Dialling
    from northstar.store.bells import Ring

log = logger(__name__)

Reply = TypeVar("Reply")

#: Rings that wait to be heard; beyond them the machine looks for itself.
_MAX_RINGS: Final = 256
_read_frame: Callable[[bytes], wire.FromBroker] = msgspec.msgpack.Decoder(wire.FromBroker).decode
_encode = msgspec.msgpack.Encoder().encode


class LinkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How patient the link is. Durations in seconds."""

    backoff: Backoff = Backoff()
    #: For the connection to stand and the broker to welcome the machine.
    connect_s: float = 10.0
    #: Ask whether the broker is there after so much silence, and take it for gone after half of that again. Together less than
    #: the broker takes to give this machine up, so that one whose connection was forgotten on the way keeps its jobs.
    ping_every_s: float = 3.0
    #: How long a call waits for a connection, and then for its answer.
    patience_s: float = 5.0
    answer_s: float = 20.0
    #: How often a machine that waits for approval asks again.
    approval_s: float = 3.0


class BrokerConnection:
    """One machine's connection; use it as a context manager. `session` is new for every start of the agent."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        dialling: Dialling,
        *,
        machine: str,
        session: str,
        version: str,
        jitter: Callable[[], float],
        options: LinkOptions | None = None,
    ) -> None:
        self.machine = machine
        self.session = session
        self._http = http
        self._dialling = dialling
        self._version = version
        self._jitter = jitter
        self._options = options or LinkOptions()
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[wire.Answer | wire.No]] = {}
        #: What happened to the machine, for whoever listens.
        self.rings: asyncio.Queue[Ring] = asyncio.Queue(_MAX_RINGS)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._up = asyncio.Event()
        self._fatal: NorthstarError | None = None
        self._trouble = "not dialled yet"
        #: What the machine last said of itself: said again on every new connection. None before it has registered.
        self.registration: wire.Registration | None = None
        #: Told what follows from the machine's pools, whenever it has registered.
        self.hear_terms: Callable[[PoolTerms], None] = lambda _: None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._dial_for_ever(), name="link")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    @property
    def connected(self) -> bool:
        """Whether calls can go out at this moment."""
        return self._socket is not None and self._up.is_set()

    # The connection ---------------------------------------------------------------------------------------------------

    async def _dial_for_ever(self) -> None:
        failures = 0
        while True:
            try:
                await self._once()
                failures = 0
            except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError, NorthstarError) as exc:
                if self._up.is_set():
                    failures = 0
                self._trouble = exc.detail if isinstance(exc, BrokerUnreachable) else trouble(exc)
                if isinstance(exc, NorthstarError) and not exc.retryable:
                    self._fatal = exc
                    self._down(exc)
                    self._up.set()  # whoever waits learns it
                    return
                self._down(BrokerUnreachable(self._trouble))
            except Exception as exc:
                # A fault of ours must not leave an agent that looks alive and never dials again.
                log.exception("link_raised")
                self._trouble = f"{type(exc).__name__}: {exc}"
                self._down(BrokerUnreachable(self._trouble))
            delay_s = self._options.backoff.delay_s(failures, self._jitter())
            failures += 1
            log.info("broker_not_connected", reason=self._trouble, again_in_s=round(delay_s, 2))
            await asyncio.sleep(delay_s)

    async def greeted_once(self) -> wire.Welcome:
        """Dial, be welcomed, and hang up before anything is registered: whether the broker knows this machine's token.

        Raises what the broker says instead, and aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError.
        """
        socket = await self._dial()
        try:
            async with asyncio.timeout(self._options.connect_s):
                return await self._greet(socket)
        finally:
            await socket.close()

    async def _dial(self) -> aiohttp.ClientWebSocketResponse:
        async with asyncio.timeout(self._options.connect_s):
            return await self._http.ws_connect(
                self._dialling.http_url + "/agent/v1/link",
                headers={"Authorization": f"Bearer {self._dialling.token.reveal()}"},
                heartbeat=self._options.ping_every_s,
                max_msg_size=wire.MAX_FRAME_BYTES,
                ssl=self._dialling.tls(),
            )

    async def _once(self) -> None:
        """Dial, and listen until the connection ends. Raises what ended it."""
        socket = await self._dial()
        try:
            async with asyncio.timeout(self._options.connect_s):
                welcome = await self._greet(socket)
            log.info(
                "broker_connected",
                url=self._dialling.http_url,
                serve=welcome.serve,
                cell=welcome.cell,
                protocol=welcome.protocol,
            )
            self._socket = socket
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(socket), name="link-read")
                tasks.create_task(self._come_back(), name="link-register")
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            self._socket = None
            await socket.close()

    async def _greet(self, socket: aiohttp.ClientWebSocketResponse) -> wire.Welcome:
        hello = wire.Hello(wire.OLDEST_PROTOCOL, wire.NEWEST_PROTOCOL, self.machine, self.session, self._version)
        await socket.send_bytes(_encode(hello))
        match await self._frame(socket):
            case wire.Welcome(protocol=protocol) as welcome:
                if not wire.OLDEST_PROTOCOL <= protocol <= wire.NEWEST_PROTOCOL:
                    raise ProtocolUnknown(protocol)
                return welcome
            case wire.Goodbye() as goodbye:
                raise said_no(goodbye.code, goodbye.sentence, retryable=goodbye.retryable, facts=goodbye.facts)
            case other:
                raise BrokerUnreachable(f"it began with {type(other).__name__} instead of a welcome")

    async def _come_back(self) -> None:
        """Tell the broker, perhaps another process than before, what this machine is; then calls may go out."""
        if self.registration is not None:
            again = msgspec.structs.replace(self.registration, again=True)
            # Given up meanwhile: every call will say so, and the worker begins anew.
            with contextlib.suppress(NoSuchMachine):
                self.hear_terms((await self._ask("register", again, wire.Registered)).terms)
        self._up.set()
        self._hear(Connected())

    async def _frame(self, socket: aiohttp.ClientWebSocketResponse) -> wire.FromBroker:
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            return _read_frame(message.data)
        if message.type is aiohttp.WSMsgType.ERROR:
            raise BrokerUnreachable(f"the connection broke ({connection_words(message.data)})")
        raise BrokerUnreachable("the broker hung up")

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            match await self._frame(socket):
                case wire.Answer() | wire.No() as answer:
                    future = self._pending.pop(answer.number, None)
                    if future is not None and not future.done():
                        future.set_result(answer)
                case wire.Rung([wire.TERMS, terms]):
                    self.hear_terms(msgspec.convert(terms, PoolTerms))
                case wire.Rung(word):
                    if (ring := read_ring(self.machine, word)) is not None:
                        self._hear(ring)
                case wire.Goodbye() as goodbye:
                    raise said_no(goodbye.code, goodbye.sentence, retryable=goodbye.retryable, facts=goodbye.facts)
                case wire.Welcome():
                    raise BrokerUnreachable("it welcomed twice")

    def _hear(self, ring: Ring) -> None:
        if self.rings.full():
            while not self.rings.empty():
                self.rings.get_nowait()
            ring = Connected()  # whatever was lost, a look for itself makes up for it
        self.rings.put_nowait(ring)

    def _down(self, error: NorthstarError) -> None:
        self._up.clear()
        pending, self._pending = self._pending, {}
        for future in pending.values():
            if not future.done():
                future.set_exception(error)
                future.exception()  # seen, should nobody wait for it any more

    # Calls ------------------------------------------------------------------------------------------------------------

    async def call(self, name: str, body: Any, reply: type[Reply]) -> Reply:
        """Ask the broker; waits a little for a connection. Raises Unavailable, or what the broker refuses."""
        try:
            async with asyncio.timeout(self._options.patience_s):
                await self._up.wait()
        except TimeoutError as exc:
            raise BrokerUnreachable(self._trouble) from exc
        if self._fatal is not None:
            raise self._fatal
        return await self._ask(name, body, reply)

    async def _ask(self, name: str, body: Any, reply: type[Reply]) -> Reply:
        number, future = next(self._numbers), asyncio.get_running_loop().create_future()
        self._pending[number] = future
        try:
            await self.send(wire.Call(number, name, msgspec.Raw(_encode(body))))
            async with asyncio.timeout(self._options.answer_s):
                answer = await future
        except TimeoutError as exc:
            raise BrokerUnreachable(f"no answer to {name} within {self._options.answer_s:g} s") from exc
        finally:
            self._pending.pop(number, None)
        if isinstance(answer, wire.No):
            raise said_no(answer.code, answer.sentence, retryable=answer.retryable, facts=answer.facts)
        return msgspec.msgpack.decode(answer.body, type=reply)

    async def send(self, frame: wire.FromAgent) -> None:
        """Without waiting for an answer. Raises BrokerUnreachable."""
        if self._socket is None:
            raise BrokerUnreachable(self._trouble)
        try:
            await self._socket.send_bytes(_encode(frame))
        except (aiohttp.ClientError, OSError) as exc:
            raise BrokerUnreachable(connection_words(exc)) from exc


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error behind a group of them."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
