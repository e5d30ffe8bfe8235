"""The address of a server, in one line of text.

    valkey://[user:password@]host[:port][/db]            one server (also redis://)
    valkeys://…                                          the same over TLS (also rediss://)
    unix://[user:password@]/path/to/socket[?db=0]        one server on this machine
    valkey+sentinel://[…@]host:port,host:port/service    the primary that Sentinel names (valkeys+sentinel:// over TLS)
    valkey+cluster://[…@]host:port,host:port             a cluster, by some of its nodes (valkeys+cluster:// over TLS)

Options after `?`: `db`; with TLS `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs` (required, none),
`ssl_check_hostname` (yes, no); with Sentinel `sentinel_username`, `sentinel_password`. Others are refused by name.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

from northstar.store.errors import UrlInvalid

Shape = Literal["single", "unix", "sentinel", "cluster"]

_DEFAULT_PORT: Final[dict[Shape, int]] = {"single": 6379, "unix": 0, "sentinel": 26379, "cluster": 6379}
_MAX_URL_CHARS: Final = 4096
_MAX_ADDRESSES: Final = 64
_TLS_OPTIONS: Final = frozenset(
    {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"},
)
_SENTINEL_OPTIONS: Final = frozenset({"sentinel_username", "sentinel_password"})


class Address(msgspec.Struct, frozen=True):
    """A host and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """How the server's certificate is checked, and ours shown. Both checks are on unless switched off by name."""

    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    verify: bool = True
    check_hostname: bool = True


