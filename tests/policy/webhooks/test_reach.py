"""Where webhooks may lead: nowhere into private networks, in whatever spelling, unless an operator has said so."""

from __future__ import annotations

import pytest

from northstar.policy.admission.addresses import network
from northstar.policy.webhooks.reach import check_url, may_reach


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "nonsense",
    ],
)
def test_no_private_address_is_reached(address: str) -> None:
    assert not may_reach(address, allowed=[], encrypted=True)


def test_what_an_operator_has_allowed_is_reached_also_without_https_and_the_rest_is_not() -> None:
    allowed = [network("10.1.0.0/16"), network("::1")]
    assert may_reach("10.1.2.3", allowed=allowed, encrypted=False)
    assert may_reach("::ffff:10.1.2.3", allowed=allowed, encrypted=False)
    assert may_reach("::1", allowed=allowed, encrypted=True)
    assert not may_reach("10.2.0.1", allowed=allowed, encrypted=True)
    assert may_reach("93.184.215.14", allowed=allowed, encrypted=True)
    assert not may_reach("93.184.215.14", allowed=allowed, encrypted=False)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/", "not an http or https address"),
        ("https://", "not an http or https address"),
        ("https://me:key@example.com/", "it holds a login"),
        ("https://example.com/?token=abc", "parameter 'token' is, or may be, a secret"),
        ("http://example.com/", "it is not https"),
        ("https://127.0.0.1/", "webhooks.allow_private does not list it"),
        ("https://127.1/", "its host is a number"),
        ("https://2130706433/", "its host is a number"),
        ("https://0x7f.0x1/", "its host is a number"),
        ("https://[::1]:8443/", "webhooks.allow_private does not list it"),
    ],
)
def test_an_address_that_can_never_be_sent_to_is_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_url(url, allowed=[])


def test_an_address_by_name_is_looked_at_when_a_connection_is_made() -> None:
    check_url("https://receiver.example/hooks?source=northstar", allowed=[])
    check_url("http://receiver.example/", allowed=[network("10.0.0.0/8")])
    with pytest.raises(ValueError, match="may not be reached without https"):
        check_url("http://93.184.215.14/", allowed=[network("10.0.0.0/8")])
