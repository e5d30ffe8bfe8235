"""Who drained or removed a machine: noted in the events, kept nowhere else, and no reason for a machine not to drain."""

from __future__ import annotations

import pytest
import structlog.testing

from northstar.broker import acts
from northstar.domain.audit import act_of
from northstar.domain.limits import CellLimits
from northstar.domain.refusals import NoSuchMachine
from northstar.store.documents import WantedDocument, put_documents, read_documents
from northstar.store.events import read_events
from northstar.store.history import BEGINNING
from tests.agent.rig import LIMITS, Rig, nonce
from tests.servers import RunningServer


async def told(rig: Rig) -> list[tuple[str, str, str]]:
    """Acts in the events, none of which a history has taken."""
    events = await read_events(rig.cell.client, rig.cell.keys, after=BEGINNING)
    return [(act.act, act.subject, act.by) for event in events if (act := act_of(event)) is not None]


async def status(rig: Rig, machine: str) -> str:
    from northstar.store.machine_sheets import read_machine_sheet

    return (await read_machine_sheet(rig.cell.client, rig.cell.keys, machine)).status


async def test_each_act_is_noted_once_however_often_it_is_done(rig: Rig) -> None:
    await rig.joined("m")
    for draining in (True, True, False):
        await acts.drain(rig.cell, "m", draining=draining, by="ann@host", nonce=nonce())
    assert await acts.remove(rig.cell, "m", by="key k1", nonce=nonce()) == 0
    assert await told(rig) == [
        ("machine.drain", "m", "ann@host"),
        ("machine.drain", "m", "ann@host"),
        ("machine.undrain", "m", "ann@host"),
        ("machine.remove", "m", "key k1"),
    ]
    assert await read_documents(rig.cell.client, rig.cell.keys, acts.ACTS) == {}


async def test_what_is_refused_is_not_noted(rig: Rig) -> None:
    with pytest.raises(NoSuchMachine):
        await acts.drain(rig.cell, "nobody", draining=True, by="ann@host", nonce=nonce())
    with pytest.raises(NoSuchMachine):
        await acts.remove(rig.cell, "nobody", by="ann@host", nonce=nonce())
    assert await told(rig) == []


async def test_a_machine_drains_where_no_note_has_room_and_the_log_says_who_had_it_done(
    broker_server: RunningServer,
) -> None:
    limits = CellLimits(lease_ms=LIMITS.lease_ms, alive_ms=LIMITS.alive_ms, max_documents=1)
    async with Rig(broker_server.url, limits=limits) as rig:
        await rig.joined("m")
        await put_documents(rig.cell, [WantedDocument(kind="model", name="x", body="{}")], by="test")
        with structlog.testing.capture_logs() as lines:
            await acts.drain(rig.cell, "m", draining=True, by="ann@host", nonce=nonce())
        assert await status(rig, "m") == "draining"
        (line,) = [line for line in lines if line["event"] == "act_not_noted"]
        assert (line["act"], line["machine"], line["by"]) == ("machine.drain", "m", "ann@host")
        assert line["code"] == "NS_TOO_MANY_DOCUMENTS"
