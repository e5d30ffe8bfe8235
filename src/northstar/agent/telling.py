"""What is told of one running job: not more often than anybody can read, and every phase to its end."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from northstar.domain.progress import TOKENS_CHARS, Progress

#: Reports of one job are at least so far apart: ten a second.
APART_S: Final = 0.1
#: The state is told again so long after the last report, for those who have begun to listen since.
AGAIN_S: Final = 5.0
#: Previews of one job are at least so far apart; each may be as large as a thousand other reports.
PREVIEWS_APART_S: Final = 1.0
#: Reports of one job that wait to be told; the oldest goes first.
MAX_WAITING: Final = 16
#: Characters of text that wait with a report. An engine that writes faster than this is heard in part; the result has it all.
MAX_WAITING_CHARS: Final = 8 * TOKENS_CHARS


class Telling:
    """Reports of one run that wait for their turn.

    A report replaces the one of its phase that waits before it, so the last one of every phase is told; text is added up, and
    nothing of it is skipped within the bound. All times are seconds of one monotonic clock.
    """

    def __init__(self) -> None:
        self._waiting: deque[Progress] = deque(maxlen=MAX_WAITING)
        self._told_at: float | None = None
        self._last = Progress()
        self._preview_at: float | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, news: Progress, *, now: float) -> None:
        """A report came in."""
        if news.preview is not None:
            if self._preview_at is not None and now - self._preview_at < PREVIEWS_APART_S:
                news = msgspec.structs.replace(news, preview=None)
            else:
                self._preview_at = now
        if self._waiting and self._waiting[-1].phase == news.phase and self._waiting[-1].model == news.model:
            news = _joined(self._waiting.pop(), news)
        self._waiting.append(news)

    def due_in(self, now: float) -> float | None:
        """Seconds until the next report is to be told, or the last one again; None before the first."""
        if self._told_at is None:
            return 0.0 if self._waiting else None
        return max(0.0, self._told_at + (APART_S if self._waiting else AGAIN_S) - now)

    def take(self, *, now: float) -> Progress:
        """The next report to tell, or the last one again. Text beyond the bound of one report stays for the next."""
        self._told_at = now
        if not self._waiting:
            return self._last
        news = self._waiting.popleft()
        self._last = msgspec.structs.replace(news, tokens=None, preview=None)
        if news.tokens is None or len(news.tokens) <= TOKENS_CHARS:
            return news
        rest = msgspec.structs.replace(news, tokens=news.tokens[TOKENS_CHARS:], preview=None)
        self._waiting.appendleft(rest)
        return msgspec.structs.replace(news, tokens=news.tokens[:TOKENS_CHARS])


def _joined(before: Progress, news: Progress) -> Progress:
    """Two reports of one phase as one: the later, with the text of both and with what only the earlier knows."""
    text = (before.tokens or "") + (news.tokens or "")
    return msgspec.structs.replace(
        news,
        tokens=text[:MAX_WAITING_CHARS] or None,
        preview=news.preview if news.preview is not None else before.preview,
        fraction=news.fraction if news.fraction is not None else before.fraction,
    )
