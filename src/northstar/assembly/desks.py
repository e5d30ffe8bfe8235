"""The desks of fleet, models, records and explanations of one broker."""

from __future__ import annotations

from collections.abc import Callable

from northstar.assembly.routing import RoutingParts
from northstar.broker.cell_desk import CellDesk
from northstar.broker.desks import Desks
from northstar.broker.explain_desk import ExplainDesk
from northstar.broker.explaining import Explainer
from northstar.broker.missing_machines import MissingMachinesReader
from northstar.store.cell import Cell
from northstar.store.history import HistoryDatabase
from northstar.store.snapshots import CellReader


def desks_of(
    cell: Cell,
    history: HistoryDatabase,
    routing: RoutingParts,
    *,
    explainer: Callable[[], Explainer],
    missing: MissingMachinesReader,
) -> Desks:
    """What answers for the cell, by the pools and the catalogue that the broker routes by."""
    reader = CellReader(cell.client, cell.keys)
    return Desks(
        explain=ExplainDesk(explainer),
        cell=CellDesk(cell, pools=routing.pools, missing=missing, reader=reader),
    )
