"""Jobs for the machines of a host are welcome before the machines are ready, however many words these have."""

from __future__ import annotations

from pathlib import Path

import msgspec

from northstar.assembly.stack import _declare_services
from northstar.config import load
from northstar.config.settings import MachineSettings
from tests import servers
from tests.agent.rig import Rig


async def test_all_words_of_all_machines_are_declared() -> None:
    machines = tuple(
        MachineSettings(
            name=f"m{number}",
            services=("waits",),
            node_packs=tuple(f"pack-{number}-{pack}" for pack in range(400)),
        )
        for number in range(3)
    )
    settings = msgspec.structs.replace(load(environment={"HOME": "/nobody"}), machines=machines)
    async with servers.embedded_valkey() as server, Rig(server.url) as rig:
        await _declare_services(rig.cell, settings)
        declared = set(await rig.cell.client.execute_command("HKEYS", rig.cell.keys["vocabulary"]))
    assert declared == {word.encode() for machine in machines for word in machine.profile().words()}
    assert len(declared) == 1_202


async def test_services_that_only_machines_elsewhere_will_offer_are_declared_too(tmp_path: Path) -> None:
    file = tmp_path / "northstar.toml"
    file.write_text(
        'machines = []\n[services.shout]\nconnector = "command"\narguments = ["@python"]\nwarm_up = {}\nexpects = ["text/plain"]\n'
    )
    settings = load(environment={"HOME": "/nobody"}, file=file)
    async with servers.embedded_valkey() as server, Rig(server.url) as rig:
        await _declare_services(rig.cell, settings)
        declared = set(await rig.cell.client.execute_command("HKEYS", rig.cell.keys["vocabulary"]))
    assert {b"service:shout", b"pool:standard"} <= declared
    assert b"service:picture" not in declared  # a default one that nobody here offers
