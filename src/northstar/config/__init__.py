"""How North Star is set: typed settings from defaults, a file, the environment and the command line, in that order."""

from northstar.config.services import (
    CommandLimitSettings,
    CommandService,
    FixedTimeSettings,
    LognormalTimeSettings,
    OllamaPatienceSettings,
    OllamaService,
    OpenAIService,
    PatienceSettings,
    Service,
    SimulatedService,
    StepTimeSettings,
    TimeSettings,
)
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
    "FixedTimeSettings",
    "HistorySettings",
    "InvalidSettings",
    "LogSettings",
    "LognormalTimeSettings",
    "MachineSettings",
    "OllamaPatienceSettings",
    "OllamaService",
    "OpenAIService",
    "PatienceSettings",
    "Service",
    "Settings",
    "SimulatedService",
    "StepTimeSettings",
    "TimeSettings",
    "ValkeySettings",
    "default_services",
    "load",
    "variables",
]
