"""From the event that ends a run, and its job's record in the cell, to the attempt's row in the history; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from northstar.domain.events import Event
from northstar.domain.models import ADAPTERS, ModelKind
from northstar.domain.requirements import Requirements
from northstar.domain.run_reports import RunReport, from_wire
from northstar.domain.stored_decisions import read_stored
from northstar.store.history.finished_jobs import place_of, storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.domain.decisions import RoutingDecision
    from northstar.domain.models import ModelNeed
    from northstar.store.machine_facts import MachineFacts
    from northstar.store.messages import InspectedJob

#: How a run ended. `failed` has a code; `lost`: nothing was heard of it or its machine any more; `released`: its machine handed it back;
#: `expired`: a deadline of the job passed; `canceled`: somebody took it back.
AttemptOutcome: TypeAlias = Literal["succeeded", "failed", "lost", "released", "expired", "canceled"]

_OUTCOMES: Final[dict[str, AttemptOutcome]] = {
    "job.succeeded": "succeeded",
    "job.retrying": "failed",
    "job.failed": "failed",
    "job.returned": "released",
    "job.expired": "expired",
    "job.canceled": "canceled",
}
#: After these a job waits for a machine.
WAITING_KINDS: Final = ("job.submitted", "job.returned", "job.retried", "job.replayed", "job.arrived")


class ModelInAttempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model file that a run needed: what its job said of it, and what its machine found. 0 and empty are "not known"."""

    name: str
    kind: ModelKind = "other"
    size_bytes: int = 0
    sha256: str = ""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a job, ended. None is "not known"; seconds and bytes are the machine's word, times and machine the cell's."""

    job_id: str
    #: Counts the machines that the job was given to; `attempt` counts failures of the work, and this try.
    claim: int
    attempt: int | None = None
    outcome: AttemptOutcome
    #: Of a failure or deadline the error's code; of a run that went back, why.
    code: str | None = None
    tenant: str | None = None
    user: str | None = None
    session: str | None = None
    parent: str | None = None
    service: str | None = None
    shape: str | None = None
    modality: str | None = None
    models: tuple[ModelInAttempt, ...] = ()
    work: float | None = None
    estimate_p10_s: float | None = None
    estimate_p50_s: float | None = None
    estimate_p90_s: float | None = None
    estimate_source: str | None = None
    #: What the matrix would have chosen, where the job waited, and how it came there.
    optimal_pool: str | None = None
    pool: str | None = None
    route: str | None = None
    machine: str | None = None
    gpu_class: str | None = None
    region: str | None = None
    price_usd_per_hour: float | None = None
    submitted_ms: int | None = None
    started_ms: int
    ended_ms: int
    #: In the cell, since it last began to wait there; `waiting_s` is inside the engine.
    queued_s: float | None = None
    waiting_s: float | None = None
    fetching_s: float | None = None
    loading_s: float | None = None
    running_s: float | None = None
    storing_s: float | None = None
    fetched_bytes: int | None = None
    link_bytes_per_s: float | None = None
    peak_vram_mb: int | None = None
    epoch: int
    sequence: int

    @property
    def held_s(self) -> float:
        """How long the machine had it."""
        return max(0, self.ended_ms - self.started_ms) / 1000


class EndedRun(msgspec.Struct, frozen=True):
    """A run that ended with `event`. `ready_ms`: since when its job had waited before; None where the batch does not say."""

    event: Event
    ready_ms: int | None

    @property
    def job_id(self) -> str:
        """Whose run it was."""
        return self.event.subject

    @property
    def machine(self) -> str:
        """Where it ran; empty if the event does not say."""
        return str(self.event.data.get("machine") or "")


class _Body(msgspec.Struct, frozen=True):
    """What of a job's body the history keeps; the payload is not even read."""

    service: str = ""
    pool: str = ""
    requires: Requirements = Requirements()
    user: str = ""
    session: str = ""
    parent: str | None = None


_read_body: Final = msgspec.json.Decoder(_Body).decode


def ended_runs(events: Iterable[Event]) -> list[EndedRun]:
    """The runs that ended, in order. An event that names no claim ended none: the job waited, or its machine had not begun."""
    ready: dict[str, int] = {}
    ended: list[EndedRun] = []
    for event in events:
        if event.kind in _OUTCOMES and "claim" in event.data:
            ended.append(EndedRun(event, ready.get(event.subject)))
        if event.kind in WAITING_KINDS:
            ready[event.subject] = event.at_ms
    return ended


