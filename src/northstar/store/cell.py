"""One cell on a server: every change is one call of the function library, typed on both sides.

The calls may be repeated after a lost answer: submissions are known by id or idempotency key, claims by their nonce, and what
ends a lease by its token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from valkey.exceptions import ResponseError

from northstar.domain.errors import NorthstarError
from northstar.domain.node_sets import read_set
from northstar.domain.refusals import CellNotOpen, refusal
from northstar.store import messages as m
from northstar.store.errors import ValkeyGone, ValkeyLoading, ValkeyReadOnly
from northstar.store.function_library import Library, build
from northstar.store.keys import CellKeys
from northstar.store.library_loader import ensure_loaded
from northstar.store.valkey import FAULTS, ValkeyClient, translate
from northstar.store.valkey.identity import run_id_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.domain.limits import CellLimits
    from northstar.domain.node_sets import NodeSet

Reply = TypeVar("Reply")
Item = TypeVar("Item")

#: Pages of lanes that one look goes through; each spans 5,000 numbers, of which most may be forgotten lanes.
MAX_PAGES = 200

#: To ask for more machines by their names holds up the loop longer than to be told all that wait: 2,000 names take 5 ms to write down.
MOST_ASKED_BY_NAME = 64

#: Errors after which the server may be another one: open the cell again before the next call.
_REOPEN = (ValkeyGone, ValkeyLoading, ValkeyReadOnly)


class Cell:
    """A cell, through one client. Safe to share between tasks of one event loop.

    `now_ms` is given only on the virtual clock; it is then the time of every call until it is set again. `keys` are those of a copy.
    """

    def __init__(
        self, client: ValkeyClient, name: str, *, library: Library | None = None, keys: CellKeys | None = None
    ) -> None:
        self.client = client
        self.keys = keys or CellKeys(name)
        self.library = library or build()
        self.now_ms: int | None = None
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}
        self._opening: tuple[str, CellLimits, bool, Callable[[], str] | None] | None = None
        self._must_open = False

    @property
    def name(self) -> str:
        """The cell's name."""
        return self.keys.cell

    # Calls ------------------------------------------------------------------------------------------------------------

    async def open(
        self,
        limits: CellLimits,
        *,
        clock: str = "live",
        configure: bool = False,
        new_id: Callable[[], str] | None = None,
    ) -> m.OpenReply:
        """Make the cell or join it; loads the library where it is missing. `configure` sets the limits of one that exists.

        `new_id` draws the id of a cell that has none yet; without it, such a cell goes on without.

        Raises:
            LibraryChanged, SchemaUnsupported, ClockMismatch, CellDamaged: it cannot be used by this process, and why.
        """
        self._opening = (clock, limits, configure, new_id)
        return await self._open()

    async def _open(self) -> m.OpenReply:
        if self._opening is None:
            raise NorthstarError("open the cell before it is used")
        clock, limits, configure, new_id = self._opening
        try:
            await ensure_loaded(self.client, self.library)
            server = await run_id_for(self.client, self.keys["meta"])
        except FAULTS as exc:
            raise translate(exc) from exc
        request: dict[str, Any] = {"clock": clock, "server": server, "limits": limits, "configure": configure}
        if new_id is not None:
            request["id"] = new_id()
        reply = await self._call("open_cell", request, m.OpenReply)
        self._must_open = False
        return reply

    async def call(self, function: str, request: Any, reply: type[Reply]) -> Reply:
        """Call a function. Raises the typed error of its refusal, or an Unavailable when the server cannot answer."""
        if self._must_open:
            await self._open()
        try:
            return await self._call(function, request, reply)
        except CellNotOpen:
            # Another server answers than the one it was opened on, and nothing was done: open it there and ask again.
            await self._open()
            return await self._call(function, request, reply)
        except _REOPEN:
            self._must_open = True
            raise

    async def _call(self, function: str, request: Any, reply: type[Reply]) -> Reply:
        try:
            answer = await self._send(function, request)
        except ResponseError as exc:
            if "Function not found" not in str(exc):
                raise _typed(exc) from exc
            answer = await self._send_to_a_loaded_library(function, request)
        except FAULTS as exc:
            raise translate(exc) from exc
        decoder = self._decoders.get(reply)
        if decoder is None:
            decoder = self._decoders[reply] = msgspec.msgpack.Decoder(reply)
        decoded: Reply = decoder.decode(answer)
        return decoded

    async def _send(self, function: str, request: Any) -> Any:
        spec = self.library.functions[function]
        return await self.client.execute_command(
            "FCALL_RO" if spec.reads_only else "FCALL",
            spec.server_name,
            len(spec.keys),
            *self.keys.of(spec.keys),
            self.library.digest,
            "" if self.now_ms is None else str(self.now_ms),
            self._encode(request),
        )

    async def _send_to_a_loaded_library(self, function: str, request: Any) -> Any:
        try:
            await ensure_loaded(self.client, self.library)
            return await self._send(function, request)
        except ResponseError as exc:
            raise _typed(exc) from exc
        except FAULTS as exc:
            raise translate(exc) from exc

    # Clients' side ----------------------------------------------------------------------------------------------------

    async def submit(
        self, *, jobs: Sequence[m.WantedJob], lanes: Sequence[m.WantedLane], nonce: str
    ) -> list[m.Submitted]:
        """Accept all jobs or none (at most 500)."""
        return (await self.call("submit", {"nonce": nonce, "jobs": jobs, "lanes": lanes}, _Jobs[m.Submitted])).jobs

    async def cancel(self, job_ids: Sequence[str], *, because: str) -> list[m.Outcome]:
        """Stop jobs wherever they are; words: canceled, already, or a refusal's name."""
        return (await self.call("cancel", {"jobs": job_ids, "because": because}, _Jobs[m.Outcome])).jobs

    async def reprioritise(self, job_ids: Sequence[str], *, priority: int) -> list[m.Outcome]:
        """Change the priority of waiting jobs."""
        return (await self.call("reprioritise", {"jobs": job_ids, "priority": priority}, _Jobs[m.Outcome])).jobs

    async def replay(self, jobs: Sequence[tuple[str, m.WantedLane]], *, nonce: str) -> list[m.Outcome]:
        """Send dead letters back to work."""
        request = {"nonce": nonce, "jobs": [{"id": job_id, "lane": lane} for job_id, lane in jobs]}
        return (await self.call("replay", request, _Jobs[m.Outcome])).jobs

    async def reroute(
        self, jobs: Sequence[m.Rerouted], *, lanes: Sequence[m.WantedLane], because: str, nonce: str
    ) -> list[m.Outcome]:
        """Send waiting jobs (at most 500) to other lanes; words: ok, same, or a refusal's name."""
        request = {"nonce": nonce, "because": because, "lanes": lanes, "jobs": jobs}
        return (await self.call("reroute", request, _Jobs[m.Outcome])).jobs

    async def inspect(
        self, job_ids: Sequence[str], *, bodies: bool = False, results: bool = False, decisions: bool = False
    ) -> m.InspectReply:
        """Jobs as they are; unknown ones are left out."""
        request = {"jobs": job_ids, "bodies": bodies, "results": results, "decisions": decisions}
        return await self.call("inspect", request, m.InspectReply)

    async def list_jobs(self, index: m.JobIndex, *, after: str = "", count: int = 100) -> m.ListReply:
        """Ids of jobs in one state, a page at a time."""
        return await self.call("list_jobs", {"index": index, "after": after, "count": count}, m.ListReply)

    async def statistics(self, *, lanes: int = 0, after: str = "") -> m.StatisticsReply:
        """The cell in numbers, and at most `lanes` of its lanes. Lanes are forgotten, so a page of them may be short."""
        reply = await self.call("statistics", {"lanes": lanes, "after": after}, m.StatisticsReply)
        found = list(reply.lanes)
        for _ in range(MAX_PAGES):
            if len(found) >= lanes or not reply.after:
                break
            wanted = {"lanes": lanes - len(found), "after": reply.after}
            reply = await self.call("statistics", wanted, m.StatisticsReply)
            found += reply.lanes
        return msgspec.structs.replace(reply, lanes=found)

    # Machines' side ---------------------------------------------------------------------------------------------------

    async def register_machine(self, **fields: Any) -> m.RegisterReply:
        """A machine joins or comes back; fields as in the header of `register_machine.lua`."""
        return await self.call("register_machine", fields, m.RegisterReply)

    async def tell_node_set(self, node_set: NodeSet, *, machine: str, session: str) -> bool:
        """The node classes that a machine's profile names; gives whether they were new.

        Raises:
            NodeSetInvalid: it is not what its digest says. NodeSetNotNamed, TooManyNodeSets, TooMuchNews.
        """
        read_set(node_set)
        request = {"machine": machine, "session": session, "node_set": node_set.digest, "packed": node_set.packed}
        return (await self.call("tell_node_set", request, dict[str, bool]))["kept"]

    async def claim(self, *, machine: str, session: str, credits_: int, nonce: str, park: bool) -> m.ClaimReply:
        """Offers first, then what the machine may take; parks it when that is less than it asked."""
        request = {"machine": machine, "session": session, "credits": credits_, "nonce": nonce, "park": park}
        return await self.call("claim", request, m.ClaimReply)

    async def complete_and_claim(
        self, *, machine: str, session: str, done: Sequence[m.Done], credits_: int, nonce: str, park: bool
    ) -> m.ClaimReply:
        """Store results and take the next jobs in one call."""
        request = {
            "machine": machine,
            "session": session,
            "jobs": done,
            "credits": credits_,
            "nonce": nonce,
            "park": park,
        }
        return await self.call("complete_and_claim", request, m.ClaimReply)

    async def complete(self, *, machine: str, session: str, done: Sequence[m.Done]) -> list[m.Outcome]:
        """Store results; allowed when memory is out."""
        request = {"machine": machine, "session": session, "jobs": done}
        return (await self.call("complete", request, _Jobs[m.Outcome])).jobs

    async def fail(self, *, machine: str, session: str, failures: Sequence[m.Failure]) -> list[m.Outcome]:
        """The work failed; words: retrying, failed, replayed, or a refusal's name."""
        request = {"machine": machine, "session": session, "jobs": failures}
        return (await self.call("fail", request, _Jobs[m.Outcome])).jobs

    async def release(
        self, *, machine: str, session: str, held: Sequence[m.Held], because: str, nonce: str
    ) -> list[m.Outcome]:
        """Hand jobs back unfinished, uncharged."""
        request = {"machine": machine, "session": session, "jobs": held, "because": because, "nonce": nonce}
        return (await self.call("release", request, _Jobs[m.Outcome])).jobs

    async def renew(self, *, machine: str, session: str, held: Sequence[m.Held]) -> m.RenewReply:
        """The machine lives and still works on these jobs."""
        return await self.call("renew", {"machine": machine, "session": session, "jobs": held}, m.RenewReply)

    async def drain_machine(self, machine: str, *, draining: bool, nonce: str, session: str | None = None) -> None:
        """Give the machine no new work, or give it work again. An agent names its session, an operator none."""
        request = {"machine": machine, "draining": draining, "nonce": nonce} | _session(session)
        await self.call("drain_machine", request, dict[str, int])

    async def remove_machine(
        self, machine: str, *, because: str, lost: bool, nonce: str, session: str | None = None
    ) -> int:
        """The machine is gone; gives how many jobs went back. An agent names its session, an operator none."""
        request = {"machine": machine, "because": because, "lost": lost, "nonce": nonce} | _session(session)
        return (await self.call("remove_machine", request, dict[str, int]))["returned"]

    async def suspect_machine(self, machine: str, *, session: str, holder: str, grace_ms: int) -> bool:
        """The connection to a machine broke: unless it is heard of within the grace, it counts as lost."""
        request = {"machine": machine, "session": session, "holder": holder, "grace_ms": grace_ms}
        return (await self.call("suspect_machine", request, dict[str, bool]))["suspected"]

    async def unparked(self, machines: Sequence[str]) -> list[str]:
        """Those of the machines that wait for no work, as far as the cell knows. Raises Unavailable."""
        if not machines:
            return []
        try:
            if len(machines) > MOST_ASKED_BY_NAME:
                parked = set(await self.client.execute_command("ZRANGE", self.keys["parked"], 0, -1))
                return [machine for machine in machines if machine.encode() not in parked]
            scores = await self.client.execute_command("ZMSCORE", self.keys["parked"], *machines)
        except FAULTS as exc:
            raise translate(exc) from exc
        return [machine for machine, since in zip(machines, scores, strict=True) if since is None]

    async def pending_orders(self, machine: str, *, session: str | None = None) -> list[m.StoredOrder]:
        """Open orders to a machine, oldest first. An agent names its session, an operator none."""
        reply = await self.call(
            "pending_orders", {"machine": machine} | _session(session), dict[str, list[m.StoredOrder]]
        )
        return reply["orders"]

    # Operators' and brokers' side -------------------------------------------------------------------------------------

    async def tick(self, *, nonce: str, budget: int = 500) -> m.TickReply:
        """Do what time alone makes due."""
        return await self.call("tick", {"nonce": nonce, "budget": budget}, m.TickReply)

    async def set_candidates(self, machines: Sequence[tuple[str, Sequence[m.Candidate]]], *, nonce: str) -> list[str]:
        """What machines may take (at most 64 machines, 64 lanes each); gives those that are gone."""
        reply = await self.call("set_candidates", {"machines": machines, "nonce": nonce}, dict[str, list[str]])
        return reply["unknown"]

    async def order_models(self, machine: str, orders: Sequence[m.StoredOrder], *, by: str) -> list[tuple[str, bool]]:
        """Tell a machine to fetch or to evict (at most 32 open orders); gives each one's id and whether it is new."""
        wanted = [{"id": one.id, "what": one.what, "model": one.model, "body": one.body} for one in orders]
        request = {"machine": machine, "orders": wanted, "by": by}
        return (await self.call("order_models", request, dict[str, list[tuple[str, bool]]]))["given"]

    async def decide_fits(self, fits: Sequence[m.Fit]) -> None:
        """Remember which profiles can serve which classes (at most 500)."""
        await self.call("decide_fits", {"fits": fits}, dict[str, int])

    async def declare(self, words: Sequence[str], *, by: str, withdraw: bool = False) -> None:
        """Words that submissions may use (at most 500)."""
        await self.call("declare", {"words": words, "by": by, "withdraw": withdraw}, dict[str, int])

    async def pause(self, scope: str, *, because: str, by: str) -> bool:
        """Give out nothing of 'cell' or 'pool:NAME' until `resume`."""
        return (await self.call("pause", {"scope": scope, "because": because, "by": by}, dict[str, bool]))["paused"]

    async def resume(self, scope: str, *, by: str) -> bool:
        """End a pause."""
        return (await self.call("resume", {"scope": scope, "by": by}, dict[str, bool]))["resumed"]

    async def events_committed(self, *, epoch: int, event: int, history: str = "") -> int:
        """The history of this id has everything up to here; gives how many events still wait for it. Raises HistoryElsewhere."""
        request = {"epoch": epoch, "event": event, "history": history}
        return (await self.call("events_committed", request, dict[str, int]))["backlog"]


class _Jobs(msgspec.Struct, Generic[Item], frozen=True):
    jobs: list[Item]


def _session(session: str | None) -> dict[str, str]:
    return {} if session is None else {"session": session}


def _typed(exc: ResponseError) -> NorthstarError:
    """The error that a function's answer stands for: `NS_CODE key=value …`, or the server's own."""
    word, _, rest = str(exc).partition(" ")
    if not word.startswith("NS_"):
        return translate(exc)
    facts = dict(part.split("=", 1) for part in rest.split() if "=" in part)
    return refusal(word, facts)
