"""Tokens of the machines that the broker itself starts on its own host: made anew with every start, kept nowhere."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, ClassVar

from northstar.broker.gateway.socket import Admitted
from northstar.domain.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable


class TokenUnknown(Refused):
    """Nobody was given this token."""

    code: ClassVar[str] = "NS_TOKEN_UNKNOWN"

    def __init__(self) -> None:
        super().__init__("this token is unknown here; invite the machine anew with `northstar machines invite`")


class LocalTokens:
    """Who may dial because we started it. `new_secret` gives text that nobody can guess."""

    def __init__(self, new_secret: Callable[[], str]) -> None:
        self._new_secret = new_secret
        self._machines: dict[str, str] = {}

    def mint(self, machine: str) -> str:
        """A token for the machine; the one before it is worth nothing any more."""
        secret = self._new_secret()
        self._machines = {digest: name for digest, name in self._machines.items() if name != machine}
        self._machines[_digest(secret)] = machine
        return secret

    async def admit(self, token: str) -> Admitted:
        """Raises TokenUnknown."""
        machine = self._machines.get(_digest(token))
        if machine is None:
            raise TokenUnknown
        return Admitted(machine=machine)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
