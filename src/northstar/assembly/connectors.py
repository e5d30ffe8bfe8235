"""From settings to connectors: the parts that make an engine do the work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Protocol

import msgspec

from northstar.config import (
    ComfyUIService,
    CommandService,
    InvalidSettings,
    OllamaService,
    OpenAIService,
    Service,
    Settings,
    SimulatedService,
    TimeSettings,
)
from northstar.connectors.comfyui import ComfyBounds, ComfyPatience, ComfyUIConnector
from northstar.connectors.command import CommandConnector, CommandSettings
from northstar.connectors.command_process import CommandLimits
from northstar.connectors.contract import Connector
from northstar.connectors.ollama import OllamaConnector, OllamaPatience
from northstar.connectors.ollama_request import OllamaOffer
from northstar.connectors.openai_compatible import OpenAIConnector
from northstar.connectors.openai_line import Patience
from northstar.connectors.secret import Secret
from northstar.connectors.simulated import SimulatedConnector, SimulatedSettings
from northstar.connectors.simulated_time import TimeRule
from northstar.domain.errors import Unavailable

_MIB = 1024 * 1024


class Engine(Protocol):
    """An engine that was started for a machine."""

    url: str

    async def wait(self) -> int:
        """Wait until its process ends; give the exit code."""
        ...


#: Starts an engine that keeps its files in the folder and finds these variables beside its own, and stops it on the way out.
StartEngine = Callable[[Path, Mapping[str, str]], AbstractAsyncContextManager[Engine]]


class EngineUnknown(Unavailable):
    """The settings name an engine that this process cannot start."""

    code: ClassVar[str] = "NS_ENGINE_UNKNOWN"
    retryable = False

    def __init__(self, engine: str, *, known: tuple[str, ...]) -> None:
        super().__init__(f"there is no engine {engine!r} to start (known: {', '.join(known) or 'none'})")
        self.engine = engine


def connector_of(
    name: str,
    service: Service,
    *,
    address: str | None,
    environment: Mapping[str, str],
    machine: str = "",
    pool_environment: Mapping[str, str] = MappingProxyType({}),
) -> Connector:
    """The connector for a service. `address` is that of the engine started for it, if there is one.

    `machine` tells simulated engines with the same settings apart. Programs find `pool_environment`, as it then is, beside what the
    service sets.

    Raises:
        InvalidSettings: the service cannot be made from what is set.
    """
    try:
        match service:
            case OpenAIService():
                return _openai(name, service, address=address, environment=environment)
            case OllamaService():
                return _ollama(name, service, environment=environment)
            case ComfyUIService():
                return _comfyui(name, service, environment=environment)
            case SimulatedService():
                return _simulated(name, service, machine=machine)
            case CommandService():
                return _command(name, service, pool_environment=pool_environment)
    except ValueError as exc:
        raise InvalidSettings(str(exc), source=f"[services.{name}]") from exc


def check_services(settings: Settings, *, environment: Mapping[str, str]) -> None:
    """Whether every service that a machine offers could be made. Nothing is started.

    Raises:
        InvalidSettings: one could not, and why.
    """
    for name in sorted({name for machine in settings.machines for name in machine.services}):
        service = settings.services[name]
        started = isinstance(service, OpenAIService) and service.engine
        address = "http://127.0.0.1" if started else None
        connector_of(name, service, address=address, environment=environment)


def _openai(
    name: str, service: OpenAIService, *, address: str | None, environment: Mapping[str, str]
) -> OpenAIConnector:
    patience = service.patience
    return OpenAIConnector(
        address or service.base_url,
        service=name,
        task=service.task,
        model=service.model or None,
        warm_up=service.warm_up or None,
        api_key=_key(name, service.api_key_variable, environment=environment),
        patience=Patience(
            connect_s=patience.connect_s,
            first_token_s=patience.first_token_s,
            between_tokens_s=patience.between_tokens_s,
            total_s=patience.total_s,
        ),
        max_output_bytes=service.max_output_kib * 1024,
        extra_options=frozenset(service.extra_options),
        picture_hosts=frozenset(service.picture_hosts),
    )


def _comfyui(name: str, service: ComfyUIService, *, environment: Mapping[str, str]) -> ComfyUIConnector:
    return ComfyUIConnector(
        service.base_url,
        service=name,
        warm_up=service.warm_up or None,
        expects=service.expects,
        input_hosts=service.input_hosts,
        api_key=_key(name, service.api_key_variable, environment=environment),
        patience=ComfyPatience(**msgspec.structs.asdict(service.patience)),
        bounds=ComfyBounds(
            output_bytes=service.max_output_mib * _MIB,
            outputs=service.max_outputs,
            input_bytes=service.max_input_mib * _MIB,
            inputs=service.max_inputs,
        ),
    )


def _key(name: str, variable: str, *, environment: Mapping[str, str]) -> Secret | None:
    if not variable:
        return None
    key = environment.get(variable)
    if not key:
        raise InvalidSettings(f"environment variable {variable} holds no key", source=f"[services.{name}]")
    return Secret(key)


def _ollama(name: str, service: OllamaService, *, environment: Mapping[str, str]) -> OllamaConnector:
    offer = OllamaOffer(
        model=service.model,
        other_models=service.other_models,
        keep_alive=service.keep_alive,
        extra_options=frozenset(service.extra_options),
    )
    return OllamaConnector(
        service.base_url,
        offer,
        service=name,
        api_key=_key(name, service.api_key_variable, environment=environment),
        patience=OllamaPatience(**msgspec.structs.asdict(service.patience)),
        max_output_bytes=service.max_output_kib * 1024,
    )


def _simulated(name: str, service: SimulatedService, *, machine: str) -> SimulatedConnector:
    settings = SimulatedSettings(
        service=name,
        seed=service.seed,
        run=_time(service.run),
        load=_time(service.load),
        model=service.model,
        steps=service.steps,
        models_in_memory=service.models_in_memory,
        side_by_side=service.side_by_side,
        failures=service.failures,
        restart_s=service.restart_s,
        streams=service.streams,
        max_output_bytes=service.max_output_kib * 1024,
    )
    return SimulatedConnector(settings, instance=machine)


def _time(settings: TimeSettings) -> TimeRule:
    rule: TimeRule = msgspec.convert(msgspec.to_builtins(settings), TimeRule)
    return rule


def _command(name: str, service: CommandService, *, pool_environment: Mapping[str, str]) -> CommandConnector:
    program, *rest = service.arguments
    limits = service.limits
    return CommandConnector(
        CommandSettings(
            service=name,
            arguments=(sys.executable if program == "@python" else program, *rest),
            warm_up=service.warm_up,
            expects=service.expects,
            payload_by=service.payload_by,
            environment=service.environment,
            pool_environment=pool_environment,
            limits=CommandLimits(
                wall_s=limits.wall_s,
                cpu_s=limits.cpu_s or None,
                memory_bytes=limits.memory_mib * _MIB,
                output_bytes=limits.output_mib * _MIB,
                files=limits.files,
                processes=limits.processes,
            ),
            max_outputs=service.max_outputs,
            retryable_exit_codes=service.retryable_exit_codes,
            grace_s=service.grace_s,
            warm_up_s=service.warm_up_s,
        )
    )
