"""How North Star logs: text for people on a terminal, one JSON object a line for programs; never a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

import msgspec

if TYPE_CHECKING:
    import structlog

_SECRET_NAMES: Final = re.compile(r"(?i)(password|passwd|secret|api_?key|authorization|credential)")
_SECRET_IN_ADDRESS: Final = re.compile(r"://[^/\s@]*@")
#: What lets a machine join or speak, whatever it is called and wherever it stands; its id may be read.
_TOKEN: Final = re.compile(r"\b(ns[imk]_[a-z2-7]{16})_[a-z2-7]{8,}", re.IGNORECASE)
#: What a receiver verifies webhooks by.
_SIGNING_SECRET: Final = re.compile(r"\bwhsec_[A-Za-z0-9+/_=-]{8,}")
_HIDDEN: Final = "***"
#: Libraries that tell at `info` what only their authors want to know.
_CHATTY: Final = ("alembic", "gguf", "fsspec")
#: Says a line for every connection, and a warning for every stranger that speaks no HTTP; who comes and goes is said by ourselves.
_FLOODED: Final = "uvicorn"
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class _Logger:
    """What `logger` gives."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines: Any = None

    def __getattr__(self, method: str) -> Any:
        if self._lines is None:
            import structlog  # noqa: PLC0415 - see `logger`

            for handler in tuple(logging.getLogger().handlers):
                if isinstance(handler, _Late):
                    handler.set_up()
            self._lines = structlog.get_logger(self._name)
        return getattr(self._lines, method)


class _Late(logging.Handler):
    """Sets logging up when the first line comes, and passes that line on."""

    def __init__(self, level: str) -> None:
        super().__init__()
        self._words = level

    def set_up(self) -> None:
        import structlog  # noqa: PLC0415 - as in `logger`

        logging.getLogger().removeHandler(self)
        if not structlog.is_configured():  # else somebody has set it up meanwhile, and knows better
            configure(level=self._words)

    def emit(self, record: logging.LogRecord) -> None:
        self.set_up()
        logging.getLogger(record.name).handle(record)


def logger(name: str) -> Any:
    """A module's logger. What makes its lines is loaded with the first of them.

    structlog brings half of Rich along, and a command that asks a cell something seldom has anything to log.
    """
    return _Logger(name)


def configure_late(*, level: str) -> None:
    """Set up logging as `configure` does, but with the first line that is logged, and not where it is set up by then."""
    root = logging.getLogger()
    if not _is_set_up() and not any(isinstance(handler, _Late) for handler in root.handlers):
        root.addHandler(_Late(level))
        root.setLevel(_LEVELS[level])


def _is_set_up() -> bool:
    """Whether somebody has set it up; whoever has loads structlog."""
    loaded = sys.modules.get("structlog")
    return loaded is not None and bool(loaded.is_configured())


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what must not be read by whoever reads logs: values under telling names, logins inside addresses, tokens."""
    for name, value in event.items():
        if _SECRET_NAMES.search(name):
            event[name] = _HIDDEN
        else:
            event[name] = _hidden_in(value)
    return event


def _hidden_in(value: Any) -> Any:
    """Texts, also inside lists and maps, without what must not be read; tracebacks are text by now."""
    if isinstance(value, str):
        if "://" in value:
            value = _SECRET_IN_ADDRESS.sub(f"://{_HIDDEN}@", value)
        return _SIGNING_SECRET.sub(f"whsec_{_HIDDEN}", _TOKEN.sub(rf"\1_{_HIDDEN}", value))
    if isinstance(value, (list, tuple)):
        return [_hidden_in(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _hidden_in(inner) for key, inner in value.items()}
    return value


def show_plainly(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what a terminal would obey instead of showing: machines and their engines wrote some of these texts."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in value)
    return event


def show_time_of_day(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The time of the line as who looks on has it: this host's, to the second."""
    said = event.get("timestamp")
    if isinstance(said, str):
        event["timestamp"] = f"{datetime.fromisoformat(said).astimezone():%H:%M:%S}"
    return event


def configure(*, level: str = "info", json: bool = False, stream: TextIO | None = None, **bound: str) -> None:
    """Set up logging for this process, once, at its start. `bound` is said on every line (for example machine="m1").

    Lines of the standard library's `logging` take the same way. Raises KeyError for an unknown level.
    """
    import structlog  # noqa: PLC0415 - as in `logger`

    out = stream or sys.stderr
    structlog.configure(
        processors=[*_begun(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(_formatter(_as_json_line() if json else _as_text_line(colors=out.isatty())))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(_FLOODED).setLevel(logging.ERROR)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**bound)


def also_to(handler: logging.Handler) -> None:
    """Give every line to this handler too, always as JSON. After `configure`."""
    handler.setFormatter(_formatter(_as_json_line()))
    logging.getLogger().addHandler(handler)


def _begun() -> list[Any]:
    """What every line gets, wherever it goes."""
    import structlog  # noqa: PLC0415 - as in `logger`

    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _as_json_line() -> list[Any]:
    import structlog  # noqa: PLC0415 - as in `logger`

    return [structlog.processors.format_exc_info, hide_secrets, structlog.processors.JSONRenderer(serializer=_as_json)]


def _as_text_line(*, colors: bool) -> list[Any]:
    import structlog  # noqa: PLC0415 - as in `logger`

    # As a traceback in plain text: the renderer's own way would print the variables of every frame.
    plain = [structlog.processors.format_exc_info, hide_secrets, show_plainly, show_time_of_day]
    return [*plain, _for_people(colors=colors)]


def _formatter(last: list[Any]) -> logging.Formatter:
    import structlog  # noqa: PLC0415 - as in `logger`

    processors = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    return structlog.stdlib.ProcessorFormatter(processors=processors, foreign_pre_chain=_begun())


def say_on_every_line(**bound: str) -> None:
    """Have every line of this task, and of those that it begins from now on, say this too, such as the job that it is about."""
    import structlog  # noqa: PLC0415 - as in `logger`

    structlog.contextvars.bind_contextvars(**bound)


class RationedLines:
    """Lines of which there may be thousands in a second: so many are written, and of the others how many there were.

    `clock` counts seconds; `per_s` 0 writes none and counts none.
    """

    def __init__(self, lines: Any, *, per_s: int, clock: Callable[[], float]) -> None:
        self._lines = lines
        self._per_s = per_s
        self._clock = clock
        self._second = -1
        self._written = 0
        self._left_out = 0

    @property
    def silent(self) -> bool:
        """Whether none is written, so that none need be made."""
        return not self._per_s

    def info(self, event: str, **said: Any) -> None:
        """One line, if this second has room for it."""
        if self.silent:
            return
        second = int(self._clock())
        if second != self._second:
            if self._left_out:
                self._lines.warning("job_lines_left_out", lines=self._left_out, hint="log.job_lines_per_s")
            self._second, self._written, self._left_out = second, 0, 0
        if self._written >= self._per_s:
            self._left_out += 1
            return
        self._written += 1
        self._lines.info(event, **said)


def _for_people(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    import structlog  # noqa: PLC0415 - as in `logger`

    return structlog.dev.ConsoleRenderer(
        colors=colors, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    )


def _as_json(event: dict[str, Any], **_ignored: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
