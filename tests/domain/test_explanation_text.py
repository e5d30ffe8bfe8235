"""Explanations in words: every field has its line, every code its sentence, and no machine's words steer a terminal."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest

from northstar.domain.decisions import ExpectedOn, MachinesThen, Rejection, RoutingDecision, TurnedDown
from northstar.domain.estimates import DurationEstimate
from northstar.domain.explanation_text import explain
from northstar.domain.explanations import (
    Absence,
    AbsenceCode,
    Action,
    Blocked,
    JobExplanation,
    KnownModel,
    LaneDemand,
    MachineCode,
    MachineExplanation,
    ModelExplanation,
    ModelFetch,
    ModelWhere,
    PoolDemand,
)
from northstar.domain.job_story import Step
from northstar.domain.jobs import JobStatus
from northstar.domain.models import ModelHeld
from northstar.domain.queue_place import QueuePlace
from northstar.domain.reason_text import describe_reason
from northstar.domain.reasons import Groups, Lack, MachineGroup, Reason, ReasonCode

NOW_MS = 1_700_000_100_000
EVIL = "\x1b[2J\x07evil"


def told(explanation: JobExplanation | MachineExplanation | ModelExplanation) -> str:
    return "\n".join(f"{line.about}: {line.text}" for line in explain(explanation))


def job(**changes: Any) -> JobExplanation:
    fields: dict[str, Any] = {
        "id": "sky",
        "status": JobStatus.QUEUED,
        "now_ms": NOW_MS,
        "submitted_ms": NOW_MS - 42_000,
        "tenant": "acme",
        "service": "picture",
        "pool": "heavy",
        "priority": 50,
        "max_attempts": 3,
        "max_recoveries": 10,
    }
    return JobExplanation(**fields | changes)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"place": QueuePlace(position=3, eta_s=38.2)}, "job: sky: queued (position 3, about 40 s), since 42 s"),
        ({"status": JobStatus.OFFERED, "machine": "m"}, "job: sky: offered to m, which has not accepted it yet"),
        (
            {"status": JobStatus.RUNNING, "machine": "m", "started_ms": NOW_MS - 5_000},
            "job: sky: running on m for 5.0 s",
        ),
        (
            {"status": JobStatus.DELAYED, "due_ms": NOW_MS + 2_000},
            "job: sky: pauses after a failed attempt; the next one may begin in 2.0 s",
        ),
        ({"status": JobStatus.LEAVING}, "job: sky: leaving, since 42 s"),
        (
            {"status": JobStatus.FAILED, "finished_ms": NOW_MS},
            "job: sky: failed at 2023-11-14 22:15:00 UTC",
        ),
        ({"status": None}, "job: sky: the queue has forgotten it; what the history knows follows"),
        (
            {"unservable": "no machine is here", "actions": (Action("let one join", "northstar machines invite"),)},
            "stuck: nobody can run it as things are: no machine is here\nto do: let one join: northstar machines invite",
        ),
        ({}, "asks: service picture in pool heavy; acme, priority 50"),
        (
            {"overdue_from_ms": NOW_MS + 18_000},
            "overdue: not yet; nothing submitted in 18 s or later goes before it on a machine that fits",
        ),
        (
            {"overdue_from_ms": NOW_MS - 18_000},
            "overdue: nothing submitted in the last 18 s goes before it on a machine that fits",
        ),
        ({"start_by_ms": NOW_MS}, "deadline: is given up unless it starts by 2023-11-14 22:15:00 UTC"),
        ({"finish_by_ms": NOW_MS}, "deadline: is given up unless it ends by 2023-11-14 22:15:00 UTC"),
        (
            {"models": (ModelWhere(name="flux", size_bytes=24_000_000_000, on_disk=2),)},
            "model: flux (24.0 GB): on machines that fit 0 in memory, 2 on disk, 0 fetching; nobody said from where to fetch it",
        ),
        (
            {"fetches": (ModelFetch(model="flux", machine="m", since_ms=NOW_MS - 9_000, order="o1"),)},
            "fetch: flux was ordered to m 9.0 s ago and has not begun (o1)",
        ),
        (
            {
                "fetches": (
                    ModelFetch(model="flux", machine="m", since_ms=NOW_MS - 90_000, expected_ms=NOW_MS - 30_000),
                )
            },
            "fetch: flux comes to m: for 90 s already, 30 s longer than expected",
        ),
        (
            {"machines": Groups(more_groups=2, more_machines=70)},
            "now: and 70 machines more in 2 other groups",
        ),
        (
            {"error_code": "NS_ENGINE_DIED", "error_message": "it died", "attempts": 1},
            "attempts: 1 failed of 3; 0 machines lost of 10 that may be\nattempts: the last error was NS_ENGINE_DIED: it died",
        ),
        (
            {"earlier_steps": 7},
            "past: 7 earlier steps are left out; northstar jobs events sky tells them",
        ),
        (
            {
                "steps": (
                    Step(at_ms=1, event="arrived", attempt=0, machine="", what="arrived from another cell", why=""),
                )
            },
            "moved: 1 step between cells or pools, the last: arrived from another cell",
        ),
        (
            {"steps_fault": "the history is elsewhere"},
            "past: what is older is missing: the history is elsewhere",
        ),
        (
            {
                "steps": (
                    Step(at_ms=NOW_MS, event="failed", attempt=1, machine="m", what="failed for good", why="NS_X"),
                )
            },
            "past: 2023-11-14 22:15:00 UTC failed for good on m (NS_X)",
        ),
    ],
)
def test_what_is_known_of_a_job_has_a_line(changes: dict[str, Any], line: str) -> None:
    """One row a fact."""
    assert line in told(job(**changes))


def test_a_decision_is_told_with_estimate_row_rejected_pools_and_what_it_saw() -> None:
    """The stored decision, field by field."""
    decision = RoutingDecision(
        pool="heavy",
        route="fallback",
        optimal="standard-art",
        row="video",
        because="a video",
        estimate=DurationEstimate(
            p10_s=60, p50_s=84, p90_s=400, source="model", confidence=0.5, runs=1, gpu_class="rtx-4090"
        ),
        rejected=(Rejection(subject="standard-art", code="no_fit", reason="none fits", count=4),),
        guaranteed=True,
        fit_machines=1,
        holders=0,
        unservable="no machine fits now: c is small",
        notes=("a fetch was ordered",),
        machines=MachinesThen(
            best=(
                ExpectedOn(machine="a", fetch_s=42.1, load_s=2.5, run_s=10.3),
                ExpectedOn(machine="b", wait_s=120.0, run_s=10.3),
            ),
            more_fit=9,
            turned_down=(
                TurnedDown(code="vram", count=1, names=("c",), says="has 8000 MB of VRAM, the job needs 12000"),
                TurnedDown(code="pool", count=30, names=("d", "e"), says="is in pool fast, not heavy"),
            ),
            more_turned_down=4,
        ),
    )
    assert told(job(decision=decision)).splitlines()[2:15] == [
        "estimate: about 84 s (60 s to 6.7 min) on the reference GPU rtx-4090; from model of 1 run, confidence 50 %",
        "decision: pool heavy, which its tenant's terms guarantee, by row video (fallback): a video",
        "decision: the matrix would have chosen standard-art",
        "rejected: standard-art (4 machines): none fits (no_fit)",
        "then: at submit, 2023-11-14 22:14:18 UTC:",
        "then:   1 machine of pool heavy could run it, 0 held all that it needs",
        "then:   a would have had it done first, in about 55 s (fetch 42 s, load 2.5 s, run 10 s)",
        "then:   after it b in 2.2 min, 9 more later",
        "then:   not c: has 8000 MB of VRAM, the job needs 12000 (vram)",
        "then:   not 30 machines (d, e, …): d is in pool fast, not heavy (pool)",
        "then:   not 4 machines more, for other reasons",
        "then:   no machine fits now: c is small",
        "then:   a fetch was ordered",
    ]


def decided(**changes: Any) -> RoutingDecision:
    fields: dict[str, Any] = {
        "pool": "fast-lane",
        "route": "matrix",
        "optimal": "fast-lane",
        "row": "fast-lane",
        "because": "it is short",
        "estimate": DurationEstimate(p10_s=1, p50_s=2, p90_s=3, source="features", confidence=0.1),
    }
    return RoutingDecision(**fields | changes)


@pytest.mark.parametrize(
    ("decision", "priority", "asks"),
    [
        (
            decided(asked_priority=50, raised_by=10, raised_because="fast-lane"),
            60,
            "in pool heavy (chosen for it); acme, priority 60 (50 asked, +10 by fast-lane)",
        ),
        (
            decided(asked_priority=50, raised_by=40, raised_because="its tenant's terms"),
            90,
            "priority 90 (50 asked, +40 by its tenant's terms)",
        ),
        (
            decided(asked_priority=50, raised_by=10, raised_because="fast-lane"),
            5,
            "priority 5 (50 asked at submit)",
        ),
        (decided(row="asked", route="pinned"), 50, "in pool heavy (named by its submitter); acme, priority 50"),
    ],
    ids=["by the pool", "by terms", "changed since", "named"],
)
def test_what_was_asked_is_told_apart_from_what_was_made_of_it(
    decision: RoutingDecision, priority: int, asks: str
) -> None:
    """A job that asked for 50 and is told to ask for 60 is not known again by its submitter."""
    lines = [line for line in told(job(decision=decision, priority=priority)).splitlines() if line.startswith("asks")]
    assert len(lines) == 1
    assert lines[0].endswith(asks)


def test_a_pool_that_was_passed_over_has_one_line_with_all_that_speaks_against_it() -> None:
    """Several rows of the matrix and the search for a fallback look at one pool; others share what is the same."""
    rejected = (
        Rejection(
            subject="heavy",
            code="too-short",
            reason="takes 300 s or more, and 1 s are expected; is for video (row heavy)",
        ),
        Rejection(subject="research", code="too-short", reason="is for training (row research)"),
        Rejection(subject="research", code="not-research", reason="is for training (row short-research)"),
        Rejection(
            subject="heavy", code="too-short", reason="takes 300 s or more, and 1 s are expected (row long-other)"
        ),
        Rejection(subject="heavy, art", code="no-machine", reason="no machine fits"),
        Rejection(subject="product", code="no-machine", reason="no machine fits"),
    )
    lines = [
        line for line in told(job(decision=decided(rejected=rejected))).splitlines() if line.startswith("rejected")
    ]
    assert lines == [
        "rejected: heavy: takes 300 s or more, and 1 s are expected; is for video; no machine fits (too-short, no-machine)",
        "rejected: research: is for training (too-short, not-research)",
        "rejected: art, product: no machine fits (no-machine)",
    ]


def test_what_was_decided_when_a_job_was_routed_anew_says_when_that_was() -> None:
    """Its latest decision is the one that counts."""
    step = Step(at_ms=NOW_MS, event="rerouted", attempt=0, machine="", what="routed anew", why="")
    decision = RoutingDecision(
        pool="heavy",
        route="matrix",
        optimal="heavy",
        row="video",
        because="a video",
        estimate=DurationEstimate(p10_s=60, p50_s=84, p90_s=400, source="model", confidence=0.5),
    )
    assert "then: when it was routed anew, at 2023-11-14 22:15:00 UTC:" in told(job(decision=decision, steps=(step,)))


def test_who_is_getting_ready_is_told_and_not_that_nobody_can() -> None:
    """A wait that ends by itself is no standstill."""
    text = told(job(coming="no machine that fits is ready yet; local is getting ready"))
    assert "soon: no machine that fits is ready yet; local is getting ready" in text
    assert "stuck" not in text


def test_a_model_that_was_asked_for_by_another_name_says_what_is_meant() -> None:
    """Before anything else that the catalogue knows."""
    known = KnownModel(name="xl.safetensors", entry="sdxl", asked="xl", more_files=1)
    assert "known: xl is another name of sdxl; the file of sdxl is xl.safetensors and 1 file more" in told(
        ModelExplanation(name="xl.safetensors", now_ms=NOW_MS, known=known)
    )
    by_entry = msgspec.structs.replace(known, asked="sdxl", more_files=0)
    assert "known: the file of sdxl is xl.safetensors" in told(
        ModelExplanation(name="xl.safetensors", now_ms=NOW_MS, known=by_entry)
    )


@pytest.mark.parametrize("code", typing.get_args(ReasonCode))
def test_every_reason_has_a_sentence(code: ReasonCode) -> None:
    """Also one that comes without its details, as from another version."""
    assert describe_reason(Reason(code=code, lacks=(Lack("tags", "lacks tags eu"),), scope="cell"))


@pytest.mark.parametrize("code", typing.get_args(MachineCode))
def test_every_state_of_a_machine_has_a_sentence(code: MachineCode) -> None:
    """And begins with its name."""
    assert told(MachineExplanation(id="m", code=code, now_ms=NOW_MS)).startswith("machine: m: ")


@pytest.mark.parametrize("code", typing.get_args(AbsenceCode))
def test_every_reason_why_a_model_is_not_somewhere_has_a_sentence(code: AbsenceCode) -> None:
    """For one machine and for many."""
    absence = Absence(code=code, count=9, names=("a", "b"), lacks=(Lack("tags", "lacks tags eu"),))
    assert "not on: 9 machines (a, b, …): " in told(ModelExplanation(name="flux", now_ms=NOW_MS, absent=(absence,)))


def test_a_machine_is_told_with_all_that_it_may_and_may_not_do() -> None:
    """Pools with their demand, what it may take, what not and why, what it holds and fetches."""
    lane = LaneDemand(service="picture", pool="heavy", models=("flux",), waiting=3, unfinished=5)
    text = told(
        MachineExplanation(
            id="m",
            code="blocked",
            now_ms=NOW_MS,
            slots=2,
            used=1,
            vram_mb=24_000,
            vram_used_mb=8_000,
            seen_ms=NOW_MS,
            pools=(PoolDemand(pool="heavy", waiting=1, fits=1, paused=True),),
            may_take=(msgspec.structs.replace(lane, reason=Reason(code="takes_it")),),
            more_lanes=4,
            blocked=(Blocked(reason=Reason(code="no_room", needs_mb=9, free_mb=1), lanes=2, jobs=6, examples=(lane,)),),
            uncounted_lanes=8,
            held=(ModelHeld("vae", "disk", 300), ModelHeld("flux", "resident")),
            more_held=1,
        )
    )
    assert text.splitlines() == [
        "machine: m: nothing that waits is for it now",
        "seen: last 2023-11-14 22:15:00 UTC",
        "slots: 1 of 2 busy, 8000 of 24000 MB promised to jobs",
        "pool: heavy: 1 job waits, and it could run 1 of them; the pool is paused",
        "may take: picture with flux in pool heavy: 3 of 5 jobs wait; the machine fits and has room: takes it next",
        "may take: and 4 kinds of jobs more",
        "not: 6 jobs of 2 kinds (such as picture with flux in pool heavy): the machine fits, and has 1 MB of VRAM free, the job needs 9",
        "not: 8 kinds of jobs more wait and were not looked at",
        "holds: vae (300 bytes) on disk",
        "holds: flux in memory",
        "holds: and 1 model more",
    ]


def test_a_model_is_told_with_what_the_catalogue_knows_and_who_has_and_wants_it() -> None:
    """From its copies to those who go without."""
    known = KnownModel(
        name="flux",
        entry="flux-dev",
        kind="checkpoint",
        size_bytes=24_000_000_000,
        sources=("hf://o/flux",),
        vram_mb=20_000,
        aliases=("f",),
    )
    lane = LaneDemand(service="picture", pool="heavy", models=("flux",), waiting=3, unfinished=5)
    text = told(
        ModelExplanation(
            name="flux",
            now_ms=NOW_MS,
            known=known,
            size_bytes=24_000_000_000,
            in_memory=1,
            on_disk=11,
            holders=("a", "b"),
            more_fetches=3,
            asked_by=(lane,),
            more_lanes=2,
            more_absent=1,
        )
    )
    assert text.splitlines() == [
        "model: flux (24.0 GB): in memory on 1 machine, on disk on 11 machines",
        "known: in the catalogue as flux-dev: checkpoint, 24.0 GB, 20000 MB of VRAM, from hf://o/flux, also called f",
        "held by: a, b and 10 more",
        "fetch: and 3 more",
        "asked by: picture with flux in pool heavy: 3 of 5 jobs wait",
        "asked by: and 2 kinds of jobs more",
        "not on: and 1 machine more",
    ]
    nowhere = told(ModelExplanation(name="flux", now_ms=NOW_MS))
    assert "model: flux: no machine holds it" in nowhere
    assert "known: not in the catalogue" in nowhere
    assert "asked by: nobody now" in nowhere


def test_strangers_words_are_shown_without_what_steers_a_terminal() -> None:
    """Machines, models, engines and errors may say anything."""
    group = MachineGroup(count=1, names=("m",), reason=Reason(code="out_of_work", says=EVIL), gpu=EVIL)
    evil = told(
        job(
            machines=Groups(shown=(group,)),
            error_code="X",
            error_message=EVIL,
            unservable=EVIL,
            actions=(Action(EVIL, EVIL),),
            models=(ModelWhere(name=EVIL),),
            fetches=(ModelFetch(model=EVIL, machine="m", since_ms=0),),
        )
    )
    machine = MachineExplanation(id="m", code="out_of_work", now_ms=NOW_MS, says=EVIL, held=(ModelHeld(EVIL, "disk"),))
    for text in (evil, told(machine), told(ModelExplanation(name=EVIL, now_ms=NOW_MS))):
        assert "evil" in text
        assert "\x1b" not in text
        assert "\x07" not in text


def test_an_explanation_survives_its_way_through_json() -> None:
    """A program gets the same fields that the words are made of."""
    whole = job(place=QueuePlace(position=1), models=(ModelWhere(name="flux"),))
    assert msgspec.json.decode(msgspec.json.encode(whole), type=JobExplanation) == whole


def test_of_a_machine_that_fetches_nothing_the_decision_says_whose_affair_its_models_are() -> None:
    best = (
        ExpectedOn(machine="a", fetch_s=42.1, run_s=10.3, left_to_engine=True),
        ExpectedOn(machine="b", run_s=10.3),
    )
    decision = RoutingDecision(
        pool="heavy",
        route="matrix",
        optimal="heavy",
        row="heavy",
        because="a video",
        estimate=DurationEstimate(p10_s=60, p50_s=84, p90_s=400, source="model", confidence=0.5),
        fit_machines=2,
        machines=MachinesThen(best=best),
    )
    assert (
        "a would have had it done first, in about 52 s (for models that its engine does not name 42 s, run 10 s); "
        "it keeps no models folder, so its engine must have the models itself"
    ) in told(job(decision=decision))


def test_a_deadline_that_has_passed_is_no_longer_ahead() -> None:
    assert "deadline" not in told(job(status=JobStatus.EXPIRED, start_by_ms=NOW_MS - 1, finished_ms=NOW_MS))
