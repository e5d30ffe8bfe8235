"""Machines that are not here yet, as a command can know of them: by the cell, and by the `northstar up` of its host."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from northstar.assembly.run_file import NotRunning, read_run_file
from northstar.broker.missing_machines import MissingMachinesReader
from northstar.policy.routing.coming import ComingMachine

if TYPE_CHECKING:
    from northstar.assembly.session import Session
    from northstar.config import MachineSettings
    from northstar.domain.reasons import Need


def expected(machine: MachineSettings) -> ComingMachine:
    """What the settings say of a machine before its engines answer: nodes they tell themselves, and memory its GPUs, if it has any."""
    untold: tuple[Need, ...] = ("node_packs", "node_classes")
    if not machine.vram_mb and machine.gpus != 0:
        untold = ("vram", *untold)
    return ComingMachine(name=machine.name, profile=machine.profile(), untold=untold)


def missing_machines(broker: Session) -> MissingMachinesReader:
    """What looks for them. Those of this host count only where its `up` is what the settings mean."""
    here: tuple[ComingMachine, ...] = ()
    if not broker.settings.valkey.url:
        with contextlib.suppress(NotRunning):  # it has stopped since the session began
            running = read_run_file(broker.settings.data_path)
            here = running.machines if running.cell == broker.cell.name else ()
    return MissingMachinesReader(broker.cell, of_this_host={one.name: one for one in here})
