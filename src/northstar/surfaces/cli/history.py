"""`northstar history`: attempts and jobs that have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_args

import typer

from northstar.domain.errors import InvalidRequest
from northstar.surfaces.cli.moments import Since, Until, within
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, moment_ms, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.config import Settings
    from northstar.store.history import Attempt, FinishedJob

COLUMNS = (
    "ENDED (UTC)", "JOB", "TRY", "OUTCOME", "TENANT", "POOL", "MACHINE", "GPU", "QUEUED", "FETCH", "LOAD", "RAN", "STORE", "VRAM", "WHY",
)  # fmt: skip
JOB_COLUMNS = ("ENDED (UTC)", "JOB", "STATUS", "TENANT", "POOL", "SERVICE", "MACHINE", "WAITED", "RAN", "ATTEMPTS", "LOST", "WHY")  # fmt: skip
Name = Annotated[str | None, typer.Option(metavar="NAME")]


class HistoryFilterInvalid(InvalidRequest):
    """What was asked for cannot be told apart there."""

    code: ClassVar[str] = "NS_HISTORY_FILTER_INVALID"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the history cannot be asked like that: {reason}")


def history(
    job: Annotated[str | None, typer.Option("--job", metavar="ID", help="Only of this job.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="Only this tenant's.")] = None,
    pool: Annotated[str | None, typer.Option("--pool", metavar="NAME", help="Only what waited in this pool.")] = None,
    machine: Annotated[str | None, typer.Option("--machine", metavar="NAME", help="Only on this machine.")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="NAME", help="Only with this model file.")] = None,
    outcome: Annotated[
        str | None,
        typer.Option(
            "--outcome",
            metavar="WORD",
            help="Only those that ended so: succeeded, failed, lost, released, expired or canceled; of jobs also moved.",
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    jobs: Annotated[bool, typer.Option("--jobs", help="Finished jobs instead of attempts.")] = False,
    count: Annotated[int, typer.Option("--count", min=1, max=1_000, help="So many at once.")] = 50,
    after: Annotated[str, typer.Option("--after", metavar="CURSOR", help="Go on after the page that gave this.")] = "",
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List attempts that have ended, latest first: every run of a job on a machine, with what it took and how it ended.

    An attempt is lost when nothing was heard of its machine any more, and released when its machine handed it back; neither is charged.
    """
    asked = {"job": job, "tenant": tenant, "pool": pool, "machine": machine, "model": model, "outcome": outcome}
    settings = settings_of(config, data_dir, valkey, cell)
    time = (since, until)
    finished: list[FinishedJob] = []
    found: list[Attempt] = []
    if jobs:
        finished, cursor = run(_jobs(settings, asked, time, count=count, after=after))
        _tell({"jobs": finished, "after": cursor}, as_json=as_json)
        if not as_json:
            print_table(JOB_COLUMNS, map(job_cells, finished))
    else:
        found, cursor = run(_attempts(settings, asked, time, count=count, after=after))
        _tell({"attempts": found, "after": cursor}, as_json=as_json)
        if not as_json:
            print_table(COLUMNS, map(attempt_cells, found))
    if as_json:
        return
    if cursor:
        console().print(f"more: add --after {cursor}", markup=False)
    elif not (finished if jobs else found):
        _say_empty(jobs=jobs, asked=any((*asked.values(), *time, after)))


def _say_empty(*, jobs: bool, asked: bool) -> None:
    what = "finished job" if jobs else "attempt"
    said = f"no {what} matches what was asked" if asked else f"no {what} is in the history yet"
    console().print(said, style="dim", markup=False)


def _tell(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)


async def _attempts(
    settings: Settings, asked: dict[str, str | None], time: tuple[str | None, str | None], *, count: int, after: str
) -> tuple[list[Attempt], str]:
    import msgspec

    from northstar.assembly.job_past import history_of
    from northstar.assembly.session import session
    from northstar.store.history import AttemptFilter, AttemptReader
    from northstar.store.history.attempts import AttemptOutcome

    async with session(settings) as broker:
        since_ms, until_ms = within(*time, now_ms=(await broker.cell.inspect(())).now_ms)
        try:
            wanted = msgspec.convert(asked | {"since_ms": since_ms, "until_ms": until_ms}, AttemptFilter)
        except msgspec.ValidationError as exc:
            raise HistoryFilterInvalid(_no_end("attempt", asked["outcome"], get_args(AttemptOutcome))) from exc
        async with history_of(broker) as database:
            page = await AttemptReader(database, cell=broker.cell.name).latest(wanted, after=after, count=count)
            return page.attempts, page.after


async def _jobs(
    settings: Settings, asked: dict[str, str | None], time: tuple[str | None, str | None], *, count: int, after: str
) -> tuple[list[FinishedJob], str]:
    import msgspec

    from northstar.assembly.job_past import history_of
    from northstar.assembly.session import session
    from northstar.domain.jobs import JobStatus
    from northstar.store.history import HistoryReader, JobFilter

    if asked["model"] is not None:
        raise HistoryFilterInvalid("models are known of attempts only; leave out --jobs")
    async with session(settings) as broker:
        since_ms, until_ms = within(*time, now_ms=(await broker.cell.inspect(())).now_ms)
        ends = [status.value for status in JobStatus if status.is_final]
        given = {name: value for name, value in asked.items() if name not in {"model", "outcome"}}
        try:
            wanted = msgspec.convert(
                given | {"status": asked["outcome"], "since_ms": since_ms, "until_ms": until_ms}, JobFilter
            )
        except msgspec.ValidationError as exc:
            raise HistoryFilterInvalid(_no_end("job", asked["outcome"], ends)) from exc
        async with history_of(broker) as database:
            page = await HistoryReader(database, cell=broker.cell.name).finished_jobs(wanted, after=after, count=count)
            return page.jobs, page.after


def _no_end(what: str, word: str | None, ends: Iterable[str]) -> str:
    return f"no {what} ends as {word!r}; these are the words: {', '.join(ends)}"


def attempt_cells(one: Attempt) -> tuple[object, ...]:
    """An attempt's row of the table."""
    spent = (one.queued_s, one.fetching_s, one.loading_s, one.running_s, one.storing_s)
    return (
        moment_ms(one.ended_ms),
        one.job_id,
        one.claim,
        one.outcome,
        one.tenant or "-",
        one.pool or "-",
        one.machine or "-",
        one.gpu_class or "-",
        *(seconds(length_s) for length_s in spent),
        "-" if one.peak_vram_mb is None else f"{one.peak_vram_mb} MB",
        one.code or "",
    )


def job_cells(one: FinishedJob) -> tuple[object, ...]:
    """A finished job's row of the table."""
    return (
        moment_ms(one.finished_ms),
        one.job_id,
        one.status,
        one.tenant or "-",
        one.pool or "-",
        one.service or "-",
        one.machine or "-",
        *(seconds(None if length_ms is None else length_ms / 1000) for length_ms in (one.waited_ms, one.ran_ms)),
        "-" if one.attempts is None else one.attempts,
        "-" if one.recoveries is None else one.recoveries,
        one.error_code or "",
    )


def seconds(length_s: float | None) -> str:
    """A length of time, "-" where nobody measured it.

    >>> seconds(2.25), seconds(0.0), seconds(None)
    ('2.2 s', '0 s', '-')
    """
    if length_s is None:
        return "-"
    return f"{length_s:.1f} s" if length_s else "0 s"
