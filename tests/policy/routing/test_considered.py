"""What a job found among the machines when its pool was decided: who was meant, who would have followed, and who could not, and why."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.decisions import ExpectedOn, MachinesThen, TurnedDown
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.models import ModelNeed
from northstar.domain.requirements import LaneKey, Requirements, lane_of
from northstar.policy.routing.considered import MOST_BEST, MOST_GROUPS, Considered
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.pool_capacity import FleetCapacity
from northstar.policy.routing.snapshot import CellSnapshot, MachineState
from tests.policy.routing.builders import GB, machine, profile

SDXL = ModelNeed(name="sdxl", size_bytes=6 * GB)


def lane_for(*models: ModelNeed, vram_mb: int = 0) -> LaneKey:
    return lane_of(pool="standard", service="picture", requires=Requirements(models=models, vram_mb=vram_mb))


def looked(lane: LaneKey, *machines: MachineState, run_s: float = 10.0, **profiles: MachineProfile) -> MachinesThen:
    snapshot = CellSnapshot(machines={one.id: one for one in machines}, profiles={"p": profile()} | profiles)
    return Considered(FleetIndex(snapshot), FleetCapacity(snapshot)).machines(lane, run_s=run_s)


def test_the_first_is_the_one_that_has_it_done_first_with_what_its_time_is_made_of() -> None:
    """Fetching, loading and waiting are told apart."""
    found = looked(
        lane_for(SDXL),
        machine("cold", held={"sdxl": "disk"}),
        machine("busy", held={"sdxl": "resident"}, used=1, work_ahead_s=50.0),
        machine("far", download_bytes_per_s=100e6),
    )
    assert [one.machine for one in found.best] == ["cold", "busy", "far"]
    cold, busy, far = found.best
    assert cold == ExpectedOn(machine="cold", load_s=3.8, run_s=10.0)
    assert busy == ExpectedOn(machine="busy", wait_s=50.0, run_s=10.0)
    assert far.fetch_s > 60
    assert far.total_s == far.fetch_s + far.load_s + 10.0


def test_runners_up_are_few_and_the_others_are_counted() -> None:
    """A decision stays small in a fleet of any size."""
    found = looked(lane_for(), *(machine(f"m{number:03}") for number in range(200)))
    assert ([one.machine for one in found.best], found.more_fit) == (["m000", "m001", "m002"], 197)


def test_those_that_could_not_are_grouped_by_what_they_lacked_the_closest_first() -> None:
    """The one that came closest speaks for its group."""
    found = looked(
        lane_for(vram_mb=20_000),
        machine("s1", profile="small"),
        machine("t1", profile="tiny"),
        machine("t2", profile="tiny"),
        machine("h1", profile="heavy"),
        machine("n1", profile="nothing"),
        machine("d1", active=False),
        small=profile(vram_mb=16_000),
        tiny=profile(vram_mb=8_000),
        heavy=profile(pools=("heavy",)),
        nothing=profile(pools=("heavy",), vram_mb=8_000),
    )
    assert found.best == ()
    assert found.turned_down == (
        TurnedDown(code="draining", count=1, names=("d1",), says="fits, and drains"),
        TurnedDown(code="vram", count=3, names=("s1", "t1"), says="has 16000 MB of VRAM, the job needs 20000"),
        TurnedDown(code="pool", count=1, names=("h1",), says="is in pool heavy, not standard"),
        TurnedDown(
            code="pool+vram",
            count=1,
            names=("n1",),
            says="is in pool heavy, not standard, has 8000 MB of VRAM, the job needs 20000",
        ),
    )


OUT = MachineDescription(takes_work=False, trouble="picture takes no work now: it died")


def test_those_whose_engines_are_out_are_a_group_of_their_own() -> None:
    """They lack nothing, and are not those that somebody drains."""
    found = looked(
        lane_for(),
        machine("o1", parked=False, description=OUT),
        machine("o2", parked=False, profile="big", description=OUT),
        machine("d1", active=False, description=OUT),
        machine("h1", profile="heavy", description=OUT),
        big=profile(vram_mb=80_000),
        heavy=profile(pools=("heavy",)),
    )
    assert found.best == ()
    assert found.turned_down == (
        TurnedDown(
            code="out_of_work",
            count=2,
            names=("o2", "o1"),
            says="fits, and its engine is out: picture takes no work now: it died",
        ),
        TurnedDown(code="draining", count=1, names=("d1",), says="fits, and drains"),
        TurnedDown(code="pool", count=1, names=("h1",), says="is in pool heavy, not standard"),
    )


def test_where_only_machines_fit_whose_engines_are_out_it_is_said_with_the_engine_to_mend() -> None:
    snapshot = CellSnapshot(
        machines={"m": machine("m", description=OUT), "far": machine("far", profile="heavy")},
        profiles={"p": profile(), "heavy": profile(pools=("heavy",))},
    )
    found = Considered(FleetIndex(snapshot), FleetCapacity(snapshot)).standstill(lane_for())
    assert found.because == "m fits, but its engine is out: picture takes no work now: it died"
    assert [action.command for action in found.actions] == ["northstar machines show m"]


def test_what_a_machine_lacks_is_told_in_a_bounded_length() -> None:
    """A machine may serve sixteen pools with long names."""
    pools = tuple(f"pool-{number:02}-{'x' * 30}" for number in range(16))
    (group,) = looked(lane_for(), machine("m", profile="many"), many=profile(pools=pools)).turned_down
    assert len(group.says) == 96
    assert group.says.endswith("…")


def test_a_view_answers_jobs_that_ask_alike_but_for_their_length() -> None:
    """Each with its own time to run."""
    snapshot = CellSnapshot(machines={"m": machine("m")}, profiles={"p": profile()})
    considered = Considered(FleetIndex(snapshot), FleetCapacity(snapshot))
    short, long = (considered.machines(lane_for(), run_s=run_s).best[0].run_s for run_s in (1.23, 432.1))
    assert (short, long) == (1.2, 432.0)


kinds = st.sampled_from(["p", "small", "heavy", "unknown"])


@given(st.lists(st.tuples(kinds, st.booleans(), st.integers(0, 1), st.booleans()), max_size=30))
def test_every_machine_is_one_that_could_or_one_that_could_not(fleet: list[tuple[str, bool, int, bool]]) -> None:
    """None is left out, whatever it is: busy, draining, without an engine that answers, or of a kind that this version cannot read."""
    machines = [
        machine(f"m{number}", profile=kind, active=active, used=used, description=MachineDescription(takes_work=works))
        for number, (kind, active, used, works) in enumerate(fleet)
    ]
    found = looked(lane_for(vram_mb=20_000), *machines, small=profile(vram_mb=8_000), heavy=profile(pools=("heavy",)))
    down = sum(group.count for group in found.turned_down) + found.more_turned_down
    assert len(found.best) + found.more_fit + down == len(machines)
    assert len(found.best) + found.more_fit == sum(kind == "p" and active and works for kind, active, _, works in fleet)
    assert len(found.best) <= MOST_BEST
    assert len(found.turned_down) <= MOST_GROUPS


def test_why_nobody_can_is_said_from_the_same_view() -> None:
    """With what to do about it; nothing where somebody can."""
    snapshot = CellSnapshot(
        machines={f"m{number}": machine(f"m{number}") for number in range(3)}, profiles={"p": profile()}
    )
    considered = Considered(FleetIndex(snapshot), FleetCapacity(snapshot))
    found = considered.standstill(lane_for(vram_mb=48_000))
    assert found.because == ("no machine fits now: m0 (the closest of 3) has 24000 MB of VRAM, the job needs 48000")
    assert [action.command for action in found.actions] == ["northstar machines invite --pool standard"]
    assert considered.standstill(lane_for()).because == ""
