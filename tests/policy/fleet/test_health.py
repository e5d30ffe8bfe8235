"""When a machine goes into quarantine, and how it comes back; and what holds whatever happens."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.engines import Fault
from northstar.policy.fleet.breaker import (
    MAX_OUTCOMES,
    Event,
    Failed,
    HealthRule,
    ProbeBegan,
    ProbeFailed,
    ProbePassed,
    Worked,
)
from northstar.policy.fleet.health import MachineHealth, judged, repaired

RULE = HealthRule(openings=3, openings_within_s=3_600.0, quarantine_s=900.0, longest_quarantine_s=3_000.0, jitter=0.5)


class Machine:
    """A machine that a test leads through time."""

    def __init__(self, *services: str, rule: HealthRule = RULE) -> None:
        self.rule = rule
        self.now = 0.0
        self.jobs = 0
        self.health = MachineHealth.unproven(services, at_s=0.0)
        for service in services:
            self.probe(service)

    def offers(self) -> list[str]:
        return list(self.health.offered)

    def tell(self, service: str, event: Event) -> str:
        self.health, decision = judged(self.health, service, event, self.rule)
        return decision.what

    def probe(self, service: str, *, passes: bool = True) -> None:
        self.now = max(self.now, self.health.engines[service].probe_at_s)
        self.tell(service, ProbeBegan(at_s=self.now))
        failing = ProbeFailed(at_s=self.now, why="silent", jitter=0.0)
        self.tell(service, ProbePassed(at_s=self.now) if passes else failing)

    def dies(self, service: str, *, at_s: float | None = None, job: str | None = None) -> str:
        self.jobs += 1
        self.now = self.now if at_s is None else at_s
        generation = self.health.engines[service].generation
        return self.tell(
            service,
            Failed(
                at_s=self.now,
                job=job or f"j{self.jobs}",
                generation=generation,
                fault="fatal",
                why="NS_ENGINE_GONE: gone",
                jitter=0.0,
            ),
        )


def flapping(machine: Machine, service: str, times: int) -> None:
    for number in range(times):
        machine.dies(service)
        if number < times - 1:
            machine.probe(service)


def test_a_dead_engine_is_not_offered_and_its_neighbour_is() -> None:
    machine = Machine("text", "picture")
    machine.dies("text")
    assert machine.offers() == ["picture"]
    assert machine.health.reason_against("text") == "NS_ENGINE_GONE: gone"


def test_an_engine_that_stays_dead_never_costs_its_neighbours_their_work() -> None:
    machine = Machine("text", "picture")
    machine.dies("text")
    for _ in range(20):
        machine.probe("text", passes=False)
    assert machine.offers() == ["picture"]


def test_an_engine_that_comes_back_and_breaks_again_puts_the_machine_into_quarantine_with_the_reason() -> None:
    machine = Machine("text", "picture")
    flapping(machine, "text", 3)
    assert machine.offers() == []
    assert "3 times taken out of work, the last time text: NS_ENGINE_GONE" in machine.health.reason_against("picture")


def test_openings_far_apart_do_not_add_up() -> None:
    machine = Machine("text")
    for number in range(6):
        machine.dies("text", at_s=machine.now + 4_000.0 * number)
        machine.probe("text")
    assert machine.offers() == ["text"]


def test_one_job_that_kills_every_engine_it_meets_sends_no_machine_into_quarantine() -> None:
    machine = Machine("text")
    for _ in range(10):
        machine.dies("text", job="poison")
        machine.probe("text")
    assert machine.offers() == ["text"]


def test_quarantine_ends_with_a_warm_up_after_its_time_and_not_before() -> None:
    machine = Machine("text", "picture")
    flapping(machine, "text", 3)
    assert machine.health.engines["text"].probe_at_s == machine.now + 900.0
    machine.probe("text", passes=False)
    assert machine.offers() == []
    machine.probe("text")
    assert machine.offers() == ["text", "picture"]


def test_each_spell_of_quarantine_is_twice_as_long_up_to_a_bound() -> None:
    machine, lengths = Machine("text"), []
    for _ in range(4):
        flapping(machine, "text", 3)
        assert machine.health.quarantine is not None
        lengths.append(machine.health.quarantine.until_s - machine.now)
        machine.probe("text")
    assert lengths == [900.0, 1_800.0, 3_000.0, 3_000.0]


def test_a_repaired_machine_is_probed_at_once_and_returns_when_that_passes() -> None:
    machine = Machine("text")
    flapping(machine, "text", 3)
    machine.now += 1.0
    machine.health = repaired(machine.health, at_s=machine.now)
    assert machine.health.engines["text"].probe_at_s == machine.now
    assert machine.offers() == []
    machine.probe("text")
    assert machine.offers() == ["text"]


SERVICES = ("text", "picture")
JITTERS = st.floats(0, 1, exclude_max=True)
STEPS = st.one_of(
    st.tuples(st.just("worked"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("failed"), st.integers(0, 5), st.sampled_from(get_args(Fault)), st.booleans(), JITTERS),
    st.tuples(st.just("probe began")),
    st.tuples(st.just("probe passed")),
    st.tuples(st.just("probe failed"), JITTERS, st.booleans()),
)
MOMENTS = st.lists(st.tuples(st.sampled_from(SERVICES), st.floats(0, 2_000), STEPS), max_size=60)


@given(moments=MOMENTS)
def test_whatever_happens(moments: list[tuple[str, float, tuple[object, ...]]]) -> None:
    health, now = MachineHealth.unproven(SERVICES, at_s=0.0), 0.0
    for service, pause_s, step in moments:
        now += pause_s
        before = health
        event = event_of(step, now, before.engines[service].generation)
        health, decision = judged(before, service, event, RULE)
        breaker, was = health.engines[service], before.engines[service]

        assert len(breaker.outcomes) <= MAX_OUTCOMES
        assert len(health.openings) <= RULE.openings
        assert health.offered == () or health.quarantine is None
        if was.phase != "closed" and breaker.phase == "closed":
            assert isinstance(event, ProbePassed)
        if isinstance(event, Failed) and event.fault == "none":
            assert health == before
        if isinstance(event, Failed) and event.generation != was.generation:
            assert health == before
        if isinstance(event, Failed) and event.fault == "fatal" and event.generation == was.generation:
            assert breaker.phase != "closed"
        if decision.what in {"opens", "asks"}:
            assert decision.reason
            assert breaker.reason
        if breaker.phase == "open" and was.phase != "open" and health.quarantine is None:
            assert now < breaker.probe_at_s <= now + RULE.longest_pause_s * (1 + RULE.jitter)
        if before.quarantine is None and health.quarantine is not None:
            assert decision.what == "opens"
            assert health.quarantine.until_s <= now + RULE.longest_quarantine_s * (1 + RULE.jitter)
        if before.quarantine is not None and health.quarantine is None:
            assert all(health.engines[offender].phase == "closed" for offender in before.quarantine.offenders)


def event_of(step: tuple[object, ...], now: float, generation: int) -> Event:
    match step:
        case ("worked", int(job), bool(stale)):
            return Worked(at_s=now, job=str(job), generation=generation - stale)
        case ("failed", int(job), str() as fault, bool(stale), float(jitter)):
            return Failed(
                at_s=now,
                job=str(job),
                generation=generation - stale,
                fault=fault,  # type: ignore[arg-type]  # drawn from its values
                why="NS_X: broken",
                jitter=jitter,
            )
        case ("probe began",):
            return ProbeBegan(at_s=now)
        case ("probe passed",):
            return ProbePassed(at_s=now)
        case ("probe failed", float(jitter), bool(busy)):
            return ProbeFailed(at_s=now, why="silent", jitter=jitter, busy=busy)
        case _:
            raise AssertionError(step)
