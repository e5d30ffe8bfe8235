"""What the agent needs of a model store, and the store of a machine that has none."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, ClassVar, Protocol

from northstar.domain.errors import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from northstar.agent.models.changes import ModelChange
    from northstar.agent.models.flights import FetchProgress, OnProgress
    from northstar.agent.models.inventory import ModelFile
    from northstar.domain.models import ModelHeld, ModelOrder


class ShownModels(Protocol):
    """What there is, as the broker is told of it."""

    @property
    def bytes_per_s(self) -> float:
        """How fast models came lately; 0 before the first."""
        ...

    def held(self) -> tuple[ModelHeld, ...]:
        """What is there."""
        ...

    def fetching(self) -> tuple[FetchProgress, ...]:
        """What is being fetched now."""
        ...

    def set_resident(self, names: Collection[str]) -> None:
        """These are in the engine's memory now."""
        ...


class KeptModels(ShownModels, Protocol):
    """As `agent.models.store.ModelStore` does it; its docstrings say what is raised."""

    @property
    def disk_bytes(self) -> int:
        """What models may have of the disk; 0: none are kept."""
        ...

    def cap_disk(self, most_bytes: int) -> None:
        """Let models take no more than this; 0: what the settings allow."""
        ...

    def changes(self) -> AsyncIterator[ModelChange]:
        """What comes, goes and is fetched from now on."""
        ...

    def set_kept(self, names: Collection[str]) -> None:
        """The machine's pools want these on it; they stay."""
        ...

    def reserving(self, names: Collection[str]) -> AbstractContextManager[None]:
        """Work that needs these has come; none of them is evicted meanwhile."""
        ...

    def use(self, names: Collection[str]) -> AbstractContextManager[None]:
        """None of these is evicted while a job works with them."""
        ...

    def using(
        self, orders: Sequence[ModelOrder], *, on_progress: OnProgress | None = None
    ) -> AbstractAsyncContextManager[tuple[ModelFile, ...]]:
        """Fetch what is missing, and keep it there."""
        ...

    async def fetch(self, order: ModelOrder) -> ModelFile:
        """Have this model here."""
        ...

    async def evict(self, name: str) -> int:
        """Remove it."""
        ...


class NoModelStore(Refused):
    """A machine that keeps no models was told to fetch or to evict one."""

    code: ClassVar[str] = "NS_NO_MODEL_STORE"

    def __init__(self) -> None:
        super().__init__("this machine looks after no models folder; name one as models.root in its settings")


class NoModels:
    """Of a machine whose settings name no folder: what a job needs is left to its engine, and orders are refused."""

    bytes_per_s = 0.0
    disk_bytes = 0

    def cap_disk(self, most_bytes: int) -> None:
        """Nothing is kept here."""

    def held(self) -> tuple[ModelHeld, ...]:
        """Nothing."""
        return ()

    def fetching(self) -> tuple[FetchProgress, ...]:
        """Nothing."""
        return ()

    async def changes(self) -> AsyncIterator[ModelChange]:
        """None, for ever."""
        await asyncio.Event().wait()
        nothing: tuple[ModelChange, ...] = ()
        for change in nothing:
            yield change

    def set_resident(self, names: Collection[str]) -> None:
        """Nothing is evicted here, so nobody asks."""

    def set_kept(self, names: Collection[str]) -> None:
        """Nothing is evicted here."""

    @contextmanager
    def reserving(self, names: Collection[str]) -> Iterator[None]:  # noqa: ARG002 -- the engine's own affair
        """Nothing is evicted here."""
        yield

    @contextmanager
    def use(self, names: Collection[str]) -> Iterator[None]:  # noqa: ARG002 -- the engine's own affair
        """Nothing is evicted here."""
        yield

    @asynccontextmanager
    async def using(
        self,
        orders: Sequence[ModelOrder],  # noqa: ARG002 -- the engine has them, or says that it has not
        *,
        on_progress: OnProgress | None = None,  # noqa: ARG002
    ) -> AsyncIterator[tuple[ModelFile, ...]]:
        """Leave it to the engine."""
        yield ()

    async def fetch(self, order: ModelOrder) -> ModelFile:  # noqa: ARG002 -- refused, whatever it is
        """Raises NoModelStore."""
        raise NoModelStore

    async def evict(self, name: str) -> int:  # noqa: ARG002 -- refused, whatever it is
        """Raises NoModelStore."""
        raise NoModelStore
