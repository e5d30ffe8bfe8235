"""Keeps out for a while who comes again and again with tokens or invites that do not count."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from northstar.broker.admission import TokenForeign
from northstar.domain.api_keys import KeyUnknown
from northstar.domain.errors import Refused
from northstar.domain.refusals import InviteUnknown, TokenUnknown
from northstar.domain.tokens import TokenMalformed
from northstar.policy.admission.wrong_tokens import Allowance, WrongTokenRule, after_a_wrong_one, pause_s
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from northstar.broker.gateway.socket import Admission
    from northstar.domain.admission import Admitted

log = logger(__name__)

Found = TypeVar("Found")

#: Addresses of which something wrong is remembered, and tokens of which something good is; the longest unused go.
MAX_ADDRESSES: Final = 10_000
MAX_GOOD: Final = 20_000
#: What somebody shows who guesses. A secret that was right once, of an invite that is over or a token that was replaced, is no guess: a few
#: machines that start again and again with one must not keep out those behind the same address.
_WRONG: Final = (InviteUnknown, KeyUnknown, TokenForeign, TokenMalformed, TokenUnknown)


class TooManyWrongTokens(Refused):
    """This address has shown too many tokens or invites that do not count."""

    code: ClassVar[str] = "NS_TOO_MANY_WRONG_TOKENS"
    retryable = True

    def __init__(self, *, retry_after_s: float) -> None:
        self.retry_after_s = math.ceil(retry_after_s)
        super().__init__(
            f"too many wrong tokens or invites came from this address; come back in {self.retry_after_s} s with the right one"
        )


class Doorkeeper:
    """For all doors of one process.

    A token that was good the last time is let through: a stranger's guesses from the same address lock out nobody who is in.
    """

    def __init__(self, admission: Admission, *, rule: WrongTokenRule, monotonic: Callable[[], float]) -> None:
        self._admission = admission
        self._rule = rule
        self._monotonic = monotonic
        self._allowances: OrderedDict[str, Allowance] = OrderedDict()
        self._good: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        """Addresses that are remembered."""
        return len(self._allowances)

    async def authenticate(self, token_text: str, *, address: str) -> Admitted:
        """Who shows this token. Raises TooManyWrongTokens, and what admission raises."""
        return await self.let_in(token_text, self._admission.authenticate, address=address)

    async def let_in(self, text: str, asking: Callable[[str], Awaitable[Found]], *, address: str) -> Found:
        """What `asking` says of a secret that somebody shows. Raises TooManyWrongTokens, and what it raises."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        if digest not in self._good:
            self._expect(address)
        try:
            found = await self._judged(asking(text), address)
        except Refused:
            self._good.pop(digest, None)
            raise
        _remember(self._good, digest, None, most=MAX_GOOD)
        return found

    async def join(self, asking: Callable[[], Awaitable[Found]], *, address: str) -> Found:
        """What `asking`, which shows an invite, gives. Raises TooManyWrongTokens, and what it raises."""
        self._expect(address)
        return await self._judged(asking(), address)

    async def _judged(self, asking: Awaitable[Found], address: str) -> Found:
        try:
            return await asking
        except _WRONG as exc:
            allowance = after_a_wrong_one(self._allowances.get(address), self._monotonic(), self._rule)
            _remember(self._allowances, address, allowance, most=MAX_ADDRESSES)
            if pause_s(allowance, self._monotonic(), self._rule):
                log.warning("wrong_tokens", address=address, code=exc.code)
            raise

    def _expect(self, address: str) -> None:
        wait_s = pause_s(self._allowances.get(address), self._monotonic(), self._rule)
        if wait_s:
            raise TooManyWrongTokens(retry_after_s=wait_s)


class DoorFor:
    """The doorkeeper for one connection."""

    def __init__(self, doorkeeper: Doorkeeper, address: str) -> None:
        self._doorkeeper = doorkeeper
        self.address = address

    async def authenticate(self, token_text: str) -> Admitted:
        """Raises TooManyWrongTokens, and what admission raises."""
        return await self._doorkeeper.authenticate(token_text, address=self.address)

    async def let_in(self, text: str, asking: Callable[[str], Awaitable[Found]]) -> Found:
        """What `asking` says of a secret that somebody shows. Raises TooManyWrongTokens, and what it raises."""
        return await self._doorkeeper.let_in(text, asking, address=self.address)

    async def join(self, asking: Callable[[], Awaitable[Found]]) -> Found:
        """What `asking`, which shows an invite, gives. Raises TooManyWrongTokens, and what it raises."""
        return await self._doorkeeper.join(asking, address=self.address)


Value = TypeVar("Value")


def _remember(known: OrderedDict[str, Value], key: str, value: Value, *, most: int) -> None:
    known[key] = value
    known.move_to_end(key)
    while len(known) > most:
        known.popitem(last=False)
