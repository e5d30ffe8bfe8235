"""From defaults, a file, the environment and options to one checked `Settings`; later ones win, key by key."""

from __future__ import annotations

import difflib
import importlib.util
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec

from northstar.config.service_problems import service_problem
from northstar.config.services import OpenAIService
from northstar.config.settings import MachineSettings, Settings
from northstar.domain.amounts import exactly, length
from northstar.domain.errors import InvalidRequest
from northstar.domain.misfits import Misfit, misfit
from northstar.domain.plain_words import plain_words
from northstar.policy.admission.addresses import network

#: Variables that begin like settings and are none: options of commands, where clients find a server, and what the tests read.
RESERVED: Final = frozenset(
    {
        "NORTHSTAR_CONFIG",
        "NORTHSTAR_INVITE",
        "NORTHSTAR_JOIN",
        "NORTHSTAR_API_KEY",
        "NORTHSTAR_API_URL",
        "NORTHSTAR_PROFILE",
        "NORTHSTAR_WEBHOOK_KEY",
        "NORTHSTAR_COMFYUI_RECORDINGS",
        "NORTHSTAR_COMFYUI_URL",
        "NORTHSTAR_TRACES",
    }
)
_PREFIX: Final = "NORTHSTAR_"
_MAX_FILE_BYTES: Final = 1_000_000
#: Of these a later source replaces the whole, since half of one machine and half of another make no sense.
_WHOLE: Final = frozenset({"machines", "services", "tenants"})


class InvalidSettings(InvalidRequest):
    """A setting is unknown, of the wrong type or absurd. `source` is where it stands."""

    code = "NS_INVALID_SETTINGS"

    def __init__(self, problem: str, *, source: str) -> None:
        super().__init__(f"{source}: {problem}")
        self.source = source
        self.problem = problem


def load(
    *,
    environment: Mapping[str, str],
    file: Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings that hold. `options` are dotted names with values, such as {"valkey.url": "…"}; None is "not given".

    Without `file`, NORTHSTAR_CONFIG names one, else `northstar/northstar.toml` in the user's configuration folder is read
    if it exists.

    Raises:
        InvalidSettings: with the name of the key and where it stands.
    """
    merged = _defaults()
    _check(merged, source="defaults.toml")
    path = file_in_force(environment, file)
    if path is not None:
        _lay_over(merged, _read(path))
        _check(merged, source=str(path))
    for variable, value in sorted(environment.items()):
        if variable.startswith(_PREFIX) and variable not in RESERVED:
            _set_from_text(merged, variable, value)
    for key, value in (options or {}).items():
        if value is not None:
            _set(merged, key, value)
            _check(merged, source=f"option for {key}")
    settings = _check(merged, source=str(path or "settings"))
    if not settings.data_dir:
        settings = msgspec.structs.replace(settings, data_dir=str(_data_dir(environment)))
    return _verified(_installed(settings), source=str(path or "settings"))


def file_in_force(environment: Mapping[str, str], given: Path | None = None) -> Path | None:
    """The file that `load` reads its settings from, if any: the one given, the one that the environment names, or the user's own."""
    return given or _file_of(environment)


def variables() -> dict[str, str]:
    """Environment variables by the dotted key that each one sets."""
    return {_PREFIX + key.replace(".", "_").upper(): key for key in _leaves(_defaults())}


def _defaults() -> dict[str, Any]:
    return tomllib.loads(resources.files("northstar").joinpath("defaults.toml").read_text())


def default_services() -> frozenset[str]:
    """The services that exist without any file."""
    return frozenset(_defaults()["services"])


def default_machines() -> tuple[MachineSettings, ...]:
    """The machines of a host without any file, as far as what they need is installed."""
    return _installed(_check(_defaults(), source="defaults.toml")).machines


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_FILE_BYTES + 1)
        if len(raw) > _MAX_FILE_BYTES:
            raise InvalidSettings(f"has more than {exactly(_MAX_FILE_BYTES)}", source=str(path))
        return tomllib.loads(raw.decode())
    except OSError as exc:
        raise InvalidSettings(f"cannot be read: {exc.strerror}", source=str(path)) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InvalidSettings(f"is not valid TOML: {exc}", source=str(path)) from exc


def _file_of(environment: Mapping[str, str]) -> Path | None:
    if environment.get("NORTHSTAR_CONFIG"):
        return Path(environment["NORTHSTAR_CONFIG"])
    usual = _home(environment, "XDG_CONFIG_HOME", ".config") / "northstar" / "northstar.toml"
    return usual if usual.exists() else None


def _data_dir(environment: Mapping[str, str]) -> Path:
    return _home(environment, "XDG_DATA_HOME", ".local/share") / "northstar"


def _home(environment: Mapping[str, str], variable: str, below: str) -> Path:
    return Path(environment[variable]) if environment.get(variable) else Path.home() / below


def _lay_over(merged: dict[str, Any], given: dict[str, Any]) -> None:
    for name, value in given.items():
        if name == "services" and isinstance(value, dict):
            merged[name] = merged[name] | value
        elif isinstance(value, dict) and isinstance(merged.get(name), dict):
            _lay_over(merged[name], value)
        else:
            merged[name] = value


def _leaves(table: dict[str, Any], before: str = "") -> Iterator[str]:
    for name, value in table.items():
        if not before and name in _WHOLE:
            continue
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield before + name


