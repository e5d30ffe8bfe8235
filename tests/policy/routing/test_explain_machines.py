"""Why each machine does not run a job now: one reason a machine, with its numbers, and large fleets in few groups."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.machines import MachineDescription
from northstar.domain.reason_text import describe_group, describe_reason
from northstar.domain.reasons import Patience, Reason
from northstar.policy.routing.explain_fit import lacks_of
from northstar.policy.routing.explain_machines import Wait, grouped, reasons_of
from northstar.policy.routing.fit import decide_fit
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot, MachineState
from tests.policy.routing.builders import GB, SDXL, cell, folderless, lane, machine, profile, wanted

RULE = PatienceRule()
NOW_MS = 1_000_000
NODES = "0123456789abcdef"
HOLDER = machine("holder", held={"sdxl": "resident"}, used=1)


def wait(**changes: Any) -> Wait:
    fields: dict[str, Any] = {
        "lane": lane("l"),
        "wanted": wanted(),
        "now_ms": NOW_MS,
        "submitted_ms": NOW_MS - 1_000,
        "oldest_ms": NOW_MS - 1_000,
        "overdue_ms": 60_000,
    }
    return Wait(**fields | changes)


def reason_of(subject: MachineState, asked: Wait, *others: MachineState) -> Reason:
    found = {state.id: reason for state, reason in reasons_of(asked, cell(subject, *others), RULE)}
    return found[subject.id]


@pytest.mark.parametrize(
    ("subject", "changes", "sentence"),
    [
        (machine("m"), {}, "fits and has room: takes it next"),
        (machine("m"), {"ahead": 3}, "fits and has room; 3 jobs come first"),
        (machine("m", slots=2, used=2), {}, "fits, and all its slots are busy"),
        (machine("m", active=False), {}, "fits, and drains: it gets no new work"),
        (machine("m"), {"pauses": {"pool:standard": "upkeep"}}, "pool standard is paused: upkeep"),
        (machine("m"), {"pauses": {"cell": "upkeep"}}, "cell is paused: upkeep"),
        (machine("m"), {"pauses": {"pool:heavy": "upkeep"}}, "fits and has room: takes it next"),
        (machine("m", parked=False), {}, "fits, and asks for no work at this moment"),
        (machine("m", profile="other"), {}, "is in pool fast, not standard"),
        (
            machine("m", parked=False, description=MachineDescription(trouble="picture takes no work now: it died")),
            {},
            "fits, and its engine is out: picture takes no work now: it died",
        ),
        (
            machine("m", slots=2, used=2, description=MachineDescription(trouble="x: it died", takes_work=False)),
            {"pauses": {"cell": "upkeep"}},
            "fits, and its engine is out: x: it died",
        ),
        (
            machine("m", slots=2, used=1, vram_free_mb=4_000),
            {"wanted": wanted(vram_mb=8_000)},
            "fits, and has 4000 MB of VRAM free, the job needs 8000",
        ),
    ],
)
def test_each_reason_is_told_in_a_sentence_of_its_own(
    subject: MachineState, changes: dict[str, Any], sentence: str
) -> None:
    """One row a reason: what keeps a machine from the job now, as people read it."""
    assert describe_reason(reason_of(subject, wait(**changes))) == sentence


def test_patience_is_told_with_the_numbers_that_it_follows_from() -> None:
    """Bytes to fetch, speed, holders, and the jobs that ask for them."""
    asked = wait(lane=lane("l", anchors=SDXL, unfinished=1, run_s=1.0))
    reason = reason_of(machine("m"), asked, HOLDER)
    assert reason.patience == Patience(
        left_s=2.0, whole_s=3.0, missing_bytes=6 * GB, bytes_per_s=float(GB), holders=1, jobs=1
    )
    assert describe_reason(reason) == (
        "fits, and leaves it to machines that hold its models for 2.0 s more (3.0 s in all: it would fetch 6.0 GB at 1000 MB/s, "
        "and 1 job waits for 1 machine that could start sooner)"
    )


def test_a_line_that_was_never_measured_is_not_given_a_speed() -> None:
    """The assumed speed decides, and is not told as if it were a measurement."""
    asked = wait(lane=lane("l", anchors=SDXL))
    told = describe_reason(reason_of(machine("m", download_bytes_per_s=0.0), asked, HOLDER))
    assert "over a line not measured yet" in told


def test_a_model_on_disk_is_only_loaded() -> None:
    """Nothing is fetched, so it waits only for those that have the model in memory."""
    asked = wait(lane=lane("l", anchors=SDXL), oldest_ms=NOW_MS)
    reason = reason_of(machine("m", held={"sdxl": "disk"}), asked, HOLDER)
    assert reason.patience is not None
    assert (reason.patience.missing_bytes, reason.patience.whole_s) == (0, 1.875)
    assert "it would load it from its disk" in describe_reason(reason)


def test_a_model_that_is_on_its_way_is_told_with_what_is_left_of_its_fetch() -> None:
    """Nothing is fetched twice, so only what is left counts."""
    asked = wait(lane=lane("l", anchors=SDXL), oldest_ms=NOW_MS)
    reason = reason_of(machine("m", fetching={"sdxl": NOW_MS + 4_000}), asked, HOLDER)
    assert reason.patience is not None
    assert (reason.patience.missing_bytes, reason.patience.coming_s, reason.patience.whole_s) == (0, 4.0, 2.0)
    assert "what it fetches already comes in 4.0 s" in describe_reason(reason)


def test_patience_counts_from_the_oldest_job_of_the_lane() -> None:
    """Who comes late into a lane whose oldest job has waited long enough is left to nobody."""
    asked = wait(lane=lane("l", anchors=SDXL), oldest_ms=NOW_MS - 6_000)
    assert reason_of(machine("m"), asked, HOLDER).code == "takes_it"


def test_an_overdue_job_is_left_to_nobody() -> None:
    """Overdue work goes to any machine that it fits, so patience ends there at the latest."""
    anchors = (("flux", 60 * GB),)
    asked = wait(lane=lane("l", anchors=anchors), submitted_ms=NOW_MS - 59_000, oldest_ms=NOW_MS - 1)
    holder = machine("holder", held={"flux": "resident"}, used=1)
    soon = reason_of(machine("m"), asked, holder)
    assert soon.patience is not None
    assert soon.patience.left_s == 1.0
    overdue = msgspec.structs.replace(asked, submitted_ms=NOW_MS - 60_000)
    assert reason_of(machine("m"), overdue, holder).code == "takes_it"


def test_every_need_of_a_job_has_a_name() -> None:
    """Every reason against that fit can give is told with the need that it is about."""
    asks = wanted(
        pool="heavy",
        service="video",
        vram_mb=48_000,
        node_packs=("a",),
        tags=("fast",),
        isolation="acme",
        regions=("eu",),
        node_classes=("FaceDetailer",),
    )
    lacks = lacks_of("p", asks, CellSnapshot(profiles={"p": profile()}))
    assert [lack.need for lack in lacks] == [
        "pool", "service", "vram", "node_packs", "tags", "isolation", "region", "node_classes",
    ]  # fmt: skip
    assert tuple(lack.says for lack in lacks) == decide_fit(profile(), asks).reasons


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({}, "has not told its node classes yet"),
        ({NODES: frozenset({"KSampler"})}, "lacks node classes FaceDetailer"),
        ({NODES: frozenset({"FaceDetailer"})}, ""),
    ],
)
def test_the_missing_node_is_named(told: dict[str, frozenset[str]], says: str) -> None:
    """Or that nobody knows yet."""
    snapshot = CellSnapshot(profiles={"p": profile(node_set=NODES)}, node_sets=told)
    lacks = lacks_of("p", wanted(node_classes=("FaceDetailer",)), snapshot)
    assert [(lack.need, lack.says) for lack in lacks] == ([("node_classes", says)] if says else [])


def test_a_machine_that_is_kept_for_a_pool_is_told_so_where_pools_are_switched_off() -> None:
    """Enterprise machines stay apart."""
    snapshot = CellSnapshot(profiles={"p": profile(pools=("enterprise",))})
    (lack,) = lacks_of("p", wanted(pool="uniform"), snapshot)
    assert (lack.need, lack.says) == ("pool", "is kept for pool enterprise")


words = st.sampled_from(["a", "b", "c"])


@given(st.sets(words), st.sets(words), words, words, st.none() | words)
def test_whatever_fit_says_is_told_word_for_word_and_never_as_unknown(
    packs: set[str], tags: set[str], pool: str, service: str, isolation: str | None
) -> None:
    """Words and data come from the one judgement of fit: a machine that fits lacks nothing, and the other way round."""
    asks = wanted(pool=pool, service=service, node_packs=tuple(packs), tags=tuple(tags), isolation=isolation)
    offers = profile(pools=("a",), services=("b",), node_packs=("a",), tags=("b",), dedicated_to="c")
    lacks = lacks_of("p", asks, CellSnapshot(profiles={"p": offers}))
    assert tuple(lack.says for lack in lacks) == decide_fit(offers, asks).reasons
    assert "other" not in {lack.need for lack in lacks}


def test_a_machine_whose_profile_cannot_be_read_is_told_as_such() -> None:
    """A newer version wrote it; nobody guesses what it offers."""
    (lack,) = lacks_of("missing", wanted(), CellSnapshot())
    assert lack.need == "other"
    assert "this version cannot read" in lack.says


def test_a_fleet_of_ten_thousand_is_told_in_a_few_groups() -> None:
    """Alike machines stand together by profile and reason, the soonest first."""
    busy = (machine(f"b{number:04}", used=1) for number in range(9_000))
    other = (machine(f"o{number:04}", profile="other") for number in range(999))
    snapshot = cell(*busy, *other, machine("free"))
    groups = grouped(reasons_of(wait(), snapshot, RULE), snapshot)
    assert [(group.reason.code, group.count) for group in groups.shown] == [
        ("takes_it", 1),
        ("busy", 9_000),
        ("does_not_fit", 999),
    ]
    assert (groups.more_groups, groups.more_machines) == (0, 0)
    assert describe_group(groups.shown[1]) == (
        "9000 machines (b0000, b0001, b0002, …): fits, and all its slots are busy (9000 of 9000)"
    )


def test_at_most_twenty_groups_are_shown_and_the_rest_is_counted() -> None:
    """An explanation stays readable, and leaves no machine out."""
    machines = {f"m{n:02}": machine(f"m{n:02}", profile=f"p{n:02}") for n in range(30)}
    profiles = {f"p{n:02}": profile(pools=(f"pool{n}",)) for n in range(30)}
    snapshot = CellSnapshot(machines=machines, profiles=profiles)
    groups = grouped(reasons_of(wait(), snapshot, RULE), snapshot)
    assert (len(groups.shown), groups.more_groups, groups.more_machines) == (20, 10, 10)


def test_of_machines_that_hold_back_the_first_that_gives_up_speaks_for_its_group() -> None:
    """The least wait is what the job's owner wants to know."""
    asked = wait(lane=lane("l", anchors=SDXL), oldest_ms=NOW_MS)
    slow, fast = machine("slow", download_bytes_per_s=GB / 2), machine("z-fast")
    snapshot = cell(slow, fast, HOLDER)
    first = grouped(reasons_of(asked, snapshot, RULE), snapshot).shown[0]
    assert (first.names, first.count) == (("z-fast", "slow"), 2)
    assert first.reason.patience is not None
    assert first.reason.patience.left_s == 3.0


