"""How North Star is set: typed settings from defaults, a file, the environment and the command line, in that order."""

from northstar.config.models import ModelSettings
from northstar.config.services import CommandLimitSettings, CommandService, OpenAIService, PatienceSettings, Service
from northstar.config.settings import (
    AgentSettings,
    AssetSettings,
    DispatchSettings,
    HistorySettings,
    LogSettings,
    MachineSettings,
    Settings,
    ValkeySettings,
)
from northstar.config.sources import InvalidSettings, default_services, load, variables

__all__ = [
    "AgentSettings",
    "AssetSettings",
    "CommandLimitSettings",
    "CommandService",
    "DispatchSettings",
    "HistorySettings",
    "InvalidSettings",
    "LogSettings",
    "MachineSettings",
    "ModelSettings",
    "OpenAIService",
    "PatienceSettings",
    "Service",
    "Settings",
    "ValkeySettings",
    "default_services",
    "load",
    "variables",
]
