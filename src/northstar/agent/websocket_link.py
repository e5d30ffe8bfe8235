"""The link of a machine anywhere: one WebSocket that it dials itself, and dials again whenever it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

import aiohttp
import msgspec
import structlog

from northstar.agent.dialing import Backoff, trouble
from northstar.agent.log_lines import ApprovalAwaited
from northstar.connectors.connection_words import connection_words
from northstar.domain.errors import NorthstarError, Refused, Unavailable
from northstar.domain.refusals import REFUSALS, MachineReplaced, NoSuchMachine, TokenWaiting, refusal
from northstar.store import wire
from northstar.store.bells import Connected, read_ring
from northstar.store.messages import ClaimReply, RenewReply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from types import TracebackType

    from northstar.agent.dialing import Dialling
    from northstar.domain.machines import MachineDescription, MachineProfile
    from northstar.domain.models import ModelHeld
    from northstar.store.bells import Ring
    from northstar.store.messages import Done, Failure, Held, Outcome

log = structlog.get_logger(__name__)

Reply = TypeVar("Reply")

#: Rings that wait to be heard; beyond them the machine looks for itself.
_MAX_RINGS: Final = 256
_read_frame: Callable[[bytes], wire.FromBroker] = msgspec.msgpack.Decoder(wire.FromBroker).decode
_encode = msgspec.msgpack.Encoder().encode


class BrokerUnreachable(Unavailable):
    """There is no connection to the broker at present."""

    code: ClassVar[str] = "NS_BROKER_UNREACHABLE"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the broker is not connected: {detail}; dialling goes on by itself")
        self.detail = detail


class BrokerUnavailable(Unavailable):
    """The broker is connected, but gives no answer at present."""

    code: ClassVar[str] = "NS_BROKER_UNAVAILABLE"

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{sentence} ({code})")
        self.said = code


class BrokerRefused(Refused):
    """The broker said no, and will say it again."""

    code: ClassVar[str] = "NS_BROKER_REFUSED"

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{sentence} ({code})")
        self.said = code


class ProtocolUnknown(Refused):
    """The broker chose a protocol that was not offered to it."""

    code: ClassVar[str] = "NS_PROTOCOL_UNKNOWN"

    def __init__(self, protocol: int) -> None:
        super().__init__(
            f"the broker answered in protocol {protocol}, the agent speaks {wire.OLDEST_PROTOCOL} to {wire.NEWEST_PROTOCOL}; "
            "upgrade the agent"
        )


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


class WebSocketLink:
    """One machine's link; use it as a context manager. `session` is new for every start of the agent."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        dialling: Dialling,
        *,
        machine: str,
        session: str,
        version: str,
        new_nonce: Callable[[], str],
        jitter: Callable[[], float],
        options: LinkOptions | None = None,
    ) -> None:
        self.machine = machine
        self.session = session
        self._http = http
        self._dialling = dialling
        self._version = version
        self._new_nonce = new_nonce
        self._jitter = jitter
        self._options = options or LinkOptions()
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[wire.Answer | wire.No]] = {}
        self._rings: asyncio.Queue[Ring] = asyncio.Queue(_MAX_RINGS)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._up = asyncio.Event()
        self._fatal: NorthstarError | None = None
        self._trouble = "not dialled yet"
        self._registration: wire.Registration | None = None
        self._claim_nonce: str | None = None
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
            delay_s = self._options.backoff.delay_s(failures, self._jitter())
            failures += 1
            log.info("broker_not_connected", reason=self._trouble, again_in_s=round(delay_s, 2))
            await asyncio.sleep(delay_s)

    async def _once(self) -> None:
        """Dial, and listen until the connection ends. Raises what ended it."""
        options = self._options
        async with asyncio.timeout(options.connect_s):
            socket = await self._http.ws_connect(
                self._dialling.http_url + "/agent/v1/link",
                headers={"Authorization": f"Bearer {self._dialling.token.reveal()}"},
                heartbeat=options.ping_every_s,
                max_msg_size=wire.MAX_FRAME_BYTES,
                ssl=self._dialling.tls(),
            )
        try:
            async with asyncio.timeout(options.connect_s):
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
                raise _no(goodbye.code, goodbye.sentence, retryable=goodbye.retryable, facts=goodbye.facts)
            case other:
                raise BrokerUnreachable(f"it began with {type(other).__name__} instead of a welcome")

    async def _come_back(self) -> None:
        """Tell the broker, perhaps another process than before, what this machine is; then calls may go out."""
        if self._registration is not None:
            again = msgspec.structs.replace(self._registration, again=True)
            # Given up meanwhile: every call will say so, and the worker begins anew.
            with contextlib.suppress(NoSuchMachine):
                await self._ask("register", again, wire.Registered)
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
                case wire.Rung(word):
                    if (ring := read_ring(self.machine, word)) is not None:
                        self._hear(ring)
                case wire.Goodbye() as goodbye:
                    raise _no(goodbye.code, goodbye.sentence, retryable=goodbye.retryable, facts=goodbye.facts)
                case wire.Welcome():
                    raise BrokerUnreachable("it welcomed twice")

    def _hear(self, ring: Ring) -> None:
        if self._rings.full():
            while not self._rings.empty():
                self._rings.get_nowait()
            ring = Connected()  # whatever was lost, a look for itself makes up for it
        self._rings.put_nowait(ring)

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
            await self._send(wire.Call(number, name, msgspec.Raw(_encode(body))))
            async with asyncio.timeout(self._options.answer_s):
                answer = await future
        except TimeoutError as exc:
            raise BrokerUnreachable(f"no answer to {name} within {self._options.answer_s:g} s") from exc
        finally:
            self._pending.pop(number, None)
        if isinstance(answer, wire.No):
            raise _no(answer.code, answer.sentence, retryable=answer.retryable, facts=answer.facts)
        return msgspec.msgpack.decode(answer.body, type=reply)

    async def _send(self, frame: wire.FromAgent) -> None:
        if self._socket is None:
            raise BrokerUnreachable(self._trouble)
        try:
            await self._socket.send_bytes(_encode(frame))
        except (aiohttp.ClientError, OSError) as exc:
            raise BrokerUnreachable(connection_words(exc)) from exc

    async def register(
        self, profile: MachineProfile, description: MachineDescription, *, slots: int, models: Sequence[ModelHeld]
    ) -> list[Held]:
        """Join, or come back; gives the jobs that this session still holds."""
        registration = wire.Registration(profile=profile, description=description, slots=slots, models=tuple(models))
        try:
            reply = await self.call("register", registration, wire.Registered)
        except TokenWaiting as exc:
            await asyncio.sleep(self._options.approval_s)
            raise ApprovalAwaited(self.machine) from exc
        self._registration = registration
        return list(reply.held)

    async def claim(self, *, credits_: int) -> ClaimReply:
        """Take work; after a lost answer the next call gets the same jobs again."""
        reply = await self.call("claim", wire.Claim(credits_, self._open_nonce()), ClaimReply)
        self._claim_nonce = None
        return reply

    async def complete_and_claim(self, done: Sequence[Done], *, credits_: int) -> ClaimReply:
        """Store results and take work; a repeated call stores nothing twice and claims the same jobs."""
        body = wire.CompleteAndClaim(tuple(done), credits_, self._open_nonce())
        reply = await self.call("complete_and_claim", body, ClaimReply)
        self._claim_nonce = None
        return reply

    def _open_nonce(self) -> str:
        """The nonce of the claim whose answer is still open, else a new one."""
        if self._claim_nonce is None:
            self._claim_nonce = self._new_nonce()
        return self._claim_nonce

    async def complete(self, done: Sequence[Done]) -> list[Outcome]:
        """Store results only."""
        return list((await self.call("complete", wire.Complete(tuple(done)), wire.Outcomes)).outcomes)

    async def fail(self, failures: Sequence[Failure]) -> list[Outcome]:
        """The work failed."""
        return list((await self.call("fail", wire.Fail(tuple(failures)), wire.Outcomes)).outcomes)

    async def release(self, held: Sequence[Held], *, because: str) -> list[Outcome]:
        """Hand jobs back unfinished."""
        return list((await self.call("release", wire.Release(tuple(held), because), wire.Outcomes)).outcomes)

    async def renew(self, held: Sequence[Held]) -> RenewReply:
        """The machine lives, and works on these."""
        return await self.call("renew", wire.Renew(tuple(held)), RenewReply)

    async def drain(self) -> None:
        """Take no new work; what was only offered goes back."""
        await self.call("drain", wire.Drain(), wire.Nothing)

    async def leave(self, *, because: str) -> None:
        """Remove the machine; what it still holds goes back uncharged. A newer agent of its name is left alone."""
        self._registration = None
        with contextlib.suppress(NoSuchMachine, MachineReplaced):
            await self.call("leave", wire.Leave(because), wire.Nothing)

    async def progress(self, job_id: str, token: str, text: bytes) -> None:
        """Say how far a job is, if anybody hears it."""
        with contextlib.suppress(BrokerUnreachable):
            await self._send(wire.Progressed(job_id, token, text))

    async def bells(self) -> AsyncIterator[Ring]:
        """What happens to this machine, for ever; a fresh connection too, since bells before it are unknown."""
        while True:
            yield await self._rings.get()


def _no(code: str, sentence: str, *, retryable: bool, facts: dict[str, str] | None = None) -> NorthstarError:
    """The typed error of a broker's no."""
    if code in REFUSALS:
        return refusal(code, facts)
    return BrokerUnavailable(code, sentence) if retryable else BrokerRefused(code, sentence)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error behind a group of them."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
