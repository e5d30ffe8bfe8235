"""Decisions as they are stored with jobs."""

from __future__ import annotations

import msgspec

from northstar.domain.decisions import RoutingDecision
from northstar.domain.stored_decisions import read_stored


def read_decision(text: str) -> RoutingDecision | None:
    """A decision as it was stored with its job; None where there is none, or this version cannot read it."""
    try:
        return read_stored(text) if text else None
    except msgspec.MsgspecError:
        return None
