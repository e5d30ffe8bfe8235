"""One workload in real time, with real agents, and simulated: the same machines take the same jobs, after about the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.simulation.inputs import FileOnDisk
from tests import servers
from tests.simulation.real_fleet import in_real_time
from tests.simulation.rig import in_order, job, machine, model, simulated

A, B = model("a.safetensors"), model("b.safetensors")
#: Seconds by which a wait may differ: real calls, threads and a busy machine.
WITHIN_S = 0.5


@pytest.mark.long
async def test_real_agents_and_simulated_ones_take_the_same_jobs_after_the_same_waits(tmp_path: Path) -> None:
    fleet = [
        machine("m1", disk=(FileOnDisk(name="a.safetensors", size_bytes=1),)),
        machine("m2", disk=(FileOnDisk(name="b.safetensors", size_bytes=1),)),
        machine("m3"),
    ]
    # Two of each come while their holder is busy, and are worth waiting for; then all is warm.
    jobs = [
        job(0.1, A, run_s=1.5),
        job(0.3, B, run_s=1.5),
        job(0.6, A, run_s=1.0),
        job(0.9, B, run_s=1.0),
        job(6.0, A, run_s=0.2),
        job(6.1, B, run_s=0.2),
        job(7.0, A, run_s=0.2),
    ]

    async with servers.embedded_valkey() as server:
        real = await in_real_time(server.url, jobs, fleet, tmp_path)
    found = {f"j{one.number}": one for one in in_order(await simulated(jobs, fleet))}

    assert {job_id: one.machine for job_id, one in found.items()} == real.machine
    assert real.machine == {"j1": "m1", "j2": "m2", "j3": "m1", "j4": "m2", "j5": "m1", "j6": "m2", "j7": "m1"}
    assert {job_id: one.waited_s for job_id, one in found.items()} == pytest.approx(real.waited_s, abs=WITHIN_S)
