"""From a locked data directory to a server that answers, and back to an empty one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
from pathlib import Path
from typing import Final

import msgspec

from northstar.store.embedded.binary import find_binary
from northstar.store.embedded.configuration import render
from northstar.store.embedded.endpoint import Endpoint, choose_port_endpoint
from northstar.store.embedded.lock import DataDirectoryLock, directory_fault
from northstar.store.embedded.log import ServerLog
from northstar.store.embedded.options import ServerOptions
from northstar.store.embedded.process import ServerProcess
from northstar.store.embedded.readiness import SUPERVISOR, start_failure, wait_until_ready
from northstar.store.errors import DiskFull, ValkeyStartFailed
from northstar.store.valkey import FAULTS, connect

_LOG: Final = logging.getLogger(__name__)

_PORT_ATTEMPTS: Final = 10


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A data directory whose lock is held, and the log in it."""

    data_dir: Path
    lock: DataDirectoryLock
    log: ServerLog
    options: ServerOptions

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be quoted from the log."""
        return () if self.options.password is None else (self.options.password,)


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A server that answered, and where."""

    process: ServerProcess
    endpoint: Endpoint


async def launch(site: Site, *, endpoint: Endpoint | None, rng: random.Random) -> Running:
    """Start the program and wait until it answers.

    Without an `endpoint` the server gets a TCP port: the one of the options, or one that `rng` picks, and then another
    one as often as somebody else took it in the moment between.

    Raises:
        DiskFull: There is no room for its files.
        DataDirectoryUnusable: Its log cannot be written.
        ValkeyBinaryMissing: There is no program for this platform.
        ValkeyStartFailed: Anything else, in the server's own words.
    """
    attempts = _PORT_ATTEMPTS if endpoint is None and site.options.port is None else 1
    while True:
        attempts -= 1
        chosen = endpoint or choose_port_endpoint(site.options, rng=rng)
        outcome = await _try_once(site, chosen)
        if isinstance(outcome, ServerProcess):
            return Running(process=outcome, endpoint=chosen)
        taken = isinstance(outcome, ValkeyStartFailed) and "Failed listening" in outcome.reason
        if not taken or attempts == 0:
            raise outcome


async def _try_once(site: Site, endpoint: Endpoint) -> ServerProcess | ValkeyStartFailed | DiskFull:
    process = _spawn(site, endpoint)
    try:
        ready = await wait_until_ready(
            process,
            url=endpoint.url(password=site.options.password),
            start_timeout_s=site.options.start_timeout_s,
            load_timeout_s=site.options.load_timeout_s,
        )
    except BaseException:  # our caller gave up
        process.kill_at_once()
        raise
    if ready:
        return process
    failure = start_failure(process, data_dir=site.data_dir, log=site.log, secrets=site.secrets)
    process.kill_at_once()
    return failure


def _spawn(site: Site, endpoint: Endpoint) -> ServerProcess:
    try:
        site.log.mark()
        process = ServerProcess.spawn(
            binary=site.options.binary or find_binary(),
            data_dir=site.data_dir,
            configuration=render(site.options, endpoint),
            log=site.log,
            lock_fd=site.lock.fileno,
        )
        site.lock.note(server_pid=process.pid, socket_path=endpoint.socket_path)
    except OSError as exc:
        raise directory_fault(site.data_dir, exc) from exc
    return process


async def end(running: Running, *, options: ServerOptions) -> bool:
    """End the server in good order; by force where it does not. True: it ended without force.

    It takes at most `stop_timeout_s`, then once more at most that for SIGTERM, and five seconds for SIGKILL.
    """
    process = running.process
    if process.exited.done():
        return False
    url = running.endpoint.url(password=options.password)
    request = asyncio.create_task(_ask_to_shut_down(url), name=f"shutdown-valkey:{process.pid}")
    try:
        if await process.wait(options.stop_timeout_s):
            return True
    finally:
        request.cancel()
        await asyncio.wait({request})
    for number, patience_s in ((signal.SIGTERM, min(5.0, options.stop_timeout_s)), (signal.SIGKILL, 5.0)):
        _LOG.warning("Valkey process %d does not end; sending %s", process.pid, number.name)
        process.send(number)
        if await process.wait(patience_s):
            return number is signal.SIGTERM
    _LOG.error("Valkey process %d does not end even by SIGKILL; it keeps the lock", process.pid)
    return False


async def _ask_to_shut_down(url: str) -> None:
    """NOSAVE leaves out a snapshot; the append-only file is written and synced in any case. NOW waits for no replica."""
    client = connect(url, options=SUPERVISOR)
    try:
        await client.execute_command("SHUTDOWN", "NOSAVE", "NOW")
    except FAULTS as exc:  # the usual end: the connection breaks because the server is gone
        _LOG.debug("answer to SHUTDOWN: %s", exc)
    finally:
        with contextlib.suppress(*FAULTS):
            await client.aclose()
