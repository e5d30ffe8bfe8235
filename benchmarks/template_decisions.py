"""What the matrix decides for real workflows, by the rules' estimate: a part of `python -m benchmarks templates --traces DIR`.

Nothing like these has run, so the estimate is that of the rules; sizes of models are the totals of the index, where it has them, and
the largest file is not known. Everybody's terms, no speciality asked for, all pools in use.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from northstar.config.pools import packaged_pools
from northstar.domain.decisions import PoolChoice
from northstar.domain.job_profiles import JobProfile
from northstar.domain.pools import FAST_LANE, HEAVY, LIGHTNING, RESEARCH, STANDARD
from northstar.domain.workloads import Workload
from northstar.policy.routing.decision_matrix import choose_pool
from northstar.policy.routing.duration import DurationEstimator, JobToTime

_POOLS: Final = packaged_pools()
_GPU: Final = _POOLS.pools[STANDARD].compute.reference_gpu
_MULTI_MODAL: Final = _POOLS.of_speciality("multi-modal")
#: Where work that makes several kinds of things may go once it is too long for Fast Lane.
_FOR_SEVERAL: Final = frozenset({_MULTI_MODAL, HEAVY, RESEARCH})
_TABLE_KINDS: Final = ("image", "video", "audio", "3d", "text")
#: The decisions that `docs/benchmarks.md` tells of: so many, and their digest. Whoever changes either changes that page too.
RECORDED: Final = (644, "f8678b12c78830c5")


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow's decision, by the rules. `files_under` is what the index says that it makes."""

    name: str
    files_under: str
    modalities: tuple[str, ...]
    seconds: float
    pool: str
    row: str
    because: str


def decide(workload: Workload, *, models_bytes: int = 0) -> tuple[PoolChoice, float]:
    """The matrix's choice for work of which nobody has seen the like, and the seconds that the rules expect."""
    job = JobToTime(service="comfyui", workload=workload, gpu_class=_GPU)
    estimate = DurationEstimator().estimate(job)
    profile = JobProfile(key="golden", workload=workload, estimate=estimate, models_bytes=models_bytes)
    return choose_pool(profile, _POOLS), estimate.p50_s


def decided(name: str, workload: Workload, entry: Mapping[str, Any], *, files_under: str) -> Decided:
    """The decision for one workflow of the index."""
    choice, seconds = decide(workload, models_bytes=int(entry.get("size") or 0))
    return Decided(
        name=name,
        files_under=files_under,
        modalities=workload.modalities,
        seconds=round(seconds, 3),
        pool=choice.pool,
        row=choice.row,
        because=choice.because,
    )


def digest(found: Sequence[Decided]) -> str:
    """Of all decisions with their rows and sentences, in their order: equal on every run, whatever the machine."""
    return hashlib.sha256(msgspec.json.encode(found)).hexdigest()[:16]


def broken_promises(found: Sequence[Decided]) -> list[str]:
    """Decisions that a reader of the specification would call wrong, each as a sentence."""
    wrong = []
    for one in found:
        if one.pool == LIGHTNING and (others := set(one.modalities) - {"text", "embedding"}):
            wrong.append(f"{one.name} makes {' and '.join(sorted(others))} and goes to {LIGHTNING}")
        if len(one.modalities) > 1 and not _may_have_several(one):
            wrong.append(f"{one.name} makes {' and '.join(one.modalities)} and goes to {one.pool}")
        if not one.row or not one.because:
            wrong.append(f"{one.name} goes to {one.pool} without a row or a sentence")
    return wrong


def changed(found: Sequence[Decided], recorded: tuple[int, str] = RECORDED) -> list[str]:
    """What to do where decisions are no longer those that were recorded; nothing for another number of workflows, which are others."""
    count, before = recorded
    now = digest(found)
    if len(found) != count or now == before:
        return []
    said = (
        f"the decisions for these {count} workflows are not the recorded ones (digest {now}, recorded {before}): look at the table, "
        "and where it is right record it in docs/benchmarks.md and its digest in benchmarks/template_decisions.py"
    )
    return [said]


def table(found: Sequence[Decided]) -> list[str]:
    """Pools by what the index says is made, the number of workflows in each."""
    counts = Counter((one.pool, one.files_under) for one in found)
    pools = sorted({one.pool for one in found}, key=list(_POOLS.pools).index)
    lines = [f"{'pool':22}" + "".join(f"{kind:>7}" for kind in _TABLE_KINDS) + f"{'all':>7}"]
    for pool in pools:
        each = [counts[pool, kind] for kind in _TABLE_KINDS]
        lines.append(f"{pool:22}" + "".join(f"{count:7}" for count in each) + f"{sum(each):7}")
    return lines


def told(found: Sequence[Decided]) -> list[str]:
    """The table, the rows that were taken, and the digest."""
    rows = Counter(one.row for one in found)
    several = [one for one in found if len(one.modalities) > 1]
    return [
        *table(found),
        "rows: " + ", ".join(f"{row} {count}" for row, count in rows.most_common()),
        f"of {len(several)} that make several kinds of things: "
        + ", ".join(f"{pool} {count}" for pool, count in Counter(one.pool for one in several).most_common()),
        f"digest of all {len(found)} decisions with rows and sentences: {digest(found)}",
    ]


def _may_have_several(one: Decided) -> bool:
    """Spec, chart: how long it takes is asked before what it makes, so a short chain belongs to Fast Lane."""
    return one.pool in _FOR_SEVERAL or (one.pool == FAST_LANE and _POOLS.pools[FAST_LANE].band.holds(one.seconds))
