"""Terms of tenants that stand in a process's settings: the first ones of a cell, and never a second opinion beside it.

What holds is what the cell says. A broker whose cell has never had terms puts those of its settings in force, so that `[tenants.NAME]`
in the file of a first broker is enough; afterwards they are changed with `northstar tenants apply`, for everybody at once. Settings
that say something else are named, and a client whose settings name terms does not route where the cell never had any.
"""

from __future__ import annotations

import socket
from typing import ClassVar, Final

from northstar.broker.terms_in_force import TermsInForce, TermsUnreadable, applied_tenants
from northstar.config import Settings
from northstar.config.tenants import tenants_text
from northstar.domain.errors import Refused
from northstar.domain.refusals import DocumentChanged
from northstar.domain.tenancy import Tenants
from northstar.store.cell import Cell
from northstar.store.documents import DocumentUnreadable
from northstar.telemetry import logger

log = logger(__name__)

#: Tenants that a warning names.
_SHOWN: Final = 8


class TermsDiffer(Refused):
    """The settings say something else of tenants than the cell; the cell's terms hold."""

    code: ClassVar[str] = "NS_TERMS_DIFFER"

    def __init__(self, tenants: list[str]) -> None:
        named = ", ".join(tenants[:_SHOWN]) + (", …" if len(tenants) > _SHOWN else "")
        super().__init__(
            f"these settings say something else of {named} than the cell, whose terms hold (northstar tenants list): take [tenants] out "
            "of the settings, or put in force what they say: northstar tenants apply FILE"
        )
        self.tenants = tuple(tenants)


class TermsNotApplied(Refused):
    """The settings of a client name terms of tenants, and its cell has never had any."""

    code: ClassVar[str] = "NS_TERMS_NOT_APPLIED"

    def __init__(self) -> None:
        super().__init__(
            "these settings have terms of tenants, and the cell has never had any, so nothing is routed: put them in force "
            "(northstar tenants apply FILE, with the tables [tenants.NAME] as they are), start the broker with them, or take them out"
        )


async def seed_terms(cell: Cell, settings: Settings) -> None:
    """Put the terms of a broker's settings in force, where the cell has never had any. Several brokers may start at once.

    Raises:
        DocumentTooLarge, TooManyDocuments, DocumentsTooLarge: a bound of the cell. Unavailable: the cell does not answer.
    """
    files = applied_tenants(cell)
    if not settings.tenants or not await _never_had_any(cell):
        return
    text = tenants_text(Tenants(tenants=settings.tenants))
    try:
        version = await files.apply(text, source=f"the settings on {socket.gethostname()}", known=None, by="serve")
    except DocumentChanged:
        return  # another broker was first; whether it said the same is told by `tell_difference`
    log.info("terms_of_settings_applied", cell=cell.name, version=version, tenants=len(settings.tenants))


async def check_terms(cell: Cell, settings: Settings) -> None:
    """Refuse to route for a client whose settings name terms that the cell has never had. Raises TermsNotApplied, Unavailable."""
    if settings.tenants and await _never_had_any(cell):
        raise TermsNotApplied


def tell_difference(terms: TermsInForce, settings: Settings) -> None:
    """A warning in the log where the settings say something else than what holds. Terms that cannot be used are named elsewhere."""
    if not settings.tenants:
        return
    said = Tenants(tenants=settings.tenants)
    try:
        held = terms.latest
    except TermsUnreadable:
        return
    names = sorted({*said.tenants, *held.tenants})
    if differ := [name for name in names if said.terms(name) != held.terms(name)]:
        error = TermsDiffer(differ)
        log.warning("terms_differ", code=error.code, error=str(error), version=terms.version)


async def _never_had_any(cell: Cell) -> bool:
    """Terms that were taken back are something else: then the operator has said that there are none."""
    files = applied_tenants(cell)
    try:
        return await files.current() is None and not await files.past()
    except DocumentUnreadable:
        return False
