"""Two hosts on this one: network namespaces with a wire between them that can be pulled. Needs root and iproute2."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

#: Addresses that nobody routes (RFC 5737), inside namespaces that nobody else is in.
BROKER, MACHINE = "192.0.2.1", "192.0.2.2"


@dataclass(frozen=True)
class Hosts:
    """Names of the two namespaces. The broker listens on `BROKER`."""

    broker: str
    machine: str

    def on_broker(self) -> tuple[str, ...]:
        """What starts a program on the broker's host."""
        return ("ip", "netns", "exec", self.broker)

    def on_machine(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.machine)

    def pull(self) -> None:
        """The wire comes out of the broker's host: what either side sends arrives nowhere, and nobody says so."""
        _ip("-n", self.broker, "link", "set", "wire", "down")

    def plug(self) -> None:
        _ip("-n", self.broker, "link", "set", "wire", "up")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@contextlib.contextmanager
def two_hosts() -> Iterator[Hosts]:
    """Skips the test where this is not permitted."""
    if shutil.which("ip") is None:
        pytest.skip("two hosts on one need iproute2")
    mark = secrets.token_hex(3)
    hosts = Hosts(f"ns-broker-{mark}", f"ns-machine-{mark}")
    with contextlib.ExitStack() as stack:
        try:
            for name in (hosts.broker, hosts.machine):
                _ip("netns", "add", name)
                stack.callback(_ip, "netns", "del", name)
                _ip("-n", name, "link", "set", "lo", "up")
            peer = ("type", "veth", "peer", "name", "wire", "netns", hosts.machine)
            _ip("link", "add", "name", "wire", "netns", hosts.broker, *peer)
            for name, address in ((hosts.broker, BROKER), (hosts.machine, MACHINE)):
                _ip("-n", name, "addr", "add", f"{address}/24", "dev", "wire")
                _ip("-n", name, "link", "set", "wire", "up")
        except OSError as exc:
            pytest.skip(f"two hosts on one are not permitted here: {exc}")
        yield hosts
