"""Lists of node classes: small on the way, whole at the end, and never other than their digests say."""

from __future__ import annotations

import base64
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.node_sets import MAX_NAMES_BYTES, NodeSet, NodeSetInvalid, digest_of, packed_set, read_set

names = st.frozensets(
    st.text(st.characters(exclude_characters="\n", codec="utf-8"), min_size=1), min_size=1, max_size=50
)


def text_of(packed: bytes) -> str:
    return base64.b85encode(packed).decode()


@given(names)
def test_what_was_packed_is_read_whole(classes: frozenset[str]) -> None:
    packed = packed_set(classes)
    assert (packed.digest, read_set(packed)) == (digest_of(classes), classes)


def test_five_thousand_classes_take_less_than_may_be_kept() -> None:
    assert (
        len(packed_set(f"Some Pack Node {number * 7919 % 100_003} (advanced)" for number in range(5_000)).packed)
        < 40_000
    )


def test_a_list_that_is_not_what_its_digest_says_is_refused() -> None:
    other = msgspec.structs.replace(packed_set(["KSampler"]), digest="0" * 16)
    with pytest.raises(
        NodeSetInvalid, match="the list of node classes 0000000000000000 cannot be kept: its names have an"
    ):
        read_set(other)


@pytest.mark.parametrize(
    ("packed", "detail"),
    [
        ("no list", "it cannot be read"),
        ("\N{SNOWMAN}", "it cannot be read"),
        (text_of(zlib.compress(b"\xff\xfe")), "it cannot be read"),
        (text_of(zlib.compress(b"KSampler")[:-5]), "its end is missing"),
        (text_of(zlib.compress(b"x" * (MAX_NAMES_BYTES + 1))), "its names take more than 1,048,576 bytes"),
        ("x" * 65_537, "it takes more than 65536 characters"),
    ],
)
def test_what_cannot_be_a_list_is_refused_and_never_unpacked_without_bound(packed: str, detail: str) -> None:
    with pytest.raises(NodeSetInvalid, match=detail):
        read_set(NodeSet("0" * 16, packed))


def test_a_list_that_is_too_long_to_be_kept_says_so() -> None:
    with pytest.raises(NodeSetInvalid, match="65536 are allowed"):
        packed_set(f"{number * 2654435761 % 2**32:x}" for number in range(100_000))
