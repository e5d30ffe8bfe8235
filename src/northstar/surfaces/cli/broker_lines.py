"""Where a broker listens, as it is told when it starts."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from northstar.assembly.listening import listens_everywhere
from northstar.config import ServeSettings

#: Names of this host that no other host reaches.
_LOOPBACK = ("127.", "localhost", "::1")


def broker_lines(url: str, wanted: ServeSettings) -> Iterator[tuple[str, str]]:
    """Labels and lines: where machines dial, where people look, and a warning where strangers could read along.

    `url` is the address by which this host itself reaches the broker.
    """
    if listens_everywhere(wanted.host):
        parts = urlsplit(url)
        host = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
        yield (
            "broker",
            f"{parts.scheme}://{host}:{parts.port}, where machines dial: any address of this host",
        )
    else:
        yield "broker", f"{url}, where machines dial"
    yield "clients", f"{url}/live for people, /docs for programs; northstar keys add NAME gives a key"
    if not (wanted.tls_certificate or wanted.trusted_proxies or wanted.host.startswith(_LOOPBACK)):
        yield (
            "warning",
            "no TLS: whoever is on the way reads tokens and work; set serve.tls_certificate and serve.tls_key",
        )
