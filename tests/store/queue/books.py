"""Read all keys of a cell and hold them against the reference model: the only module that knows how a cell is laid out."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from northstar.store.keys import KEY_KINDS
from tests.store.queue.builders import JOB_FIELDS
from tests.store.queue.calls import Cell
from tests.store.queue.reference import DELAYED, FINISHED, LEAVING, WAITING, Job, Lane, ReferenceCell

MACHINE_FIELDS = [
    "number",
    "profile",
    "session",
    "slots",
    "used",
    "vram_mb",
    "vram_used_mb",
    "status",
    "holder",
    "offers",
    "wants",
    "nonce",
    "registered_ms",
    "accepted",
    "work",
]
HOT_FIELDS = [
    "last_ms",
    "skipped_ms",
    "sequence",
    "event",
    "committed_event",
    "virtual_time",
    "next_due_ms",
    "lanes",
    "classes",
    "profiles",
    "machines",
    "live",
    "submitted",
    "succeeded",
    "failed",
    "canceled",
    "expired",
]


def _hex(number: int, width: int) -> str:
    return f"{number:0{width}x}"


class Books:
    """A cell's keys, decoded, as one moment shows them."""

    def __init__(self, cell: Cell) -> None:
        pipeline = cell.node.pipeline(transaction=False)
        for name, kind in KEY_KINDS.items():
            if kind == "hash":
                pipeline.execute_command("HGETALL", cell.keys[name])
            elif kind == "zset":
                pipeline.execute_command("ZRANGE", cell.keys[name], 0, -1, "WITHSCORES")
            else:
                pipeline.execute_command("XLEN", cell.keys[name])
        self._raw = dict(zip(KEY_KINDS, pipeline.execute(), strict=True))

    def texts(self, name: str) -> dict[str, str]:
        return {field.decode(): value.decode() for field, value in _pairs(self._raw[name])}

    def records(self, name: str, fields: list[str] | None = None) -> dict[str, Any]:
        """Packed records; texts that name one (`k…`) are left out."""
        found = {}
        for field, value in _pairs(self._raw[name]):
            if value[:1] >= b"\x80":
                record = msgspec.msgpack.decode(value)
                found[field.decode()] = dict(zip(fields, record, strict=False)) if fields else record
        return found

    def names(self, name: str) -> dict[str, str]:
        """The texts that name a record."""
        return {f.decode(): v.decode() for f, v in _pairs(self._raw[name]) if f[:1] == b"k" and v[:1] < b"\x80"}

    def scores(self, name: str) -> dict[str, float]:
        return {_text(member): float(score) for member, score in _pairs(self._raw[name])}

    def members(self, name: str) -> list[str]:
        """In the order of their text, which is the order in which the library reads them."""
        assert not any(self.scores(name).values()), f"members of {name} are ordered by text alone"
        return list(self.scores(name))

    def count(self, name: str) -> int:
        return int(self._raw[name])


def _pairs(raw: Any) -> list[tuple[Any, Any]]:
    if isinstance(raw, dict):
        return list(raw.items())
    if raw and isinstance(raw[0], (list, tuple)):
        return [(member, score) for member, score in raw]
    return list(zip(raw[::2], raw[1::2], strict=True))


def _text(member: Any) -> str:
    return member.decode() if isinstance(member, bytes) else str(member)


def audit(books: Books, cell: ReferenceCell) -> None:
    """Every accepted job is in exactly the one place that its status names, and every counter and index says the same."""
    _jobs(books, cell)
    _places(books, cell)
    _order(books, cell)
    _leases(books, cell)
    _machines(books, cell)
    _counters(books, cell)
    _memory(books, cell)


def _jobs(books: Books, cell: ReferenceCell) -> None:
    records = books.records("jobs", JOB_FIELDS)
    assert records.keys() == cell.jobs.keys(), f"lost or unknown jobs: {records.keys() ^ cell.jobs.keys()}"
    for job in cell.jobs.values():
        record, expected = records[job.id], _record(job)
        differing = {name: (record[name], value) for name, value in expected.items() if record[name] != value}
        assert not differing, f"{job.id}, found and expected: {differing}"


