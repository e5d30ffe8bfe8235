"""What happened: one event per change of state, numbered per job and per cell."""

from __future__ import annotations

from typing import Any

import msgspec


class EventId(msgspec.Struct, frozen=True, order=True):
    """Position in a cell's history. The epoch rises when the cell's server is another one; the sequence never restarts."""

    epoch: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.sequence}"

    @classmethod
    def parse(cls, text: str) -> EventId:
        """Read "epoch-sequence". Raises ValueError for anything else."""
        epoch, sequence = text.split("-")
        return cls(int(epoch), int(sequence))


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` such as job.started; `subject` the job, machine or scope; `number` counts the events of a job from 1."""

    id: EventId
    kind: str
    subject: str
    number: int
    at_ms: int
    data: dict[str, Any]
