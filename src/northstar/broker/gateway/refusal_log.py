"""What is said of machines that are not let in: the first time at once, then once a minute how often.

So a flood of strangers fills no disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.domain.errors import Unavailable
from northstar.domain.refusals import TokenWaiting
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.domain.errors import NorthstarError

log = logger(__name__)

EVERY_S: Final = 60.0
#: Kinds of refusals told apart within one minute; whatever comes beyond them is counted together.
MAX_KINDS: Final = 100
_MAX_NAME: Final = 128
_OTHERS: Final = ("(others)", "")


class RefusalLog:
    """The refusals of one process. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began_s = clock()
        self._counts: dict[tuple[str, str], int] = {}

    def refused(self, error: NorthstarError, *, machine: str = "") -> None:
        """Somebody was not let in; `machine` is the name, if one is known or claimed."""
        self.flush()
        name = "".join(letter if letter.isprintable() else "?" for letter in machine[:_MAX_NAME])
        kind = (name, error.code)
        if kind not in self._counts and len(self._counts) >= MAX_KINDS:
            kind = _OTHERS
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if self._counts[kind] > 1 or kind == _OTHERS:
            return
        if isinstance(error, TokenWaiting):
            log.info("machine_waits_for_approval", machine=name, to_do=f"northstar machines approve {name}")
        else:
            event = "machine_not_served" if isinstance(error, Unavailable) else "machine_refused"
            log.warning(event, machine=name or "(unknown)", code=error.code, error=str(error))

    def flush(self) -> None:
        """Once a minute: how often what was told at its beginning has happened since."""
        now_s = self._clock()
        if now_s < self._began_s + EVERY_S:
            return
        within_s, self._began_s = round(now_s - self._began_s), now_s
        counts, self._counts = self._counts, {}
        for (name, code), times in counts.items():
            if times > 1:
                said = {"machine": name or "(unknown)", "code": code} if code else {"machine": name}
                # One that waits for approval asks again and again, as it should.
                tell = log.info if code == TokenWaiting.code else log.warning
                tell("machine_refused_again", **said, times=times, within_s=within_s)
