"""A machine that dials gets work, keeps it across broken connections and other brokers, and is missed soon when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Any

import aiohttp
import msgspec
import pytest

from northstar.agent.link_errors import BrokerRefused
from northstar.agent.model_link import DialledModelLink
from northstar.agent.websocket_link import WebSocketLink
from northstar.assembly.front import admission_to
from northstar.broker.gateway.gateway import GatewayOptions
from northstar.domain.admission import InviteTerms
from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelHeld
from northstar.domain.node_sets import packed_set
from northstar.domain.refusals import TokenRevoked, TooMuchNews
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, machine_token
from northstar.store import wire
from northstar.store.admission import revoke
from northstar.store.bells import Connected, Offered
from northstar.store.cell import Cell
from northstar.store.messages import RegisterReply
from northstar.store.progress import listen_progress
from northstar.store.snapshots import read_snapshot
from tests.agent.rig import PROFILE, Runs, nonce, soon
from tests.broker.gateway.rig import Fleet
from tests.servers import eventually


async def registered(link: WebSocketLink, *, slots: int = 2) -> None:
    await link.register(PROFILE, MachineDescription(), slots=slots, models=())


async def machines(fleet: Fleet) -> set[str]:
    return set((await read_snapshot(fleet.cell.client, fleet.cell.keys)).machines)


async def test_a_submit_wakes_the_machine_through_the_broker_that_holds_its_connection(fleet: Fleet) -> None:
    async with fleet.front() as one, fleet.front(), fleet.dialling(one.url) as link:
        await registered(link)
        await fleet.plan()
        assert (await link.claim(credits_=2)).jobs == []
        bells = link.bells()
        assert await anext(bells) == Connected()
        await fleet.submit("a")
        ring = await asyncio.wait_for(anext(bells), 5)
        assert isinstance(ring, Offered)
        assert [job.id for job in ring.jobs] == ["a"]


async def test_another_broker_takes_over_and_the_machine_goes_on_with_its_jobs(fleet: Fleet) -> None:
    runs = Runs()
    async with fleet.dispatching(), contextlib.AsyncExitStack() as others, contextlib.AsyncExitStack() as first:
        front = await first.enter_async_context(fleet.front())
        link = await others.enter_async_context(fleet.dialling(front.url))
        _ = await others.enter_async_context(fleet.working(fleet.worker(link, runs)))
        await fleet.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        await first.aclose()
        second = await others.enter_async_context(fleet.front(port=int(front.url.rpartition(":")[2])))
        await soon(lambda: second.gateway.machines == ("m",), "the machine has dialled the other")
        runs.finish("a")
        await fleet.becomes("a", "succeeded")
    record = await fleet.record("a")
    assert (record.attempts, record.recoveries, runs.ids) == (0, 0, ["a"])


async def test_a_machine_whose_connection_breaks_counts_as_lost_after_the_grace_and_its_job_goes_to_another(
    fleet: Fleet,
) -> None:
    async with fleet.dispatching(), fleet.front(grace_s=0.1) as front:
        async with fleet.dialling(front.url, "gone") as gone:
            await registered(gone, slots=1)
            await fleet.plan()
            await fleet.submit("a")
            (job,) = (await gone.claim(credits_=1)).jobs
        runs = Runs()
        async with fleet.dialling(front.url, "other") as other, fleet.working(fleet.worker(other, runs)):
            await soon(lambda: runs.ids == ["a"], "the other machine runs it")
            assert "gone" not in await machines(fleet)
            runs.finish("a")
            await fleet.becomes("a", "succeeded")
    record = await fleet.record("a")
    assert (record.attempts, record.recoveries, job.id) == (0, 1, "a")


async def test_a_machine_that_dials_again_within_the_grace_is_not_lost(fleet: Fleet) -> None:
    session = nonce()
    async with fleet.front(grace_s=30) as front:
        async with fleet.dialling(front.url, session=session) as link:
            await registered(link)
            await fleet.plan()
            await fleet.submit("a")
            (job,) = (await link.claim(credits_=1)).jobs
        await soon(lambda: front.gateway.machines == (), "the connection is gone")
        async with fleet.dialling(front.url, session=session) as again:
            held = await again.register(PROFILE, MachineDescription(), slots=2, models=())
            assert [(one.id, one.token) for one in held] == [("a", job.token)]


async def test_a_fleet_that_dials_at_once_is_let_in_by_and_by(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are here need the cell too: whose lease is not renewed is lost."""
    count, now, most = 3 * GatewayOptions().joining_at_once, 0, 0
    register = Cell.register_machine

    async def counted(self: Cell, **fields: Any) -> RegisterReply:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        try:
            return await register(self, **fields)
        finally:
            now -= 1

    monkeypatch.setattr(Cell, "register_machine", counted)
    names = [f"m-{number}" for number in range(count)]
    async with fleet.front() as front, contextlib.AsyncExitStack() as dialled:
        links = [await dialled.enter_async_context(fleet.dialling(front.url, name)) for name in names]
        await asyncio.gather(*(registered(link) for link in links))
        assert await machines(fleet) == set(names)
    assert 1 < most <= GatewayOptions().joining_at_once


