"""Which pool a job should run in (spec, "Pool Routing Decision Matrix"), before anybody looks at machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from northstar.domain.decisions import NAMED, PoolChoice, Rejection
from northstar.domain.errors import InvalidRequest
from northstar.domain.pools import ENTERPRISE, STANDARD, UNIFORM
from northstar.policy.routing.introduction import is_introduced
from northstar.policy.routing.matrix_rows import OF_ITS_SPECIALITY, OF_MULTI_MODAL, ROWS, Case, length_on
from northstar.policy.routing.pool_acceptance import Objection, objections

if TYPE_CHECKING:
    from northstar.domain.job_profiles import JobProfile
    from northstar.domain.pools import Pools
    from northstar.policy.routing.matrix_rows import Length, Row

_REASON_CHARS = 400


class PoolRefusesJob(InvalidRequest):
    """The pool that the job asks for does not take such work."""

    code: ClassVar[str] = "NS_POOL_REFUSES_JOB"

    def __init__(self, pool: str, *, reasons: tuple[str, ...]) -> None:
        super().__init__(
            f"pool {pool} {'; it '.join(reasons)}: leave the pool out and let North Star choose one, or change what pool {pool} takes"
        )
        self.pool = pool
        self.reasons = reasons


class NoPoolTakesJob(InvalidRequest):
    """Every row of the matrix refuses the job."""

    code: ClassVar[str] = "NS_NO_POOL_TAKES_JOB"

    def __init__(self, rejected: tuple[Rejection, ...]) -> None:
        said = dict.fromkeys(f"{one.subject} {one.reason}" for one in rejected)
        super().__init__(f"no pool takes this job ({'; '.join(said)}): change the job, or what one of the pools takes")
        self.rejected = rejected


def choose_pool(job: JobProfile, pools: Pools) -> PoolChoice:
    """The pool that the matrix wants, the row that says so, and every row that refused the job before.

    Promises go first: enterprise terms hold whatever the job asks for, and whether or not pools are in use. Then what its submitter asks
    for, then the rows. `northstar.domain.pools.UNIFORM` is chosen where pools are switched off, or this one is not in use yet.

    Raises:
        PoolRefusesJob: it asks for a pool that does not take such work.
        NoPoolTakesJob: it asks for none, and no row has it.
    """
    if job.terms.enterprise:
        return PoolChoice(
            pool=ENTERPRISE,
            row="enterprise",
            because="its tenant has enterprise terms, and they hold for every job however long",
            guaranteed=True,
        )
    if pools.routing.mode == "uniform":
        return PoolChoice(pool=UNIFORM, row="uniform", because="pools are switched off (routing.mode is uniform)")
    if job.pool is not None:
        return _asked(job.pool, job, pools)
    return _introduced(_by_rows(job, pools), job, pools)


def _asked(name: str, job: JobProfile, pools: Pools) -> PoolChoice:
    spec = pools.get(name)
    against = tuple(one.sentence for one in objections(spec, job)) if spec is not None else ()
    if against:
        raise PoolRefusesJob(name, reasons=against)
    return PoolChoice(pool=name, row=NAMED, because="its submitter asks for this pool")


def _by_rows(job: JobProfile, pools: Pools) -> PoolChoice:
    rejected: list[Rejection] = []
    lengths: dict[str, Length] = {}
    for row in ROWS:
        name = _pool_of(row, job, pools)
        if name is None:
            rejected += _nobody_for(row, job)
            continue
        spec = pools.pools[name]
        gpu_class = spec.compute.reference_gpu
        if gpu_class not in lengths:
            lengths[gpu_class] = length_on(gpu_class, job, pools)
        case = Case(job=job, pools=pools, spec=spec, length=lengths[gpu_class])
        against = [one for ask in row.asks if (one := ask(case)) is not None]
        against += objections(spec, job)
        if not against:
            return PoolChoice(pool=name, row=row.name, because=_because(row, case), rejected=tuple(rejected))
        rejected.append(_rejection(row, name, against))
    raise NoPoolTakesJob(tuple(rejected))


def _pool_of(row: Row, job: JobProfile, pools: Pools) -> str | None:
    if row.pool == OF_MULTI_MODAL:
        return pools.of_speciality("multi-modal")
    if row.pool == OF_ITS_SPECIALITY:
        wanted = job.wanted_speciality
        return None if wanted is None or wanted == "multi-modal" else pools.of_speciality(wanted)
    return row.pool


def _nobody_for(row: Row, job: JobProfile) -> list[Rejection]:
    """What to say of a row for specialities that has no pool: nothing, unless the job names one."""
    if row.pool != OF_ITS_SPECIALITY or job.wanted_speciality in {None, "multi-modal"}:
        return []
    reason = f"no pool specialises in {job.wanted_speciality} (row {row.name})"
    return [Rejection(subject=STANDARD, code="no-such-speciality", reason=reason)]


def _because(row: Row, case: Case) -> str:
    outside = case.spec.band.variable and not case.spec.band.holds(case.length.seconds)
    planned = f"; the pool is planned for {case.spec.band}" if outside else ""
    return f"{row.because} ({case.length.words} expected{planned})"


def _rejection(row: Row, pool: str, against: list[Objection]) -> Rejection:
    said = "; ".join(one.sentence for one in against)
    return Rejection(subject=pool, code=against[0].code, reason=f"{said} (row {row.name})"[:_REASON_CHARS])


def _introduced(choice: PoolChoice, job: JobProfile, pools: Pools) -> PoolChoice:
    share = pools.pools[choice.pool].traffic_share
    if is_introduced(choice.pool, share, job.key):
        return choice
    passed = Rejection(
        subject=choice.pool,
        code="not-introduced",
        reason=f"is in use for {share:.0%} of its work so far, and not for this job",
    )
    return PoolChoice(
        pool=UNIFORM,
        row="not-introduced",
        because=f"the matrix wants {choice.pool} (row {choice.row}), which is not in use for this job yet",
        rejected=(*choice.rejected, passed),
    )
