"""The page of events has every kind that the queue writes, and none that it does not."""

from __future__ import annotations

import re
from pathlib import Path

from northstar.domain import told_events
from northstar.surfaces.http.v1 import live_frames

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/events.md").read_text()
LIBRARY = "\n".join(path.read_text() for path in sorted((ROOT / "src/northstar/store/lua").rglob("*.lua")))
_ROW = re.compile(r"^\| `((?:job|machine|order|fetch|cell|document)\.[a-z_]+)` \| [^|]+ \| ([^|]*)\|$", re.MULTILINE)


def kinds_of_the_library() -> set[str]:
    """Every text in the library that is a kind; those of a drain are made of the machine's status."""
    found = set(re.findall(r"'((?:job|machine|order|fetch|cell|document)\.[a-z_]+)'", LIBRARY))
    assert "'machine.' .. machine[M.status]" in LIBRARY
    return found | {"machine.draining", "machine.active"}


def test_every_kind_that_the_library_writes_is_on_the_page() -> None:
    assert {kind for kind, _ in _ROW.findall(PAGE)} == kinds_of_the_library()


def test_the_data_that_the_page_names_are_names_in_the_library() -> None:
    for kind, data in _ROW.findall(PAGE):
        for name in re.findall(r"`([a-z_]+)`", data):
            assert f"'{name}'" in LIBRARY or name == "gone", f"{kind}: {name}"
            assert name not in told_events._LEFT_OUT, f"{kind}: {name} is left out"


def test_every_message_of_the_websocket_is_on_the_page() -> None:
    messages = (*live_frames.FromClient.__args__, *live_frames.FromServer.__args__)
    for message in messages:
        tag = message.__struct_config__.tag
        assert f'{{"type": "{tag}"' in PAGE, tag
        shown = next(text for text in re.findall(r"`({[^`]*})`", PAGE) if f'"type": "{tag}"' in text)
        told = set(re.findall(r'"([a-z_]+)":', re.sub(r'"filter": {[^}]*}', '"filter": 0', shown))) - {"type"}
        assert told <= set(message.__struct_fields__), tag


def test_the_kinds_that_end_a_job_are_named() -> None:
    assert all(f"`{kind}`" in PAGE for kind in told_events.FINAL_KINDS)
