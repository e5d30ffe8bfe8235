"""What caching could have saved of a simulation, by hand."""

from __future__ import annotations

from northstar.domain.jobs import JobRequest
from northstar.domain.models import ModelNeed
from northstar.domain.requirements import Requirements
from northstar.evaluation.caching_frame import caching_frame
from northstar.simulation.inputs import FileOnDisk, SimulatedJob, SimulatedMachine
from northstar.simulation.outcome import JobOutcome, Outcome

GB = 1_000_000_000


def job(*names: str) -> SimulatedJob:
    """One that needs files of 1 GB; `engine` is in every engine."""
    needs = tuple(
        ModelNeed(
            name=name,
            kind="checkpoint",
            size_bytes=GB,
            sources=() if name == "engine" else (f"https://models.example/{name}",),
            sha256="unknown",
        )
        for name in names
    )
    return SimulatedJob(
        at_ms=0, request=JobRequest(service="picture", requires=Requirements(models=needs)), run_s={"": 1.0}
    )


def machine(name: str, *baked: str) -> SimulatedMachine:
    files = tuple(FileOnDisk(name=one, size_bytes=GB, baked=True) for one in baked)
    return SimulatedMachine(id=name, pools=("fast-lane",), services=("picture",), disk_bytes=GB, disk=files)


def test_the_frame_follows_who_took_which_job_in_which_order() -> None:
    workload = [job("a", "engine"), job("b"), job("a"), job("b"), job("c")]
    # m1 takes a, b, a (its disk holds one): 3 GB; m2 has b in its image and takes b and c: 1 GB.
    taken = {1: ("m1", 10), 2: ("m1", 20), 3: ("m1", 30), 4: ("m2", 5), 5: ("m2", 40)}
    jobs = tuple(
        JobOutcome(
            number=number, tenant="t", ending="succeeded", submitted_ms=0, taken_ms=at_ms, began_ms=at_ms, machine=name
        )
        for number, (name, at_ms) in taken.items()
    )
    outcome = Outcome(
        policy="p",
        seed=0,
        submitted=5,
        endings={},
        ended_ms=50,
        fetches=0,
        fetched_bytes=0,
        redundant=0,
        redundant_bytes=0,
        machines_lost=0,
        pools={},
        jobs=jobs,
    )
    alone, shared = caching_frame(outcome, workload, [machine("m1"), machine("m2", "b")])
    assert (alone.reached_bytes, alone.first_bytes, alone.redundant_reached_bytes) == (4 * GB, 3 * GB, GB)
    # One disk of 2 GB: a, b, (a), c are 3 GB, each file once.
    assert (shared.reached_bytes, shared.redundant_reached_bytes, shared.redundant_least_bytes) == (3 * GB, 0, 0)