def test_a_machine_that_keeps_no_models_says_what_its_engine_must_have() -> None:
    """Words and data are one; and nothing speaks of a fetch that can never happen."""
    asked = wait(lane=lane("l", anchors=SDXL, waits=True))
    may = reason_of(machine("m", description=folderless()), asked)
    assert (may.code, may.engine_must_have, may.engine_names_others) == ("takes_it", ("sdxl",), False)
    told = "fits and has room: takes it next; it keeps no models folder, so its engine must have sdxl itself"
    assert describe_reason(may) == told
    others = reason_of(machine("m", description=folderless("flux")), asked)
    assert describe_reason(others) == f"{told}, and names other models"
    holder = reason_of(machine("m", description=folderless("sdxl"), held={"sdxl": "disk"}), asked)
    assert describe_reason(holder) == "fits and has room: takes it next"


@pytest.mark.parametrize(
    ("named", "cost"), [((), "it would load it from its disk"), (("flux",), "its engine does not name them")]
)
def test_what_such_a_machine_waits_for_is_no_fetch(named: tuple[str, ...], cost: str) -> None:
    subject = machine("m", description=folderless(*named))
    asked = wait(lane=lane("l", anchors=SDXL, unfinished=1, waits=True))
    found = reason_of(subject, asked, machine("holder", held={"sdxl": "resident"}))
    assert found.code == "leaves_to_holders"
    assert found.patience is not None
    assert found.patience.missing_bytes == 0
    assert cost in describe_reason(found)


def test_machines_that_are_alike_but_for_this_are_told_apart() -> None:
    asked = wait(lane=lane("l", anchors=SDXL, waits=True))
    snapshot = cell(machine("a"), machine("b", description=folderless()), machine("c", description=folderless()))
    groups = grouped(reasons_of(asked, snapshot, RULE), snapshot).shown
    assert {group.names: group.reason.engine_must_have for group in groups} == {("a",): (), ("b", "c"): ("sdxl",)}
