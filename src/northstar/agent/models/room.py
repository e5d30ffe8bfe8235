"""Makes room: asks policy what may go, and has it removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from northstar.policy.models.eviction import EvictionRule, plan_eviction
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.agent.models.inventory import ModelFile
    from northstar.agent.models.layout import ModelKey
    from northstar.agent.models.shelf import Shelf
    from northstar.policy.models.eviction import Candidate, EvictionPlan

log = logger(__name__)

#: What was chosen may be taken into use by another process meanwhile; then policy is asked again.
_ROUNDS: Final = 4
_REASONS_TOLD: Final = 5


class Removes(Protocol):
    """Carries out what was decided, as `agent.models.evictor.Evictor` does."""

    def drop(self, model: ModelFile, *, is_kept: Callable[[ModelKey], bool]) -> bool:
        """Remove a model; False if it may not go any more."""
        ...


class PlansEviction(Protocol):
    """Chooses what goes, as `policy.models.eviction.plan_eviction` does."""

    def __call__(self, candidates: Sequence[Candidate], *, need_bytes: int, rule: EvictionRule) -> EvictionPlan:
        """What to drop so that at least `need_bytes` become free."""
        ...


class Room:
    """Called from threads; blocks."""

    def __init__(
        self,
        shelf: Shelf,
        evictor: Removes,
        *,
        bytes_per_s: Callable[[], float],
        may_drop_found: bool,
        gone: Callable[[ModelFile], None],
        plan: PlansEviction = plan_eviction,
    ) -> None:
        """`gone` is told, in the thread, of each model that was removed."""
        self._shelf = shelf
        self._evictor = evictor
        self._bytes_per_s = bytes_per_s
        self._may_drop_found = may_drop_found
        self._gone = gone
        self._plan = plan

    def make(self, lacking_bytes: int) -> str:
        """Free so many bytes if that is possible without touching what is in use; what stays and why."""
        busy: set[str] = set()
        for _ in range(_ROUNDS):
            candidates = self._shelf.candidates(bytes_per_s=self._bytes_per_s(), may_drop_found=self._may_drop_found)
            free = [one for one in candidates if one.name not in busy]
            plan = self._plan(free, need_bytes=lacking_bytes, rule=EvictionRule())
            files = {file.key.id: file for file in self._shelf.files()}
            if not plan.is_enough:
                told = [f"{files[keep.name].key.name}: {keep.reason}" for keep in plan.keeps if keep.name in files]
                return "; ".join(told[:_REASONS_TOLD])
            for drop in plan.drops:
                if self.drop(files[drop.name], reason=drop.reason):
                    lacking_bytes -= drop.size_bytes
                else:
                    busy.add(drop.name)
            if lacking_bytes <= 0:
                return ""
        return "what could go was taken into use by others"

    def drop(self, file: ModelFile, *, reason: str) -> bool:
        """Remove one model; False if it is in use, or not the same any more."""
        if not self._evictor.drop(file, is_kept=self._shelf.is_kept):
            return False
        log.info("model_evicted", model=file.key.name, size_bytes=file.facts.size_bytes, reason=reason)
        self._gone(file)
        return True
