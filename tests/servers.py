"""Real servers for tests: each on a socket or port of its own, each ended by its own process id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import northstar.store.embedded.launcher
from northstar.store.embedded import EmbeddedValkey, ServerOptions
from northstar.store.embedded.binary import find_binary
from northstar.store.embedded.endpoint import choose_port_endpoint
from northstar.store.errors import ValkeyStartFailed
from northstar.store.valkey import FAULTS, ClientOptions, ValkeyClient, connect

ATTEMPTS = 10
READY_S = 30.0
SLOTS = 16384


@dataclass(frozen=True)
class RunningServer:
    """Something that answers at `url`, and the embedded servers behind it."""

    url: str
    nodes: tuple[EmbeddedValkey, ...] = ()

    def connect(self, options: ClientOptions | None = None) -> ValkeyClient:
        return connect(self.url, options=options)

    @contextlib.asynccontextmanager
    async def client(self, options: ClientOptions | None = None) -> AsyncIterator[ValkeyClient]:
        client = self.connect(options)
        try:
            yield client
        finally:
            await client.aclose()


@contextlib.asynccontextmanager
async def embedded_valkey(options: ServerOptions | None = None) -> AsyncIterator[RunningServer]:
    """One server on a unix socket, in a temporary directory."""
    async with EmbeddedValkey(options=options) as server:
        yield RunningServer(server.url, (server,))


def redis_binary() -> Path:
    """Debian's Redis 7; a test that needs it fails in CI where it is absent, and is skipped elsewhere."""
    # The link must not be followed: the program behind it looks at the name it is called by.
    found = shutil.which("redis-server")
    if found is not None:
        return Path(found)
    reason = "redis-server (version 7 or later) is not on the path; on Debian: apt-get install redis-server"
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.asynccontextmanager
async def redis7(options: ServerOptions | None = None) -> AsyncIterator[RunningServer]:
    """Debian's Redis under our own supervision."""
    fields: dict[str, Any] = {} if options is None else {f: getattr(options, f) for f in options.__struct_fields__}
    async with embedded_valkey(ServerOptions(**fields | {"binary": redis_binary()})) as server:
        yield server


@contextlib.asynccontextmanager
async def cluster(primaries: int = 3) -> AsyncIterator[RunningServer]:
    """A cluster on loopback, put together by commands alone; whole after about two seconds."""
    options = ServerOptions(
        listen="tcp",
        directives=(
            ("cluster-enabled", "yes"),
            ("cluster-node-timeout", "5000"),
            ("cluster-announce-ip", "127.0.0.1"),
        ),
    )
    async with contextlib.AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(EmbeddedValkey(options=options)) for _ in range(primaries)]
        clients = [connect(node.url) for node in nodes]
        for client in clients:
            stack.push_async_callback(client.aclose)
        await _join(clients, ports=[_port(node.url) for node in nodes])
        hosts = ",".join(f"127.0.0.1:{_port(node.url)}" for node in nodes)
        yield RunningServer(f"valkey+cluster://{hosts}", tuple(nodes))


async def _join(clients: list[ValkeyClient], *, ports: list[int]) -> None:
    share = -(-SLOTS // len(clients))
    for number, client in enumerate(clients):
        last = min(SLOTS, (number + 1) * share) - 1
        await client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
        await client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for port in ports[1:]:
        await clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port)

    async def is_whole() -> bool:
        for client in clients:
            state = await client.execute_command("CLUSTER INFO")
            if state["cluster_state"] != "ok" or int(state["cluster_known_nodes"]) != len(clients):
                return False
            if len(await client.execute_command("CLUSTER SLOTS")) != len(clients):
                return False
        return True

    await eventually(is_whole, what="the cluster is whole")


