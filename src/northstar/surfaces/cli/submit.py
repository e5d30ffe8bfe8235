"""`northstar submit`: jobs from a file or the standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from northstar.domain.errors import InvalidRequest
from northstar.surfaces.cli.exit_codes import FAILED
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, print_json, print_text

if TYPE_CHECKING:
    from northstar.broker.submission import Accepted
    from northstar.config import Settings
    from northstar.domain.jobs import JobRequest, JobView


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

    Safe to repeat when the jobs carry an `id` or an `idempotency_key`.
    """
    from northstar.broker.requests import MAX_SUBMISSION_BYTES, read_requests

    settings = settings_of(config, data_dir, valkey, cell)
    source = "the standard input" if file == "-" else file
    requests = read_requests(_read(file, limit_bytes=MAX_SUBMISSION_BYTES + 1), source=source)
    accepted, finished = run(_submit(settings, requests, wait_s=timeout_s if wait else None))
    _warn(accepted)
    if as_json:
        print_json({"jobs": finished if wait else accepted_as_json(accepted)})
    elif wait:
        _show_results(finished)
    else:
        _show_accepted(accepted)
    if wait and any(job.status != "succeeded" for job in finished):
        raise typer.Exit(FAILED)


def accepted_as_json(accepted: list[Accepted]) -> list[dict[str, object]]:
    """Accepted jobs as objects: each with where it waits, and why."""
    return [{"id": one.job.id, "replayed": one.job.replayed, "decision": one.decision} for one in accepted]


def _warn(accepted: list[Accepted]) -> None:
    """Whoever submits what nobody can serve shall not have to ask. Not on the standard output: that is for the results."""
    for one in accepted:
        if one.decision is not None and one.decision.unservable and not one.job.replayed:
            sys.stderr.write(f"{one.job.id} waits: {one.decision.unservable}\n")


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
    from northstar.surfaces.cli.waiting import wait_until_final

    async with routing_session(settings) as broker:
        accepted = await broker.submitter.submit_and_tell(requests)
        if wait_s is None:
            return accepted, []
        # Whoever stops waiting can still ask for them. Not on the standard output: that is for the results.
        sys.stderr.write(f"waiting for {', '.join(one.job.id for one in accepted)}\n")
        return accepted, await wait_until_final(broker.cell, [one.job.id for one in accepted], timeout_s=wait_s)


def _show_accepted(accepted: list[Accepted]) -> None:
    out = console()
    for one in accepted:
        if one.job.replayed:
            said = "known already"
        elif one.decision is None:
            said = "queued"
        else:
            said = f"queued in {one.decision.pool}: {one.decision.because}"
        print_text(f"{one.job.id}  {said}")
    out.print(f"next: northstar explain {accepted[0].job.id}", style="dim", markup=False)


def _show_results(finished: list[JobView]) -> None:
    from northstar.surfaces.cli.job_text import describe_result

    out = console()
    for job in finished:
        out.print(f"{job.id}  {job.status}", markup=False, style="green" if job.status == "succeeded" else "red")
        for line in describe_result(job):
            print_text(f"  {line}")
