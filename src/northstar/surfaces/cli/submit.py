"""`northstar submit`: jobs from a file or the standard input."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import typer

from northstar.domain.errors import InvalidRequest
from northstar.domain.progress_text import printable
from northstar.surfaces.cli.exit_codes import FAILED
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.pasting import pasteable
from northstar.surfaces.cli.printing import console, print_hint, print_json, print_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from northstar.broker.submission import Accepted
    from northstar.config import Settings
    from northstar.domain.explanations import Action
    from northstar.domain.jobs import JobRequest, JobView
    from northstar.store.pauses import Pause


#: Kinds of reasons to wait that are told at once.
_MOST_WARNINGS: Final = 8


class FileUnreadable(InvalidRequest):
    """The file with the jobs cannot be read."""

    code: ClassVar[str] = "NS_FILE_UNREADABLE"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} cannot be read: {reason}")


def submit(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A job as JSON, or an array of them. `-`: standard input.")
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the results; exit code 1 unless all succeed.")] = False,
    timeout_s: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, max=604_800, help="With --wait: no longer.")
    ] = 3_600.0,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Submit one job or a batch of up to 500, all or none.

    Safe to repeat when the jobs carry an `id` or an `idempotency_key`. Where the environment has a W3C TRACEPARENT, its trace goes with the
    jobs into all logs.
    """
    from northstar.broker.requests import MAX_SUBMISSION_BYTES, read_requests

    settings = settings_of(config, data_dir, valkey, cell)
    source = "the standard input" if file == "-" else file
    requests = read_requests(_read(file, limit_bytes=MAX_SUBMISSION_BYTES + 1), source=source)
    accepted, finished = run(_submit(settings, requests, wait_s=timeout_s if wait else None))
    if as_json:
        print_json({"jobs": finished if wait else accepted_as_json(accepted)})
    elif wait:
        _show_results(finished)
    else:
        _show_accepted(accepted)
    if wait and any(job.status != "succeeded" for job in finished):
        raise typer.Exit(FAILED)


def accepted_as_json(accepted: list[Accepted]) -> list[dict[str, object]]:
    """Accepted jobs as objects: each with where it waits, why, and what would have to change if nobody can run it."""
    return [
        {"id": one.job.id, "replayed": one.job.replayed, "decision": one.decision, "actions": _pasteable(one.actions)}
        for one in accepted
    ]


def _pasteable(actions: Iterable[Action]) -> list[Action]:
    import msgspec

    return [msgspec.structs.replace(one, command=pasteable(one.command)) for one in actions]


def _warn(accepted: list[Accepted], pauses: list[Pause]) -> None:
    """Whoever submits what nobody can serve shall not have to ask. Not on the standard output: that is for the results."""
    told: dict[tuple[str, ...], list[str]] = {}
    for one in accepted:
        if lines := tuple(_why_it_waits(one, pauses)):
            told.setdefault(lines, []).append(one.job.id)
    for (first, *others), jobs in list(told.items())[:_MOST_WARNINGS]:
        who = f"{jobs[0]} waits" if len(jobs) == 1 else f"{jobs[0]} and {len(jobs) - 1} more wait"
        sys.stderr.write("".join(f"{pasteable(printable(line))}\n" for line in (f"{who}: {first}", *others)))
    if len(told) > _MOST_WARNINGS:
        more = sum(len(jobs) for jobs in list(told.values())[_MOST_WARNINGS:])
        sys.stderr.write(pasteable(f"{more} more wait for other reasons: northstar explain JOB tells of each\n"))
    sys.stderr.flush()


def _why_it_waits(one: Accepted, pauses: list[Pause]) -> Iterator[str]:
    """What is to be said at once of a job that was taken in; nothing of one that somebody can run."""
    from northstar.policy.routing.explain_remedies import end_of_pause

    decision = one.decision
    if decision is None or one.job.replayed:  # of one that was known the decision says what was so then
        return
    if decision.unservable:
        yield f"nobody can run it as things are: {decision.unservable}"
    elif decision.coming:
        yield decision.coming
    yield from (f"  to do: {action.what}: {action.command}" for action in one.actions)
    for pause in pauses:
        if pause.scope in {"cell", f"pool:{decision.pool}"}:
            yield f"{pause.scope.replace(':', ' ')} is paused: {pause.because}"
            action = end_of_pause(pause.scope, pause.because)
            yield f"  to do: {action.what}: {action.command}"


def _read(name: str, *, limit_bytes: int) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read(limit_bytes)
        with Path(name).open("rb") as stream:
            return stream.read(limit_bytes)
    except OSError as exc:
        raise FileUnreadable(name, exc.strerror or str(exc)) from exc


async def _submit(
    settings: Settings, requests: list[JobRequest], *, wait_s: float | None
) -> tuple[list[Accepted], list[JobView]]:
    from northstar.assembly.submitting import routing_session
    from northstar.domain.traces import trace_of
    from northstar.store.pauses import read_pauses
    from northstar.surfaces.cli.waiting import say_it_goes_on, wait_until_final

    async with routing_session(settings) as broker:
        trace = trace_of(os.environ.get("TRACEPARENT", "")) or secrets.token_hex(16)
        accepted = await broker.submitter.submit_and_tell(requests, trace=trace)
        # Before anybody waits for what does not come.
        _warn(accepted, await read_pauses(broker.cell.client, broker.cell.keys))
        if wait_s is None:
            return accepted, []
        # Whoever stops waiting can still ask for them. Not on the standard output: that is for the results.
        sys.stderr.write(f"waiting for {', '.join(one.job.id for one in accepted)}\n")
        ids = [one.job.id for one in accepted]
        try:
            return accepted, await wait_until_final(broker.cell, ids, timeout_s=wait_s)
        except asyncio.CancelledError:
            say_it_goes_on(ids)
            raise


def _show_accepted(accepted: list[Accepted]) -> None:
    for one in accepted:
        said = "known already" if one.job.replayed else "queued"
        if one.decision is not None:
            said += f"{', in' if one.job.replayed else ' in'} {one.decision.pool}: {one.decision.because}"
        print_text(f"{one.job.id}  {said}")
    print_hint(f"next: northstar explain {accepted[0].job.id}")


def _show_results(finished: list[JobView]) -> None:
    from northstar.surfaces.cli.job_text import describe_result

    out = console()
    for job in finished:
        out.print(f"{job.id}  {job.status}", markup=False, style="green" if job.status == "succeeded" else "red")
        for line in describe_result(job):
            print_text(f"  {line}")
