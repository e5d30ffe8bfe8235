"""Decisions as text: what a cell keeps with each job.

A cell may hold a million of them, so they are written by position and not by name, and what they tell of machines has a bound of its
own. Fields are added at the end, with defaults; those written by name, before that, are still read.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from northstar.domain.decisions import ExpectedOn, MachinesThen, Rejection, RoutingDecision, TurnedDown
from northstar.domain.estimates import DurationEstimate

#: As long as what a decision tells of machines may be, bytes: a job that waits has room for so much (`benchmarks/memory.py`).
MAX_MACHINES_BYTES: Final = 320

_Kind = TypeVar("_Kind", bound=msgspec.Struct)


class _Estimate(DurationEstimate, frozen=True, kw_only=True, array_like=True):
    """By position."""


class _Rejection(Rejection, frozen=True, kw_only=True, array_like=True):
    """By position."""


class _ExpectedOn(ExpectedOn, frozen=True, kw_only=True, array_like=True):
    """By position."""


class _TurnedDown(TurnedDown, frozen=True, kw_only=True, array_like=True):
    """By position."""


class _MachinesThen(MachinesThen, frozen=True, kw_only=True, array_like=True):
    """By position."""

    best: tuple[_ExpectedOn, ...] = ()
    turned_down: tuple[_TurnedDown, ...] = ()


class _Decision(RoutingDecision, frozen=True, kw_only=True, array_like=True):
    """By position."""

    estimate: _Estimate
    rejected: tuple[_Rejection, ...] = ()
    machines: _MachinesThen | None = None


_read_by_position: Final = msgspec.json.Decoder(_Decision).decode
_read_by_name: Final = msgspec.json.Decoder(RoutingDecision).decode


def to_stored(decision: RoutingDecision) -> str:
    """The text of a decision. What it tells of machines is kept within its bound: first the fewer names, then the fewer groups."""
    machines = None if decision.machines is None else _bounded(decision.machines)
    stored = _as(
        _Decision,
        decision,
        estimate=_as(_Estimate, decision.estimate),
        rejected=tuple(_as(_Rejection, one) for one in decision.rejected),
        machines=machines,
    )
    return msgspec.json.encode(stored).decode()


def read_stored(text: str) -> RoutingDecision:
    """A decision that was written by this version or an earlier one.

    Raises:
        msgspec.MsgspecError: another version has written it.
    """
    if not text.startswith("["):
        return _read_by_name(text)
    stored = _read_by_position(text)
    return _as(
        RoutingDecision,
        stored,
        estimate=_as(DurationEstimate, stored.estimate),
        rejected=tuple(_as(Rejection, one) for one in stored.rejected),
        machines=None if stored.machines is None else _machines(stored.machines),
    )


def _bounded(machines: MachinesThen) -> _MachinesThen:
    while len(msgspec.json.encode(stored := _stored(machines))) > MAX_MACHINES_BYTES:
        machines = _shorter(machines)
    return stored


def _shorter(machines: MachinesThen) -> MachinesThen:
    """The same with the least useful left out and counted: names beyond the first, runners-up beyond one, the groups that lack most."""
    best, down = machines.best, machines.turned_down
    if any(len(group.names) > 1 for group in down):
        named = tuple(msgspec.structs.replace(group, names=group.names[:1]) for group in down)
        return msgspec.structs.replace(machines, turned_down=named)
    if len(best) > 2 or (best and not down):
        return msgspec.structs.replace(machines, best=best[:-1], more_fit=machines.more_fit + 1)
    gone = down[-1].count if down else 0
    return msgspec.structs.replace(machines, turned_down=down[:-1], more_turned_down=machines.more_turned_down + gone)


def _stored(machines: MachinesThen) -> _MachinesThen:
    return _as(
        _MachinesThen,
        machines,
        best=tuple(_as(_ExpectedOn, one) for one in machines.best),
        turned_down=tuple(_as(_TurnedDown, one) for one in machines.turned_down),
    )


def _machines(stored: _MachinesThen) -> MachinesThen:
    return _as(
        MachinesThen,
        stored,
        best=tuple(_as(ExpectedOn, one) for one in stored.best),
        turned_down=tuple(_as(TurnedDown, one) for one in stored.turned_down),
    )


def _as(kind: type[_Kind], value: msgspec.Struct, **changes: object) -> _Kind:
    """The same fields as another kind of structure."""
    return kind(**(msgspec.structs.asdict(value) | changes))
