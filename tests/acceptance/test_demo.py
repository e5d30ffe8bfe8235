"""`northstar demo` as `make demo` runs it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from northstar.demo.commission import COMMISSIONS, FAILED_ONCE, LOST
from northstar.demo.inspection import ResultRefused, inspect_picture
from northstar.demo.png import png
from tests.northstar_command import PROGRAM, Answer, descendants, gone

SECONDS = 60.0


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Answer, Path, float]:
    """One run without a terminal, its results, and how long it took."""
    out = tmp_path_factory.mktemp("demo") / "results"
    began = time.monotonic()
    done = subprocess.run(
        [*PROGRAM, "demo", "--out", str(out)], capture_output=True, text=True, timeout=2 * SECONDS, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr), out, time.monotonic() - began


def rows(out: Path) -> dict[str, dict[str, Any]]:
    return {row["job"]: row for row in json.loads((out / "results.json").read_text())}


def test_it_ends_by_itself_within_a_minute_with_every_result_verified(demo: tuple[Answer, Path, float]) -> None:
    answer, _, took_s = demo
    assert answer.code == 0, answer
    assert f"{len(COMMISSIONS)} of {len(COMMISSIONS)} results verified" in answer.out
    assert took_s < SECONDS
    assert answer.err == ""


def test_a_job_survives_the_loss_of_its_machine_at_no_cost_to_its_owner(demo: tuple[Answer, Path, float]) -> None:
    row = rows(demo[1])[LOST]
    assert (row["attempts"], row["recoveries"]) == (0, 1)
    killed, finisher = row["machines"]
    assert killed != finisher
    assert f"'{LOST}' survived: {killed} was killed, {finisher} finished it" in demo[0].out


def test_a_job_that_fails_once_is_tried_again(demo: tuple[Answer, Path, float]) -> None:
    row = rows(demo[1])[FAILED_ONCE]
    assert (row["attempts"], row["recoveries"]) == (1, 0)


def test_pictures_can_be_decoded_and_texts_read(demo: tuple[Answer, Path, float]) -> None:
    for commission in COMMISSIONS:
        data = (demo[1] / commission.file).read_bytes()
        if commission.is_picture:
            size = commission.request.payload
            inspect_picture(data, name=commission.file, width=size["width"], height=size["height"])
        else:
            assert len(data.split()) >= 10


def test_text_comes_in_while_it_is_written(demo: tuple[Answer, Path, float]) -> None:
    assert re.search(r"star-saga: its first words come in: \w+", demo[0].out)
    words = re.search(r"star-saga: succeeded \((\d+) words came in meanwhile\)", demo[0].out)
    assert words is not None
    assert int(words[1]) > 10


def test_the_page_needs_no_other_file_to_show_everything(demo: tuple[Answer, Path, float]) -> None:
    page = Links()
    page.feed((demo[1] / "index.html").read_text())
    assert len(page.images) == sum(commission.is_picture for commission in COMMISSIONS)
    assert all(image.startswith("data:image/png;base64,") for image in page.images)
    assert all((demo[1] / link).is_file() for link in page.links)
    assert page.loads == []


class Links(HTMLParser):
    """What a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "img":
            self.images.append(given["src"] or "")
        elif tag == "a":
            self.links.append(given["href"] or "")
        elif tag in {"script", "link", "iframe"}:
            self.loads.append(tag)


def test_interrupted_it_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "demo", "--out", str(tmp_path / "out")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "submitted in one call" in line)
        assert line
        family = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(timeout=SECONDS) == 130
    gone(family)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = subprocess.run(
        [*PROGRAM, "demo", "--out", str(tmp_path / "file" / "out")],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("NS_DEMO_OUT_UNWRITABLE: results cannot be written to ")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda data: data[:-20], "cut off"),
        (lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:], "checksum"),
        (lambda data: b"GIF89a" + data, "does not begin as a PNG does"),
        (lambda data: png([bytes(3 * 16)] * 16, width=16, height=16), "not 64 × 64"),
        (lambda data: png([bytes(3 * 64)] * 64, width=64, height=64), "only 1 colours"),
    ],
)
def test_a_bad_picture_does_not_pass_the_inspection(spoil: object, sentence: str) -> None:
    rows = [bytes((x * 4 + y) % 256 for x in range(64) for _ in range(3)) for y in range(64)]
    good = png(rows, width=64, height=64)
    assert inspect_picture(good, name="p", width=64, height=64).startswith("64 × 64 PNG")
    with pytest.raises(ResultRefused, match=sentence):
        inspect_picture(spoil(good), name="p", width=64, height=64)  # type: ignore[operator]
