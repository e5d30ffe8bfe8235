"""Who stands still, and for how long, until a broker counts as gone."""

from __future__ import annotations

import pytest

from northstar.policy.fleet.broker_beats import (
    BeatRule,
    BrokerSeen,
    after_asking,
    after_look,
    after_outage,
    grace_of_orphans_s,
    is_forgotten,
    is_gone,
    to_ask_about,
)

RULE = BeatRule()


class Watcher:
    """Looks at one other broker each second, asks who hears its bells when it should, and notes when it takes it for gone."""

    def __init__(self) -> None:
        self.seen: dict[str, BrokerSeen] = {}
        self.gone_after_s: float | None = None
        self._passed_s = 0.0

    def look(self, beats: int | None, *, heard: bool, passed_s: float = 1.0) -> None:
        numbers = {} if beats is None else {"b": beats}
        self.seen = after_look(self.seen, numbers, passed_s=passed_s, rule=RULE)
        asked = to_ask_about(self.seen, RULE)
        self.seen = after_asking(self.seen, asked, asked if heard else ())
        self._passed_s += passed_s
        if self.gone_after_s is None and "b" in self.seen and is_gone(self.seen["b"], RULE):
            self.gone_after_s = self._passed_s

    def saw_it_beat(self) -> Watcher:
        self.look(1, heard=True)
        self.look(2, heard=True)
        self._passed_s = 0.0
        return self


def test_one_whose_connections_ended_with_it_is_gone_after_two_beats() -> None:
    watcher = Watcher().saw_it_beat()
    for _ in range(5):
        watcher.look(2, heard=False)
    assert watcher.gone_after_s == 2.0


def test_two_looks_that_come_early_are_enough() -> None:
    watcher = Watcher().saw_it_beat()
    watcher.look(2, heard=False, passed_s=0.9)
    watcher.look(2, heard=False, passed_s=0.9)
    assert watcher.gone_after_s == 1.8


@pytest.mark.parametrize("held_up_s", [1, 5, 9])
def test_one_that_is_held_up_but_heard_is_not_gone(held_up_s: int) -> None:
    watcher = Watcher().saw_it_beat()
    for _ in range(held_up_s):
        watcher.look(2, heard=True)
    for beats in range(3, 20):
        watcher.look(beats, heard=True)
    assert watcher.gone_after_s is None


def test_one_that_stands_still_for_ten_seconds_is_gone_though_its_connections_seem_to_be_there() -> None:
    watcher = Watcher().saw_it_beat()
    for _ in range(12):
        watcher.look(2, heard=True)
    assert watcher.gone_after_s == 10.0


def test_one_that_only_loses_its_connection_and_goes_on_beating_is_not_gone() -> None:
    watcher = Watcher().saw_it_beat()
    for beats in range(3, 20):
        watcher.look(beats // 2, heard=False)
    assert watcher.gone_after_s is None


def test_one_look_that_found_nobody_is_not_enough() -> None:
    watcher = Watcher().saw_it_beat()
    watcher.look(2, heard=True)
    watcher.look(2, heard=False)
    watcher.look(2, heard=True)
    watcher.look(2, heard=False)
    assert watcher.gone_after_s is None


def test_who_slept_himself_takes_nobody_for_gone() -> None:
    watcher = Watcher().saw_it_beat()
    watcher.look(2, heard=False, passed_s=3_600.0)
    assert watcher.gone_after_s is None
    watcher.look(3, heard=True)
    assert watcher.seen["b"].still_s == 0


def test_after_an_outage_of_the_server_everybody_has_the_whole_time_again() -> None:
    watcher = Watcher().saw_it_beat()
    watcher.look(2, heard=False)
    watcher.seen = after_outage(watcher.seen)
    watcher.look(2, heard=False)
    assert watcher.gone_after_s is None
    watcher.look(2, heard=False)
    assert watcher.gone_after_s == 3.0


def test_a_clock_that_goes_back_adds_nothing() -> None:
    watcher = Watcher().saw_it_beat()
    watcher.look(2, heard=False, passed_s=-100.0)
    assert watcher.seen["b"].still_s == 0


def test_one_that_ended_before_anybody_looked_is_not_judged_and_forgotten_in_the_end() -> None:
    watcher = Watcher()
    for _ in range(610):
        watcher.look(7, heard=False)
    assert watcher.gone_after_s is None
    assert is_forgotten(watcher.seen["b"], RULE)


def test_one_that_goes_in_order_is_forgotten_at_once() -> None:
    watcher = Watcher().saw_it_beat()
    watcher.look(None, heard=False)
    assert watcher.seen == {}


def test_many_machines_are_given_the_time_that_they_need_at_the_door() -> None:
    assert grace_of_orphans_s(1, 4.0) == pytest.approx(4.0, abs=0.01)
    assert grace_of_orphans_s(500, 4.0) == 5.0


@pytest.mark.parametrize(
    ("still_s", "left_s"),
    [(0.0, 4.0), (2.0, 4.0), (4.5, 4.0), (6.5, 2.0), (7.6, 1.0), (10.0, 1.0), (600.0, 1.0)],
)
def test_of_the_grace_is_left_what_machines_have_not_had_since_they_missed_it(still_s: float, left_s: float) -> None:
    assert grace_of_orphans_s(0, 4.0, still_s=still_s) == pytest.approx(left_s)


def test_a_grace_that_is_shorter_than_the_least_stays_what_it_is() -> None:
    assert grace_of_orphans_s(0, 0.25, still_s=10.0) == 0.25
    assert grace_of_orphans_s(0, 30.0, still_s=10.0) == 24.5


@pytest.mark.parametrize(("still_s", "within_s"), [(6.5, 10.0), (10.0, 13.5)])
def test_a_job_that_is_lost_with_its_brokers_host_starts_elsewhere_within(still_s: float, within_s: float) -> None:
    """At worst: a beat just before the end, and looks that are late by a tenth; the tick that gives the job out comes when it is due."""
    rule = BeatRule(still_s=still_s)
    for look_s in (0.9, 1.0, 1.1):
        seen: dict[str, BrokerSeen] = {}
        for beats in (1, 2):
            seen = after_look(seen, {"b": beats}, passed_s=look_s, rule=rule)
        passed_s = 0.0
        while not is_gone(seen["b"], rule):
            seen = after_asking(after_look(seen, {"b": 2}, passed_s=look_s, rule=rule), ["b"], ["b"])
            passed_s += look_s
        lost_s = look_s + passed_s + grace_of_orphans_s(1, 4.0, still_s=seen["b"].still_s)
        assert lost_s + 0.25 < within_s
