"""Settings of a host, and what `doctor` finds on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from northstar.assembly.examination.examine import examine
from northstar.config import Settings, load
from northstar.policy.health_checks.finding import Finding


class Doctor(Protocol):
    """Examines the host whose settings are these, and gives what was found by the name of the check."""

    async def __call__(self, **options: Any) -> dict[str, Finding]: ...


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with these dotted options; `serve` and `machines` as they are."""

    def made(**options: Any) -> Settings:
        plain = {name.replace("__", "."): value for name, value in options.items() if name != "file"}
        return load(environment={}, file=options.get("file"), options={"data_dir": str(tmp_path / "data")} | plain)

    return made


@pytest.fixture
def doctor(settings: Callable[..., Settings]) -> Doctor:
    async def examined(**options: Any) -> dict[str, Finding]:
        wanted = options.pop("settings", None) or settings(**options)
        found = await examine(wanted, environment={})
        assert all(finding.cure for finding in found if finding.verdict in {"warning", "fault"}), found
        assert len({finding.check for finding in found}) == len(found)
        return {finding.check: finding for finding in found}

    return examined


def with_serve(settings: Settings, **changes: Any) -> Settings:
    return msgspec.structs.replace(settings, serve=msgspec.structs.replace(settings.serve, **changes))
