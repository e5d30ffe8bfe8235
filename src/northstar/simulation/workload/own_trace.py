"""A trace of one's own: the CSV that `northstar export --for simulation` writes, and that anybody may write by hand.

`docs/reference/trace-csv.md` says what each column is. There is no column for what people wrote, nor for where models come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

import msgspec

from northstar.domain.jobs import Label, Tenant
from northstar.domain.models import ModelKind, ModelName
from northstar.domain.requirements import Pool, Word
from northstar.domain.workloads import Modality, Speciality
from northstar.simulation.workload.errors import TraceRowInvalid
from northstar.simulation.workload.table import numbered_rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_Count = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=366 * 86_400)]
#: Files of one job, as a job may ask for.
MOST_MODELS: Final = 32
TracedOutcome: TypeAlias = Literal["succeeded", "failed", "lost", "released", "expired", "canceled"]


class TracedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A model file that a job needed. `size_bytes` 0: not known."""

    name: ModelName
    kind: ModelKind = "other"
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=10_000_000_000_000)] = 0
    #: In hexadecimal; empty: not known.
    sha256: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?$")] = ""


class TracedJob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job as it was. The order of the fields is that of the columns; what is empty in the file is its default here."""

    #: When it was submitted, seconds since 1970, to the millisecond; rows are in the order of these.
    submitted_s: Annotated[float, msgspec.Meta(ge=0, le=1e11)]
    #: For whom.
    tenant: Tenant = "default"
    #: Who of the tenant; any word that is the same for the same person will do.
    user: Label = ""
    #: In which sitting.
    session: Label = ""
    #: Which service it asked for.
    service: Word
    #: The pool that its submitter named; empty: North Star chose.
    asked_pool: Pool | None = None
    #: The pool in which it ran: for comparison, a simulation chooses itself.
    pool: Pool | None = None
    #: What came out: `image`, `text+image`, …
    modality: str = ""
    #: What of Standard's specialities it was: `photography`, `art`, `product`, `multi-modal`.
    speciality: Speciality | None = None
    #: Any word that is the same for jobs of which equal times are expected.
    shape: Annotated[str, msgspec.Meta(max_length=128)] = ""
    #: Denoising or training steps.
    steps: _Count = 0
    #: Pixels of one picture or frame.
    pixels: _Count = 0
    #: Frames of a video.
    frames: _Count = 0
    #: Pictures or videos.
    images: _Count = 0
    #: Tokens that were read, and made.
    read_tokens: _Count = 0
    made_tokens: _Count = 0
    #: steps x pixels x images x frames, or tokens, where only the product is known.
    work: Annotated[float, msgspec.Meta(ge=0, le=1e61)] = 0.0
    #: `true`: it trained a model.
    training: bool = False
    #: `true`: it used what its owner calls experimental.
    experimental: bool = False
    #: JSON list of `name`, `kind`, `size_bytes`, `sha256`, the largest first.
    models: str = ""
    #: Class of the GPU that ran it; `cpu` for none.
    gpu_class: Annotated[str, msgspec.Meta(max_length=48)] = ""
    #: Where that machine is.
    region: Annotated[str, msgspec.Meta(max_length=128)] = ""
    #: Seconds of the work itself, without queue, fetching and loading; empty: it never ran.
    ran_s: _Seconds | None = None
    #: `succeeded`, `failed`, `lost`, `released`, `expired` or `canceled`.
    outcome: TracedOutcome = "succeeded"

    @property
    def makes(self) -> tuple[Modality, ...]:
        """What came out, as a broker has it. Raises msgspec.ValidationError: one of the words is none."""
        return msgspec.convert(tuple(filter(None, self.modality.split("+"))), tuple[Modality, ...])

    @property
    def files(self) -> tuple[TracedModel, ...]:
        """The models. Raises msgspec.MsgspecError: `models` is no list of them."""
        return _read_models(self.models) if self.models else ()


_read_models: Final = msgspec.json.Decoder(
    Annotated[tuple[TracedModel, ...], msgspec.Meta(max_length=MOST_MODELS)]
).decode


def traced_jobs(path: Path) -> Iterator[TracedJob]:
    """The jobs in the order in which they were submitted. Raises what `numbered_rows_of` does."""
    for number, row in numbered_rows_of(path, TracedJob, time="submitted_s", is_harmless=True):
        for column, expected in (
            ("modality", "kinds such as image, text+image"),
            ("models", "a JSON list of name, kind, size_bytes, sha256"),
        ):
            try:
                _ = row.makes if column == "modality" else row.files
            except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
                raise TraceRowInvalid(
                    path, line=number, column=column, found=repr(getattr(row, column)), expected=f"{expected} ({exc})"
                ) from exc
        yield row
