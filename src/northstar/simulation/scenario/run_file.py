"""The output of simulations: a file of JSON lines, one for each run that is over, to which a later command can add the rest.

The first line says what is simulated. A line is there whole or not at all for whoever resumes: one that was cut off by a crash is taken away.
Nothing in the file depends on the host or on the time of day, so equal scenarios make equal files.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Generic, NamedTuple, Protocol, Self, TypeVar, cast

import msgspec

from northstar.simulation.scenario.errors import RunFileBusy, RunFileDiffers, RunFileExists, RunFileUnwritable
from northstar.simulation.scenario.results import RunResult

#: As long as a line may be, bytes: a thousand times what a run says of six pools.
_MAX_LINE: Final = 64_000_000


class KeptLine(Protocol):
    """A line of such a file beside the first: a run that is over, and which it is."""

    @property
    def key(self) -> object:
        """Unlike that of any other run."""


_Line = TypeVar("_Line", bound=KeptLine)
_Key = TypeVar("_Key")


class RunKey(NamedTuple):
    """Which run of a scenario."""

    seed: int
    policy: str


class Heading(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="simulation"):
    """The first line."""

    #: Of the scenario and of the files that it names, by content.
    scenario: str
    about: str = ""
    #: The version of North Star that began the file.
    northstar: str


class RunLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="run"):
    """A run that is over."""

    seed: int
    policy: str
    result: RunResult

    @property
    def key(self) -> RunKey:
        """Which it is."""
        return RunKey(self.seed, self.policy)


class LineFile(Generic[_Line, _Key]):
    """The file of simulations that run; open it with `begun` or `resumed`, and close it."""

    #: What its lines beside the first are.
    line: ClassVar[type]

    def __init__(self, path: Path, fd: int, done: dict[_Key, _Line], *, is_new: bool = False) -> None:
        self.path = path
        self._fd = fd
        self._is_new = is_new
        #: Runs that the file has.
        self.done = done

    @classmethod
    def begun(cls, path: Path, heading: Heading) -> Self:
        """A new file. Raises RunFileExists; RunFileUnwritable."""
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except FileExistsError as exc:
            raise RunFileExists(path) from exc
        except OSError as exc:
            raise RunFileUnwritable(path, exc) from exc
        found = cls(path, fd, {}, is_new=True)
        try:
            _lock(path, fd)
            found._append(heading)
        except BaseException:
            found.close()
            raise
        return found

    @classmethod
    def resumed(cls, path: Path, heading: Heading) -> Self:
        """A file that an earlier command has begun; where there is none, a new one.

        Raises:
            RunFileDiffers: it is of another scenario or version, or no such file. RunFileBusy: another command writes it. RunFileUnwritable.
        """
        if not path.exists():
            return cls.begun(path, heading)
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except OSError as exc:
            raise RunFileUnwritable(path, exc) from exc
        try:
            _lock(path, fd)
            whole, done = cls._read(path, heading)
            os.ftruncate(fd, whole)
            found = cls(path, fd, done)
            if whole == 0:
                found._append(heading)
        except OSError as exc:
            os.close(fd)
            raise RunFileUnwritable(path, exc) from exc
        except BaseException:
            os.close(fd)
            raise
        return found

    def add(self, line: _Line) -> None:
        """Write down a run that is over. Raises RunFileUnwritable."""
        self._append(line)
        self.done[self._key(line)] = line

    def close(self) -> None:
        """Nothing is written any more. A new file that has come to no run is taken away, so that the next command finds nothing in its way."""
        os.close(self._fd)
        if self._is_new and not self.done:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @staticmethod
    def _key(line: KeptLine) -> _Key:
        return cast("_Key", line.key)

    @classmethod
    def _read(cls, path: Path, heading: Heading) -> tuple[int, dict[_Key, _Line]]:
        """How many bytes of the file are whole lines, and the runs in them."""
        done: dict[_Key, _Line] = {}
        whole = 0
        with path.open("rb") as stream:
            for number, line in enumerate(iter(lambda: stream.readline(_MAX_LINE), b""), start=1):
                if not line.endswith(b"\n"):
                    break  # cut off while it was written
                found = _decoded(path, number, line, cls.line)
                if number == 1:
                    _check_heading(path, found, heading)
                elif not isinstance(found, Heading):
                    done[cls._key(found)] = cast("_Line", found)
                else:
                    raise RunFileDiffers(path, line=number, reason="begins a second simulation")
                whole += len(line)
        return whole, done

    def _append(self, line: Heading | _Line) -> None:
        rest = memoryview(msgspec.json.encode(line, order="deterministic") + b"\n")
        try:
            before = os.lseek(self._fd, 0, os.SEEK_END)
            try:
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
                os.fsync(self._fd)
            except OSError:
                os.ftruncate(self._fd, before)  # the disk was full, perhaps: half a line helps nobody
                raise
        except OSError as exc:
            raise RunFileUnwritable(self.path, exc) from exc


class RunFile(LineFile[RunLine, RunKey]):
    """The file of a simulation."""

    line = RunLine


def _lock(path: Path, fd: int) -> None:
    """Nobody else writes it until it is closed. Raises RunFileBusy."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise RunFileBusy(path) from exc


def _decoded(path: Path, number: int, line: bytes, kind: type) -> Heading | KeptLine:
    try:
        return cast("Heading | KeptLine", msgspec.json.decode(line, type=Heading | kind))
    except msgspec.DecodeError as exc:
        raise RunFileDiffers(path, line=number, reason=f"is no line of a simulation ({exc})") from exc


def _check_heading(path: Path, found: Heading | KeptLine, heading: Heading) -> None:
    if not isinstance(found, Heading):
        raise RunFileDiffers(path, line=1, reason="does not say which simulation it is of")
    if found.scenario != heading.scenario:
        raise RunFileDiffers(path, line=1, reason="is of another scenario, or one of its files has changed since")
    if found.northstar != heading.northstar:
        raise RunFileDiffers(
            path, line=1, reason=f"was begun by North Star {found.northstar}, and this is {heading.northstar}"
        )
