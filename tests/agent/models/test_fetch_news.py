"""Who waits for a model hears which, how much of it is here, and how fast it comes."""

from __future__ import annotations

from northstar.agent.models.fetch_news import fetch_news
from northstar.agent.models.flights import FetchProgress
from northstar.domain.progress_text import describe


def fetching(received: int, total: int | None, rate: float = 0.0) -> FetchProgress:
    return FetchProgress(name="sdxl.safetensors", received_bytes=received, total_bytes=total, bytes_per_s=rate)


def test_a_fetch_tells_its_file_its_bytes_and_its_pace() -> None:
    news = fetch_news(fetching(1_200_000_000, 6_500_000_000, 48_100_000.0))
    assert describe(news) == "fetching sdxl.safetensors 1.2 of 6.5 GB: 48.1 MB/s"
    assert (news.phase, news.model, news.bytes_done, news.bytes_total) == (
        "fetching",
        "sdxl.safetensors",
        1_200_000_000,
        6_500_000_000,
    )
    assert news.fraction is not None
    assert abs(news.fraction - 1.2 / 6.5) < 1e-9


def test_what_nobody_knows_is_not_made_up() -> None:
    news = fetch_news(fetching(700, None))
    assert (news.fraction, news.bytes_total) == (None, None)
    assert describe(news) == "fetching sdxl.safetensors 700 bytes"
