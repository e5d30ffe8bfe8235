"""A fetch in the words of the job that waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.domain.progress import Progress
from northstar.domain.progress_text import bytes_text

if TYPE_CHECKING:
    from northstar.agent.models.flights import FetchProgress


def fetch_news(fetch: FetchProgress) -> Progress:
    """What the job is told: report it before the engine runs, by the `report` that the engine gets after."""
    done, total = fetch.received_bytes, fetch.total_bytes
    return Progress(
        phase="fetching",
        fraction=min(1.0, done / total) if total else None,
        message=f"{bytes_text(int(fetch.bytes_per_s))}/s" if fetch.bytes_per_s > 0 else "",
        model=fetch.name,
        bytes_done=done,
        bytes_total=total,
    )
