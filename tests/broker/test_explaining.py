"""Explanations from a real queue: why jobs wait, why machines are idle, where models are, and how much is read for it."""

from __future__ import annotations

import secrets
import time
from typing import Any

import msgspec
import pytest

from northstar.broker.admission import Admission
from northstar.broker.catalogue import say
from northstar.broker.catalogue_view import CatalogueView
from northstar.broker.decisions import read_decision
from northstar.broker.explaining import Explainer
from northstar.broker.job_past import JobPast
from northstar.broker.known_models import known_in
from northstar.broker.missing_machines import MissingMachinesReader
from northstar.broker.model_orders import catalogue_orders, order_fetch, read_order
from northstar.broker.queue_places import QueuePlaces
from northstar.broker.submission import wanted_job
from northstar.broker.wanted_lanes import wanted_lane
from northstar.domain.admission import InviteTerms
from northstar.domain.catalogue import CatalogueFile, CatalogueModel, CatalogueVersion
from northstar.domain.decisions import Rejection, RoutingDecision
from northstar.domain.estimates import DurationEstimate
from northstar.domain.explanation_text import explain
from northstar.domain.explanations import KnownModel, ModelWhere
from northstar.domain.jobs import JobRequest, JobStatus
from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelHeld, ModelNeed
from northstar.domain.refusals import NoSuchJob, NoSuchMachine
from northstar.domain.requirements import Requirements
from northstar.domain.stored_decisions import to_stored
from northstar.policy.routing.coming import ComingMachine
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store import admission as calls
from northstar.store.messages import Done, Failure
from tests.agent.rig import PROFILE, Rig, nonce
from tests.broker.test_admission import new_token

SDXL = Requirements(models=(ModelNeed(name="sdxl", size_bytes=6_000_000_000),))
DECISION = RoutingDecision(
    pool="standard",
    route="fallback",
    optimal="fast-lane",
    row="image-under-30s",
    because="an image of about 12 s",
    estimate=DurationEstimate(p10_s=8, p50_s=12, p90_s=20, source="shape", confidence=0.8, runs=214),
    rejected=(Rejection(subject="fast-lane", code="no_machine", reason="no machine of it is here"),),
)


def explainer(rig: Rig, **more: Any) -> Explainer:
    return Explainer(
        rig.cell,
        past=JobPast(rig.cell, None),
        places=QueuePlaces(rig.cell, monotonic=time.monotonic, view_s=0),
        **more,
    )


def said(lines: list[Any]) -> str:
    return "\n".join(f"{line.about}: {line.text}" for line in lines)


async def holder(rig: Rig, name: str, *models: ModelHeld, slots: int = 1, **said_of_it: Any) -> Any:
    """A machine with models; it waits for work."""
    link = await rig.link(name)
    await link.register(PROFILE, MachineDescription(**said_of_it), slots=slots, models=models)
    await link.claim(credits_=slots)
    return link


async def test_a_job_behind_others_says_which_machines_are_busy(rig: Rig) -> None:
    """Its place, and each machine with the reason why it does not run it now."""
    link = await rig.joined(slots=1)
    await rig.submit("first", "second")
    await rig.plan()
    await link.claim(credits_=1)
    told = await explainer(rig).job("second")
    assert told.status == JobStatus.QUEUED
    assert told.place is not None
    assert told.place.position == 1
    (group,) = told.machines.shown
    assert (group.names, group.reason.code, group.used, group.slots) == (("m",), "busy", 1, 1)
    assert (told.unservable, told.actions) == ("", ())
    running = await explainer(rig).job("first")
    assert (running.status, running.machine, running.machines.shown) == (JobStatus.RUNNING, "m", ())


async def test_a_job_that_nobody_can_serve_says_what_would_have_to_change(rig: Rig) -> None:
    """The closest machine, what it lacks, and the command to type."""
    await rig.joined()
    await rig.cell.declare(["tag:eu"], by="test")
    await rig.submit("a", requires=Requirements(tags=("eu",)))
    told = await explainer(rig).job("a")
    assert told.unservable == "no machine fits now: m lacks tags eu"
    assert told.actions[0].command == "northstar machines invite --pool standard --tag eu"


