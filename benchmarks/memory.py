"""What a waiting job takes of the server's memory, beside its body: `python -m benchmarks memory`.

`used_memory` of the server before and after the jobs, and the same by key, every member counted. The program of the embedded server uses the system's allocator; one with jemalloc rounds otherwise by a few per cent.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

from benchmarks.cell import BATCH, MeasuredCell, Served, info, served
from benchmarks.contract import Options, Outcome
from benchmarks.jobs import parts, wanted_job, wanted_lane
from benchmarks.measure import interleaved, spread
from northstar.domain.decisions import ExpectedOn, MachinesThen, Rejection, RoutingDecision, TurnedDown
from northstar.domain.estimates import DurationEstimate
from northstar.domain.stored_decisions import to_stored
from northstar.store import messages as m

#: Most memory of a waiting job beside its body.
GOAL_BYTES = 2048
#: Nothing but the hash seeds differs between two fills of a case, so more rounds than this would say the same again.
_MOST_ROUNDS = 2
_JOBS, _QUICK_JOBS = 100_000, 10_000
#: Right after a table has doubled it is half empty: the most a job ever takes.
_DOUBLED_JOBS, _QUICK_DOUBLED_JOBS = 66_000, 8_500
#: Keys that take less than this a job are shown together.
_SHOWN_BYTES = 1.0


#: A decision of the ordinary kind: a picture in the Fast Lane, with the pools and the machines that were passed over.
DECISION = to_stored(
    RoutingDecision(
        pool="fast-lane",
        route="matrix",
        optimal="fast-lane",
        row="fast-lane",
        because="it is as long as Fast Lane's work (10 s expected); its models are brought there in about 139 s",
        estimate=DurationEstimate(
            p10_s=8.12, p50_s=10.34, p90_s=14.9, source="shape", confidence=0.78, runs=214, gpu_class="rtx-4090"
        ),
        rejected=(
            Rejection(
                subject="lightning",
                code="too-long",
                reason="takes under 3 s, and 10 s are expected; takes only text and embedding, and the job makes image (row lightning)",
            ),
            Rejection(
                subject="standard, standard-photography, standard-art, standard-product, standard-multi-modal, heavy",
                code="no-machine",
                reason="no machine fits",
            ),
        ),
        fit_machines=12,
        holders=3,
        shape="2e16af166d9e68eb0340",
        modalities=("image",),
        work=20_971_520.0,
        machines=MachinesThen(
            best=(
                ExpectedOn(machine="salad-7f3a91", fetch_s=42.1, load_s=2.5, run_s=10.3),
                ExpectedOn(machine="salad-0b6c22", wait_s=8.4, fetch_s=42.1, load_s=2.5, run_s=10.3),
                ExpectedOn(machine="vast-18841", fetch_s=59.5, load_s=2.5, run_s=10.3),
            ),
            more_fit=9,
            turned_down=(
                TurnedDown(code="draining", count=1, names=("salad-33d0e1",), says="fits, and drains"),
                TurnedDown(
                    code="pool",
                    count=21,
                    names=("runpod-4a11", "runpod-9c02"),
                    says="is in pool heavy, research, not fast-lane",
                ),
                TurnedDown(
                    code="pool+vram",
                    count=7,
                    names=("vast-20917", "vast-21003"),
                    says="is in pool lightning, not fast-lane, has 8000 MB of VRAM, the job needs 12000",
                ),
            ),
        ),
    )
)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that wait."""

    jobs: int
    body_bytes: int
    lanes: int
    #: With an idempotency key, deadlines to start and to finish, and the reason why it waits where it waits.
    extras: bool

    @property
    def name(self) -> str:
        extras = ", key, deadlines and decision" if self.extras else ""
        return f"{self.jobs:,} in {self.lanes:,}, {self.body_bytes:,} B{extras}"


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes a job, its body taken off; `by_key` while no event is committed."""

    uncommitted: float
    committed: float
    by_key: dict[str, float]


def cases(*, quick: bool) -> tuple[Case, ...]:
    """Small and large bodies, one lane and many, plain and with everything; and the worst moment of a growing table."""
    jobs, doubled = (_QUICK_JOBS, _QUICK_DOUBLED_JOBS) if quick else (_JOBS, _DOUBLED_JOBS)
    ordinary = [
        Case(jobs=jobs, body_bytes=body_bytes, lanes=lanes, extras=extras)
        for body_bytes in (100, 2_000)
        for lanes in (1, 1_000)
        for extras in (False, True)
    ]
    return (*ordinary, Case(jobs=doubled, body_bytes=2_000, lanes=1_000, extras=True))


def run(options: Options) -> Outcome:
    """Fill each case, and weigh it before and after its events are committed."""
    return measure_memory(cases(quick=options.quick), rounds=min(options.rounds, _MOST_ROUNDS))


def measure_memory(wanted: Sequence[Case], *, rounds: int) -> Outcome:
    """Weigh the cases one at a time, each in an empty server."""
    usages: dict[str, list[Usage]] = {case.name: [] for case in wanted}
    with served(append_only=False) as server:
        for number, case in interleaved(wanted, rounds):
            print(f"round {number + 1} of {rounds}: {case.name}", file=sys.stderr, flush=True)
            usages[case.name].append(weigh(server, case))
        version = server.version
    return Outcome(text=text(usages, server=f"Valkey {version}"), figures=msgspec.to_builtins(usages))


def weigh(server: Served, case: Case) -> Usage:
    """Fill an empty server and say what a job takes of it."""
    server.client.execute_command("FLUSHALL", "SYNC")  # type: ignore[no-untyped-call]
    cell = MeasuredCell(server.client, "weighed")
    cell.open()
    empty_bytes, empty_keys = _used_bytes(server), cell.bytes_by_key()
    lanes = [wanted_lane(number) for number in range(case.lanes)]
    for batch in parts(range(case.jobs), BATCH):
        cell.submit(*_submission(case, batch, lanes))
    full_bytes, full_keys = _used_bytes(server), cell.bytes_by_key()
    cell.forget_events()
    committed_bytes = _used_bytes(server)
    by_key = {name: (full_keys[name] - empty_keys[name]) / case.jobs for name in full_keys}
    by_key["bodies"] -= case.body_bytes
    return Usage(
        uncommitted=(full_bytes - empty_bytes) / case.jobs - case.body_bytes,
        committed=(committed_bytes - empty_bytes) / case.jobs - case.body_bytes,
        by_key=by_key,
    )


def text(usages: dict[str, list[Usage]], *, server: str) -> str:
    """Everything a person needs to judge the run."""
    rounds = len(next(iter(usages.values())))
    heading = (
        f"{server}; bytes a job beside its body, medians (lowest-highest) of {rounds} interleaved rounds; events committed: the "
        f"history has them and the stream let them go. The parts are with no event committed."
    )
    names = _shown(usages)
    titles = ["jobs in lanes, body", "committed", "uncommitted", *names, "other keys", "outside keys"]
    rows = [[name, *_row(taken, names)] for name, taken in usages.items()]
    return "\n\n".join([heading, _table(titles, rows), "\n".join(verdicts(usages))])


def verdicts(usages: dict[str, list[Usage]]) -> list[str]:
    """The goal, for the case that takes most."""
    lines = []
    for title, field in (("events committed", "committed"), ("no event committed", "uncommitted")):
        medians = {name: spread(getattr(one, field) for one in taken).median for name, taken in usages.items()}
        worst = max(medians, key=medians.__getitem__)
        held = "goal held" if medians[worst] <= GOAL_BYTES else "GOAL MISSED"
        lines.append(f"{held}: {title}, at most {medians[worst]:.0f} B a job ({worst}); goal {GOAL_BYTES} B")
    return lines


def _submission(
    case: Case, numbers: Sequence[int], lanes: Sequence[m.WantedLane]
) -> tuple[list[m.WantedLane], list[m.WantedJob]]:
    at = {number % case.lanes: 0 for number in numbers}
    at = {lane: position for position, lane in enumerate(at, start=1)}
    body = '"' + "x" * (case.body_bytes - 2) + '"'
    jobs = [
        wanted_job(number, lane_number=number % case.lanes, lane=at[number % case.lanes], body=body)
        for number in numbers
    ]
    if case.extras:
        jobs = [
            msgspec.structs.replace(
                job,
                idempotency_key=f"key-{job.digest}",
                start_within_ms=3_600_000,
                finish_within_ms=7_200_000,
                decision=DECISION,
            )
            for job in jobs
        ]
    return [lanes[lane] for lane in at], jobs


def _used_bytes(server: Served) -> int:
    """As the server counts it, seen through a new connection: one that carried much keeps its buffers for a while."""
    server.client.connection_pool.disconnect()
    return int(info(server.client, "memory")["used_memory"])


def _shown(usages: dict[str, list[Usage]]) -> list[str]:
    """Keys worth a column, the heaviest first."""
    heaviest: dict[str, float] = {}
    for taken in usages.values():
        for name, weight in taken[0].by_key.items():
            heaviest[name] = max(weight, heaviest.get(name, 0.0))
    return sorted((name for name in heaviest if heaviest[name] >= _SHOWN_BYTES), key=lambda name: -heaviest[name])


def _row(taken: Sequence[Usage], names: Sequence[str]) -> list[str]:
    first = taken[0]
    shown = [first.by_key[name] for name in names]
    all_keys = sum(first.by_key.values())
    weights = [*shown, all_keys - sum(shown), first.uncommitted - all_keys]
    spreads = [spread(one.committed for one in taken), spread(one.uncommitted for one in taken)]
    return [*(f"{one.median:.0f} ({one.low:.0f}-{one.high:.0f})" for one in spreads), *(f"{w:.0f}" for w in weights)]


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    lines = [titles, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )
