"""What a scenario file says."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from northstar.simulation.fleet.faults import FaultPlan
from northstar.simulation.fleet.lengths import Length
from northstar.simulation.fleet.plan import FleetPlan
from northstar.simulation.scenario.workload_plan import WorkloadPlan

#: As many runs as one scenario may ask for: seeds times policies.
MAX_RUNS = 1_000
#: A file, from the folder of the scenario.
_File = Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]
Seed = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class WindowPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which jobs are counted, by when they were submitted; what comes before them warms the fleet up."""

    #: From this moment on.
    begins: Length = msgspec.field(name="from", default=Length(0))
    #: Up to this moment; left out: to the end.
    until: Length | None = None
    #: In place of both: the last so many service days, as a day begins at 12:00 of the trace's clock.
    last_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] | None = None


class PatiencePlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a job is left to machines that have its models while others are free."""

    #: The part of a fetch for which it waits: more saves downloads and costs waits.
    share: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.5
    #: The most that counts of a fetch, however large the model.
    cap: Length = Length(30_000)


class SettingsPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the broker and the machines are set; what is left out is as it is when they serve."""

    #: A file of pools, from the folder of the scenario; left out: the six that come with North Star.
    pools: _File | None = None
    #: What was agreed with tenants: a file as `northstar tenants apply` takes it, without budgets; left out: nothing.
    tenants: _File | None = None
    #: In place of what the file of pools says: `pools`, or `uniform`, where any machine takes any job.
    routing: Literal["pools", "uniform"] | None = None
    #: How long jobs are left to machines that have their models.
    patience: PatiencePlan = PatiencePlan()
    #: Downloads at a time on one machine.
    parallel_fetches: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A simulation: what is asked of which machines, under which policies, and how often."""

    #: What it is for, in a sentence; shown above the results.
    about: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    #: The jobs that come.
    workload: WorkloadPlan
    #: The machines that are there, and when.
    fleet: FleetPlan
    #: What befalls them.
    faults: Annotated[tuple[FaultPlan, ...], msgspec.Meta(max_length=1_000)] = ()
    #: A table of prices, from which kinds of machines may take theirs by name: CSV with the columns Cloud, GPU Type, GPUs, GPU RAM, On-demand, Spot.
    prices: _File | None = None
    #: Which policies to compare, each in a run of its own.
    policies: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=20)] = ("north-star",)
    #: Seeds of chance, each for a run of its own with every policy.
    seeds: Annotated[tuple[Seed, ...], msgspec.Meta(min_length=1, max_length=1_000)] = (1,)
    #: How the broker is set.
    settings: SettingsPlan = SettingsPlan()
    #: Which jobs are counted.
    window: WindowPlan = WindowPlan()
