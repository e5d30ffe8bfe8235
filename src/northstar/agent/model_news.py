"""What a machine tells its broker of its models: what it holds, what it fetches, how fast they came, and what lies in memory.

Told step by step by whoever knows what time it is: a machine beside its work (`agent.model_keeper`), or the simulator.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.models import ModelHeld
from northstar.domain.refusals import AlreadyFetching, FetchInFlight, NotFetching, TooManyFetches
from northstar.policy.fleet.announcement import merged_models, with_trouble
from northstar.policy.fleet.engine_memory import EngineMemory
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.agent.kept_models import ShownModels
    from northstar.agent.model_link import ModelLink
    from northstar.agent.models.changes import ModelChange
    from northstar.domain.machines import MachineDescription
    from northstar.domain.models import ModelNeed

log = logger(__name__)

#: Changes that come so close together are told at once: a folder that is filled says little more after each file.
SETTLE_S: Final = 0.3
#: The measured rate of the line is told again when it differs so much from what was told.
_WORTH_TELLING: Final = 0.2
#: What a fetch ended with is remembered for so many models until it was told.
_REMEMBERED: Final = 1_024


class ModelNews:
    """The models of one machine before its broker.

    Three know of models: the store, which looks after files; engines that have models of their own; and the jobs that ran,
    from which follows what lies in the memory of engines that do not tell.
    """

    def __init__(
        self,
        store: ShownModels,
        link: ModelLink,
        *,
        said: MachineDescription,
        of_engines: Sequence[ModelHeld] = (),
        vram_bytes: int = 0,
    ) -> None:
        """`of_engines` is what engines say that they hold; `vram_bytes` what the models of one engine may take together, 0 is unknown."""
        self._store = store
        self._link = link
        self._said = said
        #: The rate that a broker has surely heard.
        self._rate_told = said.download_bytes_per_s
        self._takes_work, self._trouble = True, ""
        self._of_engines = tuple(of_engines)
        self._memory = EngineMemory(vram_bytes=vram_bytes)
        #: Set while there may be something to tell.
        self.due = asyncio.Event()
        self._told_models: tuple[ModelHeld, ...] | None = None
        self._told_fetches: set[str] = set()
        self._to_tell_again: set[str] = set()
        self._begun: dict[str, ModelChange] = {}
        self._outcomes: dict[str, str] = {}

    # Presence ---------------------------------------------------------------------------------------------------------

    def description(self) -> MachineDescription:
        """What the machine says of itself, with the rate at which models came lately, and how its engines stand."""
        rate = float(round(self._store.bytes_per_s))
        said = msgspec.structs.replace(self._said, download_bytes_per_s=rate or self._said.download_bytes_per_s)
        return with_trouble(said, self._trouble, takes_work=self._takes_work)

    def models(self) -> Sequence[ModelHeld]:
        """What is there now. The broker that is told keeps it until it hears of a change."""
        self._told_models = self._held()
        # What is being fetched is said apart. A broker that had taken the machine for lost has forgotten it.
        self._to_tell_again = set(self._told_fetches)
        self.due.set()
        return self._told_models

    def _held(self) -> tuple[ModelHeld, ...]:
        """What comes from the store bears its size; of models that are nowhere on disk the estimate says nothing."""
        merged, left_out = merged_models([self._store.held(), self._of_engines])
        if left_out:
            log.warning("models_not_announced", left_out=left_out)
        in_memory = set(self._memory.resident())
        return tuple(
            ModelHeld(one.name, "resident", one.size_bytes) if one.name in in_memory else one for one in merged
        )

    def announce(self, description: MachineDescription, models: Sequence[ModelHeld]) -> None:
        """The machine is something else now, and its engines say that they hold this."""
        self._said = description
        self.hear(models)

    def offers(self, *, takes_work: bool, trouble: str) -> None:
        """Whether any engine takes work from now on, and why others take none."""
        self._takes_work, self._trouble = takes_work, trouble

    def hear(self, models: Sequence[ModelHeld]) -> None:
        """The engines say that they hold this."""
        self._of_engines = tuple(models)
        self._remember(self._memory)

    def restarted(self, services: Iterable[str]) -> None:
        """The engines of these services have come back; their memory is empty."""
        self._remember(self._memory.restarted(services))

    def used(self, service: str, needs: Sequence[ModelNeed]) -> None:
        """A job has just worked with these models on an engine that does not tell what it holds."""
        sizes = {one.name: one.size_bytes for one in self._held()}
        models = [(need.name, sizes.get(need.name) or need.size_bytes) for need in needs]
        self._remember(self._memory.used(service, models))

    def _remember(self, memory: EngineMemory) -> None:
        self._memory = memory
        told = (one.name for one in self._of_engines if one.state == "resident")
        self._store.set_resident({*memory.resident(), *told})
        self.due.set()

    # What is to be told -----------------------------------------------------------------------------------------------

    def note(self, change: ModelChange) -> None:
        """Something has changed on the disk."""
        if change.what == "fetch_started":
            self._begun[change.name] = change
        elif change.what == "fetch_ended":
            self._outcomes[change.name] = change.outcome
        for known in (self._begun, self._outcomes):
            while len(known) > _REMEMBERED:
                del known[next(iter(known))]
        self.due.set()

    async def tell(self) -> None:
        """Tell whatever differs from what the broker was told. Raises what the link raises, NoSuchMachine and MachineReplaced among it."""
        await self._tell_fetches()
        held = self._held()
        if held != self._told_models:
            await self._link.models_present(held)
            self._told_models = held
        rate, told = self._store.bytes_per_s, self._rate_told
        if rate > 0 and abs(rate - told) > _WORTH_TELLING * told:
            said = self.description()
            await self._link.describe(said)
            self._rate_told = said.download_bytes_per_s

    async def _tell_fetches(self) -> None:
        flying = {one.name: one for one in self._store.fetching()}
        for name in sorted(self._told_fetches - flying.keys()):
            try:
                await self._link.fetch_ended(name, outcome=self._outcomes.get(name, "canceled"))
            except NotFetching:
                log.debug("fetch_was_forgotten", model=name)
            self._told_fetches.discard(name)
            self._begun.pop(name, None)
            self._outcomes.pop(name, None)
        for name in sorted(flying.keys() & self._begun.keys() - (self._told_fetches - self._to_tell_again)):
            begun = self._begun[name]
            size_bytes = flying[name].total_bytes or begun.size_bytes
            try:
                await self._link.fetch_started(name, size_bytes=size_bytes, expected_ms=begun.expected_ms)
            except AlreadyFetching:
                log.debug("fetch_was_known", model=name)
            except (FetchInFlight, TooManyFetches) as exc:
                log.info("fetch_not_counted", model=name, code=exc.code)  # it goes on all the same
            self._told_fetches.add(name)
            self._to_tell_again.discard(name)
