"""Tokens of the machines that the broker itself starts on its own host: made anew with every start, kept nowhere."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from northstar.domain.admission import Admitted, Grant

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.broker.gateway.socket import Admission


class LocalTokens:
    """Who may dial because we started it; everybody else is for `others` to judge. `new_secret` gives text that nobody can guess."""

    def __init__(self, new_secret: Callable[[], str], *, others: Admission) -> None:
        self._new_secret = new_secret
        self._others = others
        self._machines: dict[str, Admitted] = {}

    def mint(self, machine: str, grant: Grant) -> str:
        """A token for the machine; the one before it is worth nothing any more."""
        secret = self._new_secret()
        self._machines = {digest: known for digest, known in self._machines.items() if known.machine != machine}
        self._machines[_digest(secret)] = Admitted(token_id="", machine=machine, status="approved", grant=grant)
        return secret

    async def authenticate(self, token_text: str) -> Admitted:
        """Raises what the others raise."""
        known = self._machines.get(_digest(token_text))
        return known if known is not None else await self._others.authenticate(token_text)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
