"""The budget of the whole cell: one document of it, so that every broker means the same, whatever its own settings say.

A broker whose cell has never had one puts that of its settings in force; afterwards it is changed and lifted by whoever says so
(`northstar budget`), for all brokers at once. Settings that say something else are named, and settings that say nothing follow. One that is
lifted stays a document that says "none", or the next start of a broker would put its settings' in force again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from northstar.domain.budgets import Budget, Usd
from northstar.domain.errors import Refused
from northstar.domain.refusals import DocumentChanged
from northstar.store.documents import DocumentUnreadable, WantedDocument, put_documents, read_document
from northstar.telemetry import logger

if TYPE_CHECKING:
    from northstar.store.cell import Cell
    from northstar.store.documents import Document

log = logger(__name__)

_KIND: Final = "budget"
_CURRENT: Final = "current"


class FleetBudget(msgspec.Struct, frozen=True, kw_only=True):
    """What the whole cell may cost, and the share of any budget that is warned of, above 0 to 1."""

    usd_per_day: Usd = 0.0
    usd_per_month: Usd = 0.0
    warn_at: float = 0.8

    @property
    def budget(self) -> Budget:
        """What may be spent."""
        return Budget(usd_per_day=self.usd_per_day, usd_per_month=self.usd_per_month)

    @property
    def says_something(self) -> bool:
        """Whether it is anything else than what holds where nobody has said anything."""
        return self != FleetBudget()

    def __str__(self) -> str:
        """For people.

        >>> str(FleetBudget(usd_per_day=200)), str(FleetBudget())
        ('200 USD a day, warned of at 80%', 'no budget')
        """
        parts = ((self.usd_per_day, "day"), (self.usd_per_month, "month"))
        limits = " and ".join(f"{usd:,.10g} USD a {period}" for usd, period in parts if usd) or "no budget"
        return f"{limits}, warned of at {self.warn_at:.0%}" if self.says_something else limits


class StandingBudget(msgspec.Struct, frozen=True, kw_only=True):
    """The one in force. `version` is that of its document, 0: the cell has never had any; by whom it was set, and when.

    `budget` is None where a newer version wrote what this one cannot read; another can be put in its place.
    """

    budget: FleetBudget | None = FleetBudget()
    version: int = 0
    by: str = ""
    at_ms: int = 0


class BudgetDiffers(Refused):
    """The settings say another budget of the fleet than the cell; the cell's holds."""

    code: ClassVar[str] = "NS_BUDGET_DIFFERS"

    def __init__(self, said: FleetBudget, held: FleetBudget) -> None:
        super().__init__(
            f"these settings say of the fleet: {said}; the cell says: {held}, and that holds: take [budget] out of the settings, or "
            "have the cell say the same: northstar budget set"
        )
        self.said = said
        self.held = held


async def read_fleet_budget(cell: Cell) -> FleetBudget:
    """The one that holds. Raises Unavailable; DocumentUnreadable: a newer version wrote it."""
    found = await read_document(cell.client, cell.keys, _KIND, _CURRENT)
    return FleetBudget() if found is None else _read(found)


async def standing_budget(cell: Cell) -> StandingBudget:
    """The one that holds, for whoever looks at it or puts another in its place. Raises Unavailable; DocumentUnreadable: nobody can replace it."""
    found = await read_document(cell.client, cell.keys, _KIND, _CURRENT)
    if found is None:
        return StandingBudget()
    try:
        budget = _read(found)
    except DocumentUnreadable:
        budget = None
    return StandingBudget(budget=budget, version=found.version, by=found.by, at_ms=found.at_ms)


async def put_fleet_budget(cell: Cell, wanted: FleetBudget, *, known: StandingBudget, by: str) -> int:
    """Have all brokers of the cell go by this one from now on; gives its version. `known` is what the caller has seen in force.

    Raises:
        DocumentChanged: somebody else was faster. TooManyDocuments, DocumentsTooLarge: a bound of the cell. Unavailable: it does not answer.
    """
    body = msgspec.json.encode(wanted).decode()
    document = WantedDocument(kind=_KIND, name=_CURRENT, body=body, expected=known.version)
    ((version, _),) = (await put_documents(cell, [document], by=by)).documents
    return version


async def seed_fleet_budget(cell: Cell, said: FleetBudget, *, by: str) -> None:
    """Put the budget of a broker's settings in force where the cell has never had any, else name what differs.

    Raises:
        TooManyDocuments, DocumentsTooLarge: a bound of the cell. Unavailable: it does not answer, or a newer version wrote what holds.
    """
    if not said.says_something:
        return
    known = await standing_budget(cell)
    if not known.version:
        try:
            version = await put_fleet_budget(cell, said, known=known, by=by)
        except DocumentChanged:
            pass  # another broker was first
        else:
            log.info("budget_of_settings_in_force", cell=cell.name, version=version, budget=str(said))
            return
    held = await read_fleet_budget(cell)
    if held != said:
        error = BudgetDiffers(said, held)
        log.warning("budget_differs", cell=cell.name, code=error.code, error=str(error))


def _read(document: Document) -> FleetBudget:
    try:
        return msgspec.json.decode(document.body, type=FleetBudget)
    except msgspec.MsgspecError as exc:
        raise DocumentUnreadable(document.kind, document.name, reason=str(exc)[:200], is_replaceable=True) from exc
