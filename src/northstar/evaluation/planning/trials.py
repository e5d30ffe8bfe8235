"""Trials of fleets: each a simulation with the deployed broker, broken off as soon as it is settled, and made only once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, TypeAlias

import msgspec

from northstar.evaluation.planning.judge import Aim, Judge, Judged, Settled
from northstar.evaluation.planning.machines import Machine
from northstar.policy.fleet.cheapest_fleet import Until
from northstar.simulation.engine import Progress
from northstar.simulation.fleet.plan import FleetPlan, MachineGroup
from northstar.simulation.outcome import JobOutcome
from northstar.simulation.scenario.progress import Tally
from northstar.simulation.scenario.results import RunResult
from northstar.simulation.scenario.run_file import LineFile, RunKey
from northstar.simulation.scenario.running import ScenarioRuns

#: The deployed broker, and the predecessor's rule.
NORTH_STAR: Final = "north-star"
UNIFORM: Final = "uniform-lru"
#: What a trial is called that only looks which pools jobs are wanted in.
_LOOK: Final = "look"


class Manned(NamedTuple):
    """So many machines of a kind."""

    machine: Machine
    number: int


#: policy, seed, the names and numbers of the machines, and whether it was made for the report alone.
TrialKey: TypeAlias = tuple[str, int, tuple[tuple[str, int], ...], bool]


class TrialLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="trial"):
    """A trial that is over."""

    policy: str
    seed: int
    fleet: tuple[tuple[str, int], ...]
    judged: tuple[Judged, ...]
    #: Left out: it was broken off.
    result: RunResult | None = None
    #: Only of the look at which pools are wanted: their names, and the place of one of them for each job, a byte each.
    pools: tuple[str, ...] = ()
    wanted: bytes = b""
    #: Of the same: pools in which no machine may be, and how many jobs were wanted there.
    unserved: dict[str, int] = {}
    #: It was made to its end for the report; a search that is gone on with must not know more than it knew before.
    is_report: bool = False

    @property
    def wanted_pools(self) -> frozenset[str]:
        """Pools in which at least one job is wanted."""
        return frozenset(self.pools[place] for place in set(self.wanted))

    @property
    def key(self) -> TrialKey:
        """Which it is."""
        return (self.policy, self.seed, self.fleet, self.is_report)


class WantedPools(Tally):
    """Notes of each job which pool the matrix wants for it, or where it ran if the fleet has no machines in that pool."""

    def __init__(self, served: Collection[str], *, from_ms: int, until_ms: int | None) -> None:
        super().__init__(from_ms=from_ms, until_ms=until_ms)
        self._served = served
        #: Pools without machines, and how many jobs were wanted there.
        self.unserved: Counter[str] = Counter()
        #: Pools by their places, and the place of each job's, by its number less one.
        self.places: dict[str, int] = {}
        self.wanted = bytearray()

    def add(self, job: JobOutcome) -> None:
        """A job has ended."""
        super().add(job)
        pool = job.optimal
        if pool not in self._served:
            self.unserved[pool] += 1
            pool = job.pool or pool
        place = self.places.setdefault(pool, len(self.places))
        self.wanted.extend(bytes(max(0, job.number - len(self.wanted))))
        self.wanted[job.number - 1] = place


class TrialFile(LineFile[TrialLine, TrialKey]):
    """The file of a plan."""

    line = TrialLine


class Show(NamedTuple):
    """Hears of trials."""

    #: One begins, under a policy and with a seed, of so many jobs.
    begins: Callable[[str, int, Sequence[Manned], int], None]
    goes: Callable[[Progress, Tally], None]
    ends: Callable[[TrialLine], None]


SILENT = Show(lambda *_: None, lambda *_: None, lambda *_: None)


class Trials:
    """All trials of a plan, with what each came to."""

    def __init__(self, runs: ScenarioRuns, *, file: TrialFile | None = None, show: Show = SILENT) -> None:
        self._runs = runs
        self._file = file
        self._show = show
        self._done: dict[TrialKey, TrialLine] = {} if file is None else dict(file.done)
        #: Simulations that were made here, and those that were known.
        self.made = 0
        self.remembered = 0

    async def make(
        self,
        fleet: Sequence[Manned],
        *,
        policy: str,
        seed: int,
        aims: Sequence[Aim],
        parts: Sequence[str],
        pool_of: Callable[[JobOutcome], str],
        jobs: int,
        asked: Sequence[int],
        until: Until,
    ) -> TrialLine:
        """Make one, or remember it. Raises what `ScenarioRuns` does."""
        names = tuple((one.machine.name, one.number) for one in fleet)
        for known in (self._done.get((policy, seed, names, is_report)) for is_report in (False, until == "end")):
            if known is not None and _says(known, [parts[at] for at in asked], until):
                self.remembered += 1
                return known
        runs = self._runs.of_fleet(fleet_of(fleet), is_uniform=policy == UNIFORM)
        prepared = await runs.prepare(seed)
        judge = Judge(
            aims,
            parts=parts,
            pool_of=pool_of,
            jobs=jobs,
            asked=asked,
            until=until,
            from_ms=prepared.from_ms,
            until_ms=prepared.until_ms,
        )
        self._show.begins(policy, seed, fleet, prepared.survey.jobs)
        result: RunResult | None = None
        with suppress(Settled):
            result = await runs.run(
                RunKey(seed, policy), tally=judge, progress=lambda progress: self._show.goes(progress, judge)
            )
        return self._keep(
            TrialLine(
                policy=policy,
                seed=seed,
                fleet=names,
                judged=judge.verdicts(is_whole=result is not None),
                result=result,
                is_report=until == "end",
            )
        )

    async def look(self, fleet: Sequence[Manned], *, seed: int) -> TrialLine:
        """A simulation from which one learns which pool each job is wanted in; its own waits are not judged. Raises what `ScenarioRuns` does."""
        key: TrialKey = (_LOOK, seed, tuple((one.machine.name, one.number) for one in fleet), False)
        known = self._done.get(key)
        if known is not None:
            self.remembered += 1
            return known
        runs = self._runs.of_fleet(fleet_of(fleet))
        prepared = await runs.prepare(seed)
        served = {pool for one in fleet for pool in one.machine.kind.pools}
        seen = WantedPools(served, from_ms=prepared.from_ms, until_ms=prepared.until_ms)
        self._show.begins(_LOOK, seed, fleet, prepared.survey.jobs)
        result = await runs.run(
            RunKey(seed, NORTH_STAR), tally=seen, progress=lambda progress: self._show.goes(progress, seen)
        )
        return self._keep(
            TrialLine(
                policy=key[0],
                seed=seed,
                fleet=key[2],
                judged=(),
                result=result,
                pools=tuple(seen.places),
                wanted=bytes(seen.wanted),
                unserved={pool: seen.unserved[pool] for pool in sorted(seen.unserved)},
            )
        )

    def _keep(self, line: TrialLine) -> TrialLine:
        self.made += 1
        self._done[line.key] = line
        if self._file is not None:
            self._file.add(line)
        self._show.ends(line)
        return line

    def done(self) -> list[TrialLine]:
        """All of them, in the order in which they were made."""
        return list(self._done.values())


def _says(line: TrialLine, asked: Sequence[str], until: Until) -> bool:
    """Whether a trial that was made for another question answers this one."""
    if line.result is not None:
        return True
    if until == "end":
        return False
    short = {one.part for one in line.judged if one.met is False}
    return bool(short & set(asked)) if until == "all" else set(asked) <= short


def fleet_of(manned: Sequence[Manned]) -> FleetPlan:
    """The fleet as a scenario has it."""
    groups: dict[str, MachineGroup] = {}
    for one in manned:
        law = one.machine.group
        # Of machines that come and go by the law of one group only the first can be called like it.
        name = one.machine.name if law is None or law.name in groups else law.name
        law = law or MachineGroup(name=name, kind=one.machine.name, count=1)
        groups[name] = msgspec.structs.replace(law, name=name, kind=one.machine.name, count=one.number)
    return FleetPlan(kinds={one.machine.name: one.machine.kind for one in manned}, groups=tuple(groups.values()))
