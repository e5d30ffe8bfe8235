"""Golden decisions on workflows: what counts as a broken promise, and that decisions repeat."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from benchmarks.template_decisions import RECORDED, broken_promises, changed, decided, digest, table
from northstar.domain.workloads import Workload

PAGE: Final = Path(__file__).parents[2] / "docs" / "benchmarks.md"
FILM = Workload(modalities=("image", "video"), steps=20, pixels=400_000, frames=81, images=1, shape="f")


def test_a_chain_goes_to_the_pool_of_several_kinds_and_says_why() -> None:
    found = decided("film", FILM, {}, files_under="video")
    assert (found.pool, found.row) == ("standard-multi-modal", "standard-multi-modal")
    assert found.because
    assert broken_promises([found]) == []


def test_a_film_in_lightning_a_chain_in_a_speciality_and_a_decision_without_a_sentence_are_told() -> None:
    found = decided("film", FILM, {}, files_under="video")
    wrong = [
        msgspec.structs.replace(found, pool="lightning"),
        msgspec.structs.replace(found, pool="standard-art"),
        msgspec.structs.replace(found, because=""),
    ]
    said = broken_promises(wrong)
    assert said[0] == "film makes image and video and goes to lightning"
    assert said[2] == "film makes image and video and goes to standard-art"
    assert said[3].endswith("without a row or a sentence")


def test_models_too_large_for_fast_lane_go_elsewhere() -> None:
    picture = Workload(modalities=("image",), steps=20, pixels=1_000_000, images=1)
    assert decided("small", picture, {"size": 7e9}, files_under="image").pool == "fast-lane"
    assert decided("large", picture, {"size": 90e9}, files_under="image").pool == "standard"


def test_the_digest_tells_decisions_apart_and_repeats() -> None:
    found = decided("film", FILM, {}, files_under="video")
    assert digest([found]) == digest([decided("film", FILM, {}, files_under="video")])
    assert digest([found]) != digest([msgspec.structs.replace(found, row="other")])
    assert table([found])[1].split()[0] == "standard-multi-modal"


def test_decisions_that_are_not_the_recorded_ones_fail_the_run_and_others_workflows_do_not() -> None:
    found = [decided("film", FILM, {}, files_under="video")]
    assert changed(found, (1, digest(found))) == []
    assert changed(found, (2, "0" * 16)) == []
    (said,) = changed(found, (1, "0" * 16))
    assert digest(found) in said
    assert "record it in docs/benchmarks.md" in said


def test_the_page_tells_of_the_decisions_that_are_recorded() -> None:
    count, recorded = RECORDED
    told = PAGE.read_text()
    assert f"puts all {count} before the matrix" in told
    assert f"(`{recorded}`)" in told
