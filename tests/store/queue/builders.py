"""Requests with everything said, so that a test names only what it is about."""

from __future__ import annotations

from typing import Any

from tests.store.queue.calls import Cell, Reply

ANCHOR = "model:sdxl"


def a_lane(key: str = "lane", **changes: Any) -> Reply:
    """A lane of its own class: `class` is the lane's key unless it is named."""
    lane: Reply = {
        "key": key,
        "class": "class of " + key,
        "pool": "fast",
        "vram_mb": 0,
        "words": [ANCHOR],
        "fits": [],
        "placements": [],
    }
    return lane | changes


def a_job(job: str = "j", **changes: Any) -> Reply:
    wanted: Reply = {
        "id": job,
        "lane": 1,
        "tenant": "t",
        "weight": 1,
        "cost": 1,
        "priority": 100,
        "max_attempts": 3,
        "max_recoveries": 2,
        "start_within_ms": 0,
        "finish_within_ms": 0,
        "backoff_base_ms": 1_000,
        "backoff_cap_ms": 60_000,
        "retention_ms": 300_000,
        "idempotency_key": "",
        "digest": "digest-of-" + job,
        "body": "{}",
    }
    return wanted | changes


def a_machine(machine: str = "m", **changes: Any) -> Reply:
    wanted: Reply = {
        "machine": machine,
        "session": "s",
        "profile": "gpu",
        "fits": [],
        "slots": 10,
        "vram_mb": 24_000,
        "holder": "holder",
        "description": "{}",
        "words": [],
        "nonce": "registered",
    }
    return wanted | changes


class Shop:
    """A cell with one machine that can serve every lane, and short words for what tests do in it."""

    def __init__(self, cell: Cell, **limits: int) -> None:
        self.cell, self._nonces = cell, 0
        cell.open(limits)
        cell.call("declare", words=[ANCHOR], by="test", withdraw=False)
        self.profile: str = self.register()["profile"]

    def nonce(self) -> str:
        self._nonces += 1
        return f"n{self._nonces}"

    def later(self, by_ms: int) -> None:
        self.cell.now_ms += by_ms

    def register(self, machine: str = "m", **changes: Any) -> Reply:
        return self.cell.call("register_machine", **a_machine(machine, nonce=self.nonce()) | changes)

    def lane(self, key: str = "lane", *, on: tuple[Any, ...] = ("m",), **changes: Any) -> Reply:
        """`on` names the machines that may take it: a name, or (name, ready_after_ms, preference)."""
        placements = [[entry, 0, 0] if isinstance(entry, str) else list(entry) for entry in on]
        return a_lane(key, fits=[[self.profile, True]], placements=placements) | changes

    def submit(self, *jobs: Reply | str, lane: Reply | None = None) -> Reply:
        wanted = [a_job(job) if isinstance(job, str) else job for job in jobs]
        return self.cell.call("submit", nonce=self.nonce(), lanes=[lane or self.lane()], jobs=wanted)

    def claim(self, credits_: int = 1, machine: str = "m", **changes: Any) -> Reply:
        request: Reply = {"machine": machine, "session": "s", "credits": credits_, "nonce": self.nonce(), "park": False}
        return self.cell.call("claim", **request | changes)

    def take(self, credits_: int = 1, machine: str = "m", **changes: Any) -> list[str]:
        """Ids of the jobs that a claim gives."""
        return [job[0] for job in self.claim(credits_, machine, **changes)["jobs"]]

    def lease(self, machine: str = "m") -> tuple[str, str]:
        """Claim one job; its id and token."""
        (job,) = self.claim(1, machine)["jobs"]
        return job[0], job[1]

    def park(self, machine: str = "m", credits_: int = 1) -> None:
        assert self.claim(credits_, machine, park=True)["jobs"] == []

    def complete(self, job: str, token: str, result: str = "{}", machine: str = "m") -> str:
        request = {"machine": machine, "session": "s", "jobs": [{"id": job, "token": token, "result": result}]}
        outcome: str = self.cell.call("complete", **request)["jobs"][0][1]
        return outcome

    def fail(self, job: str, token: str, **changes: Any) -> list[Any]:
        failure = {"id": job, "token": token, "code": "BOOM", "message": "it broke", "retryable": True, "jitter": 0.0}
        request = {"machine": "m", "session": "s", "jobs": [failure | changes]}
        outcome: list[Any] = self.cell.call("fail", **request)["jobs"][0]
        return outcome[1:]

    def release(self, job: str, token: str) -> str:
        request = {"machine": "m", "session": "s", "nonce": self.nonce(), "because": "shutdown"}
        outcome: str = self.cell.call("release", jobs=[{"id": job, "token": token}], **request)["jobs"][0][1]
        return outcome

    def cancel(self, *jobs: str) -> list[str]:
        return [outcome[1] for outcome in self.cell.call("cancel", jobs=list(jobs), because="by user")["jobs"]]

    def tick(self, budget: int = 500) -> Reply:
        return self.cell.call("tick", nonce=self.nonce(), budget=budget)

    def commit_events(self) -> Reply:
        counts = self.statistics()["counts"]
        return self.cell.call("events_committed", epoch=counts["epoch"], event=counts["event"])

    def statistics(self) -> Reply:
        return self.cell.call("statistics", lanes=100, after="")

    def look(self, job: str) -> Job | None:
        jobs = self.cell.call("inspect", jobs=[job], bodies=True, results=True, decisions=True)["jobs"]
        return Job(*jobs[0]) if jobs else None

    def job(self, job: str) -> Job:
        found = self.look(job)
        assert found is not None
        return found

    def status(self, job: str) -> str:
        return str(self.job(job).get("status"))


#: Positions of the fields that tests read; `store/lua/shared/records.lua` lists them all.
JOB_FIELDS = [
    "status",
    "lane",
    "order",
    "tenant",
    "priority",
    "sequence",
    "submitted_ms",
    "attempts",
    "max_attempts",
    "recoveries",
    "max_recoveries",
    "claims",
    "token",
    "machine",
    "settled",
    "events",
    "last_event",
    "start_by_ms",
    "finish_by_ms",
    "backoff_base_ms",
    "backoff_cap_ms",
    "due_ms",
    "started_ms",
    "finished_ms",
    "retention_ms",
    "error_code",
    "error_message",
    "idempotency_key",
    "digest",
    "tag",
]


class Job:
    """A job as `inspect` gives it."""

    def __init__(self, job: str, record: list[Any], *texts: str) -> None:
        self.id, (self.body, self.result, self.lane, self.decision) = job, texts
        self._fields = dict(zip(JOB_FIELDS, record, strict=False))

    def get(self, field: str) -> Any:
        return self._fields[field]
