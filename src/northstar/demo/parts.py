"""The optional packages that the demo runs on."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import ClassVar

from northstar.domain.errors import NorthstarError


class DemoPartMissing(NorthstarError):
    """A package that only the demo needs is not installed."""

    code: ClassVar[str] = "NS_DEMO_PART_MISSING"

    def __init__(self, package: str) -> None:
        super().__init__(
            f"the demo needs the package {package!r}, which is not installed; install it with: pip install 'northstar-broker[demo]'"
        )
        self.package = package


def require(package: str) -> ModuleType:
    """Import `package`.

    Raises:
        DemoPartMissing: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise DemoPartMissing(package) from error
