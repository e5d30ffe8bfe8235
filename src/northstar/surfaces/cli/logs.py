"""`northstar logs`: what processes of this host have logged, and log now."""

from __future__ import annotations

import enum
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import typer

from northstar.domain.errors import InvalidRequest, Unavailable
from northstar.surfaces.cli.log_reading import LogLine, ProcessLog, Wanted, latest, lines_of, processes_in
from northstar.surfaces.cli.moments import Since, moment_of
from northstar.surfaces.cli.options import AsJson, Config, DataDir, settings_of
from northstar.surfaces.cli.printing import counted, harmless, print_aside, print_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.config import Settings

_LOOK_EVERY_S: Final = 0.2
#: What stands in other columns.
_TOLD_APART: Final = frozenset({"event", "level", "timestamp"})
_MOST_LINES: Final = 1_000_000


class Level(enum.StrEnum):
    """How urgent a line is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class NoLogs(Unavailable):
    """No process keeps what it logs here."""

    code: ClassVar[str] = "NS_NO_LOGS"
    retryable = False

    def __init__(self, folder: Path | None) -> None:
        where = "log.folder is none" if folder is None else f"nothing is kept in {folder}"
        super().__init__(
            f"{where}: `up` keeps what it logs in its data directory; `serve` and `agent` do with log.folder or --log-folder; "
            "of what runs under systemd or in a container, pipe what they keep with --log-json into `northstar logs --from -`"
        )


class LogUnreadable(Unavailable):
    """A file of log lines cannot be read."""

    code: ClassVar[str] = "NS_LOG_UNREADABLE"
    retryable = False

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be read: {reason}; ask as the user whose process writes it")


class NothingToFollow(InvalidRequest):
    """What comes from a pipe or one file is read to its end."""

    code: ClassVar[str] = "NS_NOTHING_TO_FOLLOW"

    def __init__(self) -> None:
        super().__init__(
            "--follow is for the folder of logs; what --from names is read to its end, and a pipe for as long as it is open"
        )


def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    job: Annotated[str, typer.Option("--job", metavar="ID", help="Only lines about this job.")] = "",
    trace: Annotated[str, typer.Option("--trace", metavar="ID", help="Only lines of this trace.")] = "",
    machine: Annotated[
        str, typer.Option("--machine", metavar="NAME", help="Only lines of or about this machine.")
    ] = "",
    level: Annotated[Level | None, typer.Option("--level", help="Only lines that are at least so urgent.")] = None,
    since: Since = None,
    process: Annotated[
        str,
        typer.Option("--process", metavar="NAME", help="Only of this process: up, serve, machine-NAME, agent-NAME."),
    ] = "",
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, max=_MOST_LINES, help="At most so many, the latest.")
    ] = 200,
    source: Annotated[
        str,
        typer.Option(
            "--from", metavar="FILE", help="Read lines of JSON there and not in the folder. `-`: standard input."
        ),
    ] = "",
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Show what `up`, `serve` and `agent` of this host logged, the oldest first, of all that keep it in one folder; also after their end.

    With --json, one object a line, as it was logged, with the name of its process.
    """
    if follow and source:
        raise NothingToFollow
    settings = settings_of(config, data_dir, None, None, of_a_cell=False)
    wanted = Wanted(job=job, trace=trace, machine=machine, level=level.value if level else "", since=_since(since))
    show = _Shown(as_json=as_json)
    if source:
        _show_from(source, wanted, count=lines, show=show)
    else:
        _show_folder(_folder(settings), wanted, process=process, count=lines, follow=follow, show=show)


def _since(text: str | None) -> str:
    """As lines have their time; they compare as texts."""
    if text is None:
        return ""
    at_ms = moment_of(text, now_ms=time.time_ns() // 1_000_000)
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _folder(settings: Settings) -> Path:
    """Where logs are kept. Raises NoLogs."""
    from northstar.assembly.log_files import logs_folder

    folder = logs_folder(settings)
    if folder is None:
        raise NoLogs(None)
    return folder


def _show_from(source: str, wanted: Wanted, *, count: int, show: _Shown) -> None:
    left_out = 0

    def ours() -> Iterator[LogLine]:
        nonlocal left_out
        try:
            stream = sys.stdin.buffer if source == "-" else Path(source).open("rb")  # noqa: SIM115 - closed below
            with stream:
                for line in lines_of(stream, ""):
                    if line is None:
                        left_out += 1
                    else:
                        yield line
        except OSError as exc:
            raise LogUnreadable(source, exc.strerror or str(exc)) from exc

    for line in latest([ours()], wanted, count=count):
        show(line)
    if left_out:
        print_aside(f"{counted(left_out, 'line')} left out: no lines of JSON as North Star logs them (--log-json)")


def _show_folder(folder: Path, wanted: Wanted, *, process: str, count: int, follow: bool, show: _Shown) -> None:
    known = _Folder(folder, process)
    try:
        found = known.look()
        if not found and not follow:
            raise NoLogs(folder)
        for line in latest([log.past() for log in found], wanted, count=count):
            show(line)
        while follow:
            time.sleep(_LOOK_EVERY_S)
            new = [log.past() for log in known.look()]
            # All that came since: no more than processes write in that time.
            for line in latest([*new, *(log.news() for log in found)], wanted, count=_MOST_LINES):
                show(line)
            found = list(known.logs.values())
    except FileNotFoundError as exc:
        raise NoLogs(folder) from exc
    except OSError as exc:
        raise LogUnreadable(str(exc.filename or folder), exc.strerror or str(exc)) from exc
    finally:
        known.close()


class _Folder:
    """The logs of one folder, as far as they are meant."""

    def __init__(self, folder: Path, process: str) -> None:
        self._folder = folder
        self._process = process
        self.logs: dict[str, ProcessLog] = {}

    def look(self) -> list[ProcessLog]:
        """Those that are new. Raises OSError."""
        names = [name for name in processes_in(self._folder) if self._process in {"", name} and name not in self.logs]
        for name in names:
            self.logs[name] = ProcessLog(self._folder, name)
        return [self.logs[name] for name in names]

    def close(self) -> None:
        """Read no more."""
        for log in self.logs.values():
            log.close()


class _Shown:
    """Lines as they are printed."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def __call__(self, line: LogLine) -> None:
        """Print it."""
        import msgspec

        if self._as_json:
            said = {"process": line.process} | line.said if line.process else line.said
            sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
            sys.stdout.flush()
        else:
            print_text(harmless(_sentence(line)))


def _sentence(line: LogLine) -> str:
    """For example: `2026-11-30 21:22:33.120  warning  serve  machine_lost machine=m1`."""
    at = line.at[:23].replace("T", " ")
    process = f"{line.process}  " if line.process else ""
    said = " ".join(f"{name}={_value(value)}" for name, value in line.said.items() if name not in _TOLD_APART)
    return f"{at}  {line.level:<8} {process}{line.said['event']} {said}".rstrip()


def _value(value: Any) -> str:
    import msgspec

    if isinstance(value, str):
        return value if value and not any(letter.isspace() for letter in value) else msgspec.json.encode(value).decode()
    return msgspec.json.encode(value).decode()
