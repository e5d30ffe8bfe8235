"""How a machine comes by a model that it is not known to have: it fetches it, or its engine must have it.

A machine without a models folder fetches nothing, whatever a job says of sources. An engine that names no models of its own may have
any: whoever set it up for such jobs has given it what they need. One that does name some, and not this one, most likely lacks it; but
names differ from engine to engine, so that it is not certain, and the machine is not refused (`docs/decisions/0013-which-machine.md`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.policy.routing.snapshot import MachineState

#: fetched: it keeps models, and fetches what it lacks · engine_may_have: it keeps none, and its engine does not say what it has: nothing
#: is fetched, and nothing known · engine_names_others: it keeps none, and its engine names models and not this one: it counts as a
#: machine that would have to fetch over a line that was never measured, so that it comes before none that can have it.
Supply = Literal["fetched", "engine_may_have", "engine_names_others"]


def supply_of(machine: MachineState, service: str) -> Supply:
    """Of a model that a job of this service needs, and the machine neither holds nor fetches."""
    if machine.description.keeps_models:
        return "fetched"
    return "engine_names_others" if service in naming_services(machine) else "engine_may_have"


def naming_services(machine: MachineState) -> frozenset[str]:
    """Services whose engines name models that they can serve."""
    return frozenset(engine.service for engine in machine.description.engines if engine.models)


def may_have(machine: MachineState, service: str) -> bool:
    """Whether its engine may have whatever the machine is not known to hold, so that nothing is reckoned for fetching it."""
    return not machine.description.keeps_models and supply_of(machine, service) == "engine_may_have"


def unknown_on(machine: MachineState, models: Iterable[str]) -> tuple[str, ...]:
    """Those of the models that the machine's engine must have, since nobody fetches them, and that it is not known to hold."""
    if machine.description.keeps_models:
        return ()
    return tuple(name for name in models if name not in machine.held and name not in machine.fetching)


def is_left_to_engine(machine: MachineState, models: Iterable[tuple[str, int]]) -> bool:
    """Whether there are any of them among models given as (name, bytes)."""
    return not machine.description.keeps_models and bool(unknown_on(machine, (name for name, _ in models)))


def supply_key(machine: MachineState) -> str:
    """Text that is equal for machines which nothing tells apart in this; empty: they fetch."""
    if machine.description.keeps_models:
        return ""
    return f"engines:{','.join(sorted(naming_services(machine)))}"
