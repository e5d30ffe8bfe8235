"""`northstar demo` as `make demo` runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from northstar.config.pools import packaged_pools
from northstar.demo.commission import COMMISSIONS, FAILED_ONCE, LOST
from northstar.demo.inspection import ResultRefused, inspect_picture, inspect_simulated
from northstar.demo.png import png
from northstar.demo.simulated_work import ENTERPRISE_TENANT, SIMULATED_WORK, WITHOUT_MACHINE
from tests.northstar_command import PROGRAM, Answer, descendants, gone

SECONDS = 60.0
README = Path(__file__).resolve().parents[2] / "README.md"


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
    assert f"{len(SIMULATED_WORK)} of {len(SIMULATED_WORK)} simulated runs as they should be" in answer.out
    assert took_s < SECONDS
    assert answer.err == ""


def test_every_pool_with_a_machine_has_a_job_that_ran_there(demo: tuple[Answer, Path, float]) -> None:
    found = {row["reason"]["pool"] for row in rows(demo[1]).values() if row["machines"]}
    assert found == packaged_pools().pools.keys() - {"standard-art"}


def test_the_router_chose_every_pool_and_the_reason_is_shown(demo: tuple[Answer, Path, float]) -> None:
    assert all(commission.request.pool is None for commission in (*COMMISSIONS, *SIMULATED_WORK))
    shown = " ".join(demo[0].out.split())
    for job, row in rows(demo[1]).items():
        reason = row["reason"]
        assert re.search(rf"\b{job}\b[^>]*-> {reason['pool']}: {re.escape(reason['because'])}", shown), job
        assert f"estimate {reason['estimate']}" in shown
        if reason["passed_over"]:
            assert f"passed over {reason['passed_over']}" in shown
    assert "passed over nothing" not in shown


def test_a_job_whose_pool_has_no_machine_goes_to_a_fallback(demo: tuple[Answer, Path, float]) -> None:
    reason = rows(demo[1])[WITHOUT_MACHINE]["reason"]
    assert (reason["route"], reason["optimal"], reason["pool"]) == ("fallback", "standard-art", "standard")
    assert "standard-art (no machine)" in reason["passed_over"]


def test_enterprise_work_goes_to_its_machine_which_stays_idle_rather_than_take_other_work(
    demo: tuple[Answer, Path, float],
) -> None:
    found = rows(demo[1]).values()
    assert {row["reason"]["pool"] for row in found if row["tenant"] == ENTERPRISE_TENANT} == {"enterprise"}
    assert {row["tenant"] for row in found if "sim-vault" in row["machines"]} == {ENTERPRISE_TENANT}
    assert "sim-vault (simulated) stood idle" in demo[0].out


def test_simulated_work_is_marked_wherever_it_is_shown(demo: tuple[Answer, Path, float]) -> None:
    page = (demo[1] / "index.html").read_text()
    for commission in SIMULATED_WORK:
        job = commission.request.id
        lines = [line for line in demo[0].out.splitlines() if re.search(rf"(\] |^){job}\b", line)]
        assert len(lines) >= 3
        assert all("simulated" in line for line in lines)
        assert f'{job} <span class="simulated">simulated</span>' in page
    for row in rows(demo[1]).values():
        assert (row["takes_s"] > 0) == all(machine.startswith("sim-") for machine in row["machines"])


def test_costs_are_told_by_pool_at_prices_that_are_called_simulated(demo: tuple[Answer, Path, float]) -> None:
    told = re.search(
        r"Costs by pool, from the history \(simulated prices, [^)]*\): (.*?)\. Of what", " ".join(demo[0].out.split())
    )
    assert told is not None
    assert {"heavy", "research", "enterprise"} <= set(re.findall(r"([a-z-]+) \$", told[1]))


def test_the_readme_shows_what_it_says_of_pools_and_reasons(demo: tuple[Answer, Path, float]) -> None:
    excerpt = README.read_text().partition("```text\n")[2].partition("```")[0].splitlines()
    first = next(at for at, line in enumerate(excerpt) if line.startswith("The pools, by how long"))
    last = next(at for at, line in enumerate(excerpt) if line.startswith("    passed over"))
    shown = demo[0].out.splitlines()
    assert [line for line in excerpt[first : last + 1] if line not in shown] == []


def test_it_says_how_to_go_on(demo: tuple[Answer, Path, float]) -> None:
    _, _, after = demo[0].out.partition("Go on with:")
    assert len(re.findall(r"^ +northstar ", after, re.MULTILINE)) == 3


def test_a_job_can_be_explained_while_the_demonstration_runs(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "demo", "--out", str(tmp_path / "out")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        hint = next(line for line in process.stdout if "ask it why while this runs: northstar explain" in line)
        asked = hint.partition("northstar ")[2].split()
        told = subprocess.run([*PROGRAM, *asked], capture_output=True, text=True, timeout=SECONDS, check=False)
        process.stdout.read()
        assert process.wait(timeout=2 * SECONDS) == 0
    assert told.returncode == 0, told.stderr
    assert "pool fast-lane, by row fast-lane (matrix): it is as long as Fast Lane's work" in told.stdout
    assert "declared" in told.stdout


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


def test_a_simulated_answer_to_another_job_does_not_pass_the_inspection() -> None:
    assert inspect_simulated("simulated: film ran 10 steps", job="film", takes_s=350).startswith("simulated: 350 s")
    with pytest.raises(ResultRefused, match="no answer of a simulated machine to this job"):
        inspect_simulated("simulated: film ran 10 steps", job="poster", takes_s=360)


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


_IGNORING = ("bash", "-c", 'trap "" INT; exec "$@"', "bash")


@pytest.mark.parametrize(
    ("number", "code", "before"),
    [(signal.SIGINT, 130, ()), (signal.SIGTERM, 143, ()), (signal.SIGINT, 130, _IGNORING)],
    ids=["SIGINT", "SIGTERM", "SIGINT ignored by the shell"],
)
def test_interrupted_it_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, code: int, before: tuple[str, ...]
) -> None:
    """A script that starts it in the background has it ignore SIGINT, as here; it is ended all the same."""
    (tmp_path / "tmp").mkdir()
    with subprocess.Popen(
        [*before, *PROGRAM, "demo", "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
    ) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "submitted in one call" in line)
        assert line
        family = descendants(process.pid)
        process.send_signal(number)
        said, wrong = process.communicate(timeout=SECONDS)
        assert process.returncode == code, (said, wrong)
    gone(family)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_it_says_at_once_that_it_stops_and_a_second_signal_ends_it_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    with subprocess.Popen(
        [*PROGRAM, "demo", "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert next(line for line in process.stdout if "runs on" in line)
        family = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith("stopping; the machines hand back their work")
        process.send_signal(signal.SIGINT)
        _, wrong = process.communicate(timeout=SECONDS)
    assert (process.returncode, wrong) == (130, "")
    gone(family)
    assert list((tmp_path / "tmp").iterdir()) == []


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