def _record(job: Job) -> dict[str, Any]:
    machine = job.transfer[1] if job.status == "moved" else job.machine
    return {
        "status": job.status,
        "lane": job.lane.id,
        "tenant": job.wanted["tenant"],
        "priority": job.priority,
        "sequence": job.sequence,
        "submitted_ms": job.submitted_ms,
        "attempts": job.attempts,
        "recoveries": job.recoveries,
        "claims": job.claims,
        "token": job.token,
        "machine": machine,
        "events": job.events,
        "last_event": job.last_event,
        "start_by_ms": job.start_by_ms,
        "finish_by_ms": job.finish_by_ms,
        "due_ms": job.due_ms,
        "digest": job.wanted["digest"],
        "tag": job.tag,
    }


def _places(books: Books, cell: ReferenceCell) -> None:
    """Waiting, leased, delayed, leaving, finished: each job once, under its status."""

    def named(*statuses: str) -> set[str]:
        return {job.id for job in cell.jobs.values() if job.status in statuses}

    waiting = [member[33:] for member in books.members("waiting")]
    ages = [member[27:] for member in books.members("ages")]
    assert sorted(waiting) == sorted(ages) == sorted(named(WAITING))
    assert books.scores("leases") == {job.id: job.lease_until for job in cell.jobs.values() if job.leased}
    assert books.scores("delayed") == {job.id: job.due_ms for job in cell.jobs.values() if job.status == DELAYED}
    assert books.scores("finished") == {job.id: job.forget_at for job in cell.jobs.values() if job.status in FINISHED}
    assert set(books.scores("dead")) == named("failed")
    leaving = {job.id: list(job.transfer) for job in cell.jobs.values() if job.status == LEAVING}
    assert {name: record[:2] for name, record in books.records("transfers").items()} == leaving
    assert books.texts("results") == {job.id: job.result for job in cell.jobs.values() if job.status == "succeeded"}
    assert books.texts("bodies").keys() == cell.jobs.keys() - named("moved")
    late = {f"{kind}{name}": _by_ms(cell.jobs[name], kind) for kind, name in cell.deadlines}
    assert books.scores("deadlines") == late


def _by_ms(job: Job, kind: str) -> int:
    return job.start_by_ms if kind == "s" else job.finish_by_ms


def _order(books: Books, cell: ReferenceCell) -> None:
    """What a claim compares is what the lanes hold: heads, backlog, and the age of every class that some profile serves."""
    by_lane: dict[str, list[Job]] = {}
    for job in cell.waiting():
        by_lane.setdefault(job.lane.id, []).append(job)
    waiting, ages = books.members("waiting"), books.members("ages")
    heads, backlog = {}, []
    for lane_id, jobs in by_lane.items():
        jobs.sort(key=lambda job: job.order)
        aged = sorted(jobs, key=lambda job: (job.submitted_ms, job.sequence))
        members = [member for member in waiting if member.startswith(lane_id)]
        assert [member[33:] for member in members] == [job.id for job in jobs], f"the order of lane {lane_id}"
        assert [m[27:] for m in ages if m.startswith(lane_id)] == [job.id for job in aged], (
            f"the ages in lane {lane_id}"
        )
        age = _hex(aged[0].submitted_ms, 11)
        heads[lane_id] = members[0][6:33] + age
        backlog.append(cell.kinds[jobs[0].lane.kind] + age + lane_id)
    assert books.texts("heads") == heads
    assert books.members("backlog") == sorted(backlog)
    assert books.scores("idle_profiles") == cell.idle_profiles
    assert set(books.records("profiles")) == set(cell.profiles.values())
    assert books.texts("fits") == {profile + kind: str(int(fits)) for (profile, kind), fits in cell.fits.items()}
    _class_ages(books, cell, by_lane)


def _class_ages(books: Books, cell: ReferenceCell, by_lane: dict[str, list[Job]]) -> None:
    served = cell.served | {kind for (_, kind), fits in cell.fits.items() if fits}
    oldest: dict[str, int] = {}
    for jobs in by_lane.values():
        kind = cell.kinds[jobs[0].lane.kind]
        oldest[kind] = min([oldest.get(kind, 1 << 62), *(job.submitted_ms for job in jobs)])
    assert books.scores("class_ages") == {kind: age for kind, age in oldest.items() if kind in served}


def _leases(books: Books, cell: ReferenceCell) -> None:
    records = books.records("machines", MACHINE_FIELDS)
    held = [record["number"] + job for name, record in records.items() for job in cell.machines[name].held]
    assert books.members("held") == sorted(held)


