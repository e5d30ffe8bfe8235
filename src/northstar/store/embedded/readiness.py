"""From "the process runs" to "it answers, and it is ours"."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any, Final

from northstar.domain.errors import NorthstarError
from northstar.store.embedded.log import ServerLog
from northstar.store.embedded.process import ServerProcess
from northstar.store.errors import DiskFull, ValkeyLoading, ValkeyStartFailed
from northstar.store.valkey import FAULTS, ClientOptions, connect, translate

_FIRST_PAUSE_S: Final = 0.004
_MAX_PAUSE_S: Final = 0.1
#: With less than this free, a server cannot even write the reason into its log.
_NO_SPACE_BYTES: Final = 64 * 1024

#: For the few questions of the supervision itself.
SUPERVISOR: Final = ClientOptions(
    max_connections=1,
    connect_timeout_s=2.0,
    answer_timeout_s=2.0,
    client_name="northstar-supervisor",
)


async def wait_until_ready(process: ServerProcess, *, url: str, start_timeout_s: float, load_timeout_s: float) -> bool:
    """Ask until this very process answers. False: it ended, or was silent for too long.

    On a TCP port somebody else's server may answer; so the answer must name our process.
    """
    clock = asyncio.get_running_loop()
    began = clock.time()
    deadline = began + start_timeout_s
    pause_s = _FIRST_PAUSE_S
    while clock.time() < deadline:
        if await process.wait(pause_s):
            return False
        answer = await _ask_while_it_runs(process, url)
        if answer == process.pid:
            return True
        if isinstance(answer, ValkeyLoading):
            deadline = began + load_timeout_s
        pause_s = min(pause_s * 1.5, _MAX_PAUSE_S)
    return False


async def _ask_while_it_runs(process: ServerProcess, url: str) -> int | NorthstarError | None:
    """Who answers, or why nobody does; None as soon as the process has ended."""
    question = asyncio.create_task(_pid_that_answers(url), name=f"ask-valkey:{process.pid}")
    try:
        either: set[asyncio.Future[Any]] = {question, process.exited}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return question.result() if question.done() else None
    finally:
        question.cancel()
        await asyncio.wait({question})


async def _pid_that_answers(url: str) -> int | NorthstarError:
    client = connect(url, options=SUPERVISOR)
    try:
        info = await client.execute_command("INFO")
        # INFO is answered while the data is still being read, when little else is.
        return ValkeyLoading("it has just started") if info["loading"] else int(info["process_id"])
    except FAULTS as exc:
        return translate(exc)
    finally:
        await client.aclose()


def start_failure(
    process: ServerProcess,
    *,
    data_dir: Path,
    log: ServerLog,
    secrets: tuple[str, ...],
) -> ValkeyStartFailed | DiskFull:
    """The error for a start that came to nothing, in the server's own words."""
    reason = log.reason(secrets=secrets)
    if "No space left on device" in reason or shutil.disk_usage(data_dir).free < _NO_SPACE_BYTES:
        return DiskFull(f"no space left for data directory {data_dir}" + (f" ({reason})" if reason else ""))
    if "Bad file format" in reason or "Unexpected end of file" in reason:
        reason += "; the append-only file is damaged: restore the directory from a copy, or start on another one"
    return ValkeyStartFailed(
        reason=reason or "it left no word in its log",
        data_dir=data_dir,
        log=log.path,
        exit_status=process.exited.result() if process.exited.done() else None,
    )
