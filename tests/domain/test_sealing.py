"""Sealed texts: read by whoever has the key, for what they were made, as they were made; and by nobody else."""

from __future__ import annotations

import base64

import pytest

from northstar.domain.sealing import KEY_BYTES, seal, unseal

KEY, OTHER = bytes(range(KEY_BYTES)), bytes(KEY_BYTES)


@pytest.mark.parametrize("text", ["", "a", "waiting 12.5 job-7", "x" * 63, "x" * 64, "x" * 1_024, "\x80ÿ€日\0"])
def test_what_is_sealed_is_opened_again(text: str) -> None:
    assert unseal(seal(text, key=KEY, about="jobs"), key=KEY, about="jobs") == text


def test_nothing_of_the_text_is_to_be_seen_but_its_length_in_large_steps() -> None:
    sealed = {seal(text, key=KEY, about="jobs") for text in ("a", "rivals-job", "r" * 60)}
    assert {len(one) for one in sealed} == {107}
    plain = [base64.urlsafe_b64decode(one + "=" * (-len(one) % 4)) for one in sealed]
    assert not any(b"rival" in one or b"rrr" in one for one in plain)
    assert len({one[:16] for one in plain}) == 3


def test_another_key_or_another_use_opens_nothing() -> None:
    sealed = seal("waiting job-7", key=KEY, about="jobs")
    for key, about in ((OTHER, "jobs"), (KEY, "dead letters"), (KEY, "")):
        with pytest.raises(ValueError, match="seal is broken"):
            unseal(sealed, key=key, about=about)


def test_what_was_changed_on_the_way_is_opened_by_nobody() -> None:
    whole = base64.urlsafe_b64decode(seal("waiting job-7", key=KEY, about="jobs") + "=")
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(ValueError, match="seal is broken"):
            unseal(base64.urlsafe_b64encode(changed).decode().rstrip("="), key=KEY, about="jobs")


@pytest.mark.parametrize("given", ["", "!", "a", "日", "YWJj", "A" * 107, "A" * 5_000])
def test_what_was_never_sealed_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unseal(given, key=KEY, about="jobs")
