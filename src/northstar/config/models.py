"""How a machine keeps model files. Secrets stand in the environment; the settings only name their variables."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from northstar.config.services import Seconds

_Gib = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_MibPerS = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_Texts = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)], ...], msgspec.Meta(max_length=64)
]
_Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s@?#]+$")]
_Variable = Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")]
_Token = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s@?#=/]+=[A-Za-z_][A-Za-z0-9_]*$")]


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where models lie, where they come from, and what they may take."""

    root: str
    extra_roots: _Texts
    limit_gib: _Gib
    keep_free_gib: _Gib
    largest_gib: Annotated[float, msgspec.Meta(gt=0, le=100_000)]
    allow_pickle: bool
    evict_found: bool
    parallel: Annotated[int, msgspec.Meta(ge=1, le=64)]
    max_mib_per_s: _MibPerS
    busy_mib_per_s: _MibPerS
    hash_mib_per_s: _MibPerS
    survey_every_s: Seconds
    connect_s: Seconds
    stall_s: Seconds
    least_kib_per_s: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
    attempts: Annotated[int, msgspec.Meta(ge=1, le=100)]
    source_folders: _Texts
    jobs_may_fetch: Literal["none", "public", "any"]
    private_hosts: _Texts
    tokens: Annotated[tuple[_Token, ...], msgspec.Meta(max_length=64)]
    huggingface_url: _Url
    huggingface_token_variable: _Variable
    civitai_url: _Url
    civitai_token_variable: _Variable
    s3_url: Annotated[str, msgspec.Meta(pattern=r"^(https?://[^\s@?#]+)?$")]
    s3_key_variable: _Variable
    s3_secret_variable: _Variable
