"""What people did to a cell: who, what, to whom or what, and when; read from the events, which nobody can take back."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from northstar.domain.budgets import NORTH_STAR
from northstar.domain.events import Event

#: Events that say who had something done.
AUDITED: Final = (
    "document.put",
    "document.dropped",
    "machine.approved",
    "machine.revoked",
    "machine.invited",
    "machine.invite_revoked",
    "cell.paused",
    "cell.resumed",
    "order.given",
)
#: How somebody is named: a key of the HTTP interface, or whoever typed a command. What North Star does by itself has other names.
_SOMEBODY: Final = re.compile(r"key \S+|[^\s@]+@\S+")
_NOTED: Final = "act"
#: The kind of documents by which a pause becomes an operator's own (`store.pauses`).
_TAKEN_OVER: Final = "pause"
#: Copies of former files, which come with putting others in force.
_PAST: Final = "-past"


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One act. `act` is such as key.put, model.dropped, pools.put, machine.drain, machine.remove, cell.paused; `by` a key or a user."""

    id: str
    at_ms: int
    act: str
    subject: str
    by: str
    #: What else its event says.
    data: dict[str, Any]


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """Acts, the latest first. A page may hold fewer than asked for and not be the last: go on while there is a cursor."""

    acts: tuple[AuditEntry, ...]
    #: Where the next page begins; empty: this is the last.
    cursor: str
    #: Later acts may be missing: the history is behind, and more events wait for it than are looked through.
    incomplete: bool = False


#: What North Star does by itself that operators must account for: a budget was warned of, spent, or is there again.
_BUDGETS: Final = {
    ("budget-warning", "put"): "budget.warned",
    ("budget-stop", "put"): "budget.stopped",
    ("budget-stop", "dropped"): "budget.resumed",
}


def act_of(event: Event) -> AuditEntry | None:
    """The act that an event tells of; None: it tells of none, or of what North Star did by itself."""
    by = str(event.data.get("by") or "")
    if by == NORTH_STAR:
        return _of_budgets(event)
    if event.kind not in AUDITED or _SOMEBODY.fullmatch(by) is None:
        return None
    told = {name: value for name, value in event.data.items() if name not in {"by", "kind", "name"}}
    act, subject = event.kind, event.subject
    if act.startswith("document."):
        kind, name = str(event.data.get("kind") or ""), str(event.data.get("name") or "")
        verb = act.removeprefix("document.")
        if kind.endswith(_PAST) or (kind == _NOTED and verb == "dropped"):
            return None
        act, subject = f"{kind}.{verb}", name
        if kind == _TAKEN_OVER:
            # A pause that stood for a spent budget is the operator's from now on; that it ends is told by its own event.
            if verb == "dropped":
                return None
            act, subject = "cell.paused", name
        if kind == _NOTED:
            act, _, subject = name.partition(":")
            told = {}
    return AuditEntry(id=str(event.id), at_ms=event.at_ms, act=act, subject=subject, by=by, data=told)


def _of_budgets(event: Event) -> AuditEntry | None:
    kind, name = str(event.data.get("kind") or ""), str(event.data.get("name") or "")
    act = _BUDGETS.get((kind, event.kind.removeprefix("document.")))
    if act is None:
        return None
    return AuditEntry(id=str(event.id), at_ms=event.at_ms, act=act, subject=name, by=NORTH_STAR, data={})