async def test_a_machine_whose_bell_was_lost_is_found_by_the_sweep(fleet: Fleet) -> None:
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        await registered(link)
        await fleet.plan()
        await link.claim(credits_=2)
        bells = link.bells()
        assert await anext(bells) == Connected()
        # As if another process had been told: the machine waits no more, and nobody here heard of it.
        machine = await fleet.cell.client.execute_command("HGET", fleet.cell.keys["machines"], "m")
        assert machine
        await fleet.cell.client.execute_command("ZREM", fleet.cell.keys["parked"], "m")
        assert await asyncio.wait_for(anext(bells), 5) == Offered("m")


async def test_a_machine_that_asks_no_more_after_a_claim_that_only_accepted_an_offer_is_found_by_the_sweep(
    fleet: Fleet,
) -> None:
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        await registered(link)
        await fleet.plan()
        await link.claim(credits_=2)
        bells = link.bells()
        assert await anext(bells) == Connected()
        await fleet.submit("a")
        assert isinstance(await asyncio.wait_for(anext(bells), 5), Offered)
        # An agent that has begun the job asks for its other slot, and is given what it has.
        assert [job.id for job in (await link.claim(credits_=1)).jobs] == ["a"]
        assert await asyncio.wait_for(anext(bells), 5) == Offered("m")


@pytest.mark.parametrize(
    ("token", "machine", "code"),
    [("nobody-was-given-this", "m", "NS_TOKEN_MALFORMED"), (None, "another", "NS_MACHINE_FOREIGN")],
)
async def test_a_machine_with_a_wrong_token_or_name_is_told_why_and_dials_no_more(
    fleet: Fleet, token: str | None, machine: str, code: str
) -> None:
    async with (
        fleet.front() as front,
        fleet.dialling(front.url, machine, token=token or await fleet.token("m")) as link,
    ):
        with pytest.raises(BrokerRefused, match=code):
            await registered(link)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode(["hello"]),
        msgspec.msgpack.encode(["call", 1, "claim", {}]),
        msgspec.msgpack.encode(["hello", 1, 1, "m", 7]),
        msgspec.msgpack.encode([[]] * 1000),
    ],
)
async def test_what_is_no_hello_ends_the_connection_with_the_reason(fleet: Fleet, frame: bytes) -> None:
    async with fleet.front() as front, aiohttp.ClientSession() as http:
        headers = {"Authorization": f"Bearer {await fleet.token('m')}"}
        async with http.ws_connect(front.url + "/agent/v1/link", headers=headers) as socket:
            await socket.send_bytes(frame)
            goodbye = msgspec.msgpack.decode(await socket.receive_bytes(timeout=5), type=wire.FromBroker)
            assert isinstance(goodbye, wire.Goodbye)
            assert goodbye.code == "NS_FRAME_INVALID"
            assert (await socket.receive(timeout=5)).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}


async def test_an_agent_of_another_protocol_is_refused_in_words(fleet: Fleet) -> None:
    async with fleet.front() as front, aiohttp.ClientSession() as http:
        headers = {"Authorization": f"Bearer {await fleet.token('m')}"}
        async with http.ws_connect(front.url + "/agent/v1/link", headers=headers) as socket:
            await socket.send_bytes(msgspec.msgpack.encode(wire.Hello(7, 9, "m", "s")))
            goodbye = msgspec.msgpack.decode(await socket.receive_bytes(timeout=5), type=wire.FromBroker)
    assert isinstance(goodbye, wire.Goodbye)
    assert goodbye.sentence == "the agent speaks protocol 7 to 9, the broker 1 to 1; upgrade the broker"


async def test_a_machine_cannot_tell_progress_of_a_job_that_it_does_not_hold(fleet: Fleet) -> None:
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        await registered(link)
        await fleet.submit("a")
        await fleet.plan()
        heard: dict[str, bytes] = {}

        async def listen() -> None:
            async for token, text in listen_progress(fleet.cell, "a"):
                heard.setdefault(token, text)

        listening = asyncio.create_task(listen())
        (job,) = (await link.claim(credits_=1)).jobs

        async def tell() -> bool:
            await link.progress("a", "1.forged.1", b"{}")
            await link.progress("a", job.token, b'{"fraction": 0.5}')
            return bool(heard)

        await eventually(tell, what="progress is heard", within_s=5)
        listening.cancel()
        await asyncio.wait({listening})
    assert heard == {job.token: b'{"fraction": 0.5}'}