async def test_without_machines_those_that_wait_for_approval_are_named(rig: Rig) -> None:
    """The machine that is missing may have knocked already."""
    await joined_by_invite(rig, "new", approval=True)
    await rig.submit("a")
    told = await explainer(rig).job("a")
    assert told.unservable == "no machine is here"
    assert told.actions[0].command == "northstar machines approve new"


async def test_a_machine_that_has_just_joined_is_told_as_one_that_is_getting_ready(rig: Rig) -> None:
    """It says what it is when its engines have answered; nothing is to be done before. One that left is gone."""
    await joined_by_invite(rig, "new")
    await rig.submit("a")
    told = await explainer(rig).job("a")
    assert told.coming == (
        "no machine that fits is ready yet; new is getting ready; whether it offers service waits is known then"
    )
    assert (told.unservable, told.actions) == ("", ())
    assert f"soon: {told.coming}" in said(explain(told))
    await rig.joined("new")
    await rig.cell.remove_machine("new", because="gone", lost=False, nonce=nonce())
    assert (await explainer(rig).job("a")).unservable == "no machine is here"


async def test_a_machine_of_this_host_that_was_given_up_is_not_getting_ready(rig: Rig) -> None:
    """The job, the machine and what is to be done all say that it died, and of what."""
    why = "its process ended 6 times; NS_POOL_REFUSES_MACHINE: machine local may not enter"
    local = ComingMachine(name="local", profile=PROFILE, given_up=why)
    missing = MissingMachinesReader(rig.cell, of_this_host={"local": local})
    await rig.submit("a")
    told = await explainer(rig, missing=missing).job("a")
    assert told.coming == ""
    assert told.unservable == f"no machine is here; local was started on this host and given up: {why}"
    assert [one.command for one in told.actions] == ["northstar up", "northstar machines invite --pool standard"]
    assert told.actions[0].what == "mend what local died of, stop North Star and start it again"
    machine = await explainer(rig, missing=missing).machine("local")
    assert (machine.code, machine.says) == ("given_up", why)
    assert "died again and again" in said(explain(machine))
    await rig.joined("local")
    assert (await explainer(rig, missing=missing).job("a")).unservable == "", "by hand, for example"


async def test_a_machine_that_up_has_started_here_is_told_as_one_that_is_getting_ready(rig: Rig) -> None:
    """By what its settings say; one that they put into another pool is no hope."""
    local = ComingMachine(name="local", profile=PROFILE, untold=("vram",))
    fast = msgspec.structs.replace(local, name="fast", profile=msgspec.structs.replace(PROFILE, pools=("fast",)))
    missing = MissingMachinesReader(rig.cell, of_this_host={"local": local, "fast": fast})
    await rig.submit("a")
    told = await explainer(rig, missing=missing).job("a")
    assert told.coming == "no machine that fits is ready yet; local is getting ready"
    assert await explainer(rig, missing=missing).kinds_of("local") == ["machine"]
    machine = await explainer(rig, missing=missing).machine("local")
    assert machine.code == "not_ready"
    await rig.joined("local")
    assert (await explainer(rig, missing=missing).job("a")).coming == ""
    assert (await explainer(rig, missing=missing).machine("local")).code != "not_ready"


async def test_a_pause_keeps_a_job_and_is_told_with_its_reason(rig: Rig) -> None:
    """Of the pool, or of the cell."""
    await holder(rig, "m")
    await rig.cell.pause("pool:standard", because="upkeep", by="test")
    await rig.submit("a")
    told = await explainer(rig).job("a")
    assert [group.reason.scope for group in told.machines.shown] == ["pool:standard"]
    assert [action.command for action in told.actions] == ["northstar resume pool:standard"]
    assert told.unservable == ""


