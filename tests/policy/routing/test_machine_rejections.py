"""Why the other machines did not get a job: each is counted once, in a sentence that says what it would take."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from northstar.domain.decisions import Rejection
from northstar.domain.machines import MachineDescription
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.machine_choice import JobNeed
from northstar.policy.routing.machine_rejections import rejections
from northstar.policy.routing.snapshot import MachineState
from tests.policy.routing.builders import machine
from tests.policy.routing.test_machine_choice import NOW_MS, a_job, at, fleet, jobs, st_hosts


def against(*machines: MachineState, **changes: Any) -> list[Rejection]:
    index, job = FleetIndex(at(*machines)), a_job(**changes)
    return list(rejections(index, job, index.best(job)))


WARM = machine("warm", held={"sdxl": "resident"})


def test_a_machine_that_lacks_the_model_would_have_to_fetch_it() -> None:
    (found,) = against(WARM, machine("cold", download_bytes_per_s=4e8))
    assert found == Rejection(
        subject="cold",
        code="fetch",
        reason="would have to fetch 8.0 GB first: has it done in 46.1 s, warm in 20.0 s",
        count=1,
    )


def test_machines_that_lose_alike_are_one_group_and_the_soonest_stands_for_all() -> None:
    (found,) = against(WARM, machine("a", held={"sdxl": "disk"}), machine("b", held={"sdxl": "disk"}))
    assert (found.subject, found.code, found.count) == ("2 machines", "load", 2)
    assert (
        found.reason
        == "would have to load 8.0 GB from disk first: a, the soonest, has it done in 25.0 s, warm in 20.0 s"
    )


def test_busy_ones_fetching_ones_slower_ones_and_equals_are_told_apart() -> None:
    description = MachineDescription(gpu="NVIDIA L4")
    found = against(
        WARM,
        machine("busy", held={"sdxl": "resident"}, used=1, work_ahead_s=9.0),
        machine("flying", fetching={"sdxl": NOW_MS + 30_000}),
        machine("slow", held={"sdxl": "resident"}, description=description),
        machine("zwarm", held={"sdxl": "resident"}),
        run_s={"l4": 50.0},
    )
    assert {one.subject: one.code for one in found} == {
        "busy": "busy",
        "flying": "fetching",
        "slow": "slower-gpu",
        "zwarm": "as-good",
    }


def test_machines_that_cannot_take_it_are_told_with_the_reason() -> None:
    found = against(machine("a", profile="other"), machine("b", profile="other"), machine("c", active=False))
    assert [(one.subject, one.code, one.reason) for one in found] == [
        ("c", "takes-no-work", "fits, but takes no new work now"),
        ("2 machines", "does-not-fit", "is in pool fast, not standard"),
    ]


@settings(deadline=None)
@given(hosts=st_hosts, job=jobs)
def test_every_machine_but_the_chosen_one_is_counted_exactly_once(hosts: list[dict[str, Any]], job: JobNeed) -> None:
    index = FleetIndex(fleet(hosts))
    chosen = index.best(job)
    assert sum(one.count for one in rejections(index, job, chosen)) == len(hosts) - (chosen is not None)
