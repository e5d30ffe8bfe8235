"""Requests of a production service for pictures: Alibaba's GenTD26 (Lin et al., SoCC '25), as joined with its LoRA file.

The clock is anonymised: it is shifted, so that the dead hours lie around noon. The file is for research; nothing of it is in this project.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from northstar.simulation.workload.errors import TraceRowInvalid
from northstar.simulation.workload.table import numbered_rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 -- the trace's clock has no zone
_MS: Final = timedelta(milliseconds=1)
_Amount = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]

Task = Literal["TXT_2_IMG", "IMG_2_IMG", "INPAINTING"]
#: PENDING and PROCESSING are requests that had not ended when the trace did: nobody knows how long they took.
Status = Literal["SUCCEED", "FAILED", "PENDING", "PROCESSING"]


class PictureRequest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={
        "submitted": "gmt_create",
        "task": "predict_type",
        "status": "predict_status",
        "ran_s": "exec_time_seconds",
        "user": "groupId",
        "images": "num_images_per_prompt",
        "steps": "num_inference_steps",
        "model": "checkpoint_model_version_id",
        "lora_count": "num_lora",
        "lora_list": "loras",
    },
):
    """One request. `ran_s` is execution as the service measured it, with what loading fell into it."""

    submitted: datetime
    task: Task
    status: Status
    ran_s: _Seconds
    #: A user, or several who are one group to the service.
    user: str
    prompt_length: _Amount = 0.0
    negative_prompt_length: _Amount = 0.0
    #: 0: it is not said.
    images: _Amount = 0.0
    steps: _Amount = 0.0
    #: The base model; empty: none is named.
    model: str = ""
    lora_count: Annotated[int, msgspec.Meta(ge=0, le=64)]
    style: str = ""
    lora_list: str = ""

    @property
    def loras(self) -> tuple[str, ...]:
        """Adapters in the order of the request."""
        return tuple(self.lora_list.split("|")) if self.lora_list else ()

    @property
    def at_ms(self) -> int:
        """When it was submitted by the trace's clock, ms since 1970."""
        return (self.submitted - _EPOCH) // _MS

    @property
    def has_run(self) -> bool:
        """Whether it is known how long it took and with which model."""
        return self.status in {"SUCCEED", "FAILED"} and self.model != ""


def picture_requests(path: Path) -> Iterator[PictureRequest]:
    """The requests in their order. Raises what `numbered_rows_of` does, and TraceRowInvalid where LoRAs are not as many as is said."""
    for number, row in numbered_rows_of(path, PictureRequest, time="submitted"):
        if len(row.loras) != row.lora_count:
            raise TraceRowInvalid(
                path,
                line=number,
                column="loras",
                found=f"{len(row.loras)} names",
                expected=f"num_lora, {row.lora_count}",
            )
        yield row
