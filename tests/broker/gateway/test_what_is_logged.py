"""What an operator reads in the broker's log and in the agent's: one line each, and no flood."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from northstar.agent.log_lines import ApprovalAwaited, LogLines
from northstar.broker.gateway.refusal_log import MAX_KINDS, RefusalLog
from northstar.domain.errors import Refused, Unavailable
from northstar.domain.machines import MachineDescription
from northstar.domain.refusals import TokenUnknown, TokenWaiting
from northstar.store.errors import ValkeyGone
from tests.agent.rig import PROFILE, Runs, soon
from tests.broker.gateway.rig import Fleet

Lines = list[dict[str, Any]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    with capture_logs() as captured:
        yield captured  # type: ignore[misc]


def named(lines: Lines, event: str) -> Lines:
    return [line for line in lines if line["event"] == event]


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_a_machine_that_joins_and_goes_is_told_on_both_sides(fleet: Fleet, lines: Lines) -> None:
    runs = Runs()
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        async with fleet.working(fleet.worker(link, runs)):
            await soon(lambda: bool(named(lines, "machine_ready")), "the machine is ready")
        (joined,) = named(lines, "machine_joined")
    assert (joined["machine"], joined["services"], joined["pools"], joined["protocol"]) == (
        "m",
        ["waits"],
        ["standard"],
        1,
    )
    assert joined["region"] == "(not said)"
    (ready,) = named(lines, "machine_ready")
    assert (ready["services"], ready["pools"], ready["slots"]) == (["waits"], ["standard"], joined["slots"])
    assert named(lines, "machine_disconnected") == []  # it went in order
    (drains,) = named(lines, "machine_drains")
    assert drains["jobs"] == 0
    assert drains["up_to_s"] > 0
    assert [line["jobs_handed_back"] for line in named(lines, "machine_left")] == [0]


async def test_a_broken_connection_is_told_with_the_jobs_and_what_happens_now(fleet: Fleet, lines: Lines) -> None:
    async with fleet.front() as front:
        async with fleet.dialling(front.url) as link:
            await link.register(PROFILE, MachineDescription(), slots=1, models=())
            await fleet.plan()
            await fleet.submit("a")
            assert [job.id for job in (await link.claim(credits_=1)).jobs] == ["a"]
        await soon(lambda: bool(named(lines, "machine_disconnected")), "the broker missed it")
    (line,) = named(lines, "machine_disconnected")
    assert (line["machine"], line["jobs"]) == ("m", ["a"])
    assert line["now"] == "it counts as lost unless it dials again within 0.5 s"


def test_a_machine_that_waits_for_approval_and_asks_again_is_no_warning(lines: Lines) -> None:
    clock = Clock()
    refusals = RefusalLog(clock)
    for _ in range(3):
        refusals.refused(TokenWaiting({"machine": "m"}), machine="m")
    clock.now_s += 60
    refusals.flush()
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("machine_waits_for_approval", "info"),
        ("machine_refused_again", "info"),
    ]


def test_a_refusal_is_told_at_once_and_a_flood_of_it_once_a_minute(lines: Lines) -> None:
    clock = Clock()
    refusals = RefusalLog(clock)
    for _ in range(1_000):
        refusals.refused(TokenUnknown({"token": "x"}), machine="m")
    assert [(line["event"], line["machine"], line["code"]) for line in lines] == [
        ("machine_refused", "m", "NS_TOKEN_UNKNOWN")
    ]
    clock.now_s += 60
    refusals.flush()
    assert (lines[-1]["event"], lines[-1]["times"], lines[-1]["within_s"]) == ("machine_refused_again", 1_000, 60)
    clock.now_s += 60
    refusals.flush()
    assert len(lines) == 2


def test_a_flood_of_names_is_bounded_too(lines: Lines) -> None:
    clock = Clock()
    refusals = RefusalLog(clock)
    for number in range(5_000):
        refusals.refused(Refused("no"), machine=f"stranger-{number}\x1b[2J")
    assert len(lines) == MAX_KINDS
    assert not any("\x1b" in line["machine"] for line in lines)
    clock.now_s += 60
    refusals.flush()
    assert (lines[-1]["machine"], lines[-1]["times"]) == ("(others)", 5_000 - MAX_KINDS)


def test_a_machine_that_waits_for_approval_is_news_and_no_warning(lines: Lines) -> None:
    RefusalLog(Clock()).refused(TokenWaiting({"machine": "m"}), machine="m")
    assert (lines[0]["event"], lines[0]["log_level"]) == ("machine_waits_for_approval", "info")
    assert lines[0]["to_do"] == "northstar machines approve m"


def test_a_broker_that_cannot_serve_is_told_from_one_that_does_not_want_to(lines: Lines) -> None:
    RefusalLog(Clock()).refused(ValkeyGone("it does not answer"), machine="m")
    assert lines[0]["event"] == "machine_not_served"


@pytest.mark.parametrize(
    ("error", "event", "level"),
    [
        (lambda: ApprovalAwaited("m"), "machine_waits_for_approval", "info"),
        (lambda: Unavailable("not now"), "broker_unavailable", "warning"),
    ],
)
def test_an_agent_tells_the_same_trouble_once_a_minute(
    lines: Lines, error: Callable[[], Unavailable], event: str, level: str
) -> None:
    clock = Clock()
    telling = LogLines(clock)
    for _ in range(100):
        telling.trouble(error())
    assert [(line["event"], line["log_level"]) for line in lines] == [(event, level)]
    clock.now_s += 60
    telling.trouble(error())
    assert (len(lines), lines[-1]["times"]) == (2, 101)
    telling.over()
    telling.over()
    assert [line["event"] for line in lines[2:]] == ["broker_answers_again"]
