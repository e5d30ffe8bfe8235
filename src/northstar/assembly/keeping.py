"""What looks after a machine's models, or says that nothing does."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from northstar.agent.engine import JobRunner
from northstar.agent.model_keeper import ModelKeeper
from northstar.agent.model_link import ModelLink
from northstar.agent.model_runner import ModelRunner
from northstar.agent.models.store import ModelStore
from northstar.agent.orders import Orders, refuse
from northstar.agent.presence import FixedPresence, Presence
from northstar.domain.machines import MachineDescription


class Keeping(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker is told of models, what brings them before each job, and what runs beside it."""

    presence: Presence
    around: Callable[[JobRunner], JobRunner]
    run: Callable[[], Coroutine[Any, Any, None]]


def keeping_of(store: ModelStore | None, link: ModelLink, *, said: MachineDescription) -> Keeping:
    """The keeping of a machine that has this store, or none."""
    if store is None:
        orders = Orders(link, refuse)
        return Keeping(presence=FixedPresence(said, on_look=orders.look), around=lambda runner: runner, run=orders.run)
    keeper = ModelKeeper(store, link, said=said)
    return Keeping(presence=keeper, around=lambda runner: ModelRunner(runner, store), run=keeper.run)
