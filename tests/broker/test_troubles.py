"""What `northstar status` says is wrong, worst first, each with the next command."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from northstar.broker.troubles import Seen, troubles
from northstar.broker.webhooks.failing import FailingWebhook
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.requirements import Requirements, lane_of
from northstar.domain.troubles import Trouble
from northstar.policy.routing.coming import ComingMachine
from northstar.policy.routing.snapshot import CellSnapshot, MachineState
from northstar.store.brokers import Broker
from northstar.store.history.state import HistoryState
from northstar.store.messages import LaneCount
from northstar.store.pauses import Pause

BROKER = Broker(kind="up", id="a", cell="default", host="h1", outputs="s3://outputs")
FINE = HistoryState(place="sqlite:///h.db", host="h1", waiting_ms=0, code="", sentence="")


def machine(name: str, *, active: bool = True, trouble: str = "") -> MachineState:
    return MachineState(
        id=name, profile="p", slots=2, used=0, active=active, parked=True, description=MachineDescription(trouble=trouble)
    )  # fmt: skip


def lane(service: str, *, pool: str = "standard", waiting: int = 1) -> LaneCount:
    key = lane_of(pool=pool, service=service, requires=Requirements())
    return LaneCount("1", key.key, pool, waiting, waiting)


def seen(
    *machines: MachineState,
    lanes: Sequence[LaneCount] = (),
    brokers: Sequence[Broker] = (BROKER,),
    history: HistoryState = FINE,
    pauses: Sequence[Pause] = (),
    waiting_machines: Sequence[str] = (),
    failed: int = 0,
    first_waiting: dict[str, str] | None = None,
    given_up: Sequence[ComingMachine] = (),
    webhooks: Sequence[FailingWebhook] = (),
) -> list[Trouble]:
    profiles = {"p": MachineProfile(pools=("standard",), services=("picture",))}
    return troubles(
        Seen(
            now_ms=1_000_000,
            waiting=sum(one.waiting for one in lanes),
            failed=failed,
            view=CellSnapshot(machines={one.id: one for one in machines}, profiles=profiles),
            lanes=lanes,
            brokers=brokers,
            history=history,
            pauses=pauses,
            waiting_machines=waiting_machines,
            first_waiting=first_waiting or {},
            given_up=given_up,
            webhooks=webhooks,
        )
    )


def test_receivers_that_take_nothing_are_named_and_those_that_were_switched_off_for_it() -> None:
    fails = FailingWebhook(id="w1", url="https://a.example/hook", since_ms=1_000)
    off = FailingWebhook(id="w2", url="https://b.example/hook", off="it has taken nothing for 5 days")
    first, second = seen(machine("m"), webhooks=[fails, off])
    assert first == Trouble(
        "webhook w1 fails: https://a.example/hook takes nothing since 1970-01-01 00:00:01+00:00",
        "northstar webhooks deliveries w1",
    )
    assert (off.off in second.what, second.command) == (True, "northstar webhooks change w2 --on")
    assert seen(machine("m"), webhooks=[fails] * 9)[-1].what == "and 6 webhooks more that fail"


def test_a_cell_in_which_all_is_well_has_none() -> None:
    assert seen(machine("m"), lanes=[lane("picture", waiting=40)]) == []


def test_without_a_broker_nothing_is_given_out() -> None:
    (trouble,) = seen(machine("m"), brokers=())
    assert "no broker of this cell has said" in trouble.what
    assert trouble.command == "northstar serve"


def test_a_history_that_takes_nothing_is_named_with_its_error_and_for_how_long() -> None:
    stuck = msgspec.structs.replace(FINE, waiting_ms=90_000, code="NS_DISK_FULL", sentence="no space left")
    (trouble,) = seen(machine("m"), history=stuck)
    assert trouble.what.startswith("the history is STUCK for 90 s: NS_DISK_FULL: no space left; jobs go on")
    (unwritten,) = seen(machine("m"), history=msgspec.structs.replace(FINE, waiting_ms=90_000))
    assert (": no broker writes it; " in unwritten.what, unwritten.command) == (True, "northstar serve")


def test_a_pause_is_named_with_its_end() -> None:
    pause = Pause(scope="pool:heavy", since_ms=1_000, because="upkeep", by="ada@h1")
    assert seen(machine("m"), pauses=[pause]) == [
        Trouble("PAUSED pool:heavy since 1970-01-01 00:00:01+00:00 by ada@h1: upkeep", "northstar resume pool:heavy")
    ]


def test_jobs_that_wait_without_any_machine_are_the_trouble_and_not_their_lanes() -> None:
    assert seen(lanes=[lane("picture", waiting=3)]) == [
        Trouble("3 jobs wait, and no machine is here", "northstar machines invite")
    ]
    drains = Trouble("machine m drains: it takes no new work", "northstar machines drain m --undo")
    assert seen(machine("m", active=False), lanes=[lane("picture")]) == [
        Trouble("1 job waits, and no machine takes work: m drains", "northstar machines drain m --undo"),
        drains,
    ]
    two = seen(machine("m", active=False), machine("n", active=False), lanes=[lane("picture")])
    assert two[0].what == "1 job waits, and no machine takes work: m and 1 more drain"


def test_a_machine_of_this_host_that_was_given_up_is_the_cause_and_another_one_no_remedy() -> None:
    """Whoever invites a machine has not seen that their own one died."""
    profile = MachineProfile(pools=("standard",), services=("picture",))
    gone = [
        ComingMachine(name=f"local-{number}", profile=profile, given_up="its process ended 6 times; NS_X: no GPU")
        for number in range(5)
    ]
    first, told, *_, more = seen(lanes=[lane("picture")], given_up=gone)
    assert first == Trouble("1 job waits, and no machine is here: local-0 was given up", "northstar explain local-0")
    assert told.what == (
        "machine local-0 was given up: its process ended 6 times; NS_X: no GPU; mend that, stop North Star and start it again"
    )
    assert more.what == "and 2 machines more that were given up"
    assert seen(given_up=gone[:1])[0].command == "northstar up", "though no job waits"


def test_jobs_that_no_machine_here_can_do_lead_to_the_explanation_of_one() -> None:
    film = lane("film", pool="heavy", waiting=2)
    (known,) = seen(machine("m"), lanes=[film, lane("picture")], first_waiting={film.key: "j-1"})
    assert known == Trouble("2 jobs wait in pool heavy for what no machine here can do", "northstar explain j-1")
    (unknown,) = seen(machine("m"), lanes=[film])
    assert unknown.command == "northstar jobs list --in waiting"


def test_jobs_that_wait_only_for_a_machine_whose_engine_is_out_are_a_trouble() -> None:
    """It is here, and does not do their work: a wait of which nobody would be told otherwise."""
    out = MachineDescription(takes_work=False, trouble="picture takes no work now: it died")
    ailing = msgspec.structs.replace(machine("m"), parked=False, description=out)
    works = msgspec.structs.replace(machine("w"), profile="unlike")
    profiles = {
        "p": MachineProfile(pools=("standard",), services=("picture",)),
        "unlike": MachineProfile(pools=("heavy",), services=("picture",)),
    }
    waits = lane("picture")
    found = troubles(
        Seen(
            now_ms=1_000_000,
            waiting=1,
            failed=0,
            brokers=(BROKER,),
            history=FINE,
            pauses=(),
            waiting_machines=(),
            view=CellSnapshot(machines={"m": ailing, "w": works}, profiles=profiles),
            lanes=[waits],
            first_waiting={waits.key: "j-1"},
        )
    )
    assert found == [
        Trouble("1 job waits in pool standard for what no machine here can do", "northstar explain j-1"),
        Trouble("machine m: picture takes no work now: it died", "northstar machines show m"),
    ]


def test_of_many_lanes_that_nobody_serves_a_few_are_told_and_the_others_counted() -> None:
    found = seen(machine("m"), lanes=[lane(f"film-{number}", waiting=2) for number in range(5)])
    assert len(found) == 4
    rest = "and 4 jobs more in 2 lanes that no machine here serves"
    assert found[-1] == Trouble(rest, "northstar jobs list --in waiting")


def test_machines_with_a_trouble_of_their_own_and_those_that_wait_are_named() -> None:
    found = seen(machine("m", trouble="nvidia-smi failed"), waiting_machines=["g1", "g2"])
    assert found == [
        Trouble("machine m: nvidia-smi failed", "northstar machines show m"),
        Trouble("2 machines wait for approval: g1, g2", "northstar machines approve g1"),
    ]


def test_failed_jobs_are_counted() -> None:
    assert seen(machine("m"), failed=1) == [
        Trouble("1 job failed for good, and is kept to be looked at", "northstar dead list")
    ]


def test_outputs_in_two_places_and_a_folder_of_several_hosts_are_told() -> None:
    other = msgspec.structs.replace(BROKER, id="b", host="h2", outputs="s3://else")
    (apart,) = seen(machine("m"), brokers=[BROKER, other])
    assert "up on h1: s3://outputs; up on h2: s3://else" in apart.what
    folder = msgspec.structs.replace(BROKER, outputs="file:///srv/outputs")
    (shared,) = seen(machine("m"), brokers=[folder, msgspec.structs.replace(folder, id="b", host="h2")])
    assert (
        shared.what == "brokers on h1, h2 keep outputs in file:///srv/outputs: a folder, which all of them must share"
    )
    assert seen(machine("m"), brokers=[folder]) == []


def test_where_all_engines_are_out_one_is_to_be_looked_at_and_no_other_machine_invited() -> None:
    """Another machine would cost money, and the one that is here would go on doing nothing."""
    dead = MachineDescription(takes_work=False, trouble="picture takes no work now: it died")
    out = [msgspec.structs.replace(machine(name), description=dead, parked=False) for name in ("m", "n")]
    first, *others = seen(*out, lanes=[lane("picture", waiting=3)])
    assert first == Trouble(
        "3 jobs wait, and no machine takes work: of m, its engine is out: picture takes no work now: it died; "
        "1 machine more takes none",
        "northstar machines show m",
    )
    assert [trouble.command for trouble in others] == ["northstar machines show m", "northstar machines show n"]


def test_a_machine_that_is_out_without_saying_why_is_a_trouble_too() -> None:
    silent = msgspec.structs.replace(machine("m"), description=MachineDescription(takes_work=False))
    assert seen(silent) == [Trouble("machine m: its engine is out", "northstar machines show m")]
