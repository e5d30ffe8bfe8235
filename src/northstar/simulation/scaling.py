"""Groups of machines that follow their queue while a simulation goes (`policy.baselines.fleet_size`): asked for when jobs wait, and given up when idle."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import msgspec

from northstar.domain.machines import MachineId
from northstar.policy.baselines.fleet_size import FleetMemory, QueueRule, queue_fleet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence

    from northstar.simulation.ledger import Ledger
    from northstar.simulation.stations import Stations
    from northstar.simulation.world import World


class ScaledGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Machines of the fleet, without lives of their own, of which there are as many as the rule says."""

    #: In the order in which they are asked for.
    machines: tuple[MachineId, ...]
    rule: QueueRule
    #: The queue is looked at so often (KEDA's `pollingInterval`).
    every_ms: Annotated[int, msgspec.Meta(ge=1)] = 30_000
    #: How long a machine boots, when it is asked for the n-th time; the machines of the beginning are up when `begins_ready`.
    boots_ms: Callable[[MachineId, int], int]
    begins_ready: bool = True


class _Scaled:
    """One group as it goes."""

    def __init__(self, group: ScaledGroup, *, pools: frozenset[str], services: frozenset[str]) -> None:
        self.group = group
        self.pools = pools
        self.services = services
        self.memory = FleetMemory()
        self.next_ms = 0
        self.jobs = 0
        self.asked: dict[MachineId, int] = dict.fromkeys(group.machines, 0)


class Scaling:
    """All such groups. It ends when no job comes any more and nothing that is still to happen could change what is wanted."""

    def __init__(
        self,
        world: World,
        groups: Sequence[ScaledGroup],
        *,
        stations: Stations,
        ledger: Ledger,
        by_pool: bool,
        settle: Callable[[], Awaitable[None]],
        may_come: Callable[[], bool],
    ) -> None:
        """`by_pool`: a job waits in a pool; else any machine with its service takes it. `may_come` is whether jobs still come."""
        self._world = world
        self._stations = stations
        self._ledger = ledger
        self._by_pool = by_pool
        self._settle = settle
        self._may_come = may_come
        self._groups = [
            _Scaled(
                group,
                pools=frozenset(stations.machine(group.machines[0]).pools),
                services=frozenset(stations.machine(group.machines[0]).services),
            )
            for group in groups
        ]

        self._moved_ms = 0
        #: As long as a rule may still go by what was.
        self._remembers_ms = max(
            (max(one.rule.cool_down_ms, one.rule.settles_ms, one.rule.burst_ms) + one.every_ms for one in groups),
            default=0,
        )

    def expect(self) -> None:
        """Look at the queues from the beginning on."""
        if self._groups:
            self._world.agenda.at(0, self._look)

    async def _look(self) -> None:
        world = self._world
        now_ms = world.clock.now_ms
        if not world.is_server_away:  # whoever cannot ask how long the queue is leaves the fleet as it is
            await self._settle()
            for scaled in self._groups:
                if scaled.next_ms <= now_ms and await self._follow(scaled):
                    self._moved_ms = now_ms
        for scaled in self._groups:
            if scaled.next_ms <= now_ms:
                scaled.next_ms = now_ms + scaled.group.every_ms
        next_ms = min(scaled.next_ms for scaled in self._groups)
        if self._may_come() or now_ms - self._moved_ms <= self._remembers_ms:
            world.agenda.at(next_ms, self._look)
        elif (happens_ms := world.agenda.next_ms()) is not None:
            # The rule has forgotten all that was different before: it wants the same until something happens.
            world.agenda.at(max(next_ms, happens_ms), self._look)

    async def _follow(self, scaled: _Scaled) -> bool:
        """As many as are wanted, or as near to it as idle machines allow; gives whether that, or what it goes by, has changed."""
        group, now_ms = scaled.group, self._world.clock.now_ms
        there = [name for name in group.machines if self._stations.is_there(name)]
        jobs = self._jobs(scaled)
        has_changed, scaled.jobs = jobs != scaled.jobs, jobs
        size = queue_fleet(jobs, len(there), scaled.memory, now_ms=now_ms, rule=group.rule)
        scaled.memory = size.memory
        wanted = min(size.machines, len(group.machines))
        if wanted > len(there):
            absent = [name for name in group.machines if not self._stations.is_there(name)]
            for name in absent[: wanted - len(there)]:
                self._ask(scaled, name)
            return True
        idle = list(self._idle(there))[: len(there) - wanted]
        for name in idle:
            await self._stations.give_up(name)
        return bool(idle) or has_changed

    def _ask(self, scaled: _Scaled, name: MachineId) -> None:
        is_up = scaled.group.begins_ready and self._world.clock.now_ms == 0
        boots_ms = 0 if is_up else scaled.group.boots_ms(name, scaled.asked[name])
        scaled.asked[name] += 1
        self._stations.ask(name, boots_ms=boots_ms)

    def _idle(self, there: Sequence[MachineId]) -> Iterator[MachineId]:
        """Those that do nothing, the last of the group first: ones that still boot, then ones that are up."""
        last_first = there[::-1]
        yield from (name for name in last_first if self._stations.is_booting(name))
        yield from (name for name in last_first if self._stations.is_idle(name))

    def _jobs(self, scaled: _Scaled) -> int:
        """Waiting and running, as the rule counts them."""
        return sum(
            live.job.request.service in scaled.services and (not self._by_pool or live.wanted_pool in scaled.pools)
            for live in self._ledger.jobs()
        )
