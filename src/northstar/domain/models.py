"""Models as jobs ask for them, as machines hold them, and as they are ordered to a machine."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f]+$")]
ModelKind = Literal[
    "checkpoint",
    "diffusion_model",
    "llm",
    "vae",
    "text_encoder",
    "controlnet",
    "upscaler",
    "lora",
    "embedding",
    "other",
]

#: Adapters are small beside what they adapt: they count as bytes in the choice of a machine, not as a lane of their own.
ADAPTERS: frozenset[str] = frozenset({"lora", "embedding"})

#: What an order says instead of a hash when nobody knows it: the file is then taken as it comes and its hash recorded.
UNKNOWN_HASH = "unknown"

_Bytes = Annotated[int, msgspec.Meta(ge=0, le=10_000_000_000_000)]
ModelFolder = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^([A-Za-z0-9][A-Za-z0-9_-]*)?$")]
ModelSource = Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]


class ModelNeed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True, omit_defaults=True):
    """A model file that a job cannot run without.

    With `sources` and `sha256`, a machine that keeps models and lacks it fetches it before the job begins; without them, or on a machine that
    keeps none, the engine must have it.
    """

    name: ModelName
    kind: ModelKind = "checkpoint"
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=10_000_000_000_000)] = 0
    #: Addresses to try, one after the other: https, http, hf, civitai, s3 or file.
    sources: Annotated[tuple[ModelSource, ...], msgspec.Meta(max_length=8)] = ()
    #: The file's SHA-256 in hexadecimal, or "unknown" on purpose; wanted where there are sources.
    sha256: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64}|unknown)?$")] = ""
    #: Folder below the models folder; empty: the usual one of its kind.
    folder: ModelFolder = ""

    def __post_init__(self) -> None:
        """Whoever names sources says what the file must be.

        Raises:
            ValueError: there are sources and no `sha256`.
        """
        if self.sources and not self.sha256:
            raise ValueError('a model with sources needs its sha256, or "unknown" on purpose')

    def order(self, *, from_job: bool = True) -> ModelOrder | None:
        """What a machine that lacks it is to fetch; None if nobody said from where. `from_job` is false of what the catalogue says."""
        if not self.sources:
            return None
        return ModelOrder(
            name=self.name,
            kind=self.kind,
            folder=self.folder,
            sources=self.sources,
            sha256=self.sha256,
            size_bytes=self.size_bytes,
            from_job=from_job,
        )

    def identity(self) -> ModelNeed:
        """The need without where it can be had: what tells lanes apart."""
        return ModelNeed(name=self.name, kind=self.kind, size_bytes=self.size_bytes) if self.sha256 else self

    @property
    def is_anchor(self) -> bool:
        """Whether it decides where a job can start soon (large, slow to fetch)."""
        return self.kind not in ADAPTERS


class ModelHeld(msgspec.Struct, frozen=True, array_like=True):
    """A model on a machine: `resident` in engine memory, or on `disk`."""

    name: str
    state: Literal["resident", "disk"]
    size_bytes: int = 0


class ModelOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model file that a machine shall have, and where it can be had. The repr leaves out what may be a secret."""

    #: Path below the folder of its kind, with `/` between folders: what an engine calls the model.
    name: ModelName
    #: What kind of model it is.
    kind: ModelKind = "checkpoint"
    #: Folder below the models folder; empty: the usual one of its kind.
    folder: ModelFolder = ""
    #: Addresses to try, one after the other: https, http, hf, civitai, s3 or file.
    sources: Annotated[tuple[ModelSource, ...], msgspec.Meta(min_length=1, max_length=8)]
    #: The file's SHA-256 in hexadecimal, or "unknown" on purpose.
    sha256: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64}|unknown)$")]
    #: Its size; 0 if it is not known.
    size_bytes: _Bytes = 0
    #: Whether it comes with a job, whose sender is not the machine's owner: then the machine's rule for jobs holds.
    from_job: bool = False

    @property
    def expected_sha256(self) -> str | None:
        """The hash that the file must have; None where any will do."""
        return None if self.sha256 == UNKNOWN_HASH else self.sha256

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.name), ("kind", self.kind)]

    def __repr__(self) -> str:
        return (
            f"ModelOrder(name={self.name!r}, kind={self.kind!r}, sha256={self.sha256!r}, size_bytes={self.size_bytes})"
        )
