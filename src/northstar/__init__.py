"""North Star: a broker for AI work on fleets of ephemeral GPU machines."""

__version__ = "0.1.0"
