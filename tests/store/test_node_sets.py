"""Node classes of machines: told once for each list, read once, believed only as far as their digest says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from northstar.agent.direct_link import DirectLink
from northstar.domain.machines import MachineDescription
from northstar.domain.node_sets import NodeSet, NodeSetInvalid, packed_set
from northstar.domain.refusals import NodeSetNotNamed
from northstar.domain.requirements import Requirements
from northstar.store.snapshots import read_snapshot
from tests.agent.rig import PROFILE, Rig
from tests.servers import RunningServer

CLASSES = frozenset({"KSampler", "UltimateSDUpscale"})
NODES = packed_set(CLASSES)
KNOWING = msgspec.structs.replace(PROFILE, node_set=NODES.digest)


@pytest_asyncio.fixture
async def rig(valkey_server: RunningServer) -> AsyncIterator[Rig]:
    async with Rig(valkey_server.url) as opened:
        yield opened


async def knowing(rig: Rig, machine: str, *, tells: NodeSet | None = NODES) -> DirectLink:
    link = await rig.link(machine)
    await link.register(KNOWING, MachineDescription(), slots=1, models=(), node_set=tells)
    return link


async def told(rig: Rig) -> dict[str, frozenset[str]]:
    return (await read_snapshot(rig.cell.client, rig.cell.keys)).node_sets


async def test_the_list_of_a_machine_is_seen_by_policy(rig: Rig) -> None:
    await knowing(rig, "m")
    assert await told(rig) == {NODES.digest: CLASSES}


async def test_a_list_is_told_once_whoever_else_has_it(rig: Rig) -> None:
    await knowing(rig, "m")
    await knowing(rig, "n", tells=None)
    link = await knowing(rig, "o", tells=None)
    assert await told(rig) == {NODES.digest: CLASSES}
    assert not await rig.cell.tell_node_set(NODES, machine="o", session=link.session)


async def test_a_job_that_asks_for_a_node_class_waits_until_somebody_tells_that_it_is_there(rig: Rig) -> None:
    link = await knowing(rig, "m", tells=None)
    await rig.submit("a", requires=Requirements(node_classes=("UltimateSDUpscale",)))
    await rig.plan()
    assert (await link.claim(credits_=1)).jobs == []
    await rig.cell.tell_node_set(NODES, machine="m", session=link.session)
    await rig.plan()
    assert [job.id for job in (await link.claim(credits_=1)).jobs] == ["a"]


async def test_a_machine_that_lacks_the_node_class_never_gets_the_job(rig: Rig) -> None:
    link = await knowing(rig, "m")
    await rig.submit("a", requires=Requirements(node_classes=("Missing",)))
    await rig.plan()
    assert (await link.claim(credits_=1)).jobs == []
    snapshot = await read_snapshot(rig.cell.client, rig.cell.keys)
    assert list(snapshot.fits.values()) == [False]


async def test_a_list_that_the_profile_does_not_name_is_refused(rig: Rig) -> None:
    link = await knowing(rig, "m")
    with pytest.raises(
        NodeSetNotNamed, match=r"machine m has told the node classes [0-9a-f]{16}, which its profile does"
    ):
        await rig.cell.tell_node_set(packed_set(["Other"]), machine="m", session=link.session)


async def test_a_list_that_is_not_what_its_digest_says_is_refused_and_the_machine_works_all_the_same(rig: Rig) -> None:
    lie = NodeSet(NODES.digest, packed_set(["Everything"]).packed)
    link = await knowing(rig, "m", tells=lie)
    with pytest.raises(NodeSetInvalid):
        await rig.cell.tell_node_set(lie, machine="m", session=link.session)
    assert await told(rig) == {}
    await rig.submit("a")
    await rig.plan()
    assert len((await link.claim(credits_=1)).jobs) == 1


async def test_what_nobody_can_read_in_the_cell_is_as_if_it_were_not_told(rig: Rig) -> None:
    await rig.cell.client.execute_command("HSET", rig.cell.keys["node_sets"], "f" * 16, b"\xc1")
    assert await told(rig) == {}