def _machines(books: Books, cell: ReferenceCell) -> None:
    records = books.records("machines", MACHINE_FIELDS)
    assert records.keys() == cell.machines.keys() == books.texts("descriptions").keys()
    for machine in cell.machines.values():
        record = records[machine.name]
        expected = {
            "profile": machine.profile,
            "session": machine.session,
            "slots": machine.slots,
            "used": len(machine.held),
            "vram_mb": machine.vram_mb,
            "vram_used_mb": machine.vram_mb - machine.vram_free,
            "status": machine.status,
            "offers": machine.offers or {},
            "nonce": machine.nonce,
        }
        assert dict(record.get("work") or {}) == dict(Counter(job.lane.id for job in machine.held.values()))
        found = {name: record[name] or {} if name == "offers" else record[name] for name in expected}
        assert found == expected, machine.name
    machines = cell.machines.values()
    parked = {machine.name for machine in machines if machine.parked}
    assert set(books.scores("parked")) == parked
    assert set(books.scores("wakes")) <= parked
    assert books.scores("alive") == {machine.name: machine.alive_until for machine in machines}
    _candidates(books, cell)


def _candidates(books: Books, cell: ReferenceCell) -> None:
    machines, lanes = cell.machines.values(), cell.lanes
    expected = {m.name: sorted(m.candidates) for m in machines if m.candidates}
    records = books.records("candidates")
    found = {name: sorted((lane, ready, pref) for lane, ready, _, pref in record) for name, record in records.items()}
    assert found == expected
    for record in records.values():
        assert all(lanes[lane].vram_mb == vram_mb for lane, _, vram_mb, _ in record)
    rankings = [
        lane + _hex(ready, 8) + _hex(preference, 4) + m.name
        for m in machines
        for lane, ready, preference in m.candidates
    ]
    assert books.members("rankings") == sorted(rankings)


def _counters(books: Books, cell: ReferenceCell) -> None:
    hot = dict(zip(HOT_FIELDS, books.records("meta")["hot"], strict=False))
    expected = {
        "last_ms": cell.now,
        "skipped_ms": cell.skipped_ms,
        "sequence": cell.sequence,
        "event": cell.event,
        "committed_event": cell.committed,
        "virtual_time": cell.virtual_time,
        "live": cell.live(),
        "submitted": cell.submitted,
        **cell.finished,
    }
    assert {name: hot[name] for name in expected} == expected
    tenants = {name: [tenant.finish_tag, tenant.live] for name, tenant in cell.tenants.items()}
    assert books.records("tenants") == tenants
    live: dict[str, int] = {}
    for job in cell.jobs.values():
        if job.status not in FINISHED:
            live[job.wanted["tenant"]] = live.get(job.wanted["tenant"], 0) + 1
    assert live == {name: tenant.live for name, tenant in cell.tenants.items()}
    assert books.count("events") == cell.event - cell.committed


def _memory(books: Books, cell: ReferenceCell) -> None:
    lanes = {lane.id: _lane(lane, cell) for lane in cell.lanes.values()}
    assert books.records("lanes") == lanes
    names = {"k" + lane.key: lane.id for lane in cell.lanes.values()}
    assert books.names("lanes") == names
    idle = {lane.id: lane.forget_at for lane in cell.lanes.values() if lane.live == 0 and lane.forget_at is not None}
    assert books.scores("idle_lanes") == idle
    keys = {f"{tenant}\0{key}": f"{digest} {job}" for (tenant, key), (digest, job) in cell.idempotency.items()}
    assert books.texts("idempotency") == keys
    assert books.scores("arrivals") == cell.arrivals
    assert books.records("pauses").keys() == cell.pauses
    assert books.texts("vocabulary").keys() == cell.words
    machines = cell.machines.values()
    assert books.records("residency") == {m.name: m.models for m in machines if m.models}
    assert books.members("holders") == sorted(f"{model[0]}\0{m.name}" for m in machines for model in m.models)
    assert set(books.records("orders")) == {m.name for m in machines if m.orders}
    fetches = books.records("fetches")
    assert {n.partition("\0")[0] for n in fetches if n.partition("\0")[0]} == {m.name for m in machines if m.fetches}
    assert {n for n in fetches if "\0" in n and n[0] != "\0"} == {
        f"{m.name}\0{model}" for m in machines for model in m.fetches
    }
    assert {n[1:] for n in fetches if n[0] == "\0"} == {model for m in machines for model in m.fetches}


def _lane(lane: Lane, cell: ReferenceCell) -> list[Any]:
    return [
        lane.key,
        cell.kinds[lane.kind],
        lane.pool,
        lane.vram_mb,
        lane.live,
        "",
        *([] if lane.run_s is None else [lane.run_s]),
    ]
