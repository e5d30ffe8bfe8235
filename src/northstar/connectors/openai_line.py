"""What the tasks of an OpenAI-compatible engine share: the connection, the model and the bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from northstar.connectors.contract import Json
from northstar.connectors.engine_http import EngineHttp
from northstar.connectors.openai_request import EngineRequest
from northstar.connectors.stated_error import stated_error, states_error

Payload = Mapping[str, Json]
#: An error is short; a longer body is an answer, and not worth being parsed twice.
_LOOKED_AT: Final = 64 * 1024


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait for what, in seconds. Comments that only keep a connection alive do not count as tokens."""

    connect_s: float = 5.0
    first_token_s: float = 120.0
    between_tokens_s: float = 30.0
    total_s: float = 3_600.0


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One engine as its tasks see it. `clock` gives seconds that only grow."""

    http: EngineHttp
    service: str
    model: str | None
    patience: Patience
    max_output_bytes: int
    extra_options: frozenset[str]
    clock: Callable[[], float]

    async def answer_to(self, request: EngineRequest, *, what: str, max_bytes: int) -> bytes:
        """Post a request whose answer comes whole, as JSON.

        Raises:
            EngineError: the engine refused, broke off, sent something else, or an error under a 200.
        """
        async with self.http.posted(request.path, request.body) as response:
            refusal = await self.http.refusal_of(response, expected="application/json", model=request.model)
            if refusal is not None:
                raise refusal
            body = await self.http.body_of(response, what=what, max_bytes=max_bytes)
        text = body[:_LOOKED_AT].decode(errors="replace")
        if len(body) <= _LOOKED_AT and states_error(text):
            raise stated_error(text, status=200, service=self.service, model=request.model)
        return body
