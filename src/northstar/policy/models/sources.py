"""What the addresses of an order mean: `https://`, `hf://`, `civitai://`, `s3://` and `file://`."""

from __future__ import annotations

import re
from typing import Any, Final, Literal
from urllib.parse import quote, unquote, urlsplit

import msgspec

from northstar.policy.models.addresses import origin_of, printable, shown

Owner = Literal["huggingface", "civitai", "host"]

_HUB: Final = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+?))?(?P<path>/.+)")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,62}")


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Where the hubs are; another address is a mirror."""

    huggingface: str = "https://huggingface.co"
    civitai: str = "https://civitai.com"


class HttpAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An address to be asked by HTTP. `owner` says whose token may go with it."""

    url: str
    owner: Owner = "host"

    @property
    def shown(self) -> str:
        """As it may be told."""
        return shown(self.url)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("shown", self.shown)]

    def __repr__(self) -> str:
        return f"HttpAddress({self.shown!r})"


class BucketAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An object in an S3-compatible store."""

    path: str

    @property
    def shown(self) -> str:
        """As it may be told."""
        return f"s3://{self.path}"


class FileAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A file of this machine."""

    path: str

    @property
    def shown(self) -> str:
        """As it may be told."""
        return f"file://{self.path}"


Address = HttpAddress | BucketAddress | FileAddress


def address_of(source: str, *, endpoints: Endpoints) -> Address:
    """What a source of an order means.

    Raises:
        ValueError: with what is wrong; the text holds no secret.

    >>> address_of("hf://org/repo@main/unet/a.safetensors", endpoints=Endpoints()).url
    'https://huggingface.co/org/repo/resolve/main/unet/a.safetensors'
    >>> address_of("civitai://128713", endpoints=Endpoints()).url
    'https://civitai.com/api/download/models/128713'
    """
    scheme, _, rest = source.partition("://")
    match scheme:
        case "http" | "https":
            origin_of(source)
            return HttpAddress(url=printable(source))
        case "hf":
            return HttpAddress(url=_hub_url(rest, endpoints.huggingface), owner="huggingface")
        case "civitai":
            return HttpAddress(url=_civitai_url(rest, endpoints.civitai), owner="civitai")
        case "s3":
            return BucketAddress(path=_object(rest))
        case "file":
            return FileAddress(path=_file(source))
        case _:
            raise ValueError("its scheme is none of https, http, hf, civitai, s3 and file")


def _hub_url(rest: str, endpoint: str) -> str:
    found = _HUB.fullmatch(rest)
    if found is None or _climbs(rest):
        raise ValueError("it is not of the form hf://organisation/repository[@revision]/path")
    revision = quote(found["revision"] or "main", safe="")
    return f"{endpoint.rstrip('/')}/{found['repo']}/resolve/{revision}{quote(found['path'])}"


def _civitai_url(rest: str, endpoint: str) -> str:
    if not (rest.isascii() and rest.isdigit() and len(rest) <= 18):
        raise ValueError("it is not of the form civitai://number-of-the-model-version")
    return f"{endpoint.rstrip('/')}/api/download/models/{rest}"


def _object(rest: str) -> str:
    bucket, _, key = rest.partition("/")
    if _BUCKET.fullmatch(bucket) is None or not key or _climbs(rest) or not rest.isprintable():
        raise ValueError("it is not of the form s3://bucket/key")
    return rest


def _file(source: str) -> str:
    parts = urlsplit(source)
    path = unquote(parts.path)
    if parts.netloc or parts.query or not path.startswith("/") or _climbs(path) or not path.isprintable():
        raise ValueError("it is not of the form file:///absolute/path")
    return path


def _climbs(path: str) -> bool:
    return any(part in {"", ".", ".."} for part in path.removeprefix("/").split("/"))
