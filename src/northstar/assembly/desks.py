"""The desks of fleet, models, records and explanations of one broker."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from northstar.assembly.front import admission_to
from northstar.assembly.routing import RoutingParts
from northstar.assembly.session import new_id
from northstar.broker.admission_desk import AdmissionDesk
from northstar.broker.audit import Audit
from northstar.broker.budgets import BudgetsSeen
from northstar.broker.cell_desk import CellDesk
from northstar.broker.dead_letters import DeadLetters
from northstar.broker.desks import Desks
from northstar.broker.explain_desk import ExplainDesk
from northstar.broker.explaining import Explainer
from northstar.broker.machine_desk import MachineDesk
from northstar.broker.missing_machines import MissingMachinesReader
from northstar.broker.model_desk import ModelDesk
from northstar.broker.order_past import OrderPast
from northstar.broker.record_desk import RecordDesk
from northstar.broker.sealed_cursors import SealedCursors
from northstar.broker.webhooks.desk import WebhookDesk
from northstar.store.cell import Cell
from northstar.store.history import AttemptReader, CostReader, HistoryDatabase, HistoryReader
from northstar.store.history.kind_reader import KindReader
from northstar.store.snapshots import CellReader


def desks_of(
    cell: Cell,
    history: HistoryDatabase,
    routing: RoutingParts,
    *,
    explainer: Callable[[], Explainer],
    missing: MissingMachinesReader,
    reader: CellReader,
    join_url: str,
    budgets: Callable[[], BudgetsSeen],
    webhooks: WebhookDesk,
) -> Desks:
    """What answers for the cell, by the pools and the catalogue that the broker routes by; `budgets` are as they were looked at last."""
    past = HistoryReader(history, cell=cell.name)
    return Desks(
        explain=ExplainDesk(explainer),
        cell=CellDesk(cell, pools=routing.pools, missing=missing, reader=reader, webhooks=webhooks),
        machines=MachineDesk(cell, past=OrderPast(cell, past), reader=reader, new_id=new_id),
        admission=AdmissionDesk(cell, admission_to(cell), join_url=join_url, new_id=new_id),
        models=ModelDesk(cell, reader=reader),
        records=RecordDesk(
            cell,
            attempts=AttemptReader(history, cell=cell.name),
            costs=CostReader(history, cell=cell.name),
            dead_letters=DeadLetters(cell, new_nonce=new_id),
            audit=Audit(cell, KindReader(history, cell=cell.name)),
            cursors=SealedCursors(cell, random_bytes=secrets.token_bytes),
            budgets=budgets,
        ),
    )
