"""A broker that vanishes takes with it the one who would have missed its machines: so the brokers of a cell miss each other."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from northstar.domain.errors import NorthstarError, Unavailable
from northstar.policy.fleet.broker_beats import (
    BeatRule,
    after_asking,
    after_look,
    after_outage,
    grace_of_orphans_s,
    is_forgotten,
    is_gone,
    to_ask_about,
)
from northstar.store.beats import beat, end_beats, heard_brokers, machines_held_by
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.policy.fleet.broker_beats import BrokerSeen
    from northstar.store.beats import HeldMachine
    from northstar.store.cell import Cell

log = logger(__name__)

#: Machines that are suspected at once; the others wait, so that those that dial leave connections to the cell for them.
SUSPECTED_AT_ONCE: Final = 16
#: Brokers that are remembered as gone; the one gone longest is forgotten first.
MOST_GONE: Final = 64
#: At the end, the server is given so long to hear that this broker goes in order.
_GOODBYE_S: Final = 2.0


class BrokerWatch:
    """One broker's beats, and what it makes of the others'."""

    def __init__(
        self,
        cell: Cell,
        *,
        serve: str,
        grace_s: float,
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
        was_away: Callable[[], None],
        rule: BeatRule | None = None,
    ) -> None:
        """`serve` is this broker's name in the cell; `jitter` gives a random number in [0, 1).

        `was_away` is told when this broker could not beat for so long that others may have taken it for gone.
        """
        self._cell = cell
        self._serve = serve
        self._grace_s = grace_s
        self._monotonic = monotonic
        self._jitter = jitter
        self._was_away = was_away
        self._rule = rule or BeatRule()
        self._seen: dict[str, BrokerSeen] = {}
        self._looked_s: float | None = None
        self._failed = False
        #: Brokers that are gone, whoever found it out first: what one who died in the middle of it left undone is done by the next.
        #: Each with how long it had stood still by then.
        self._gone: dict[str, float] = {}
        self._must_suspect = False

    async def run(self) -> None:
        """Beat and look, until cancelled; then say that this broker goes in order, so that its machines are not suspected."""
        try:
            while True:
                try:
                    await self.look()
                except Unavailable as exc:
                    log.debug("brokers_not_watched", code=exc.code, error=str(exc))
                except NorthstarError as exc:
                    log.warning("brokers_not_watched", code=exc.code, error=str(exc))
                # A tenth more or less, so that brokers that were started together do not look together for ever.
                await asyncio.sleep(self._rule.every_s * (0.9 + 0.2 * self._jitter()))
        finally:
            with contextlib.suppress(NorthstarError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await end_beats(self._cell, self._serve)

    async def look(self) -> None:
        """Beat once, and see who else does. Raises Unavailable: then nobody is judged before three more looks."""
        try:
            await self._look()
        except Unavailable:
            self._seen = after_outage(self._seen)
            self._failed = True
            raise
        self._failed = False

    async def _look(self) -> None:
        beats = await beat(self._cell, self._serve)
        now_s = self._monotonic()
        passed_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        if passed_s >= self._rule.unheard_s:
            self._was_away()
        self._note_vanished(beats)
        # Nobody knows when in the time since a look that failed the others could beat again.
        self._seen = after_look(self._seen, beats, passed_s=0.0 if self._failed else passed_s, rule=self._rule)
        for name, broker in self._seen.items():
            if broker.still_s == 0:
                self._gone.pop(name, None)  # it was held up for long, and is back
        if asked := to_ask_about(self._seen, self._rule):
            self._seen = after_asking(self._seen, asked, await heard_brokers(self._cell, asked))
        for name, broker in list(self._seen.items()):
            if is_gone(broker, self._rule):
                await self._take_up(name, broker)
            elif is_forgotten(broker, self._rule):
                await end_beats(self._cell, name)
        if self._must_suspect:
            await self._suspect_machines()

    def _note_vanished(self, beats: dict[str, int]) -> None:
        """Who stood still and has no number any more was taken up by another broker; who had one just now went in order."""
        for name, broker in self._seen.items():
            if name not in beats and broker.has_beaten and broker.still_s > 0:
                self._remember_gone(name, broker)

    def _remember_gone(self, name: str, broker: BrokerSeen) -> None:
        self._gone[name] = broker.still_s
        while len(self._gone) > MOST_GONE:
            del self._gone[next(iter(self._gone))]

    async def _take_up(self, name: str, broker: BrokerSeen) -> None:
        """Its machines are suspected by one of those who miss it: whoever takes its number away."""
        try:
            mine = await end_beats(self._cell, name)
        except Unavailable:
            mine = True  # perhaps; to suspect a machine twice does no harm
        self._remember_gone(name, broker)
        self._seen.pop(name, None)
        if mine:
            log.warning(
                "broker_gone", broker=name, still_s=round(broker.still_s, 1), is_heard=broker.unheard_looks == 0
            )
            self._must_suspect = True

    async def _suspect_machines(self) -> None:
        orphans = await machines_held_by(self._cell, self._gone)
        graces = {
            name: grace_of_orphans_s(len(orphans), self._grace_s, still_s=still_s)
            for name, still_s in self._gone.items()
        }
        suspected = 0
        for first in range(0, len(orphans), SUSPECTED_AT_ONCE):
            some = orphans[first : first + SUSPECTED_AT_ONCE]
            suspected += sum(
                await asyncio.gather(*(self._suspect(machine, graces[machine.holder]) for machine in some))
            )
        self._must_suspect = False
        log.info(
            "machines_without_broker",
            machines=suspected,
            now=f"each counts as lost unless it dials another broker within {max(graces.values(), default=self._grace_s):.1f} s",
        )

    async def _suspect(self, machine: HeldMachine, grace_s: float) -> bool:
        return await self._cell.suspect_machine(
            machine.id, session=machine.session, holder=machine.holder, grace_ms=round(grace_s * 1000)
        )
