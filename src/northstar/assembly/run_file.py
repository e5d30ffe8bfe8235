"""How commands on one machine find the North Star that runs on a data directory: a small file beside its lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from northstar.domain.errors import Unavailable
from northstar.policy.routing.coming import ComingMachine
from northstar.store.embedded.lock import LOCK_NAME
from northstar.telemetry import logger

log = logger(__name__)

NAME: Final = "run.json"
_MAX_BYTES: Final = 65_536


class NotRunning(Unavailable):
    """No North Star runs on the data directory, and no server was named."""

    code: ClassVar[str] = "NS_NOT_RUNNING"

    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            f"no North Star runs on data directory {data_dir}; start one with `northstar up`, or name a server with --valkey"
        )
        self.data_dir = data_dir


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """What runs. Only its owner may read the file, since the address may hold a password."""

    url: str
    #: Where machines and clients reach the broker.
    front: str
    cell: str
    pid: int
    version: str
    #: The file from which its settings come; empty: it has none, or is of a version that does not say so.
    settings_file: str = ""
    #: What it runs here, as it will be when it is ready.
    machines: tuple[ComingMachine, ...] = ()


def write_run_file(data_dir: Path, content: RunFile) -> None:
    """Write it, whole or not at all. The caller holds the directory's lock."""
    draft = data_dir / f"{NAME}.new"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(msgspec.json.encode(content))
    draft.replace(data_dir / NAME)


class KeptRunFile:
    """The run file of this process, as long as it runs."""

    def __init__(self, data_dir: Path, content: RunFile) -> None:
        self._data_dir = data_dir
        self._content = content

    def write(self) -> None:
        """Tell commands what runs."""
        write_run_file(self._data_dir, self._content)

    def gives_up(self, machine: str, why: str) -> None:
        """From now on tell that this machine is not coming."""
        told = tuple(
            msgspec.structs.replace(one, given_up=why) if one.name == machine else one for one in self._content.machines
        )
        self._content = msgspec.structs.replace(self._content, machines=told)
        try:
            self.write()
        except OSError as exc:  # a full disk ends nothing that runs
            log.warning("run_file_not_written", error=str(exc))


def remove_run_file(data_dir: Path) -> None:
    """Remove it; the caller still holds the lock."""
    with contextlib.suppress(OSError):
        (data_dir / NAME).unlink()


def read_run_file(data_dir: Path) -> RunFile:
    """What runs on `data_dir`. A file that a killed process left behind does not count: nobody holds its lock.

    Raises:
        NotRunning: nothing does.
    """
    try:
        with (data_dir / NAME).open("rb") as stream:
            content = msgspec.json.decode(stream.read(_MAX_BYTES), type=RunFile)
    except (OSError, msgspec.MsgspecError) as exc:
        raise NotRunning(data_dir) from exc
    if not _is_locked(data_dir):
        raise NotRunning(data_dir)
    return content


def _is_locked(data_dir: Path) -> bool:
    try:
        fd = os.open(data_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(fd)