class ServerUrl(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed address. Its text form and its repr carry no secrets."""

    shape: Shape
    addresses: tuple[Address, ...] = ()
    path: str | None = None
    service: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    tls: Tls | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix://{self.path}"
        scheme = "valkeys" if self.tls else "valkey"
        suffix = "" if self.shape == "single" else f"+{self.shape}"
        hosts = ",".join(map(str, self.addresses))
        return f"{scheme}{suffix}://{hosts}" + (f"/{self.service}" if self.service else "")

    def __repr__(self) -> str:
        return f"ServerUrl({str(self)!r})"


def redact(url: str) -> str:
    """The text with user names and passwords replaced, also where it is no valid URL; safe to print."""
    shown = re.sub(r"://.*@", "://***@", url[:_MAX_URL_CHARS], flags=re.DOTALL)
    return re.sub(r"((?:password|username)=)[^&]*", r"\1***", shown, flags=re.IGNORECASE)


def parse_url(url: str) -> ServerUrl:
    """Read one line of text as the address of a server.

    Raises:
        UrlInvalid: Unknown scheme or option, missing host, path or service, a port or database out of range.
    """
    try:
        return _parse(url)
    except _Why as why:
        raise UrlInvalid(url=redact(url), reason=str(why)) from None


class _Why(Exception):
    """What is wrong with the text; becomes `UrlInvalid` once the text is redacted."""


def _parse(url: str) -> ServerUrl:
    if len(url) > _MAX_URL_CHARS:
        raise _Why(f"longer than {_MAX_URL_CHARS} characters")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _Why("brackets around an IPv6 address do not match") from None
    shape, secure = _shape(parts.scheme)
    _refuse_raw_password(parts, shape=shape)
    options = _options(parts, allowed=_allowed_options(shape, secure=secure))
    userinfo, _, hosts = parts.netloc.rpartition("@")
    username, _, password = userinfo.partition(":")
    path, service, db = _path(parts, shape=shape, option_db=options.get("db"))
    return ServerUrl(
        shape=shape,
        addresses=_addresses(hosts, shape=shape),
        path=path,
        service=service,
        db=db,
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
        tls=_tls(options) if secure else None,
    )


def _refuse_raw_password(parts: SplitResult, *, shape: Shape) -> None:
    """A password that ends the host part early would be taken, and quoted, for a path or an option."""
    if parts.fragment:
        raise _Why("write # in a password as %23")
    if "@" in parts.query:
        raise _Why("write ? in a password as %3F, and @ in an option as %40")
    if "@" in parts.path and shape != "unix":
        raise _Why("write / in a password as %2F")


def _shape(scheme: str) -> tuple[Shape, bool]:
    base, _, suffix = scheme.partition("+")
    if scheme == "unix":
        return "unix", False
    if base not in {"valkey", "redis", "valkeys", "rediss"} or suffix not in {"", "sentinel", "cluster"}:
        raise _Why("it must begin with valkey://, valkeys://, unix://, valkey+sentinel:// or valkey+cluster://")
    secure = base in {"valkeys", "rediss"}
    if suffix == "sentinel":
        return "sentinel", secure
    return ("cluster" if suffix else "single"), secure


def _allowed_options(shape: Shape, *, secure: bool) -> frozenset[str]:
    allowed = frozenset({"db"})
    if secure:
        allowed |= _TLS_OPTIONS
    if shape == "sentinel":
        allowed |= _SENTINEL_OPTIONS
    return allowed


def _options(parts: SplitResult, *, allowed: frozenset[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in allowed:
            raise _Why(f"unknown option {name!r}; known here: {', '.join(sorted(allowed))}")
        if name in options:
            raise _Why(f"option {name!r} is given twice")
        options[name] = value
    return options


def _path(parts: SplitResult, *, shape: Shape, option_db: str | None) -> tuple[str | None, str | None, int]:
    """Socket path, Sentinel service and database number: all three live in the path."""
    path = unquote(parts.path)
    if shape == "unix":
        if not path.startswith("/"):
            raise _Why("a unix socket needs an absolute path, as in unix:///run/valkey.sock")
        return path, None, _database(option_db)
    first, *more = path.strip("/").split("/")
    if shape == "sentinel":
        if not first:
            raise _Why("name the Sentinel service after the hosts, as in valkey+sentinel://host:26379/service")
        return None, first, _database(option_db or "/".join(more))
    db = _database(option_db or path.strip("/"))
    if shape == "cluster" and db:
        raise _Why("a cluster has database 0 only")
    return None, None, db


def _database(text: str | None) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"\d{1,4}", text):
        raise _Why("the database must be a number")
    return int(text)


def _addresses(hosts: str, *, shape: Shape) -> tuple[Address, ...]:
    if shape == "unix":
        if hosts:
            raise _Why("a unix socket has no host; write unix:/// and the path")
        return ()
    names = hosts.split(",")
    if len(names) > _MAX_ADDRESSES:
        raise _Why(f"more than {_MAX_ADDRESSES} hosts")
    if len(names) > 1 and shape == "single":
        raise _Why("several hosts need valkey+sentinel:// or valkey+cluster://")
    return tuple(_address(name.strip(), default_port=_DEFAULT_PORT[shape]) for name in names)


def _address(text: str, *, default_port: int) -> Address:
    match = re.fullmatch(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]\s]+))(?::(?P<port>\d{1,5}))?", text)
    if match is None:
        raise _Why("each host is written host or host:port, an IPv6 address in brackets")
    port = int(match["port"]) if match["port"] else default_port
    if not 1 <= port <= 65535:
        raise _Why(f"port {port} is not between 1 and 65535")
    return Address(match["v6"] or unquote(match["name"]), port)


def _tls(options: dict[str, str]) -> Tls:
    requirement = options.get("ssl_cert_reqs", "required")
    hostname = options.get("ssl_check_hostname", "yes")
    if requirement not in {"required", "none"}:
        raise _Why("ssl_cert_reqs is required or none")
    if hostname not in {"yes", "no"}:
        raise _Why("ssl_check_hostname is yes or no")
    verify = requirement == "required"
    return Tls(
        ca_certs=options.get("ssl_ca_certs"),
        certfile=options.get("ssl_certfile"),
        keyfile=options.get("ssl_keyfile"),
        verify=verify,
        check_hostname=verify and hostname == "yes",
    )