def attempt_of(run: EndedRun, *, found: InspectedJob | None, machine: MachineFacts | None) -> Attempt:
    """The row of a run; `found` is its job as the cell has it now, `machine` what is known of the machine, if anything."""
    event, data = run.event, run.event.data
    started_ms = int(data.get("started_ms") or event.at_ms)
    row = Attempt(
        job_id=storable(event.subject),
        claim=int(data["claim"]),
        attempt=data.get("attempt"),
        outcome=_outcome(event),
        code=_text(data.get("code") or data.get("because")),
        machine=_text(run.machine),
        started_ms=started_ms,
        ended_ms=max(started_ms, event.at_ms),
        queued_s=None if run.ready_ms is None else max(0, started_ms - run.ready_ms) / 1000,
        epoch=event.id.epoch,
        sequence=event.id.sequence,
    )
    report = from_wire(str(data.get("report") or ""))
    return _measured(_placed(_asked(row, found, report), machine), report)


def decision_of(found: InspectedJob | None) -> RoutingDecision | None:
    """How the job was routed, if the cell keeps that and this version can read it."""
    if found is None or not found.decision:
        return None
    try:
        return read_stored(found.decision)
    except msgspec.MsgspecError:
        return None


def main_model(models: Sequence[ModelInAttempt | ModelNeed]) -> str:
    """The model that a run is told by: the largest that is no adapter, which the list has first; empty where there is none."""
    return next((model.name for model in models if model.kind not in ADAPTERS), models[0].name if models else "")


def _outcome(event: Event) -> AttemptOutcome:
    if event.data.get("lost") or event.data.get("code") == "NS_MACHINES_LOST":
        return "lost"
    return _OUTCOMES[event.kind]


def _asked(row: Attempt, found: InspectedJob | None, report: RunReport | None) -> Attempt:
    """What the job was, who wanted it and how it was routed."""
    if found is None:
        return row
    body = _body(found)
    pool, service = place_of(found)
    submitted_ms = found.record.submitted_ms
    decision = decision_of(found)
    row = msgspec.structs.replace(
        row,
        tenant=_text(found.record.tenant),
        user=_text(body.user),
        session=_text(body.session),
        parent=_text(body.parent),
        service=service or _text(body.service),
        pool=pool or _text(body.pool),
        models=_models(body.requires, report),
        # A job that was replayed since was submitted anew, after this run.
        submitted_ms=submitted_ms if submitted_ms <= row.started_ms else None,
    )
    return row if decision is None else _routed(row, decision)


def _routed(row: Attempt, decision: RoutingDecision) -> Attempt:
    estimate = decision.estimate
    return msgspec.structs.replace(
        row,
        shape=_text(decision.shape),
        modality=_text("+".join(decision.modalities)),
        work=decision.work or None,
        estimate_p10_s=estimate.p10_s,
        estimate_p50_s=estimate.p50_s,
        estimate_p90_s=estimate.p90_s,
        estimate_source=estimate.source,
        optimal_pool=decision.optimal,
        route=decision.route,
    )


def _placed(row: Attempt, machine: MachineFacts | None) -> Attempt:
    if machine is None:
        return row
    return msgspec.structs.replace(
        row,
        gpu_class=_text(machine.gpu_class),
        region=_text(machine.region),
        price_usd_per_hour=machine.price_usd_per_hour,
        link_bytes_per_s=machine.link_bytes_per_s,
    )


def _measured(row: Attempt, report: RunReport | None) -> Attempt:
    if report is None:
        return row
    return msgspec.structs.replace(
        row,
        waiting_s=report.waiting_s,
        fetching_s=report.fetching_s,
        loading_s=report.loading_s,
        running_s=report.running_s,
        storing_s=report.storing_s,
        fetched_bytes=report.fetched_bytes,
        link_bytes_per_s=report.link_bytes_per_s or row.link_bytes_per_s,
        peak_vram_mb=report.peak_vram_mb or None,
    )


def _models(requires: Requirements, report: RunReport | None) -> tuple[ModelInAttempt, ...]:
    """As the job named them; the machine adds what only it knows, and files that the job did not name."""
    seen = {} if report is None else {model.name: model for model in report.models}
    named = [
        ModelInAttempt(
            name=storable(need.name),
            kind=need.kind,
            size_bytes=need.size_bytes or (seen[need.name].size_bytes if need.name in seen else 0),
            sha256=(need.sha256 if need.sha256 != "unknown" else "")
            or (seen[need.name].sha256 if need.name in seen else ""),
        )
        for need in requires.models
    ]
    known = {need.name for need in requires.models}
    others = [
        ModelInAttempt(name=storable(model.name), size_bytes=model.size_bytes, sha256=model.sha256)
        for model in seen.values()
        if model.name not in known
    ]
    return tuple(sorted([*named, *others], key=lambda model: (-model.size_bytes, model.name)))


def _body(found: InspectedJob) -> _Body:
    try:
        return _read_body(found.body or "{}")
    except msgspec.MsgspecError:
        return _Body()


def _text(value: Any) -> str | None:
    return storable(str(value)) if value else None