async def test_a_machine_that_leaves_a_job_to_holders_says_for_how_long_and_why(rig: Rig) -> None:
    """Patience with its numbers, counted from the lane's oldest job by the cell's own clock."""
    has_it = await holder(rig, "has-it", ModelHeld("sdxl", "resident", 6_000_000_000))
    await holder(rig, "has-not", download_bytes_per_s=500e6)
    await rig.submit("first", "a", requires=SDXL)
    await rig.plan()
    assert [job.id for job in (await has_it.claim(credits_=1)).jobs] == ["first"]
    told = await explainer(rig).job("a")
    leaves, busy = told.machines.shown
    assert (busy.names, busy.reason.code) == (("has-it",), "busy")
    assert (leaves.names, leaves.reason.code) == (("has-not",), "leaves_to_holders")
    patience = leaves.reason.patience
    assert patience is not None
    assert (patience.missing_bytes, patience.bytes_per_s, patience.holders, patience.jobs) == (6 * 10**9, 500e6, 1, 1)
    assert patience.whole_s == 6.0, "half of the fetch"
    assert 0 < patience.left_s <= 6.0
    assert told.models == (ModelWhere(name="sdxl", size_bytes=6 * 10**9, in_memory=1),)


async def test_retries_and_lost_machines_are_told_with_their_codes(rig: Rig) -> None:
    """Two counters: attempts that failed, and machines that were lost."""
    link = await rig.joined(slots=1)
    await rig.submit("a")
    await rig.plan()
    (job,) = (await link.claim(credits_=1)).jobs
    await rig.cell.remove_machine("m", because="gone", lost=True, nonce=nonce())
    await rig.plan()
    other = await rig.joined("n", slots=1)
    await rig.plan()
    (job,) = (await other.claim(credits_=1)).jobs
    await other.fail([Failure(job.id, job.token, "NS_ENGINE_DIED", "it died", retryable=True, jitter=0.0)])
    told = await explainer(rig).job("a")
    assert (told.status, told.attempts, told.recoveries) == (JobStatus.DELAYED, 1, 1)
    assert [step.why for step in told.failures] == ["NS_ENGINE_DIED"]
    text = said(explain(told))
    assert "attempts: 1 failed of 3 (NS_ENGINE_DIED); 1 machine lost of 10 that may be" in text
    assert "pauses after a failed attempt; the next one may begin in" in text
    assert "lost with its machine; back to the front of the queue, no attempt charged" in text


async def test_fetches_of_its_models_are_told_with_how_far_they_are(rig: Rig) -> None:
    """Those under way by their expected end, and orders that nobody has begun."""
    link = await holder(rig, "m")
    await holder(rig, "n")
    name = "sdxl.safetensors"
    await rig.cell.declare([f"model:{name}"], by="test")
    await rig.submit("a", requires=Requirements(models=(ModelNeed(name=name),)))
    await rig.model_link(link).fetch_started(name, size_bytes=6_000_000_000, expected_ms=60_000)
    order = read_order({"name": name, "sources": ["https://h/a"], "sha256": "unknown"})
    for machine in ("m", "n"):
        await order_fetch(rig.cell, machine, order, order_id=f"o-{machine}", by="test")
    told = await explainer(rig).job("a")
    running, ordered = told.fetches
    assert (running.machine, running.size_bytes, running.expected_ms - running.since_ms) == ("m", 6 * 10**9, 60_000)
    assert (ordered.machine, ordered.order, ordered.expected_ms) == ("n", "o-n", 0)
    assert "fetch: sdxl.safetensors (6.0 GB) comes to m: for" in said(explain(told))
    assert told.unservable == "", "it is under way"


async def test_a_model_that_nobody_holds_and_nobody_can_fetch_keeps_a_job_for_ever(rig: Rig) -> None:
    """Unless the catalogue knows from where it can be had, or an engine has it and does not tell."""
    await rig.joined("m")
    await rig.cell.declare(["model:sdxl"], by="test")
    await rig.submit("a", requires=SDXL)
    told = await explainer(rig).job("a")
    assert told.unservable == (
        "model sdxl cannot be had: no machine tells of it, and nobody said from where to fetch it"
    )
    assert told.actions[-1].command == "northstar machines fetch m sdxl --from URL --sha256 HEX"

    async def known_of(name: str) -> KnownModel:
        return KnownModel(name=name, sources=("https://h/sdxl",))

    assert (await explainer(rig, known_of=known_of).job("a")).unservable == ""


