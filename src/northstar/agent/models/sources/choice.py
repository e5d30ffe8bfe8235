"""From the text of an order's source to a source that can be opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from northstar.agent.models.errors import ModelSourceRefused
from northstar.agent.models.sources.contract import Source
from northstar.agent.models.sources.http import HttpSources
from northstar.agent.models.sources.streams import (
    BucketOptions,
    StreamSource,
    bucket_files,
    open_file,
    open_object,
)
from northstar.connectors.secret import Secret
from northstar.policy.models.addresses import Origin, origin_of, shown
from northstar.policy.models.pace import Patience
from northstar.policy.models.sources import BucketAddress, Endpoints, FileAddress, HttpAddress, address_of


class SourceRules(msgspec.Struct, frozen=True, kw_only=True):
    """From where a machine may fetch, and with which tokens."""

    endpoints: Endpoints = Endpoints()
    huggingface_token: Secret | None = None
    civitai_token: Secret | None = None
    #: Further bearer tokens, by the origin that they belong to.
    tokens: tuple[tuple[Origin, Secret], ...] = ()
    #: Hosts (`host` or `host:port`) that may lie in a private network. Those of the endpoints always may.
    private_hosts: frozenset[str] = frozenset()
    #: Folders of this machine from which `file://` may copy.
    source_folders: tuple[Path, ...] = ()
    bucket: BucketOptions = BucketOptions()
    #: What jobs may have fetched: nothing, what anybody could fetch (no token, bucket or folder of this machine), or all.
    jobs_may_fetch: Literal["none", "public", "any"] = "public"


class Sources:
    """All sources of one store."""

    def __init__(self, rules: SourceRules, *, patience: Patience, files: Callable[[], Any] | None = None) -> None:
        """`files` gives the file system behind `s3://`."""
        self._rules = rules
        self._patience = patience
        self._files = files or (lambda: bucket_files(rules.bucket))
        self._store: Any = None
        hub, civitai = origin_of(rules.endpoints.huggingface), origin_of(rules.endpoints.civitai)
        owners = ((hub, rules.huggingface_token), (civitai, rules.civitai_token))
        tokens = dict(rules.tokens) | {origin: token for origin, token in owners if token is not None}
        named = frozenset(f"{origin.host}:{origin.port}" for origin in (hub, civitai))
        hosts = rules.private_hosts | named
        self._http = HttpSources(patience=patience, private_hosts=hosts, tokens=tokens)
        self._public = HttpSources(patience=patience, private_hosts=hosts, tokens={})

    def at(self, source: str, *, model: str, from_job: bool = False) -> Source:
        """The source that a text means; `from_job`: with no more than jobs may use.

        Raises:
            ModelSourceRefused: it means none, or one that is not allowed.
        """
        try:
            address = address_of(source, endpoints=self._rules.endpoints)
        except ValueError as error:
            raise ModelSourceRefused(model, source=shown(source), reason=str(error)) from None
        rule = self._rules.jobs_may_fetch if from_job else "any"
        if rule == "none" or (rule == "public" and not isinstance(address, HttpAddress)):
            allowed = "nothing" if rule == "none" else "only what is public"
            reason = f"jobs may have {allowed} fetched by this machine; see models.jobs_may_fetch"
            raise ModelSourceRefused(model, source=shown(source), reason=reason)
        match address:
            case HttpAddress():
                return (self._http if rule == "any" else self._public).at(address, model=model)
            case BucketAddress():
                return self._stream(lambda: open_object(address, files=self._bucket), shown=address.shown, model=model)
            case FileAddress():
                folders = self._rules.source_folders
                return self._stream(
                    lambda: open_file(address, folders=folders, model=model), shown=address.shown, model=model
                )

    async def close(self) -> None:
        """Close what is open."""
        await self._http.close()
        await self._public.close()

    def _stream(self, opened: Callable[[], Any], *, shown: str, model: str) -> StreamSource:
        return StreamSource(opened, shown=shown, model=model, stall_s=self._patience.stall_s)

    def _bucket(self) -> Any:
        if self._store is None:
            self._store = self._files()
        return self._store
