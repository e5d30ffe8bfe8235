"""Signatures as the Standard Webhooks specification has them, so that its libraries verify ours."""

from __future__ import annotations

import copy

import pytest

from northstar.policy.webhooks.signing import SigningKey, headers, read_secret, shown_secret, signature

#: The vector of the specification's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_is_signed_as_the_specifications_libraries_sign_it() -> None:
    assert signature(read_secret(SECRET), message_id=MESSAGE, timestamp_s=1_614_265_330, body=BODY) == SIGNED


def test_while_a_secret_is_replaced_both_sign() -> None:
    told = headers([b"n" * 32, read_secret(SECRET)], message_id=MESSAGE, timestamp_s=1_614_265_330, body=BODY)
    new, former = told["webhook-signature"].split(" ")
    assert (former, new[:3]) == (SIGNED, "v1,")
    assert new != former
    assert (told["webhook-id"], told["webhook-timestamp"]) == (MESSAGE, "1614265330")


def test_every_webhook_and_every_version_has_a_secret_of_its_own_that_follows_from_the_key() -> None:
    key = SigningKey(b"k" * 32)
    secrets = {key.secret(webhook, number) for webhook in ("a", "b") for number in (1, 2)}
    assert len(secrets) == 4
    assert SigningKey(b"k" * 32).secret("a", 1) in secrets
    assert all(read_secret(shown_secret(one)) == one and len(one) == 32 for one in secrets)
    assert SigningKey(b"j" * 32).fingerprint != key.fingerprint


def test_a_key_is_shown_by_nothing_and_too_short_a_one_is_none() -> None:
    key = SigningKey(b"quiet" * 8)
    assert "quiet" not in repr(key) + str(key) + key.fingerprint
    with pytest.raises(TypeError):
        copy.deepcopy(key)
    with pytest.raises(ValueError, match="fewer than 24 bytes"):
        SigningKey(b"short")