async def test_the_decision_that_was_stored_with_a_job_is_told_with_every_rejected_pool(rig: Rig) -> None:
    """The matrix row that decided, the estimate, and each pool that was passed over with its reason."""

    lane = JobRequest(service="waits").lane()
    a, b = (JobRequest(service="waits", id=job) for job in ("a", "b"))
    jobs = [
        wanted_job(a, job_id="a", lane=1, weight=1.0, decision=to_stored(DECISION)),
        wanted_job(b, job_id="b", lane=1, weight=1.0),
    ]
    await rig.cell.submit(jobs=jobs, lanes=[wanted_lane(lane, None, PatienceRule())], nonce="n")
    told = await explainer(rig).job("a")
    assert told.decision == DECISION
    text = said(explain(told))
    assert "estimate: about 12 s (8.0 s to 20 s); from shape of 214 runs, confidence 80 %" in text
    assert "decision: pool standard, by row image-under-30s (fallback): an image of about 12 s" in text
    assert "rejected: fast-lane: no machine of it is here (no_machine)" in text
    assert "none is stored with it" in said(explain(await explainer(rig).job("b")))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pool": 7}'])
def test_a_decision_that_cannot_be_read_is_none(text: str) -> None:
    """A newer version may have written it."""
    assert read_decision(text) is None


async def test_of_a_machine_that_keeps_no_models_folder_no_explanation_speaks_of_a_fetch(rig: Rig) -> None:
    """Of the job, of the machine and of the model: its engine must have the file itself."""
    link = await rig.link("none")
    await link.register(PROFILE, MachineDescription(keeps_models=False), slots=1, models=())
    need = ModelNeed(name="flux", size_bytes=6_000_000_000, sources=("https://h/flux",), sha256="unknown")
    await rig.submit("first", requires=Requirements(models=(need,)))
    await rig.plan()
    assert [job.id for job in (await link.claim(credits_=1)).jobs] == ["first"]
    await rig.submit("a", requires=Requirements(models=(need,)))
    job = said(explain(await explainer(rig).job("a")))
    assert "fits, and all its slots are busy; it keeps no models folder, so its engine must have flux itself" in job
    assert (
        "model: flux (6.0 GB): on machines that fit 0 in memory, 0 on disk, 0 fetching; it is known from where to fetch it; "
        "1 machine that fits keeps no models folder, so its engine must have it" in job
    )
    machine = await explainer(rig).machine("none")
    assert not machine.keeps_models
    assert "models: it keeps no models folder: nothing is fetched to it, and its engines must have what" in said(
        explain(machine)
    )
    model = await explainer(rig).model("flux")
    assert [absence.code for absence in model.absent] == ["keeps_none"]
    assert "not on: none: keeps no models folder, so its engine must have it itself" in said(explain(model))
    assert not [action for action in model.actions if "machines fetch" in action.command]


async def test_a_finished_job_tells_its_story(rig: Rig) -> None:
    """From its first event to its last, with the machine that ran it."""
    link = await rig.joined(slots=1)
    await rig.submit("a")
    await rig.plan()
    (job,) = (await link.claim(credits_=1)).jobs
    await link.complete_and_claim([Done(job.id, job.token, "{}")], credits_=1)
    told = await explainer(rig).job("a")
    assert [step.event for step in told.steps] == ["submitted", "started", "succeeded"]
    assert (told.status, told.machines.shown, told.actions) == (JobStatus.SUCCEEDED, (), ())


async def test_a_job_that_never_was_is_refused(rig: Rig) -> None:
    """Not explained away; what happened to a machine of that name is no story of a job."""
    await rig.joined("ghost")
    with pytest.raises(NoSuchJob):
        await explainer(rig).job("ghost")


