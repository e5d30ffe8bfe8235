"""The jobs of a scenario, one after the other, as its workload says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Final

from northstar.simulation.inputs import SimulatedJob
from northstar.simulation.scenario.workload_plan import (
    AzureChats,
    GenTd26,
    MadeMix,
    MooncakeChats,
    OwnTrace,
    SourcePlan,
    WorkloadPlan,
)
from northstar.simulation.workload.chat_jobs import chat_jobs
from northstar.simulation.workload.draws import share_of
from northstar.simulation.workload.fleet_mix import FleetMix, fleet_workload
from northstar.simulation.workload.gentd26 import picture_requests
from northstar.simulation.workload.gpu_paces import with_gpu_paces
from northstar.simulation.workload.llm_traces import azure_requests, mooncake_requests
from northstar.simulation.workload.mixing import TenantShare, mixed, with_tenants
from northstar.simulation.workload.own_jobs import OwnJobs
from northstar.simulation.workload.own_trace import traced_jobs
from northstar.simulation.workload.picture_jobs import PictureTerms, picture_jobs
from northstar.simulation.workload.regions import RegionClock, across_regions
from northstar.simulation.workload.scaling import compressed, resampled

#: Whose the jobs are is said for the whole workload.
_NO_TENANTS: Final = (TenantShare(name="default"),)


def jobs_of(plan: WorkloadPlan, *, seed: int, folder: Path) -> Iterator[SimulatedJob]:
    """All jobs in the order of their times; equal seeds give equal jobs. `folder` is where the scenario lies.

    Raises:
        What the readers of its traces do (`northstar.simulation.workload`), when a row that is wrong is reached.
    """
    if plan.regions:
        jobs = across_regions(plan.regions, lambda clock: _scaled(plan, seed=_seed_of(clock, seed), folder=folder))
    else:
        jobs = _scaled(plan, seed=seed, folder=folder)
    if plan.until is None:
        return jobs
    until_ms = plan.until.ms
    return takewhile(lambda job: job.at_ms < until_ms, jobs)


def _seed_of(clock: RegionClock, seed: int) -> int:
    """Each region's people are others."""
    return int(share_of(seed, "region", clock.region) * 2**53)


def _scaled(plan: WorkloadPlan, *, seed: int, folder: Path) -> Iterator[SimulatedJob]:
    sources = [_source(source, at, seed=seed, folder=folder) for at, source in enumerate(plan.sources)]
    jobs = sources[0] if len(sources) == 1 else mixed(sources)
    if plan.users > 1:
        jobs = resampled(jobs, plan.users, seed=seed)
    if plan.tenants:
        jobs = with_tenants(jobs, [TenantShare(name=one.name, share=one.share) for one in plan.tenants], seed=seed)
    if plan.gpu_paces:
        jobs = with_gpu_paces(jobs, plan.gpu_paces)
    return compressed(jobs, plan.faster) if plan.faster > 1 else jobs


def _source(source: SourcePlan, at: int, *, seed: int, folder: Path) -> Iterator[SimulatedJob]:
    own_seed = seed if at == 0 else int(share_of(seed, "source", str(at)) * 2**53)
    match source:
        case OwnTrace():
            return iter(OwnJobs(traced_jobs(folder / source.trace), region=source.region))
        case GenTd26():
            terms = PictureTerms(sizes_seed=source.sizes_seed, service=source.service)
            return picture_jobs(picture_requests(folder / source.trace), terms)
        case AzureChats():
            return chat_jobs(azure_requests(folder / source.trace), seed=own_seed, service=source.service)
        case MooncakeChats():
            return chat_jobs(mooncake_requests(folder / source.trace), seed=own_seed, service=source.service)
        case MadeMix():
            mix = FleetMix(
                days=source.days,
                first_weekday=source.first_weekday,
                pictures=source.pictures,
                chats=source.chats,
                media=source.media,
                training=source.training,
                tenants=_NO_TENANTS,
            )
            return fleet_workload(mix, seed=own_seed if source.seed is None else source.seed)
