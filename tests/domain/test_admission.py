"""What a machine may say of itself follows from its invite."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.domain.admission import Grant, InviteInvalid, NotGranted, read_terms
from northstar.domain.machines import MachineProfile

GRANT = Grant(pools=("fast", "standard"), region="eu", tags=("quiet",))


def profile(**changes: Any) -> MachineProfile:
    return MachineProfile(**{"pools": ("fast",), "services": ("text",)} | changes)


@pytest.mark.parametrize("changes", [{}, {"pools": ("standard", "fast")}, {"tags": ("quiet",)}, {"vram_mb": 80_000}])
def test_a_machine_may_announce_what_was_granted_or_less(changes: dict[str, Any]) -> None:
    GRANT.check("m", profile(**changes), region="eu")


@pytest.mark.parametrize(
    ("changes", "region", "sentence"),
    [
        (
            {"pools": ("fast", "enterprise")},
            "eu",
            "announces pool enterprise, and its token grants pools fast standard",
        ),
        ({"tags": ("certified",)}, "eu", "announces tag certified, and its token grants tags quiet"),
        ({"dedicated_to": "acme"}, "eu", "announces work for acme only, and its token grants work for everybody"),
        ({}, "us", "announces region us, and its token grants region eu"),
        ({}, "", r"announces region \(none\), and its token grants region eu"),
    ],
)
def test_a_machine_that_announces_more_is_refused_and_told_what(
    changes: dict[str, Any], region: str, sentence: str
) -> None:
    with pytest.raises(NotGranted, match=sentence):
        GRANT.check("m", profile(**changes), region=region)


def test_a_machine_for_one_customer_cannot_take_the_work_of_others() -> None:
    with pytest.raises(NotGranted, match="announces work for everybody, and its token grants work for acme only"):
        Grant(pools=("fast",), dedicated_to="acme").check("m", profile(), region="")


def test_without_a_region_granted_it_may_stand_anywhere() -> None:
    Grant(pools=("fast",)).check("m", profile(), region="mars")


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({"pools": []}, "length >= 1"),
        ({"pools": ["No Pool"]}, r"\$.pools"),
        ({"pools": ["a"], "region": "EU West"}, r"\$.region"),
        ({"pools": ["a"], "tags": [""]}, r"\$.tags"),
        ({"pools": ["a"], "uses": 0}, r"\$.uses"),
        ({"pools": ["a"], "uses": 10**9}, r"\$.uses"),
        ({"pools": ["a"], "ttl_ms": 0}, r"\$.ttl_ms"),
        ({"pools": ["a"], "ttl_ms": 10**15}, r"\$.ttl_ms"),
        ({"pools": ["a"], "colour": "red"}, "colour"),
    ],
)
def test_absurd_terms_make_no_invite(values: dict[str, Any], detail: str) -> None:
    with pytest.raises(InviteInvalid, match=detail):
        read_terms(values)
