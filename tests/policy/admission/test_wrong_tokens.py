"""How often a wrong token may be shown, and whose address it counts for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.policy.admission.addresses import network, who_asks
from northstar.policy.admission.wrong_tokens import Allowance, WrongTokenRule, after_a_wrong_one, pause_s

RULE = WrongTokenRule(burst=3, every_s=10.0, longest_s=60.0)
PROXIES = tuple(map(network, ("10.0.0.0/8", "127.0.0.1", "fd00::/8")))


def after(times: int, *, at_s: float = 0.0) -> Allowance | None:
    allowance: Allowance | None = None
    for _ in range(times):
        allowance = after_a_wrong_one(allowance, at_s, RULE)
    return allowance


def test_some_are_forgiven_then_there_is_a_pause_until_the_next_one() -> None:
    assert [pause_s(after(times), 0.0, RULE) for times in range(4)] == [0, 0, 0, 10.0]
    assert pause_s(after(3), 4.0, RULE) == 6.0
    assert pause_s(after(3), 10.0, RULE) == 0.0


def test_time_forgives_one_after_the_other_and_no_more_than_there_were() -> None:
    quiet = after_a_wrong_one(after(3), 1_000.0, RULE)
    assert quiet == Allowance(2.0, 1_000.0)


def test_many_at_once_are_paid_for_but_never_beyond_the_longest_pause() -> None:
    assert pause_s(after(4), 0.0, RULE) == 20.0
    assert pause_s(after(1_000), 0.0, RULE) == 60.0
    assert pause_s(after(1_000), 60.0, RULE) == 0.0


def test_without_a_burst_there_is_no_limit() -> None:
    unlimited = WrongTokenRule(burst=0)
    assert pause_s(after_a_wrong_one(None, 0.0, unlimited), 0.0, unlimited) == 0.0


@given(st.lists(st.floats(0, 30), max_size=30))
def test_whoever_waits_as_told_may_always_try_again(gaps: list[float]) -> None:
    now, allowance = 0.0, None
    for gap in gaps:
        now += gap
        allowance = after_a_wrong_one(allowance, now, RULE)
        wait_s = pause_s(allowance, now, RULE)
        assert 0.0 <= wait_s <= RULE.longest_s
        assert pause_s(allowance, now + wait_s + 1e-6, RULE) == 0.0


def test_a_clock_that_goes_back_forgives_nothing_and_breaks_nothing() -> None:
    assert pause_s(after(3, at_s=100.0), 50.0, RULE) == 10.0


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # nobody trusts it
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),  # what the caller wrote itself does not count
        ("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("127.0.0.1", "[2001:db8:1:2:3::4]:4711", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:aaaa::1", "", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "", "2001:db8:1:3::/64"),
        ("fd00::1", "198.51.100.1", "198.51.100.1"),
        ("fe80::1%eth0", "", "fe80::/64"),
        ("::ffff:203.0.113.7", "", "203.0.113.7"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", ""),
        ("a socket", "198.51.100.1", "a socket"),
    ],
)
def test_the_address_is_the_connections_unless_a_trusted_proxy_says_for_whom_it_asks(
    peer: str, forwarded: str, found: str
) -> None:
    assert who_asks(peer, forwarded, trusted=PROXIES) == found


@given(st.text(max_size=200), st.text(max_size=500))
def test_whatever_is_sent_there_is_an_address_of_bounded_length(peer: str, forwarded: str) -> None:
    assert len(who_asks(peer, forwarded, trusted=PROXIES)) <= 64


def test_a_long_header_is_read_from_its_end_only() -> None:
    forwarded = ", ".join(["198.51.100.1", *["10.0.0.1"] * 10_000])
    assert who_asks("10.0.0.1", forwarded, trusted=PROXIES) == "10.0.0.1"
