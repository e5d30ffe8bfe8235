"""`northstar dead`: jobs that failed for good."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import typer

from northstar.domain.errors import InvalidRequest
from northstar.surfaces.cli.exit_codes import REFUSED
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, Yes, confirm, run, settings_of
from northstar.surfaces.cli.printing import console, counted, moment, print_error, print_json, print_table

if TYPE_CHECKING:
    from northstar.broker.dead_letters import DeadLetter, Filter
    from northstar.config import Settings
    from northstar.domain.refusals import QueueRefusal


Code = Annotated[str, typer.Option(metavar="CODE", help="Only those that failed with this code.")]
Pool = Annotated[str, typer.Option(metavar="POOL", help="Only those of this pool.")]
Service = Annotated[str, typer.Option(metavar="NAME", help="Only those for this service.")]
Tenant = Annotated[str, typer.Option(metavar="NAME", help="Only those of this tenant.")]
_ALL: Final = 10_000_000


class NothingNamed(InvalidRequest):
    """Neither ids nor a filter."""

    code: ClassVar[str] = "NS_NOTHING_NAMED"

    def __init__(self) -> None:
        super().__init__(
            "name dead letters by their ids, or choose them by --code, --pool, --service, --tenant or --all"
        )


def list_(
    code: Code = "",
    pool: Pool = "",
    service: Service = "",
    tenant: Tenant = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List them, latest first."""
    wanted = _filter(code=code, pool=pool, service=service, tenant=tenant)
    letters, dead = run(_latest(settings_of(config, data_dir, valkey, cell), wanted, limit=limit))
    is_cut, letters = len(letters) > limit, letters[:limit]
    if as_json:
        print_json({"jobs": letters, "is_cut": is_cut})
        return
    print_table(
        ("ID", "FAILED AT", "SERVICE", "POOL", "TENANT", "ATTEMPTS FAILED", "CODE", "MESSAGE"),
        ((x.id, moment(x.failed_ms), x.service, x.pool, x.tenant, x.attempts, x.code, x.message) for x in letters),
    )
    if is_cut:
        others = "more" if any((code, pool, service, tenant)) else f"{max(1, dead - limit)} more"
        console().print(f"… and {others}; --limit shows more", style="dim", markup=False)


def replay(
    job_ids: Annotated[list[str] | None, typer.Argument(metavar="ID…")] = None,
    code: Code = "",
    pool: Pool = "",
    service: Service = "",
    tenant: Tenant = "",
    everything: Annotated[bool, typer.Option("--all", help="All that the filters leave, or simply all.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Send dead letters back to work, with their counters at zero: by id, or by filter after showing what is meant."""
    settings = settings_of(config, data_dir, valkey, cell)
    wanted = _filter(code=code, pool=pool, service=service, tenant=tenant)
    ids = list(dict.fromkeys(job_ids or []))
    by_filter = everything or any((code, pool, service, tenant))
    if bool(ids) == by_filter:
        raise NothingNamed
    if by_filter:
        letters = run(_find(settings, wanted, limit=_ALL))
        ids = [letter.id for letter in letters]
        if letters:
            confirm(_plan(letters), yes=yes, as_json=as_json)
    outcomes = run(_replay(settings, ids)) if ids else {}
    _report(outcomes, as_json=as_json)


def _filter(*, code: str, pool: str, service: str, tenant: str) -> Filter:
    from northstar.broker.dead_letters import Filter

    return Filter(code=code, pool=pool, service=service, tenant=tenant)


def _plan(letters: list[DeadLetter]) -> str:
    """For example: "12 dead letters go back to work (10 text NS_ENGINE_GONE, 2 picture NS_MACHINES_LOST)"."""
    kinds = Counter(f"{letter.service} {letter.code}" for letter in letters).most_common()
    shown = ", ".join(f"{count} {kind}" for kind, count in kinds[:5]) + (", …" if len(kinds) > 5 else "")
    return f"{counted(len(letters), 'dead letter')} {'goes' if len(letters) == 1 else 'go'} back to work ({shown})"


def _report(outcomes: dict[str, QueueRefusal | None], *, as_json: bool) -> None:
    refused = {job_id: why for job_id, why in outcomes.items() if why is not None}
    if as_json:
        shown = [{"id": job_id, "outcome": why.code if why else "ok"} for job_id, why in outcomes.items()]
        print_json({"jobs": shown})
    else:
        console().print(f"{counted(len(outcomes) - len(refused), 'dead letter')} went back to work", markup=False)
    for job_id, why in refused.items():
        print_error(why, about=f"job {job_id}")
    if refused:
        raise typer.Exit(REFUSED)


async def _find(settings: Settings, wanted: Filter, *, limit: int) -> list[DeadLetter]:
    from northstar.assembly.session import session

    async with session(settings) as broker:
        found: list[DeadLetter] = []
        async for letter in broker.dead_letters.find(wanted):
            found.append(letter)
            if len(found) >= limit:
                break
        return found


async def _latest(settings: Settings, wanted: Filter, *, limit: int) -> tuple[list[DeadLetter], int]:
    """The last to be given up, one more than shown so that it can be said that there are more; and how many are dead at all."""
    from northstar.assembly.session import session

    async with session(settings) as broker:
        found: list[DeadLetter] = []
        async for letter in broker.dead_letters.latest(wanted):
            found.append(letter)
            if len(found) > limit:
                break
        return found, (await broker.cell.statistics()).counts["dead_size"]


async def _replay(settings: Settings, ids: list[str]) -> dict[str, QueueRefusal | None]:
    from northstar.assembly.submitting import replaying

    async with replaying(settings) as dead_letters:
        return await dead_letters.replay(ids)
