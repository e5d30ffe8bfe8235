"""A scenario as a file that people read and `northstar simulate` runs: YAML, with what is not as usual alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec

from northstar.simulation.fleet.laws import Spot
from northstar.simulation.fleet.lengths import Length
from northstar.simulation.fleet.plan import MachineGroup
from northstar.simulation.scenario.errors import ScenarioReaderMissing
from northstar.simulation.scenario.plan import Scenario, SettingsPlan
from northstar.simulation.scenario.workload_plan import MadeMix, SourcePlan

_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))


def scenario_text(scenario: Scenario) -> str:
    """The scenario as YAML; read again, it is the same. Raises ScenarioReaderMissing: nothing is installed that writes YAML."""
    try:
        import yaml  # noqa: PLC0415 -- of an extra
    except ImportError as exc:
        raise ScenarioReaderMissing from exc
    text: str = yaml.safe_dump(_plain(scenario), sort_keys=False, allow_unicode=True, width=150)
    return text


def moved(scenario: Scenario, *, from_folder: Path, to_folder: Path) -> Scenario:
    """The scenario as it names its files when it lies in another folder."""

    def there(file: str) -> str:
        return os.path.relpath(from_folder / file, to_folder)

    def source(one: SourcePlan) -> SourcePlan:
        return one if isinstance(one, MadeMix) else msgspec.structs.replace(one, trace=there(one.trace))

    def group(one: MachineGroup) -> MachineGroup:
        law = one.lifetime
        if not isinstance(law, Spot):
            return one
        return msgspec.structs.replace(one, lifetime=msgspec.structs.replace(law, file=there(law.file)))

    settings = scenario.settings
    return msgspec.structs.replace(
        scenario,
        workload=msgspec.structs.replace(
            scenario.workload, sources=tuple(source(one) for one in scenario.workload.sources)
        ),
        fleet=msgspec.structs.replace(scenario.fleet, groups=tuple(group(one) for one in scenario.fleet.groups)),
        prices=None if scenario.prices is None else there(scenario.prices),
        settings=SettingsPlan(
            pools=None if settings.pools is None else there(settings.pools),
            tenants=None if settings.tenants is None else there(settings.tenants),
            routing=settings.routing,
            patience=settings.patience,
            parallel_fetches=settings.parallel_fetches,
        ),
    )


def _plain(value: Any) -> Any:
    """Plain data; of structs only what is not their default."""
    if isinstance(value, Length):
        return _written(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if not isinstance(value, msgspec.Struct):
        return value
    found: dict[str, Any] = {}
    if value.__struct_config__.tag_field:
        found[value.__struct_config__.tag_field] = value.__struct_config__.tag
    for field in msgspec.structs.fields(value):
        one = getattr(value, field.name)
        if field.default is not msgspec.NODEFAULT and one == field.default:
            continue
        if field.default_factory is not msgspec.NODEFAULT and one == field.default_factory():
            continue
        found[field.encode_name] = _plain(one)
    return found


def _written(length: Length) -> str:
    """A length of time as files have it.

    >>> _written(Length(90_000)), _written(Length(172_800_000)), _written(Length(0))
    ('90s', '2d', '0s')
    """
    if not length.ms:
        return "0s"
    unit, ms = next((unit, ms) for unit, ms in _UNITS if length.ms % ms == 0)
    return f"{length.ms // ms}{unit}"