def _set_from_text(merged: dict[str, Any], variable: str, text: str) -> None:
    """A variable's text is read as what the default is: a number, true or false, text, or a list with commas between."""
    source = f"environment variable {variable}"
    key = variables().get(variable)
    if key is None:
        alike = difflib.get_close_matches(variable, [*variables(), *RESERVED], n=1)
        hint = f"did you mean {alike[0]}? " if alike else ""
        raise InvalidSettings(
            f"no setting has this name; {hint}docs/reference/configuration.md lists them all", source=source
        )
    default: Any = _defaults()
    for name in key.split("."):
        default = default[name]
    try:
        value = [part for part in text.split(",") if part] if isinstance(default, list) else text
        _set(merged, key, msgspec.convert(value, type(default), strict=False))
    except msgspec.ValidationError as exc:
        raise InvalidSettings(f"`{key}`: {plain_words(str(exc))}", source=source) from exc
    _check(merged, source=source)


def _set(merged: dict[str, Any], key: str, value: Any) -> None:
    *tables, name = key.split(".")
    for table in tables:
        merged = merged[table]
    merged[name] = value


def _check(merged: dict[str, Any], *, source: str) -> Settings:
    try:
        return msgspec.convert(merged, Settings)
    except msgspec.ValidationError as exc:
        services = merged.get("services")
        found = service_problem(services) if "`$.services[...]" in str(exc) and isinstance(services, dict) else None
        raise InvalidSettings(found or _sentence(exc), source=source) from exc


def _sentence(exc: msgspec.ValidationError) -> str:
    """The library's words with the key as one writes it, and what to write: "there is no setting `x`; did you mean `y`?"."""
    found = misfit(exc, Settings)
    if found.sort == "unknown":
        return f"there is no setting `{found.path}`; {_hinted(found)}"
    if found.sort == "missing":
        return f"`{found.path}` is missing; add it"
    what = f"{found.words}; {found.hint}" if found.hint else found.words
    return f"`{found.path}`: {what}" if found.path else what


def _hinted(found: Misfit) -> str:
    return found.hint if "`" in found.hint else f"{found.hint}; docs/reference/configuration.md lists all settings"


def _installed(settings: Settings) -> Settings:
    """Leave out services whose package is not installed, and machines that then offer nothing."""
    absent = {
        name
        for name, service in settings.services.items()
        if service.when_installed and importlib.util.find_spec(service.when_installed) is None
    }
    machines = []
    for machine in settings.machines:
        offered = tuple(name for name in machine.services if name not in absent)
        if offered:
            machines.append(msgspec.structs.replace(machine, services=offered))
    return msgspec.structs.replace(settings, machines=tuple(machines))


def _verified(settings: Settings, *, source: str) -> Settings:
    """What types cannot say."""
    seen: set[str] = set()
    for machine in settings.machines:
        if machine.name in seen:
            raise InvalidSettings(f"two machines have the name {machine.name!r}", source=source)
        seen.add(machine.name)
        for name in machine.services:
            if name not in settings.services:
                raise InvalidSettings(
                    f"machine {machine.name!r} offers service {name!r}, but there is no [services.{name}]",
                    source=source,
                )
    for name, service in settings.services.items():
        if isinstance(service, OpenAIService) and bool(service.base_url) == bool(service.engine):
            raise InvalidSettings(f"[services.{name}] needs either base_url or engine", source=source)
    if settings.agent.renew_every_s * 2_000 > settings.limits.lease_ms:
        raise InvalidSettings(
            f"agent.renew_every_s is {_length(settings.agent.renew_every_s)}, more than half of limits.lease_ms, "
            f"which is {_length(settings.limits.lease_ms / 1_000)}",
            source=source,
        )
    for problem in _contradictions(settings):
        raise InvalidSettings(problem, source=source)
    return settings


def _length(seconds: float) -> str:
    """A setting of so many seconds, also in a unit that people use.

    >>> _length(90_000), _length(20)
    ('90,000 s (25 h)', '20 s')
    """
    return f"{seconds:,g} s" + (f" ({length(seconds * 1_000)})" if seconds >= 120 else "")


def _contradictions(settings: Settings) -> Iterator[str]:
    """Settings of which each is fine alone."""
    assets, health = settings.assets, settings.health
    if assets.at_least_s > assets.keep_days * 86_400:
        yield f"assets.at_least_s is {_length(assets.at_least_s)}, longer than assets.keep_days, {_length(assets.keep_days * 86_400)}"
    if health.first_pause_s > health.longest_pause_s:
        first, longest = _length(health.first_pause_s), _length(health.longest_pause_s)
        yield f"health.first_pause_s is {first}, longer than health.longest_pause_s, {longest}"
    if health.quarantine_s > health.longest_quarantine_s:
        first, longest = _length(health.quarantine_s), _length(health.longest_quarantine_s)
        yield f"health.quarantine_s is {first}, longer than health.longest_quarantine_s, {longest}"
    networks = {
        "serve.trusted_proxies": settings.serve.trusted_proxies,
        "webhooks.allow_private": settings.webhooks.allow_private,
    }
    for key, texts in networks.items():
        for text in texts:
            try:
                network(text)
            except ValueError as exc:
                yield f"`{key}`: {exc}"