async def test_an_idle_machine_says_what_waits_and_why_it_does_not_take_it(rig: Rig) -> None:
    """Counts by reason, what it may take, what it holds and fetches, and what its pools demand."""
    link = await holder(rig, "m", ModelHeld("vae", "disk", 300))
    assert (await explainer(rig).machine("m")).code == "nothing_waits"
    await rig.cell.declare(["tag:eu"], by="test")
    await rig.submit("a", "b", requires=Requirements(tags=("eu",)))
    await rig.model_link(link).fetch_started("sdxl", size_bytes=1, expected_ms=1_000)
    told = await explainer(rig).machine("m")
    assert told.code == "blocked"
    (blocked,) = told.blocked
    assert (blocked.jobs, blocked.reason.lacks[0].says) == (2, "lacks tags eu")
    assert [(pool.pool, pool.waiting, pool.fits) for pool in told.pools] == [("standard", 2, 0)]
    assert (told.held, [fetch.model for fetch in told.fetches]) == ((ModelHeld("vae", "disk", 300),), ["sdxl"])
    assert "not: 2 jobs (such as waits in pool standard): the machine lacks tags eu" in said(explain(told))


async def test_a_machine_that_has_room_for_what_waits_says_so(rig: Rig) -> None:
    """Until the queue hands it out, which takes a moment."""
    await holder(rig, "m", slots=2)
    await rig.cell.pause("cell", because="test", by="test")
    await rig.submit("a")
    told = await explainer(rig).machine("m")
    assert [blocked.reason.code for blocked in told.blocked] == ["paused"]
    assert [action.command for action in told.actions] == ["northstar resume cell"]


async def joined_by_invite(rig: Rig, machine: str, *, approval: bool = False) -> None:
    admission = Admission(rig.cell, random_bytes=secrets.token_bytes, monotonic=time.monotonic)
    terms = InviteTerms(pools=("standard",), approval=approval)
    invitation = await admission.invite(terms, by="ann")
    await admission.redeem(invitation.invite.reveal(), new_token(invitation.invite).reveal(), machine=machine)


async def test_a_machine_that_is_not_here_says_why(rig: Rig) -> None:
    """Not approved, revoked, or gone; and what brings it back."""
    await joined_by_invite(rig, "new", approval=True)
    told = await explainer(rig).machine("new")
    assert (told.code, told.actions[0].command) == ("not_approved", "northstar machines approve new")
    await calls.approve(rig.cell, "new", by="ann")
    assert (await explainer(rig).machine("new")).code == "gone"
    await calls.revoke(rig.cell, "new", because="sold", by="ann", nonce=nonce())
    told = await explainer(rig).machine("new")
    assert (told.code, told.says) == ("revoked", "by ann")
    with pytest.raises(NoSuchMachine):
        await explainer(rig).machine("never")


async def test_a_model_is_found_by_its_alias_and_ordered_by_a_command_that_works(rig: Rig) -> None:
    """Machines call it by its file, and the catalogue by its name."""
    await holder(rig, "warm", ModelHeld("sdxl.safetensors", "resident", 6))
    await holder(rig, "without")
    files = (CatalogueFile(name="sdxl.safetensors", kind="checkpoint", sources=("https://h/sdxl",)),)
    model = CatalogueModel(
        name="sdxl-base", aliases=("xl",), versions=(CatalogueVersion(version="1", files=files),), current="1"
    )
    await say(rig.cell, [model], by="test")
    known_of = known_in(CatalogueView(rig.cell, monotonic=time.monotonic))
    assert await explainer(rig, known_of=known_of).kinds_of("xl") == ["model"]
    told = await explainer(rig, known_of=known_of).model("xl")
    assert (told.name, told.holders) == ("sdxl.safetensors", ("warm",))
    text = said(explain(told))
    assert "known: xl is another name of sdxl-base; the file of sdxl-base is sdxl.safetensors" in text
    (action,) = told.actions
    assert action.command == "northstar machines fetch without sdxl-base"
    assert [order.name for order in await catalogue_orders(rig.cell, action.command.split()[-1])] == [
        "sdxl.safetensors"
    ], "which is what the machine is told"


async def test_a_model_says_where_it_is_who_asks_and_why_it_is_not_elsewhere(rig: Rig) -> None:
    """Copies in memory and on disk, fetches with their expected end, lanes that ask, and machines without it."""
    await holder(rig, "warm", ModelHeld("sdxl", "resident", 6))
    await holder(rig, "cold", ModelHeld("sdxl", "disk", 6))
    fetching = await holder(rig, "fetching")
    await holder(rig, "without")
    await rig.model_link(fetching).fetch_started("sdxl", size_bytes=6, expected_ms=9_000)
    await rig.cell.pause("cell", because="test", by="test")
    await rig.submit("a", "b", requires=SDXL)
    told = await explainer(rig).model("sdxl")
    assert (told.in_memory, told.on_disk, told.holders) == (1, 1, ("warm", "cold"))
    assert [(fetch.machine, fetch.expected_ms - fetch.since_ms) for fetch in told.fetches] == [("fetching", 9_000)]
    assert [(lane.waiting, lane.unfinished) for lane in told.asked_by] == [(2, 2)]
    assert [(absence.code, absence.names) for absence in told.absent] == [("left_to_holders", ("without",))]


