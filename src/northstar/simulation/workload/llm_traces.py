"""Requests to language models: Azure's of November 2023 (Patel et al., ISCA '24; CC-BY-4.0) and Mooncake's (Apache-2.0)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from northstar.simulation.workload.table import json_rows_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 -- the trace names no zone
_MS: Final = timedelta(milliseconds=1)
_Tokens = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]


class AzureRequest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"submitted": "TIMESTAMP", "read_tokens": "ContextTokens", "made_tokens": "GeneratedTokens"},
):
    """One request of the conversation or the coding service. There are no users and no models in the trace."""

    submitted: datetime
    read_tokens: _Tokens
    made_tokens: _Tokens

    @property
    def at_ms(self) -> int:
        """When it came, ms since 1970."""
        return (self.submitted - _EPOCH) // _MS


class MooncakeRequest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"at_ms": "timestamp", "read_tokens": "input_length", "made_tokens": "output_length", "blocks": "hash_ids"},
):
    """One request. `at_ms` counts from the trace's beginning; equal blocks are equal prefixes of 512 tokens."""

    at_ms: Annotated[int, msgspec.Meta(ge=0, le=10**13)]
    read_tokens: _Tokens
    made_tokens: _Tokens
    blocks: tuple[int, ...] = ()


def azure_requests(path: Path) -> Iterator[AzureRequest]:
    """The requests in their order. Raises what `rows_of` does."""
    return rows_of(path, AzureRequest, time="submitted")


def mooncake_requests(path: Path) -> Iterator[MooncakeRequest]:
    """The requests in their order. Raises what `json_rows_of` does."""
    return json_rows_of(path, MooncakeRequest, time="at_ms")
