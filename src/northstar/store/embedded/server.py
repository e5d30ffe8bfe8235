"""The supervision of one embedded server, from its lock to its end."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import shutil
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from northstar.domain.errors import NorthstarError
from northstar.store.embedded.configuration import LOG_NAME
from northstar.store.embedded.endpoint import Endpoint, make_socket_endpoint, remove_socket_directory
from northstar.store.embedded.health import ServerHealth, read_health
from northstar.store.embedded.launch import Running, Site, end, launch
from northstar.store.embedded.lock import DataDirectoryLock
from northstar.store.embedded.log import ServerLog
from northstar.store.embedded.options import ServerOptions
from northstar.store.embedded.process import ServerDeath
from northstar.store.embedded.readiness import SUPERVISOR
from northstar.store.errors import ValkeyGone
from northstar.store.valkey import FAULTS, connect, translate

_LOG: Final = logging.getLogger(__name__)
_Part = TypeVar("_Part")

_LOG_CHECK_S: Final = 30.0
_REMEMBERED_DEATHS: Final = 100


class EmbeddedValkey:
    """A Valkey server that lives and ends with this process and has its data directory to itself.

    Use it as `async with`, or with `start` and `stop`, always on one event loop whose thread outlives the server.
    Without `data_dir` it gets a temporary one, removed by `stop`. A forked child can neither stop it nor remove
    anything. A server that dies is reported by `died` and `on_death`, and started again if the options say so.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        options: ServerOptions | None = None,
        on_death: Callable[[ServerDeath], None] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.options = options or ServerOptions()
        self._wished_dir = data_dir.absolute() if data_dir is not None else None
        self._on_death = on_death
        self._rng = rng or random.SystemRandom()
        self._owner_pid = 0
        self._site: Site | None = None
        self._socket: Endpoint | None = None
        self._running: Running | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._died: asyncio.Future[ServerDeath | None] | None = None
        self._deaths: deque[float] = deque(maxlen=_REMEMBERED_DEATHS)

    def __repr__(self) -> str:
        state = "not running" if self._running is None else f"process {self._running.process.pid}"
        return f"<EmbeddedValkey {self._wished_dir or 'temporary'}: {state}>"

    @property
    def url(self) -> str:
        """The address for `connect`; holds the password if there is one, so do not print it."""
        return _held(self._running).endpoint.url(password=self.options.password)

    @property
    def pid(self) -> int:
        """The process id of the server that runs at present, or ran last."""
        return _held(self._running).process.pid

    @property
    def data_dir(self) -> Path:
        """Where the data is."""
        return _held(self._site).data_dir

    @property
    def log_path(self) -> Path:
        """The server's log, inside the data directory."""
        return _held(self._site).log.path

    @property
    def died(self) -> asyncio.Future[ServerDeath | None]:
        """Done when the server is down for good: with how it died, or with None after `stop`."""
        return _held(self._died)

    async def start(self) -> None:
        """Lock the directory, start the server and wait until it answers.

        Raises:
            DataDirectoryInUse: Another server holds the directory.
            DataDirectoryUnusable: It cannot be made or written.
            ValkeyBinaryMissing: There is no program for this platform.
            DiskFull: There is no room for its files.
            ValkeyStartFailed: Anything else, in the server's own words.
        """
        if self._site is not None:
            raise RuntimeError("this server has been started already")
        self._owner_pid = os.getpid()
        self._died = asyncio.get_running_loop().create_future()
        self._deaths.clear()
        try:
            self._site = self._found_site()
            await self._enter(self._site)
            self._running = await launch(self._site, endpoint=self._socket, rng=self._rng)
        except BaseException:
            self._let_go(in_good_order=False)
            raise
        self._supervisor = asyncio.create_task(self._supervise(self._site), name=f"embedded-valkey:{self.data_dir}")

    async def stop(self) -> None:
        """End the server in good order, its file synced; by force where it does not end. Safe to call again.

        It is asked to shut down and has `stop_timeout_s` for that, then gets SIGTERM, then SIGKILL.
        """
        if self._site is None or self._owner_pid != os.getpid():
            return
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait({self._supervisor})
        in_good_order = False
        try:
            if self._running is not None:
                in_good_order = await end(self._running, options=self.options)
        finally:
            self._let_go(in_good_order=in_good_order)
            if not self.died.done():
                self.died.set_result(None)

    async def health(self) -> ServerHealth:
        """Ask the server how it does.

        Raises:
            Unavailable: It does not answer (`ValkeyGone`, `ValkeyTimeout`), or will soon (`ValkeyLoading`).
        """
        site = _held(self._site)
        if _held(self._running).process.exited.done():
            raise ValkeyGone(f"the embedded server on {site.data_dir} has ended")
        client = connect(self.url, options=SUPERVISOR)
        try:
            return await read_health(client, last_words=site.log.reason(secrets=site.secrets))
        except FAULTS as exc:
            raise translate(exc) from exc
        finally:
            await client.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def _found_site(self) -> Site:
        data_dir = self._wished_dir or Path(tempfile.mkdtemp(prefix="northstar-valkey-"))
        log = ServerLog(data_dir / LOG_NAME, limit_bytes=self.options.log_limit_bytes)
        return Site(data_dir=data_dir, lock=DataDirectoryLock(data_dir), log=log, options=self.options)

    async def _enter(self, site: Site) -> None:
        """Take the lock, tidy up after a killed predecessor, and find a place for the socket if one is wanted."""
        await site.lock.acquire()
        before = site.lock.left_behind
        if before is not None and before.socket_path is not None:
            remove_socket_directory(Path(before.socket_path))
        if self.options.listen == "unix":
            self._socket = make_socket_endpoint(data_dir=site.data_dir)

    async def _supervise(self, site: Site) -> None:
        while True:
            death = await self._watch(site)
            self._tell(death)
            if not await self._revive(site):
                self.died.set_result(death)
                return

    async def _watch(self, site: Site) -> ServerDeath:
        """Wait for the end of the server, keeping its log within bounds meanwhile."""
        process = _held(self._running).process
        while not await process.wait(_LOG_CHECK_S):
            site.log.rotate()
        reason = site.log.reason(secrets=site.secrets)
        return ServerDeath(pid=process.pid, exit_status=process.exited.result(), reason=reason)

    def _tell(self, death: ServerDeath) -> None:
        self._deaths.append(asyncio.get_running_loop().time())
        _LOG.error("%s", death.sentence())
        if self._on_death is not None:
            try:
                self._on_death(death)
            except Exception:  # noqa: BLE001 -- somebody else's mistake must not end the supervision
                _LOG.exception("the callback for the death of the embedded Valkey failed")

    async def _revive(self, site: Site) -> bool:
        """Start again where clients expect the server, as the policy allows. False: down for good."""
        clock = asyncio.get_running_loop()
        endpoint = _held(self._running).endpoint
        while self.options.restart is not None:
            delay_s = self.options.restart.delay_s(self._deaths, now=clock.time())
            if delay_s is None:
                return False
            await asyncio.sleep(delay_s)
            try:
                self._running = await launch(site, endpoint=endpoint, rng=self._rng)
            except NorthstarError as exc:
                self._deaths.append(clock.time())
                _LOG.warning("the embedded Valkey could not be started again: %s", exc)
            else:
                return True
        return False

    def _let_go(self, *, in_good_order: bool) -> None:
        """Give back socket, lock and temporary directory; end the server at once if it still runs."""
        if self._running is not None:
            self._running.process.kill_at_once()
        if self._socket is not None and self._socket.socket_path is not None:
            remove_socket_directory(self._socket.socket_path)
        if self._site is not None:
            self._site.lock.close(in_good_order=in_good_order)
            if self._wished_dir is None:
                shutil.rmtree(self._site.data_dir, ignore_errors=True)
        self._site = self._socket = self._running = self._supervisor = None


def _held(part: _Part | None) -> _Part:
    if part is None:
        raise RuntimeError("this server has not been started")
    return part
