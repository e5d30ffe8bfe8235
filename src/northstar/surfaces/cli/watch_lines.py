"""What `northstar jobs watch` prints: lines for people, one of them alive on a terminal, or an object a line for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.domain.progress_text import describe
from northstar.domain.queue_place import QueuePlace, describe_place
from northstar.surfaces.cli.printing import console, print_json, print_text

if TYPE_CHECKING:
    from northstar.domain.jobs import JobView
    from northstar.domain.progress import Progress

#: Where lines stay, those of one phase are at least so far apart.
_APART_S: Final = 1.0
_NOWHERE: Final = ""


def progress_fields(news: Progress) -> dict[str, Any]:
    """The fields of a report for programs; a preview is left out, and what is not known is null."""
    fields: dict[str, Any] = msgspec.structs.asdict(news)
    del fields["preview"]
    return fields


class WatchLines:
    """Says what happens, for people or for programs. `clock` gives seconds that only grow."""

    def __init__(self, *, as_json: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._as_json = as_json
        self._clock = clock
        self._alive = not as_json and sys.stdout.isatty()
        self._phase = _NOWHERE
        self._said = ""
        self._unsaid = ""
        self._said_at = 0.0
        self._open: str | None = None

    def changed(self, before: JobView | None, now: JobView) -> None:
        """The job's state is another one."""
        if self._as_json:
            print_json({"event": "state", "job": now})
            return
        self._finish_line()
        self._phase = self._said = _NOWHERE
        change = f"{before.status} -> {now.status}" if before else str(now.status)
        console().print(f"job {now.id}: {change}" + (f" on {now.machine}" if now.machine else ""), markup=False)

    def waits(self, place: QueuePlace) -> None:
        """Where it stands in the queue."""
        if self._as_json:
            self._print_once({"event": "place"} | msgspec.structs.asdict(place))
        else:
            self._say("queued", describe_place(place))

    def heard(self, news: Progress) -> None:
        """Progress, or text."""
        if self._as_json:
            self._print_once({"event": "progress"} | progress_fields(news))
        elif news.tokens:
            self._write_text(news.tokens)
        elif sentence := describe(news):
            self._say(news.phase or "", sentence)

    def ended(self, job: JobView) -> None:
        """The job has its last state."""
        from northstar.surfaces.cli.job_text import describe_result

        if self._as_json:
            return
        self._finish_line()
        for line in describe_result(job):
            print_text(f"  {line}")

    def _print_once(self, event: dict[str, Any]) -> None:
        """Machines repeat their last report for those who come late; that is no event."""
        text = msgspec.json.encode(event).decode()
        if text != self._said or event.get("tokens"):
            self._said = text
            print_json(event)

    def _say(self, phase: str, sentence: str) -> None:
        if sentence in {self._said, self._unsaid}:
            return
        if phase != self._phase:
            self._finish_line()
            self._phase = phase
        elif not self._alive and self._clock() - self._said_at < _APART_S:
            self._unsaid = sentence
            return
        self._write_line(sentence)

    def _write_line(self, sentence: str) -> None:
        self._said, self._unsaid, self._said_at = sentence, "", self._clock()
        if self._open == "text":
            print_text("")
            self._open = None
        if self._alive:
            width = console().width
            sys.stdout.write(f"\r\x1b[2K  {sentence}"[: width + 4])
            sys.stdout.flush()
            self._open = "line"
        else:
            print_text(f"  {sentence}")

    def _write_text(self, tokens: str) -> None:
        if self._open == "line" or self._unsaid:
            self._finish_line()
        print_text(tokens, end="")
        self._open = "text"

    def _finish_line(self) -> None:
        """The last of a phase is said, and what comes next begins a line."""
        if self._unsaid:
            self._write_line(self._unsaid)
        if self._open is not None:
            sys.stdout.write("\n")
            sys.stdout.flush()
        self._open = None
