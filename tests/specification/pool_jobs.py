"""Jobs for the decision matrix, of which a test says only what it is about."""

from __future__ import annotations

from typing import Any

import msgspec

from northstar.config.pools import packaged_pools
from northstar.domain.decisions import PoolChoice
from northstar.domain.estimates import DurationEstimate
from northstar.domain.job_profiles import JobProfile
from northstar.domain.pools import Pools
from northstar.domain.tenancy import TenantTerms
from northstar.domain.workloads import Workload
from northstar.policy.routing.decision_matrix import choose_pool

GB = 1_000_000_000
PACKAGED = packaged_pools()
ENTERPRISE_TERMS = TenantTerms(enterprise=True)


def estimate(seconds: float, **changes: Any) -> DurationEstimate:
    fields: dict[str, Any] = {
        "p10_s": seconds,
        "p50_s": seconds,
        "p90_s": seconds,
        "source": "shape",
        "confidence": 0.9,
        "gpu_class": "rtx-4090",
    }
    return DurationEstimate(**fields | changes)


def job(seconds: float, *makes: str, work: dict[str, Any] | None = None, **changes: Any) -> JobProfile:
    """A job of so many seconds that makes these things; `work` are further fields of its workload."""
    fields: dict[str, Any] = {
        "key": "job-1",
        "workload": msgspec.convert({"modalities": sorted(makes), **(work or {})}, Workload),
        "estimate": estimate(seconds),
    }
    return JobProfile(**fields | changes)


def choice(profile: JobProfile, pools: Pools = PACKAGED) -> PoolChoice:
    return choose_pool(profile, pools)


def pool_of(profile: JobProfile, pools: Pools = PACKAGED) -> str:
    return choose_pool(profile, pools).pool


def with_pool(name: str, **changes: Any) -> Pools:
    """The packaged pools with one of them changed; a dict changes a table's fields."""
    spec = PACKAGED.pools[name]
    for key, value in changes.items():
        new = msgspec.structs.replace(getattr(spec, key), **value) if isinstance(value, dict) else value
        spec = msgspec.structs.replace(spec, **{key: new})
    return msgspec.structs.replace(PACKAGED, pools=PACKAGED.pools | {name: spec})


def with_routing(**changes: Any) -> Pools:
    return msgspec.structs.replace(PACKAGED, routing=msgspec.structs.replace(PACKAGED.routing, **changes))
