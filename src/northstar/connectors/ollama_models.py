"""What Ollama has: models on disk, models in memory, and what a model can do."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeVar

import aiohttp
import msgspec

from northstar.connectors.engine_http import EngineHttp
from northstar.connectors.errors import MalformedAnswer, ModelMissing
from northstar.connectors.ollama_request import full_name
from northstar.connectors.stated_error import AskedModel, stated_error, states_error
from northstar.connectors.waiting import bounded

T = TypeVar("T")

_LIST_BYTES: Final = 8 * 1024 * 1024
_JSON: Final = "application/json"


class OllamaModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model: on disk, or in memory, where `size_vram` says how many of its bytes are on a GPU."""

    name: str
    size: int = 0
    digest: str = ""
    size_vram: int = 0
    expires_at: str = ""


class _Models(msgspec.Struct):
    models: list[OllamaModel]


class _Version(msgspec.Struct):
    version: str = ""


class _Shown(msgspec.Struct):
    capabilities: list[str] | None = None
    remote_host: str | None = None


class OllamaModels:
    """Questions about models. Each is one short request, and `within_s` seconds are enough for its answer."""

    def __init__(self, http: EngineHttp, *, service: str, within_s: float) -> None:
        self._http = http
        self._service = service
        self._within_s = within_s

    async def on_disk(self) -> tuple[OllamaModel, ...]:
        """All models that have been pulled (`/api/tags`).

        Raises:
            EngineError: Ollama does not answer, or something else does.
        """
        return await self._listed("/api/tags")

    async def resident(self) -> tuple[OllamaModel, ...]:
        """The models in memory now (`/api/ps`); raises as `on_disk`."""
        return await self._listed("/api/ps")

    async def is_resident(self, model: str) -> bool:
        """Whether a model is in memory now; raises as `on_disk`."""
        return any(full_name(one.name) == full_name(model) for one in await self.resident())

    async def version(self) -> str:
        """The version of Ollama (`/api/version`); raises as `on_disk`."""
        return (await self._in_time(self._answer(self._http.got("/api/version"), _Version))).version

    async def check(self, model: str) -> frozenset[str]:
        """What a model that has been pulled can do (`/api/show`), such as `completion` or `embedding`; empty if not said.

        Raises:
            ModelMissing: it has not been pulled, or it is a name for a model on somebody else's computer.
            EngineError: as `on_disk`.
        """
        found = await self.on_disk()
        if not any(full_name(one.name) == full_name(model) for one in found):
            raise ModelMissing(model, service=self._service, found=tuple(one.name for one in found))
        asking = self._answer(self._http.posted("/api/show", {"model": model}), _Shown, model=AskedModel(model))
        shown = await self._in_time(asking)
        if shown.remote_host:
            raise ModelMissing(f"{model} (it runs at {shown.remote_host}, not here)", service=self._service)
        return frozenset(shown.capabilities or ())

    async def _listed(self, path: str) -> tuple[OllamaModel, ...]:
        return tuple((await self._in_time(self._answer(self._http.got(path), _Models))).models)

    async def _in_time(self, asking: Coroutine[None, None, T]) -> T:
        return await bounded(asking, service=self._service, patience_s=self._within_s, awaited="answer about models")

    async def _answer(
        self,
        asking: AbstractAsyncContextManager[aiohttp.ClientResponse],
        kind: type[T],
        *,
        model: AskedModel | None = None,
    ) -> T:
        async with asking as response:
            refusal = await self._http.refusal_of(response, expected=_JSON, model=model)
            if refusal is not None:
                raise refusal
            body = await self._http.body_of(response, what="the answer about models", max_bytes=_LIST_BYTES)
        return decoded(body, kind, service=self._service, model=model)


def decoded(body: bytes, kind: type[T], *, service: str, model: AskedModel | None = None) -> T:
    """A whole JSON answer as what it should be.

    Raises:
        EngineError: it is an error, whatever its status was. MalformedAnswer: it is something else.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        text = body.decode(errors="replace")
        if states_error(text):
            raise stated_error(text, status=200, service=service, model=model) from error
        raise MalformedAnswer(f"no answer of Ollama's: {error}", service=service) from error
