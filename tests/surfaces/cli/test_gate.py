"""`northstar gate` as a developer has it: a table, JSON, exit codes, and limits that are measured anew."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from northstar.evaluation.gate.limits import GateLimits, read_limits, scenario_limits, written_limits
from northstar.evaluation.gate.measuring import LIMITS
from tests.northstar_command import Northstar


@pytest.fixture(scope="module")
def northstar(tmp_path_factory: pytest.TempPathFactory) -> Northstar:
    """Commands that need no broker."""
    return Northstar(tmp_path_factory.mktemp("gate"))


def limits_with(folder: Path, figure: str, *, times: float) -> str:
    """The committed limits of one scenario as if all of its runs had come to so many times as much of a figure, in a file."""
    known = read_limits(LIMITS).scenarios["small-disks"]
    found = {
        seed: {name: one.values[at] * (times if name == figure else 1) for name, one in known.figures.items()}
        for at, seed in enumerate(known.seeds)
    }
    made = scenario_limits(known.digest, found)
    # Which seed lies nearest does not change, since all values of the figure grew alike.
    assert made.gate_seed == known.gate_seed
    file = folder / "limits.json"
    file.write_text(written_limits(GateLimits(northstar="1.2.3", scenarios={"small-disks": made})))
    return str(file)


def test_a_figure_that_left_its_limits_is_told_with_them_and_how_to_set_new_ones(
    northstar: Northstar, tmp_path: Path
) -> None:
    """The run is half as good as the runs behind these limits were."""
    answer = northstar.run(
        "gate", "--scenario", "small-disks", "--limits", limits_with(tmp_path, "redundant", times=0.5)
    )
    assert answer.code == 1, answer
    rows = {line.split()[1]: line.split() for line in answer.out.splitlines() if line.startswith("small-disks")}
    assert rows["redundant"][-1] == "worse"
    assert [name for name, row in rows.items() if row[-1] != "within"] == ["redundant"]
    assert f"{len(rows)} figures, 1 outside of their limits" in answer.out
    first, sentence, *rest = answer.err.splitlines()
    assert first.startswith("small-disks, seed ")
    assert sentence.startswith("small-disks/redundant (GB fetched that the fleet had fetched before): ")
    assert "is worse than the limits" in sentence
    assert "northstar gate --measure --seeds 20 --write FILE" in rest[-1]


def test_what_makes_no_sense_is_refused_before_anything_runs(northstar: Northstar, tmp_path: Path) -> None:
    old = msgspec.json.decode(LIMITS.read_bytes())
    old["scenarios"]["small-disks"]["digest"] = "of another scenario"
    (tmp_path / "old.json").write_bytes(msgspec.json.encode(old))
    del old["scenarios"]["small-disks"]
    (tmp_path / "less.json").write_bytes(msgspec.json.encode(old))
    for arguments, code in (
        (["--scenario", "weather"], "NS_GATE_UNKNOWN_SCENARIO"),
        (["--limits", str(tmp_path / "none.json")], "NS_GATE_LIMITS_UNREADABLE"),
        (["--limits", str(tmp_path / "old.json")], "NS_GATE_LIMITS_UNREADABLE"),
        (["--limits", str(tmp_path / "less.json")], "NS_GATE_LIMITS_UNREADABLE"),
        (["--seeds", "20"], "NS_GATE_OPTIONS"),
        (["--measure", "--limits", str(LIMITS)], "NS_GATE_OPTIONS"),
    ):
        answer = northstar.run("gate", *arguments)
        assert (answer.code, answer.err.partition(":")[0], answer.out) == (2, code, ""), arguments


@pytest.mark.long
def test_limits_are_measured_anew_and_hold_for_what_they_follow_from(northstar: Northstar, tmp_path: Path) -> None:
    file = tmp_path / "limits.json"
    file.write_bytes(LIMITS.read_bytes())
    few = ("--measure", "--scenario", "two-machines", "--seeds", "5", "--write", str(file))
    answer = northstar.run("gate", *few, "--processes", "2")
    assert answer.code == 0, answer
    assert answer.err.splitlines()[:5] == [f"two-machines, seed {seed}" for seed in range(1, 6)]
    new, known = read_limits(file), read_limits(LIMITS)
    assert new.scenarios["two-machines"].seeds == (1, 2, 3, 4, 5)
    assert new.scenarios["small-disks"] == known.scenarios["small-disks"], "the others stay"
    made = new.scenarios["two-machines"]
    judged = northstar.good("gate", "--scenario", "two-machines", "--limits", str(file))
    assert judged["failed"] == 0
    # The same code comes to the same figures, in whatever process.
    again = {one["figure"]: one["measured"] for one in judged["figures"]}
    assert again == {name: one.values[made.seeds.index(made.gate_seed)] for name, one in made.figures.items()}
