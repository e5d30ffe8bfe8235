"""What can be wrong with a scenario file, and with the output of a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from northstar.domain.errors import InvalidRequest, Refused, Unavailable


class InvalidScenario(InvalidRequest):
    """A scenario file cannot be used. `path` is the key at which the first problem stands; empty where it is the whole file's."""

    code: ClassVar[str] = "NS_INVALID_SCENARIO"

    def __init__(self, problem: str, *, source: str, line: int | None = None, path: str = "") -> None:
        where = source if line is None else f"{source}:{line}"
        key = f"`{path}` " if path else ""
        super().__init__(f"{where}: {key}{problem}")
        self.problem = problem
        self.source = source
        self.line = line
        self.path = path


class ScenarioReaderMissing(Unavailable):
    """Scenarios are YAML, and the package that reads it is not installed."""

    code: ClassVar[str] = "NS_SCENARIO_READER_MISSING"
    retryable: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__(
            "scenario files need the extra 'simulation', which is not installed; run: pip install 'northstar-broker[simulation]'"
        )


class RunFileExists(Refused):
    """The output file of a simulation is there already, and nobody said what is to become of it."""

    code: ClassVar[str] = "NS_RUN_FILE_EXISTS"

    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} is there already: add --resume to go on with it, or name another file")
        self.file = file


class RunFileDiffers(Refused):
    """The output file belongs to another simulation, so its runs are not this one's."""

    code: ClassVar[str] = "NS_RUN_FILE_DIFFERS"

    def __init__(self, file: Path, *, line: int, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}; name another file with --out, or begin anew without --resume")
        self.file = file
        self.line = line
        self.reason = reason


class RunFileBusy(Refused):
    """Another simulation is writing the output file."""

    code: ClassVar[str] = "NS_RUN_FILE_BUSY"

    def __init__(self, file: Path) -> None:
        super().__init__(f"another simulation writes {file} now: wait for its end, or name another file with --out")
        self.file = file


class RunFileUnwritable(Unavailable):
    """The output file of a simulation cannot be read or written."""

    code: ClassVar[str] = "NS_RUN_FILE_UNWRITABLE"

    def __init__(self, file: Path, exc: OSError) -> None:
        super().__init__(
            f"{file} cannot be written ({exc.strerror or exc}); runs that are in it stay: mend that and go on with --resume"
        )
        self.file = file
