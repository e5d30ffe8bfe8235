"""Texts at the gate: invites and tokens as machines show them, what is remembered of them, and how a revocation overtakes it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from northstar.broker.admission import (
    Admission,
    Invitation,
    JoinUrlInvalid,
    MachineNameInvalid,
    TokenForeign,
    TokenOfAnotherId,
    checked_join_url,
)
from northstar.domain.admission import InviteTerms
from northstar.domain.refusals import (
    InviteUnknown,
    InviteUsedUp,
    NoSuchMachine,
    TokenOfAnotherMachine,
    TokenReplaced,
    TokenRevoked,
    TokenUnknown,
    TokenWaiting,
)
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, Token, TokenKind, TokenMalformed, cell_tag, machine_token
from northstar.store import admission as calls
from northstar.store.bells import Approved, Connected, MachineChanged, Revoked, Ring, listen
from northstar.store.cell import Cell
from tests.agent.rig import PROFILE, SOON_S, Rig, nonce
from tests.servers import eventually

TERMS = InviteTerms(pools=("standard",), region="eu", uses=5)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class CountedCell(Cell):
    """Counts the calls by function."""

    calls: dict[str, int]

    async def call(self, function: str, request: Any, reply: Any) -> Any:
        self.calls[function] = self.calls.get(function, 0) + 1
        return await super().call(function, request, reply)


class Gate:
    def __init__(self, cell: CountedCell) -> None:
        self.cell, self.clock = cell, Clock()
        self.admission = Admission(cell, random_bytes=secrets.token_bytes, monotonic=self.clock)

    async def invite(self, terms: InviteTerms = TERMS) -> Invitation:
        return await self.admission.invite(terms, by="ann")

    async def joined(self, machine: str = "m", terms: InviteTerms = TERMS) -> Token:
        invite = (await self.invite(terms)).invite
        token = new_token(invite)
        await self.admission.redeem(invite.reveal(), token.reveal(), machine=machine)
        return token

    def asked(self) -> int:
        return self.cell.calls.get("authenticate", 0)

    async def revoke(self, machine: str = "m") -> None:
        await calls.revoke(self.cell, machine, because="lies", by="bob", nonce=nonce())

    async def register(self, machine: str, token: Token) -> None:
        await self.cell.register_machine(
            machine=machine,
            session="s",
            profile=PROFILE.canonical(),
            fits=[],
            slots=1,
            vram_mb=0,
            holder="serve-1",
            description="{}",
            words=[],
            nonce=nonce(),
            admitted_by=token.id,
        )


def new_token(invite: Token) -> Token:
    return machine_token(invite, id_bytes=secrets.token_bytes(ID_BYTES), secret_bytes=secrets.token_bytes(SECRET_BYTES))


@pytest.fixture
def gate(rig: Rig) -> Gate:
    cell = CountedCell(rig.client(), rig.name)
    cell.calls = {}
    return Gate(cell)


@contextlib.asynccontextmanager
async def hearing(gate: Gate) -> AsyncIterator[list[Ring]]:
    """The bells of the cell, passed on to the gate, for as long as the block runs."""
    heard: list[Ring] = []

    async def pass_on() -> None:
        async for ring in listen(gate.cell.client, gate.cell.keys, ("tick", "serve-1")):
            gate.admission.hear(ring)
            heard.append(ring)

    task = asyncio.create_task(pass_on())
    try:
        await until(lambda: heard.count(Connected()) == 2, "both bells are heard")
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(is_so: Any, what: str) -> None:
    async def ask() -> bool:
        return bool(is_so())

    await eventually(ask, what=what, within_s=SOON_S)


async def test_the_command_of_an_invite_lets_a_machine_join_and_be_known_by_its_own_token(gate: Gate) -> None:
    invitation = await gate.invite()
    program, _, join, url, word, text = invitation.command("wss://ns.example.com").split(" ")
    assert (program, join, url, word) == ("northstar", "--join", "wss://ns.example.com", "--token")
    token = new_token(Token.parse(text, TokenKind.INVITE))
    joined = await gate.admission.redeem(text, token.reveal(), machine="m", about="192.0.2.1")
    known = await gate.admission.authenticate(token.reveal(), machine="m")
    assert joined == known
    assert (known.machine, known.token_id, known.may_work) == ("m", token.id, True)
    assert (known.grant.pools, known.grant.region, known.grant.dedicated_to) == (("standard",), "eu", None)


async def test_nothing_that_the_cell_keeps_or_tells_contains_a_secret(gate: Gate) -> None:
    invite = (await gate.invite()).invite
    token = new_token(invite)
    await gate.admission.redeem(invite.reveal(), token.reveal(), machine="m")
    kept = b""
    for name in ("invites", "tokens"):
        kept += repr(await gate.cell.client.execute_command("HGETALL", gate.cell.keys[name])).encode()
    kept += repr(await gate.cell.client.execute_command("XRANGE", gate.cell.keys["events"], "-", "+")).encode()
    assert token.id.encode() in kept
    for one in (invite, token):
        assert one.reveal().split("_")[2][:32].encode() not in kept
    listed = repr([entry async for entry in calls.list_tokens(gate.cell)])
    listed += repr([entry async for entry in calls.list_invites(gate.cell)])
    assert token.digest() not in listed
    assert invite.digest() not in listed


async def test_a_text_is_refused_for_what_is_wrong_with_it(gate: Gate) -> None:
    invite = (await gate.invite()).invite
    token = new_token(invite)
    await gate.admission.redeem(invite.reveal(), token.reveal(), machine="m")
    foreign = Token.make(
        TokenKind.MACHINE, tag=cell_tag("elsewhere"), id_bytes=b"i" * ID_BYTES, secret_bytes=b"s" * SECRET_BYTES
    )
    show = gate.admission.authenticate
    for text, error in (
        ("", TokenMalformed),
        (invite.reveal(), TokenMalformed),
        (token.reveal()[:-1] + "77", TokenMalformed),
        (foreign.reveal(), TokenForeign),
        (new_token(invite).reveal(), TokenUnknown),
        (token.with_secret(b"g" * SECRET_BYTES).reveal(), TokenUnknown),
    ):
        with pytest.raises(error):
            await show(text)
    with pytest.raises(TokenOfAnotherMachine, match="that of machine m and lets nobody speak for x"):
        await show(token.reveal(), machine="x")
    with pytest.raises(InviteUnknown):
        await gate.admission.redeem(
            invite.with_secret(b"g" * SECRET_BYTES).reveal(), new_token(invite).reveal(), machine="n"
        )


@pytest.mark.parametrize("name", ["", "-x", "a b", "a\nb", "x" * 129, "ä", "\ud800"])
async def test_a_machine_needs_a_name_that_others_can_use(gate: Gate, name: str) -> None:
    invite = (await gate.invite()).invite
    with pytest.raises(MachineNameInvalid):
        await gate.admission.redeem(invite.reveal(), new_token(invite).reveal(), machine=name)


async def test_what_a_stranger_says_of_itself_is_cut_and_cannot_steer_a_terminal(gate: Gate) -> None:
    invite = (await gate.invite()).invite
    for machine, about in (("m", "\x1b[31mred\u202e\n"), ("n", "ä" * 1_000), ("o", "\ud800")):
        await gate.admission.redeem(invite.reveal(), new_token(invite).reveal(), machine=machine, about=about)
    told = {entry.machine: entry.about async for entry in calls.list_tokens(gate.cell)}
    assert told == {"m": " [31mred  ", "n": "ä" * 256, "o": " "}


async def test_many_machines_that_redeem_at_once_use_an_invite_up_exactly(gate: Gate) -> None:
    invite = (await gate.invite()).invite
    joins = [
        gate.admission.redeem(invite.reveal(), new_token(invite).reveal(), machine=f"m{number}") for number in range(20)
    ]
    outcomes = await asyncio.gather(*joins, return_exceptions=True)
    assert sum(isinstance(outcome, InviteUsedUp) for outcome in outcomes) == 15
    assert len([entry async for entry in calls.list_tokens(gate.cell)]) == 5


async def test_an_answer_is_remembered_for_a_few_seconds(gate: Gate) -> None:
    token = await gate.joined()
    for _ in range(3):
        await gate.admission.authenticate(token.reveal())
    assert gate.asked() == 1
    gate.clock.now_s += 5.1
    await gate.admission.authenticate(token.reveal())
    assert gate.asked() == 2


async def test_answers_whose_time_is_over_do_not_stay_in_memory(gate: Gate) -> None:
    """Spot machines bring a new token each: an hour of them must not stay in the process."""
    invite = (await gate.invite(msgspec.structs.replace(TERMS, uses=30))).invite
    for number in range(30):
        token = new_token(invite)
        await gate.admission.redeem(invite.reveal(), token.reveal(), machine=f"spot-{number}")
        await gate.admission.authenticate(token.reveal())
        gate.clock.now_s += 1.0
    assert gate.admission.remembered == 5


async def test_what_is_remembered_of_one_machine_lets_nobody_speak_for_another(gate: Gate) -> None:
    token = await gate.joined()
    await gate.admission.authenticate(token.reveal())
    with pytest.raises(TokenOfAnotherMachine):
        await gate.admission.authenticate(token.reveal(), machine="other")


async def test_a_refusal_is_never_remembered(gate: Gate) -> None:
    invite = (await gate.invite()).invite
    token = new_token(invite)
    with pytest.raises(TokenUnknown):
        await gate.admission.authenticate(token.reveal())
    await gate.admission.redeem(invite.reveal(), token.reveal(), machine="m")
    assert (await gate.admission.authenticate(token.reveal())).machine == "m"


async def test_a_revocation_anywhere_is_heard_and_counts_at_once(gate: Gate) -> None:
    token = await gate.joined()
    await gate.register("m", token)
    async with hearing(gate) as heard:
        await gate.admission.authenticate(token.reveal())
        await gate.revoke()
        await until(lambda: heard.count(Revoked("m")) == 2, "everybody's bell and the holder's")
        with pytest.raises(TokenRevoked):
            await gate.admission.authenticate(token.reveal())
    with pytest.raises(NoSuchMachine):
        await gate.cell.renew(machine="m", session="s", held=[])


async def test_an_answer_that_a_revocation_overtook_is_not_remembered(gate: Gate) -> None:
    token = await gate.joined()

    class Late(CountedCell):
        async def call(self, function: str, request: Any, reply: Any) -> Any:
            answer = await super().call(function, request, reply)
            if function == "authenticate" and self.calls[function] == 1:
                await gate.revoke()
                late.hear(Revoked("m"))
            return answer

    cell = Late(gate.cell.client, gate.cell.name)
    cell.calls = {}
    late = Admission(cell, random_bytes=secrets.token_bytes, monotonic=gate.clock)
    await late.authenticate(token.reveal())
    with pytest.raises(TokenRevoked):
        await late.authenticate(token.reveal())


async def test_a_machine_that_was_revoked_after_its_token_was_looked_at_does_not_register(gate: Gate) -> None:
    token = await gate.joined()
    await gate.admission.authenticate(token.reveal())
    await gate.revoke()
    assert (await gate.admission.authenticate(token.reveal())).machine == "m", "remembered: no bell was heard"
    with pytest.raises(TokenRevoked):
        await gate.register("m", token)


async def test_a_machine_that_waits_is_told_so_and_hears_of_its_approval(gate: Gate) -> None:
    token = await gate.joined(terms=InviteTerms(pools=("standard",), approval=True))
    async with hearing(gate) as heard:
        assert not (await gate.admission.authenticate(token.reveal())).may_work
        with pytest.raises(TokenWaiting):
            await gate.register("m", token)
        assert await calls.approve(gate.cell, "m", by="bob")
        await until(lambda: Approved("m") in heard, "the approval is heard")
        assert (await gate.admission.authenticate(token.reveal())).may_work
        await gate.register("m", token)


async def test_bells_of_other_things_forget_nothing(gate: Gate) -> None:
    token = await gate.joined()
    await gate.admission.authenticate(token.reveal())
    gate.admission.hear(MachineChanged("m", "draining"))
    await gate.admission.authenticate(token.reveal())
    assert gate.asked() == 1


async def test_a_rotation_changes_the_secret_and_lets_the_former_one_live_on_for_a_while(gate: Gate) -> None:
    token = await gate.joined()
    await gate.admission.authenticate(token.reveal())
    new = token.with_secret(secrets.token_bytes(SECRET_BYTES))
    await gate.admission.rotate(token.reveal(), new.reveal())
    assert (await gate.admission.authenticate(token.reveal())).former
    assert not (await gate.admission.authenticate(new.reveal())).former
    newest = new.with_secret(secrets.token_bytes(SECRET_BYTES))
    await gate.admission.rotate(new.reveal(), newest.reveal(), grace_ms=0)
    with pytest.raises(TokenReplaced):
        await gate.admission.authenticate(new.reveal())


async def test_a_rotation_is_one_of_the_same_token(gate: Gate) -> None:
    token, other = await gate.joined("m"), await gate.joined("n")
    with pytest.raises(TokenOfAnotherId):
        await gate.admission.rotate(token.reveal(), other.reveal())


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "not known where machines elsewhere reach"),
        ("ns.example.com", "not an address that machines can dial"),
        ("ftp://x", "not an address"),
        ("wss://", "not an address"),
        ("wss://x:99999", "not an address"),
        ("wss://[", "not an address"),
        ("wss://ann:secret@x", "holds no user name or password"),
        ("wss://x y", "not an address"),
    ],
)
def test_an_address_that_no_machine_can_dial_makes_no_command(url: str, sentence: str) -> None:
    with pytest.raises(JoinUrlInvalid, match=sentence) as caught:
        checked_join_url(url)
    assert "secret" not in str(caught.value)


def test_an_address_is_quoted_for_the_shell() -> None:
    invite = Token.make(TokenKind.INVITE, tag="aaaa", id_bytes=b"i" * ID_BYTES, secret_bytes=b"s" * SECRET_BYTES)
    command = Invitation(invite=invite, ends_ms=0).command("wss://x/?a=$(reboot)&b")
    assert "--join 'wss://x/?a=$(reboot)&b' --token nsi_" in command
    assert "nsi_" in repr(Invitation(invite=invite, ends_ms=0))
    assert invite.reveal() not in repr(Invitation(invite=invite, ends_ms=0))