async def eventually(is_so: Callable[[], Any], *, what: str, within_s: float = READY_S) -> None:
    """Ask again and again, up to a limit; for what only another process decides."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + within_s
    while not await is_so():
        assert clock.time() < deadline, f"after {within_s} s still not true: {what}"
        await asyncio.sleep(0.05)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    certificate, key = directory / "server.crt", directory / "server.key"
    arguments = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*arguments, *names, *files], check=True, capture_output=True, timeout=60)
    return certificate, key


@contextlib.asynccontextmanager
async def tls_redis(directory: Path) -> AsyncIterator[RunningServer]:
    """Debian's Redis with a port that speaks TLS (the embedded server's program has none)."""
    certificate, key = make_certificate(directory)
    async with contextlib.AsyncExitStack() as stack:
        port, server = await _on_some_port(
            lambda port: stack.enter_async_context(
                redis7(
                    ServerOptions(
                        listen="tcp",
                        directives=(
                            ("tls-port", str(port)),
                            ("tls-cert-file", str(certificate)),
                            ("tls-key-file", str(key)),
                            ("tls-ca-cert-file", str(certificate)),
                            ("tls-auth-clients", "no"),
                        ),
                    ),
                ),
            ),
        )
        yield RunningServer(f"valkeys://127.0.0.1:{port}?ssl_ca_certs={certificate}", server.nodes)


async def _on_some_port(start: Callable[[int], Any]) -> tuple[int, Any]:
    """Start with a free port, and with another one if that is taken in the moment between."""
    for attempt in range(1, ATTEMPTS + 1):
        port = choose_port_endpoint(ServerOptions(listen="tcp"), rng=random.SystemRandom()).port
        try:
            return port, await start(port)
        except ValkeyStartFailed as failure:
            if "Failed listening" not in failure.reason or attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


@contextlib.asynccontextmanager
async def sentinel(primary: EmbeddedValkey, *, service: str) -> AsyncIterator[RunningServer]:
    """A Sentinel that watches one primary, with itself as the only voice."""
    with tempfile.TemporaryDirectory(prefix="ns-sentinel-") as directory:
        for attempt in range(1, ATTEMPTS + 1):
            port = choose_port_endpoint(ServerOptions(listen="tcp"), rng=random.SystemRandom()).port
            process = _start_sentinel(Path(directory), port=port, watched=_port(primary.url), service=service)
            try:
                if await _answers(process, port=port):
                    yield RunningServer(f"valkey+sentinel://127.0.0.1:{port}/{service}")
                    return
                assert attempt < ATTEMPTS, (Path(directory) / "log").read_text()
            finally:
                process.kill()
                process.wait(timeout=10)


def _start_sentinel(directory: Path, *, port: int, watched: int, service: str) -> subprocess.Popen[bytes]:
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"logfile {directory}/log",
        f"sentinel monitor {service} 127.0.0.1 {watched} 1",
        f"sentinel down-after-milliseconds {service} 500",
    ]
    configuration = directory / "sentinel.conf"
    configuration.write_text("\n".join(lines) + "\n")
    launcher = str(northstar.store.embedded.launcher.__file__)
    program = [str(find_binary()), str(configuration), "--sentinel"]
    return subprocess.Popen([sys.executable, "-I", "-S", launcher, str(os.getpid()), *program], cwd=directory)


async def _answers(process: subprocess.Popen[bytes], *, port: int) -> bool:
    client = connect(f"valkey://127.0.0.1:{port}")

    async def is_decided() -> bool:
        if process.poll() is not None:
            return True
        with contextlib.suppress(*FAULTS):
            return bool(await client.execute_command("PING"))
        return False

    try:
        await eventually(is_decided, what="the Sentinel answers or has ended")
    finally:
        await client.aclose()
    return process.poll() is None


async def wait_for_end(pid: int, *, within_s: float = 15.0) -> None:
    """Wait until the process has ended, whosever child it is."""

    async def is_gone() -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        return state in {"Z", "X"}

    await eventually(is_gone, what=f"process {pid} has ended", within_s=within_s)


@contextlib.contextmanager
def killed_at_exit(pid: int) -> Iterator[None]:
    """End this very process whatever happens, if it is still there; never a later one with the same id."""
    descriptor = os.pidfd_open(pid)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        os.close(descriptor)
