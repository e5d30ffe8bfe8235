"""A machine under a name that the settings do not have: what they say of one machine holds for it too."""

from __future__ import annotations

import msgspec

from northstar.config import MachineSettings, Settings, default_machines
from northstar.domain.admission import Announcement, Grant
from northstar.telemetry import logger

log = logger(__name__)

_UNSAID = MachineSettings(name="unsaid", services=("unsaid",))


def only_machine(settings: Settings) -> MachineSettings | None:
    """The one machine that the user's settings describe; None if they describe none or several."""
    return settings.machines[0] if len(settings.machines) == 1 and settings.machines != default_machines() else None


def template_for(settings: Settings, name: str) -> MachineSettings | None:
    """What the settings' only machine says, for the machine `name` that they do not have. None if they have it, or none to take."""
    only = only_machine(settings)
    return None if only is None or only.name == name else msgspec.structs.replace(only, name=name)


def tell_what_holds(settings: Settings, name: str) -> None:
    """Say in the log whose settings the machine `name` has; of several none is taken, since nobody said which."""
    if settings.machine(name) is not None or settings.machines == default_machines():
        return
    if (only := only_machine(settings)) is not None:
        log.info("machine_settings_taken_over", machine=name, of=only.name)
    elif settings.machines:
        log.warning(
            "machine_settings_not_used",
            machine=name,
            not_used=[machine.name for machine in settings.machines],
            to_do="start the agent by one of these names, or keep one [[machines]] alone: it holds for any name",
        )


def announced_by(template: MachineSettings) -> Announcement:
    """What it will say of itself whatever the invite grants."""
    return Announcement(
        pools=() if template.pools == _UNSAID.pools else template.pools,
        tags=template.tags,
        dedicated_to=template.dedicated_to or msgspec.UNSET,
        region=template.region or msgspec.UNSET,
    )


def granted(template: MachineSettings, grant: Grant) -> MachineSettings:
    """The template, with what it leaves unsaid as the invite grants it."""
    return msgspec.structs.replace(
        template,
        pools=grant.pools if template.pools == _UNSAID.pools else template.pools,
        tags=template.tags or grant.tags,
        dedicated_to=template.dedicated_to or grant.dedicated_to,
        region=template.region or grant.region,
    )