async def test_a_revoked_machine_is_cut_off_at_once_and_its_jobs_go_to_others(fleet: Fleet) -> None:
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        await registered(link)
        await fleet.plan()
        await fleet.submit("a")
        await link.claim(credits_=1)
        await revoke(fleet.cell, "m", by="test", because="stolen", nonce=nonce())
        await soon(lambda: front.gateway.machines == (), "the connection is closed")
        with pytest.raises(TokenRevoked):
            await link.claim(credits_=1)
    assert await fleet.status("a") == "queued"


async def test_a_machine_may_serve_only_what_it_was_invited_for(fleet: Fleet) -> None:
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        profile = msgspec.structs.replace(PROFILE, pools=("enterprise",))
        with pytest.raises(BrokerRefused, match="NS_NOT_GRANTED"):
            await link.register(profile, MachineDescription(), slots=1, models=())


async def test_a_machine_that_says_something_else_every_minute_does_not_use_up_what_all_share(fleet: Fleet) -> None:
    async with fleet.front() as front:
        async with fleet.dialling(front.url, "m") as link:
            with pytest.raises(TooMuchNews, match="m has brought more than 10,000 words, 256 profiles or 32 lists"):  # noqa: PT012
                for turn in range(30):
                    packs = tuple(f"p{turn}-{number}" for number in range(400))
                    profile = msgspec.structs.replace(PROFILE, node_packs=packs)
                    await link.register(profile, MachineDescription(), slots=1, models=())
            # What the cell knows already costs nothing, and the machine goes on with it.
            await link.register(PROFILE, MachineDescription(), slots=1, models=())
            models = tuple(ModelHeld(f"model-{number}", "disk") for number in range(500))
            with pytest.raises(TooMuchNews):
                await DialledModelLink(link).models_present(models)
            assert (await link.renew(())).lost == []
        async with fleet.dialling(front.url, "n") as other:
            await other.register(
                msgspec.structs.replace(PROFILE, node_packs=("new",)), MachineDescription(), slots=1, models=models
            )


async def test_profiles_that_nobody_had_are_counted_too(fleet: Fleet) -> None:
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        with pytest.raises(TooMuchNews):  # noqa: PT012
            for turn in range(300):
                profile = msgspec.structs.replace(PROFILE, vram_mb=turn)
                await link.register(profile, MachineDescription(), slots=1, models=())
        assert turn == 256


async def test_a_machine_tells_its_node_classes_where_nobody_has_told_them_yet(fleet: Fleet) -> None:
    nodes = packed_set(["KSampler", "UltimateSDUpscale"])
    profile = msgspec.structs.replace(PROFILE, node_set=nodes.digest)
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        await link.register(profile, MachineDescription(), slots=1, models=(), node_set=nodes)
        snapshot = await read_snapshot(fleet.cell.client, fleet.cell.keys)
    assert snapshot.node_sets == {nodes.digest: frozenset({"KSampler", "UltimateSDUpscale"})}


async def test_lists_of_node_classes_are_counted_too_and_what_is_refused_costs_only_the_list(fleet: Fleet) -> None:
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        for turn in range(34):
            nodes = packed_set([f"Node{turn}"])
            profile = msgspec.structs.replace(PROFILE, node_set=nodes.digest)
            await link.register(profile, MachineDescription(), slots=1, models=(), node_set=nodes)
        snapshot = await read_snapshot(fleet.cell.client, fleet.cell.keys)
    assert len(snapshot.node_sets) == 32


async def test_a_fault_in_the_link_is_told_and_the_machine_dials_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    greet, faults = WebSocketLink._greet, [RuntimeError("a fault of ours")]

    async def faulty(link: WebSocketLink, socket: aiohttp.ClientWebSocketResponse) -> wire.Welcome:
        if faults:
            raise faults.pop()
        return await greet(link, socket)

    monkeypatch.setattr(WebSocketLink, "_greet", faulty)
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        await registered(link)
    assert faults == []


async def test_a_machine_does_not_move_to_another_region_after_it_was_let_in(fleet: Fleet) -> None:
    admission = admission_to(fleet.cell)
    invite = (await admission.invite(InviteTerms(pools=("standard",), region="eu"), by="test")).invite
    token = machine_token(
        invite, id_bytes=secrets.token_bytes(ID_BYTES), secret_bytes=secrets.token_bytes(SECRET_BYTES)
    )
    await admission.redeem(invite.reveal(), token.reveal(), machine="m")
    here, elsewhere = (MachineDescription(region=region) for region in ("eu", "us"))
    async with fleet.front() as front, fleet.dialling(front.url, token=token.reveal()) as link:
        await link.register(PROFILE, here, slots=1, models=())
        await DialledModelLink(link).describe(here)
        with pytest.raises(BrokerRefused, match="region us, and its token grants region eu"):
            await DialledModelLink(link).describe(elsewhere)
