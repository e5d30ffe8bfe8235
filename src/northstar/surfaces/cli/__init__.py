"""The command `northstar`."""

from northstar.surfaces.cli.program import app, main

__all__ = ["app", "main"]
