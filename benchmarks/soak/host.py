"""A host with several machines, each the agent as it is shipped, in one process: `python -m benchmarks.soak.host ORDER`."""

from __future__ import annotations

import asyncio
import sys

import msgspec
import uvloop

from benchmarks.soak.plan import SERVICE, Order
from northstar import telemetry
from northstar.assembly.worker import run_worker
from northstar.config import MachineSettings, Settings, load
from northstar.config.services import LognormalTimeSettings, SimulatedService
from northstar.connectors.secret import Secret

#: The longest job, and how far jobs differ.
_LONGEST_S, _SIGMA = 10.0, 0.5


def settings_of(order: Order) -> Settings:
    """The settings as they are shipped, with this host's machines."""
    shipped = load(environment={}, options={"data_dir": order.folder, "agent.broker": order.broker})
    time = LognormalTimeSettings(median_s=order.median_s, sigma=_SIGMA, longest_s=_LONGEST_S)
    machines = tuple(MachineSettings(name=name, services=(SERVICE,)) for name in order.machines)
    return msgspec.structs.replace(shipped, machines=machines, services={SERVICE: SimulatedService(run=time)})


async def live(order: Order) -> None:
    settings, never = settings_of(order), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for name, token in order.machines.items():
            tasks.create_task(
                run_worker(settings, name, engines={}, environment={}, stop=never, token=Secret(token)), name=name
            )


if __name__ == "__main__":
    telemetry.configure(level="error")
    uvloop.run(live(msgspec.json.decode(sys.argv[1], type=Order)))