async def test_a_job_that_brings_its_source_makes_a_model_available(rig: Rig) -> None:
    """Then the next job that asks for it fetches it."""
    await holder(rig, "m")
    need = ModelNeed(name="flux", sources=("https://h/flux",), sha256="unknown")
    await rig.cell.pause("cell", because="test", by="test")
    await rig.submit("a", requires=Requirements(models=(need,)))
    told = await explainer(rig).model("flux")
    assert [absence.code for absence in told.absent] == ["not_yet"]


async def test_a_name_says_what_it_may_be_the_name_of(rig: Rig) -> None:
    """A job, a machine and a model may be called alike; then their user has to say which is meant."""
    await holder(rig, "same", ModelHeld("same", "disk", 1))
    assert await explainer(rig).kinds_of("same") == ["machine", "model"]
    await rig.submit("same")
    assert await explainer(rig).kinds_of("same") == ["job", "machine", "model"]
    assert await explainer(rig).kinds_of("nobody") == []
    assert await explainer(rig).kinds_of("no name\x00 at all") == []
    assert await explainer(rig).kinds_of("x" * 5_000) == []


async def test_what_is_read_for_a_job_does_not_grow_with_the_fleet(rig: Rig) -> None:
    """The same number of commands for 3 machines and for 60, and one group for all that are alike."""
    await rig.cell.declare(["model:sdxl"], by="test")
    await rig.submit("a", requires=SDXL)
    for number in range(3):
        await rig.joined(f"m{number:02}")
    few = await commands_of(rig)
    for number in range(3, 60):
        await rig.joined(f"m{number:02}")
    assert await commands_of(rig) == few
    (group,) = (await explainer(rig).job("a")).machines.shown
    assert (group.count, group.names) == (60, ("m00", "m01", "m02"))


async def commands_of(rig: Rig) -> int:
    """Commands that the server handled for one explanation, with those that ask for the count."""
    before = await handled(rig)
    await explainer(rig).job("a")
    return await handled(rig) - before


async def handled(rig: Rig) -> int:
    info: Any = await rig.cell.client.execute_command("INFO", "stats")
    return int(info["total_commands_processed"])


async def test_the_queue_does_what_the_explanation_says(rig: Rig) -> None:
    """No machine is given a job of which it was said that it does not take it, and the holder takes it once it is free."""
    has_it = await holder(rig, "has-it", ModelHeld("sdxl", "resident", 6_000_000_000))
    await rig.submit("first", requires=SDXL)
    (job,) = (await has_it.claim(credits_=1)).jobs
    patient = await holder(rig, "patient", download_bytes_per_s=1e6)
    drains = await holder(rig, "drains")
    await rig.cell.drain_machine("drains", draining=True, nonce=nonce())
    unfit = await rig.link("unfit")
    await unfit.register(msgspec.structs.replace(PROFILE, pools=("fast",)), MachineDescription(), slots=1, models=[])
    await unfit.claim(credits_=1)
    await rig.submit("a", requires=SDXL)
    await rig.plan()
    told = await explainer(rig).job("a")
    assert {name: group.reason.code for group in told.machines.shown for name in group.names} == {
        "has-it": "busy",
        "patient": "leaves_to_holders",
        "drains": "draining",
        "unfit": "does_not_fit",
    }
    for link in (patient, drains, unfit):
        assert (await link.claim(credits_=1)).jobs == []
    assert await rig.status("a") == "queued"
    done = await has_it.complete_and_claim([Done(job.id, job.token, "{}")], credits_=1)
    assert [taken.id for taken in done.jobs] == ["a"]
