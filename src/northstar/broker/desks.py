"""The desks behind the routes of fleet, models, records and explanations; jobs have one of their own."""

from __future__ import annotations

import msgspec

from northstar.broker.admission_desk import AdmissionDesk
from northstar.broker.cell_desk import CellDesk
from northstar.broker.explain_desk import ExplainDesk
from northstar.broker.machine_desk import MachineDesk
from northstar.broker.model_desk import ModelDesk
from northstar.broker.record_desk import RecordDesk


class Desks(msgspec.Struct, frozen=True, kw_only=True):
    """What answers for one cell. Each method takes the caller first, and refuses what is none of its business."""

    explain: ExplainDesk
    cell: CellDesk
    machines: MachineDesk
    admission: AdmissionDesk
    models: ModelDesk
    records: RecordDesk
