"""Texts of invites and tokens: read exactly, told apart, and never shown by accident."""

from __future__ import annotations

import copy
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.tokens import (
    ID_BYTES,
    SECRET_BYTES,
    Token,
    TokenKind,
    TokenMalformed,
    cell_tag,
    is_id,
    machine_token,
)

ids, secrets = st.binary(min_size=ID_BYTES, max_size=ID_BYTES), st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES)
kinds = st.sampled_from(TokenKind)
tokens = st.builds(Token.make, kinds, tag=st.just(cell_tag("eu")), id_bytes=ids, secret_bytes=secrets)
TOKEN = Token.make(TokenKind.MACHINE, tag=cell_tag("eu"), id_bytes=b"i" * ID_BYTES, secret_bytes=b"s" * SECRET_BYTES)


@given(tokens)
def test_what_is_written_is_read_again(token: Token) -> None:
    read = Token.parse(token.reveal(), token.kind)
    assert (read, read.id, read.digest()) == (token, token.id, token.digest())
    assert is_id(read.id)


@given(tokens)
def test_blanks_around_it_and_capitals_do_no_harm(token: Token) -> None:
    assert Token.parse(f" {token.reveal().upper()}\n", token.kind) == token


@given(tokens, st.data())
def test_one_wrong_letter_is_told_from_a_wrong_token(token: Token, data: st.DataObject) -> None:
    text = token.reveal()
    at = data.draw(st.sampled_from([at for at, letter in enumerate(text) if at > 3 and letter != "_"]))
    other = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz234567").filter(lambda letter: letter != text[at]))
    with pytest.raises(TokenMalformed, match="mistyped"):
        Token.parse(text[:at] + other + text[at + 1 :], token.kind)


@given(st.text(max_size=300) | st.binary(max_size=100).map(lambda raw: raw.decode("latin-1")))
def test_any_other_text_is_malformed_and_is_not_repeated_in_the_error(text: str) -> None:
    with pytest.raises(TokenMalformed) as caught:
        Token.parse(text, TokenKind.MACHINE)
    assert len(text) < 12 or text not in str(caught.value)


def test_a_text_that_was_cut_off_is_malformed() -> None:
    for length in range(len(TOKEN.reveal())):
        with pytest.raises(TokenMalformed):
            Token.parse(TOKEN.reveal()[:length], TokenKind.MACHINE)


def test_an_invite_is_no_token_and_a_token_no_invite() -> None:
    with pytest.raises(
        TokenMalformed, match=r"^this is not an invite \(nsi_…\): it is the token of a machine \(nsm_…\)$"
    ):
        Token.parse(TOKEN.reveal(), TokenKind.INVITE)


def test_the_letters_of_the_cell_tell_a_text_of_another_one() -> None:
    assert TOKEN.is_of("eu")
    assert not TOKEN.is_of("us")


def test_the_token_that_a_machine_makes_is_of_the_cell_of_its_invite() -> None:
    invite = Token.make(
        TokenKind.INVITE, tag=cell_tag("us"), id_bytes=b"1" * ID_BYTES, secret_bytes=b"2" * SECRET_BYTES
    )
    made = machine_token(invite, id_bytes=b"3" * ID_BYTES, secret_bytes=b"4" * SECRET_BYTES)
    assert (made.kind, made.is_of("us")) == (TokenKind.MACHINE, True)


def test_a_new_secret_keeps_the_id() -> None:
    renewed = TOKEN.with_secret(b"t" * SECRET_BYTES)
    assert (renewed.id, renewed.kind) == (TOKEN.id, TOKEN.kind)
    assert renewed != TOKEN


def test_the_digest_is_of_this_token_alone() -> None:
    """So that a secret that stands in two places by accident opens only one."""
    same_secret = [
        Token.make(kind, tag=cell_tag("eu"), id_bytes=id_bytes, secret_bytes=b"s" * SECRET_BYTES)
        for kind in TokenKind
        for id_bytes in (b"i" * ID_BYTES, b"j" * ID_BYTES)
    ]
    assert len({token.digest() for token in same_secret}) == 6


@pytest.mark.parametrize(("id_bytes", "secret_bytes"), [(b"", b"s" * SECRET_BYTES), (b"i" * ID_BYTES, b"short")])
def test_too_little_chance_makes_no_token(id_bytes: bytes, secret_bytes: bytes) -> None:
    with pytest.raises(ValueError, match="random bytes"):
        Token.make(TokenKind.MACHINE, tag="aaaa", id_bytes=id_bytes, secret_bytes=secret_bytes)


def test_the_secret_is_in_no_repr_text_copy_or_encoding() -> None:
    secret = TOKEN.reveal().split("_")[2][:32]
    shown = [repr(TOKEN), str(TOKEN), f"{TOKEN}", msgspec.json.encode({"t": TOKEN}, enc_hook=str).decode()]
    assert [text for text in shown if secret in text] == []
    assert f"nsm_{TOKEN.id}_***" in shown
    for leave in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied"):
            leave(TOKEN)
