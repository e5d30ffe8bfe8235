"""What is private, and where a secret may travel."""

from __future__ import annotations

import pytest

from northstar.policy.models.addresses import is_private, next_hop, origin_of, printable, shown


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "2002:a00:1::",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "::a00:1",
        "fec0::1",
        "no address",
    ],
)
def test_networks_that_are_not_public_are_private_in_every_spelling(address: str) -> None:
    assert is_private(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_the_rest_is_public(address: str) -> None:
    assert not is_private(address)


def test_no_secret_goes_from_https_to_http() -> None:
    with pytest.raises(ValueError, match="from https to http while a token is in use"):
        next_hop("https://hub/a", "http://cdn/b", has_secret=True)
    assert next_hop("https://hub/a", "http://cdn/b", has_secret=False) == "http://cdn/b"
    assert next_hop("https://hub/a", "//cdn/b?x=1", has_secret=True) == "https://cdn/b?x=1"


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin_of("https://HUB.example./a") == origin_of("https://hub.example:443/b")
    assert origin_of("https://hub.example") != origin_of("http://hub.example")
    assert origin_of("https://hub.example") != origin_of("https://hub.example:8443")


def test_what_is_told_of_an_address_holds_no_secret() -> None:
    assert shown("https://me:key@hub/a?token=x#y") == "https://hub/a"
    assert shown("nonsense") == "(an address without a scheme)"


def test_what_could_break_a_request_is_escaped() -> None:
    assert printable("http://hub/a b\r\nX: y") == "http://hub/a%20b%0D%0AX:%20y"
