"""Machines that joined by an invite and are not here: why, and what to do about it."""

from __future__ import annotations

from typing import ClassVar

from northstar.domain.amounts import counted, moment
from northstar.domain.errors import Refused
from northstar.store.admission import TokenEntry, list_tokens
from northstar.store.cell import Cell

#: Machines named in one line; of more, only the number is said.
_MAX_NAMED = 3


class MachineNotHere(Refused):
    """The machine has joined by an invite, and is not registered now."""

    code: ClassVar[str] = "NS_MACHINE_NOT_HERE"

    def __init__(self, entry: TokenEntry) -> None:
        super().__init__(f"machine {entry.machine} is not here: {_why(entry)}")


async def not_here(cell: Cell, machine: str) -> MachineNotHere | None:
    """Why a machine is not here, by the state of its token; None if none of that name has joined. Raises Unavailable."""
    found = [entry async for entry in list_tokens(cell) if entry.machine == machine]
    if not found:
        return None
    return MachineNotHere(max(found, key=lambda entry: (entry.status != "revoked", entry.joined_ms)))


async def waiting_machines(cell: Cell) -> list[str]:
    """The names of the machines that wait for approval, sorted. Raises Unavailable."""
    return sorted([entry.machine async for entry in list_tokens(cell) if entry.status == "waiting"])


def waiting_line(names: list[str]) -> str:
    """What is said of machines that wait.

    >>> waiting_line(["m"])
    '1 machine waits for approval: m'
    """
    waits = "waits" if len(names) == 1 else "wait"
    named = ", ".join(names[:_MAX_NAMED]) + (", …" if len(names) > _MAX_NAMED else "")
    return f"{counted(len(names), 'machine')} {waits} for approval: {named}"


def _why(entry: TokenEntry) -> str:
    match entry.status:
        case "waiting":
            return f"it waits for approval; let it work with: northstar machines approve {entry.machine}"
        case "revoked":
            return f"its token was revoked by {entry.by}; to let it back, invite it anew: northstar machines invite"
        case _:
            return f"its token is good, and it was last seen {moment(entry.seen_ms)}; does its agent run?"
