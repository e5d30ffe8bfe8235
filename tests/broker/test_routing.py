"""Routing a job: what it is, how long it may take, where it belongs, where it waits, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from northstar.broker.catalogue_errors import ModelNotForTenant
from northstar.broker.requests import InvalidJob
from northstar.broker.routed import MAX_DECISION_BYTES, Routed
from northstar.broker.routing import Router
from northstar.config.pools import packaged_pools
from northstar.domain.catalogue import CatalogueFile, CatalogueModel, CatalogueVersion
from northstar.domain.decisions import ExpectedOn, MachinesThen, Rejection, TurnedDown
from northstar.domain.estimates import DurationEstimate
from northstar.domain.jobs import JobRequest
from northstar.domain.machines import EngineDescription, MachineDescription, MachineProfile
from northstar.domain.models import ModelNeed
from northstar.domain.pools import Pools
from northstar.domain.requirements import Requirements
from northstar.domain.stored_decisions import read_stored
from northstar.domain.tenancy import NO_TENANTS, Tenants, TenantTerms
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.policy.routing.coming import ComingMachine
from northstar.policy.routing.decision_matrix import PoolRefusesJob
from northstar.policy.routing.duration import JobToTime
from northstar.policy.routing.gpu_pace import NO_PACES, GpuPaces
from northstar.policy.routing.snapshot import CellSnapshot, MachineState
from northstar.policy.routing.terms import IsolationNotAllowed, RegionNotAllowed
from tests.specification.pool_jobs import with_pool

PICTURE = {
    "prompt": {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sdxl.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a lighthouse", "clip": ["1", 1]}},
        "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 1024, "height": 1024, "batch_size": 1}},
        "4": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0],
                "positive": ["2", 0],
                "negative": ["2", 0],
                "latent_image": ["3", 0],
                "steps": 20,
                "seed": 1,
            },
        },
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0]}},
    }
}
SDXL = CatalogueModel(
    name="sdxl",
    aliases=("xl",),
    versions=(
        CatalogueVersion(
            version="1.0",
            files=(
                CatalogueFile(
                    name="sdxl.safetensors",
                    kind="checkpoint",
                    size_bytes=6_940_000_000,
                    sha256="ab" * 32,
                    sources=("https://models.example/sdxl.safetensors",),
                ),
            ),
        ),
    ),
    current="1.0",
)


class Guess:
    """Every job takes what its submitter says, or a given time."""

    def __init__(self, seconds: float = 10.0) -> None:
        self.seconds = seconds
        self.asked: list[tuple[str, str, str]] = []
        self.known_paces = NO_PACES

    def estimate(self, job: JobToTime) -> DurationEstimate:
        self.asked.append((job.service, job.user, job.gpu_class))
        seconds = job.declared_s or self.seconds
        return DurationEstimate(
            p10_s=seconds, p50_s=seconds, p90_s=seconds, source="shape", confidence=0.8, gpu_class=job.gpu_class
        )

    def run_times(self, job: JobToTime, gpu_classes: Iterable[str]) -> dict[str, float]:
        del job, gpu_classes
        return {}

    def paces(self) -> GpuPaces:
        return self.known_paces


def a_machine(name: str, profile: str, **changes: Any) -> MachineState:
    described = MachineDescription(engines=(EngineDescription(service="comfy", kind="comfyui"),))
    fields: dict[str, Any] = {"slots": 1, "used": 0, "active": True, "parked": True, "description": described}
    return MachineState(id=name, profile=profile, **fields | changes)


def a_cell(*machines: MachineState, **profiles: MachineProfile) -> CellSnapshot:
    return CellSnapshot(machines={one.id: one for one in machines}, profiles=profiles)


def a_profile(*pools: str, **changes: Any) -> MachineProfile:
    return MachineProfile(pools=pools, services=("comfy", "text"), **{"vram_mb": 24_000} | changes)


class Desk:
    """A router, and what it goes by."""

    def __init__(self, snapshot: CellSnapshot | None = None) -> None:
        self.pools: Pools = packaged_pools()
        self.terms: dict[str, TenantTerms] = {}
        self.tenants = Tenants(tenants=self.terms)
        self.catalogue = CatalogueIndex([SDXL])
        self.guess = Guess()
        self.router = Router(
            pools=lambda: self.pools,
            tenants=lambda: self.tenants,
            estimates=self.guess,
            catalogue=lambda: self.catalogue,
        )
        if snapshot is not None:
            self.router.see(snapshot)

    def route(self, service: str = "comfy", **fields: Any) -> Routed:
        return self.router.route(JobRequest(service=service, **{"payload": PICTURE} | fields), key="k")


FAST = a_cell(a_machine("m", "p"), p=a_profile("fast-lane"))


def test_a_picture_of_ten_seconds_waits_in_the_fast_lane_and_says_why() -> None:
    """Spec, flowchart: `B -->|3-30s| D[Fast Lane Pool]`."""
    routed = Desk(FAST).route()
    decision = routed.decision
    assert (routed.resolved.request.pool, decision.route, decision.optimal) == ("fast-lane", "matrix", "fast-lane")
    assert decision.estimate.p50_s == 10.0
    assert [one.subject for one in decision.rejected][:1] == ["lightning"]
    assert (decision.fit_machines, decision.holders) == (1, 0)


def test_models_that_only_the_graph_names_are_needed_as_the_catalogue_has_them() -> None:
    routed = Desk(FAST).route()
    (need,) = routed.resolved.request.requires.models
    assert (need.name, need.size_bytes, need.sources) == (
        "sdxl.safetensors",
        6_940_000_000,
        ("https://models.example/sdxl.safetensors",),
    )
    assert routed.resolved.declared == ("sdxl.safetensors",)
    assert routed.resolved.request.requires.vram_mb == 8_940


def test_a_model_that_a_machine_holds_is_needed_though_nobody_declared_it() -> None:
    desk = Desk(a_cell(a_machine("m", "p", held={"sdxl.safetensors": "disk"}), p=a_profile("fast-lane")))
    desk.catalogue = CatalogueIndex()
    routed = desk.route()
    assert [need.name for need in routed.resolved.request.requires.models] == ["sdxl.safetensors"]
    assert routed.decision.holders == 1


def test_a_model_that_nobody_has_heard_of_is_left_to_the_engine_and_noted() -> None:
    desk = Desk(FAST)
    desk.catalogue = CatalogueIndex()
    routed = desk.route()
    assert routed.resolved.request.requires.models == ()
    assert "model sdxl.safetensors is declared nowhere" in routed.decision.notes[0]


def test_node_classes_beyond_the_core_are_required_where_machines_tell_theirs() -> None:
    graph = PICTURE["prompt"] | {"7": {"class_type": "MyRareNode", "inputs": {"images": ["5", 0]}}}
    telling = a_cell(a_machine("m", "p"), p=a_profile("fast-lane", node_set="0123456789abcdef"))
    assert Desk(telling).route(payload={"prompt": graph}).resolved.request.requires.node_classes == ("MyRareNode",)
    assert Desk(FAST).route(payload={"prompt": graph}).resolved.request.requires.node_classes == ()


def test_without_a_machine_of_its_pool_it_goes_to_the_first_fallback_that_can() -> None:
    """Spec, flowchart: `P{Cross-Pool Feasible?} -->|Yes| Q[Route to Compatible Pool]`."""
    routed = Desk(a_cell(a_machine("m", "p"), p=a_profile("heavy"))).route()
    assert (routed.decision.pool, routed.decision.optimal, routed.decision.route) == ("heavy", "fast-lane", "fallback")


def test_where_nobody_can_it_waits_at_home_and_says_what_would_have_to_change() -> None:
    routed = Desk(a_cell(a_machine("m", "p"), p=a_profile("heavy", vram_mb=8_000))).route()
    assert (routed.decision.pool, routed.decision.route) == ("fast-lane", "waiting")
    assert routed.decision.unservable == ("no machine fits now: m has 8000 MB of VRAM, the job needs 10000")
    (action,) = (
        routed.actions
    )  # heavy would take it if it could, so its pool is no obstacle; one of its own pool is best
    assert action.command == "northstar machines invite --pool fast-lane"
    assert "has 10000 MB of VRAM" in action.what


def test_models_that_nobody_has_and_nobody_can_fetch_are_told_at_submit() -> None:
    routed = Desk(FAST).route(requires=Requirements(models=(ModelNeed(name="own", size_bytes=5),)), payload={})
    assert "nobody said from where they can be had" in routed.decision.unservable
    assert [action.command for action in routed.actions] == ["northstar models add URL --name own"]
    assert (Desk(FAST).route().decision.unservable, Desk(FAST).route().actions) == ("", ())


def folderless(models: int) -> MachineDescription:
    engines = (EngineDescription(service="comfy", kind="comfyui", models=models),)
    return MachineDescription(engines=engines, keeps_models=False)


def test_where_no_machine_keeps_models_nothing_is_brought_and_an_engine_may_have_what_it_does_not_name() -> None:
    routed = Desk(a_cell(a_machine("m", "p", description=folderless(0)), p=a_profile("fast-lane"))).route()
    assert (routed.decision.unservable, routed.deploys) == ("", False)
    assert routed.decision.because.endswith("; no machine there keeps models, so its engine must have them")
    assert routed.decision.machines is not None
    (best,) = routed.decision.machines.best
    assert (best.left_to_engine, best.fetch_s) == (True, 0.0)


def test_where_no_machine_keeps_models_and_all_engines_name_others_it_is_told_at_submit() -> None:
    """A source helps nobody there."""
    routed = Desk(a_cell(a_machine("m", "p", description=folderless(3)), p=a_profile("fast-lane"))).route()
    assert routed.decision.unservable.startswith(
        "no machine that fits keeps models, and the engines there name others than it asks for: put them where"
    )


def test_enterprise_terms_go_first_and_hold_the_job_in_its_pool() -> None:
    desk = Desk(FAST)
    desk.terms["acme"] = TenantTerms(enterprise=True, priority_at_least=70, weight=4.0)
    routed = desk.route(tenant="acme")
    assert (routed.decision.pool, routed.decision.guaranteed, routed.decision.route) == ("enterprise", True, "waiting")
    assert routed.resolved.request.priority >= 70
    assert desk.router.weight("acme") == 4.0


def test_a_pool_that_enterprise_terms_overrule_is_said_not_to_be_followed() -> None:
    """Its submitter named it, and would look for the job there."""
    desk = Desk()
    desk.terms["acme"] = TenantTerms(enterprise=True)
    named = desk.router.route(JobRequest(service="text", payload={}, tenant="acme", pool="heavy"), key="a")
    assert named.decision.pool == "enterprise"
    assert named.decision.because.endswith("; pool heavy, which its submitter named, is not followed")
    for pool in (None, "enterprise"):
        followed = desk.router.route(JobRequest(service="text", payload={}, tenant="acme", pool=pool), key="a")
        assert "not followed" not in followed.decision.because


def test_what_was_made_of_a_priority_is_stored_with_who_made_it() -> None:
    """So that whoever asked for 50 knows the 60 again; one that is routed anew keeps what was decided at submit."""
    desk = Desk()
    desk.terms["acme"] = TenantTerms(priority_at_least=90)
    boosted = desk.router.route(JobRequest(service="text", payload={}, pool="fast-lane"), key="a")
    decision = read_stored(boosted.stored())
    assert (decision.asked_priority, decision.raised_by, decision.raised_because) == (50, 10, "fast-lane")
    promised = desk.router.route(JobRequest(service="text", payload={}, pool="fast-lane", tenant="acme"), key="a")
    assert (promised.decision.raised_by, promised.decision.raised_because) == (40, "its tenant's terms")
    plain = desk.router.route(JobRequest(service="text", payload={}, pool="standard"), key="a")
    assert (plain.decision.asked_priority, plain.decision.raised_by) == (None, 0)
    anew = boosted.keeping(promised.decision).decision
    assert (anew.asked_priority, anew.raised_by) == (50, 40)
    assert boosted.keeping(None).decision.asked_priority is None


def test_sovereignty_is_a_need_like_any_other() -> None:
    desk = Desk(a_cell(a_machine("m", "p"), p=a_profile("fast-lane", region="us")))
    desk.terms["acme"] = TenantTerms(regions=("eu",))
    routed = desk.route(tenant="acme")
    assert routed.resolved.request.requires.regions == ("eu",)
    assert (routed.decision.route, routed.decision.fit_machines) == ("waiting", 0)
    with pytest.raises(RegionNotAllowed):
        desk.route(tenant="acme", requires=Requirements(regions=("us",)))


def test_a_pool_that_is_asked_for_is_the_pool_or_a_refusal() -> None:
    assert Desk(FAST).route(pool="fast-lane").decision.route == "pinned"
    with pytest.raises(PoolRefusesJob, match="pool lightning takes only text and embedding, and the job makes image"):
        Desk(FAST).route(pool="lightning")


def test_switched_off_pools_leave_every_machine_to_every_job() -> None:
    """Spec: "Pool routing can fall back to uniform machine distribution"."""
    desk = Desk(FAST)
    routing = msgspec.structs.replace(desk.pools.routing, mode="uniform")
    desk.pools = msgspec.structs.replace(desk.pools, routing=routing)
    assert (desk.route().decision.pool, desk.route().decision.route) == ("uniform", "uniform")


def test_a_job_counts_in_its_tenants_share_for_what_it_is_expected_to_take() -> None:
    assert Desk(FAST).route().resolved.request.expected_s == 10.0
    assert Desk(FAST).route(expected_s=42.0).resolved.request.expected_s == 42.0


def test_durations_are_asked_for_each_gpu_that_some_pool_counts_by_and_for_the_user() -> None:
    desk = Desk(FAST)
    desk.route(tenant="acme", user="ann")
    assert {user for _, user, _ in desk.guess.asked} == {"acme/ann"}
    assert "" in {gpu for _, _, gpu in desk.guess.asked}
    assert len(desk.guess.asked) == len({gpu for _, _, gpu in desk.guess.asked})


def test_what_the_request_says_of_its_models_stays() -> None:
    own = ModelNeed(name="own.safetensors", sources=("https://x.example/own",), sha256="cd" * 32)
    routed = Desk(FAST).route(requires=Requirements(models=(own,)))
    assert own in routed.resolved.request.requires.models
    assert "own.safetensors" not in routed.resolved.declared


def test_pools_that_were_passed_over_for_the_same_reason_are_told_together() -> None:
    rejected = Desk(FAST).route().decision.rejected
    assert [one.code for one in rejected] == ["too-long", "no-machine"]
    assert rejected[1].subject.startswith("standard, standard-photography, ")


def test_a_change_of_the_catalogue_the_terms_or_the_fleet_counts_at_once_for_work_that_was_routed_before() -> None:
    """What jobs that ask alike need is worked out once, and anew when something it follows from has changed."""
    desk = Desk(FAST)
    assert desk.route().resolved.request.requires.models[0].size_bytes == 6_940_000_000
    desk.catalogue = CatalogueIndex()
    assert desk.route().resolved.request.requires.models == ()
    desk.router.see(a_cell(a_machine("m", "p", held={"sdxl.safetensors": "disk"}), p=a_profile("fast-lane")))
    assert desk.route().decision.holders == 1
    desk.terms["default"] = desk.terms["acme"] = TenantTerms(regions=("eu",))
    assert desk.route(tenant="acme").resolved.request.requires.regions == ("eu",)


def test_machines_that_terms_isolate_for_one_tenant_are_nobody_elses() -> None:
    """Terms or no terms of its own: a tenant does not get there by asking, though it was routed there before they held."""
    desk = Desk(a_cell(a_machine("acmes", "p"), p=a_profile("fast-lane", dedicated_to="acme")))
    asked = Requirements(isolation="acme")
    assert desk.route(tenant="eve", requires=asked).decision.fit_machines == 1
    desk.tenants = Tenants(tenants={"acme": TenantTerms(isolation="acme"), "bob": TenantTerms(weight=2.0)})
    for tenant in ("eve", "bob"):
        with pytest.raises(IsolationNotAllowed):
            desk.route(tenant=tenant, requires=asked)
    assert desk.route(tenant="acme", requires=asked).decision.fit_machines == 1
    assert desk.route(tenant="acme").decision.fit_machines == 1


def test_what_one_tenant_may_use_is_not_remembered_for_another() -> None:
    """A model that is kept for one tenant is refused to the next one that names it, though the first was routed just before."""
    desk = Desk(FAST)
    desk.catalogue = CatalogueIndex([msgspec.structs.replace(SDXL, tenants=("acme",))])
    assert desk.route(tenant="acme").resolved.declared == ("sdxl.safetensors",)
    with pytest.raises(ModelNotForTenant):
        desk.route(tenant="rival")


def test_notes_and_pools_are_those_of_the_job_though_needs_are_shared() -> None:
    desk = Desk(FAST)
    desk.catalogue = CatalogueIndex()
    first, second = desk.route(), desk.route(pool="fast-lane")
    assert first.decision.notes == second.decision.notes
    assert (first.decision.route, second.decision.route) == ("matrix", "pinned")


def test_a_stored_decision_keeps_its_bound_by_leaving_out_the_last_pools_that_were_passed_over() -> None:
    routed = Desk(FAST).route()
    many = tuple(Rejection(subject=f"pool-{at}", code="no", reason="x" * 390) for at in range(12))
    whole = msgspec.structs.replace(routed, decision=msgspec.structs.replace(routed.decision, rejected=many))
    text = whole.stored()
    kept = read_stored(text)
    assert len(text.encode()) <= MAX_DECISION_BYTES
    assert kept.rejected == many[: len(kept.rejected)]
    assert len(kept.rejected) > 6


def test_a_guest_of_a_quicker_pool_has_the_turn_of_its_own_pool() -> None:
    desk = Desk(a_cell(a_machine("m", "p1"), p1=a_profile("fast-lane")))
    desk.guess.seconds = 60.0
    routed = desk.router.route(JobRequest(service="comfy", payload=PICTURE, priority=50), key="a")
    assert (routed.decision.route, routed.decision.pool, routed.resolved.request.priority) == (
        "fallback",
        "fast-lane",
        50,
    )


def test_a_model_that_is_kept_for_others_is_refused_however_many_the_job_names_before_it() -> None:
    kept = msgspec.structs.replace(SDXL, tenants=("acme",))
    others = tuple(ModelNeed(name=f"lora{at}.safetensors") for at in range(32))
    desk = Desk(a_cell(a_machine("m", "p1", held={"sdxl.safetensors": "disk"}), p1=a_profile("fast-lane")))
    desk.catalogue = CatalogueIndex([kept])
    with pytest.raises(ModelNotForTenant):
        desk.router.route(
            JobRequest(service="comfy", payload=PICTURE, tenant="eve", requires=Requirements(models=others)), key="a"
        )


def test_more_models_than_a_job_may_need_are_refused_and_not_cut() -> None:
    others = tuple(ModelNeed(name=f"lora{at}.safetensors") for at in range(32))
    desk = Desk()
    with pytest.raises(InvalidJob):
        desk.router.route(JobRequest(service="comfy", payload=PICTURE, requires=Requirements(models=others)), key="a")


class ByGpu(Guess):
    """An H100 has it done in 5 s, an L4 in 40; of others nobody knows."""

    def run_times(self, job: JobToTime, gpu_classes: Iterable[str]) -> dict[str, float]:
        asked = list(gpu_classes)
        self.asked += [(job.service, job.user, name) for name in asked]
        return {name: seconds for name, seconds in (("h100", 5.0), ("l4", 40.0)) if name in asked}


def test_how_long_this_very_job_takes_is_known_for_each_class_of_gpu_in_the_fleet() -> None:
    gpus = {"a": "NVIDIA H100 PCIe", "b": "NVIDIA L4", "c": "NVIDIA L4", "d": "NVIDIA T4"}
    machines = [a_machine(name, "p", description=MachineDescription(gpu=gpu)) for name, gpu in gpus.items()]
    desk = Desk()
    desk.guess = guess = ByGpu()
    guess.known_paces = GpuPaces({"t4": 3.0, "h100": 0.7})
    router = Router(
        pools=lambda: desk.pools, tenants=lambda: NO_TENANTS, estimates=guess, catalogue=lambda: desk.catalogue
    )
    router.see(a_cell(*machines, p=a_profile("fast-lane")))
    guess.asked.clear()
    routed = router.route(JobRequest(service="comfy", payload=PICTURE), key="k")
    assert routed.paces.factors == {"t4": 3.0, "h100": 0.5, "l4": 4.0}
    asked = [gpu for _, _, gpu in guess.asked]
    assert [asked.count(gpu) for gpu in ("h100", "l4", "t4")] == [1, 1, 1]  # by class, and not by machine


def test_jobs_that_come_within_one_view_do_not_take_what_a_pool_keeps_for_itself() -> None:
    """Of four free slots two are kept: the first two guests find one, and the others are told why not."""
    desk = Desk()
    desk.pools = with_pool("heavy", scaling={"reserved_share": 0.5})
    desk.router.see(a_cell(*(a_machine(f"m{at}", "p") for at in range(4)), p=a_profile("heavy")))
    pools = []
    for at in range(4):
        routed = desk.router.route(JobRequest(service="comfy", payload=PICTURE), key=str(at))
        desk.router.gave(routed)
        pools.append(routed.decision.pool)
    assert pools == ["heavy", "heavy", "fast-lane", "fast-lane"]
    desk.router.see(a_cell(*(a_machine(f"m{at}", "p") for at in range(4)), p=a_profile("heavy")))
    assert desk.route().decision.pool == "heavy"


def test_a_decision_says_which_machine_was_meant_and_why_each_other_was_not() -> None:
    """Stored with the job, so that it can be asked when the fleet is another one."""
    snapshot = a_cell(
        a_machine("warm", "p", held={"sdxl.safetensors": "resident"}, used=1, work_ahead_s=30.0),
        a_machine("cold", "p", held={"sdxl.safetensors": "disk"}),
        a_machine("small", "s"),
        a_machine("elsewhere", "h"),
        a_machine("drains", "p", active=False),
        p=a_profile("fast-lane"),
        s=a_profile("fast-lane", vram_mb=8_000),
        h=a_profile("heavy"),
    )
    assert Desk(snapshot).route().decision.machines == MachinesThen(
        best=(
            ExpectedOn(machine="cold", load_s=4.3, run_s=10.0),
            ExpectedOn(machine="warm", wait_s=30.0, run_s=10.0),
        ),
        turned_down=(
            TurnedDown(code="draining", count=1, names=("drains",), says="fits, and drains"),
            TurnedDown(code="pool", count=1, names=("elsewhere",), says="is in pool heavy, not fast-lane"),
            TurnedDown(code="vram", count=1, names=("small",), says="has 8000 MB of VRAM, the job needs 10000"),
        ),
    )


def test_a_decision_comes_back_from_its_text_as_it_was() -> None:
    decision = Desk(FAST).route().decision
    assert decision.machines is not None
    assert read_stored(Desk(FAST).route().stored()) == decision


def test_where_machines_are_on_their_way_it_is_said_that_none_is_ready_yet() -> None:
    """And not that nobody can: there is nothing to do."""
    empty = a_cell()
    routed = Desk(empty).route()
    soon = ComingMachine(name="local", profile=a_profile("fast-lane"))
    told = routed.expecting([soon], empty)
    assert told.decision.coming == "no machine that fits is ready yet; local is getting ready"
    assert (told.decision.unservable, told.actions) == ("", ())
    fallback = ComingMachine(name="local", profile=a_profile("heavy"))
    assert routed.expecting([fallback], empty).decision.coming, "it goes there as soon as it can"
    assert routed.expecting([ComingMachine(name="local", profile=a_profile("lightning"))], empty) == routed
