"""The command `northstar`."""

from northstar.surfaces.cli.program import main

__all__ = ["main"]
