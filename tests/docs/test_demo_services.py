"""The page of what the demonstration's services take: its examples are accepted, its bounds are where things are refused."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from northstar.connectors.errors import EngineRejected
from northstar.connectors.openai_request import ALLOWED_OPTIONS, text_request
from northstar.connectors.simulated_request import simulated_request
from northstar.demo.painter import PaintingRequest
from northstar.demo.storyteller import storyteller
from northstar.domain.jobs import JobRequest
from tests.docs.page import ROOT, blocks

PAGE: Final = ROOT / "docs" / "reference" / "demo-services.md"


def examples() -> list[JobRequest]:
    found = [json.loads(block.text) for block in blocks(PAGE) if block.language == "json"]
    flat = [job for one in found for job in (one if isinstance(one, list) else [one])]
    return [msgspec.convert(job, JobRequest) for job in flat]


def accept(request: JobRequest) -> None:
    """As the service itself reads it. Raises what it raises."""
    match request.service:
        case "picture":
            msgspec.convert(request.payload, PaintingRequest)
        case "text":
            text_request(request.payload, service="text")
        case _:
            simulated_request(request.payload, service="simulated")


def test_there_is_an_example_for_each_service_and_all_are_accepted() -> None:
    found = examples()
    assert {request.service for request in found} == {"picture", "text", "simulated"}
    for request in found:
        accept(request)


def bounds() -> list[tuple[str, int, int]]:
    """Whole numbers of the painter with both bounds, as the page has them."""
    rows = re.findall(r"^\| `(\w+)` \| whole number from ([\d,]+) up to ([\d,]+) ", PAGE.read_text(), re.MULTILINE)
    return [(name, int(low.replace(",", "")), int(high.replace(",", ""))) for name, low, high in rows][:4]


@pytest.mark.parametrize(("name", "low", "high"), bounds(), ids=str)
def test_the_painter_takes_what_lies_within_the_bounds_and_nothing_beyond(name: str, low: int, high: int) -> None:
    def ask(value: object) -> PaintingRequest:
        return msgspec.convert({"prompt": "a star", name: value}, PaintingRequest)

    assert getattr(ask(low), name) == low
    assert getattr(ask(high), name) == high
    wrong: tuple[Any, ...] = (low - 1, high + 1, "many", None, 1.5)
    for value in wrong:
        with pytest.raises(msgspec.ValidationError):
            ask(value)


def test_every_option_that_text_takes_is_on_the_page_and_no_other() -> None:
    section = PAGE.read_text().partition("## `text`")[2].partition("## `simulated`")[0]
    named = {
        name for row in re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    asked_apart = {"messages", "prompt", "model", "n", "stream", "stream_options"}
    assert named == ALLOWED_OPTIONS | asked_apart


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"prompt": "a", "messages": [{"role": "user", "content": "a"}]},
        {"prompt": ""},
        {"messages": []},
        {"prompt": "a", "n": 2},
        {"prompt": "a", "model": ""},
        {"prompt": "a", "voice": "low"},
    ],
)
def test_what_the_page_says_that_text_refuses_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(EngineRejected):
        text_request(payload, service="text")


async def test_the_text_engine_has_the_context_that_the_page_says_and_the_same_seed_tells_the_same(
    tmp_path: Path,
) -> None:
    async with storyteller(tmp_path, {}) as engine:

        def asked(path: str, body: dict[str, Any] | None = None) -> Any:
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(engine.url + path, data, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)

        slots = await asyncio.to_thread(asked, "/slots")
        assert {f"{slot['n_ctx']:,}" for slot in slots} == set(
            re.findall(r"The context holds ([\d,]+)", PAGE.read_text())
        )
        story = {"prompt": "Tell me of a whale.", "max_tokens": 30, "seed": 4}
        told = [await asyncio.to_thread(asked, "/v1/completions", story) for _ in range(2)]
        assert told[0]["choices"][0]["text"] == told[1]["choices"][0]["text"] != ""
