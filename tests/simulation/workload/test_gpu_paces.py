"""Fleets have several classes of GPU; a trace knows one."""

from __future__ import annotations

import msgspec
import pytest

from northstar.simulation.workload.gpu_paces import with_gpu_paces
from tests.simulation.workload.jobs import a_job


def test_a_class_takes_its_part_of_the_time_unless_the_job_knows_better() -> None:
    known = msgspec.structs.replace(a_job(0), run_s={"": 10.0, "a100": 7.0})
    named = msgspec.structs.replace(a_job(0), run_s={"h100": 3.0})
    first, second, third = with_gpu_paces([a_job(0), known, named], {"h100": 0.35, "a100": 0.8})
    assert [first.seconds_on(one) for one in ("h100", "a100", "rtx-4090")] == [3.5, 8.0, 10.0]
    assert (second.seconds_on("a100"), second.seconds_on("h100")) == (7.0, 3.5)
    assert third.run_s == {"h100": 3.0}
    with pytest.raises(ValueError, match="cannot take 0 times"):
        list(with_gpu_paces([], {"h100": 0}))
