"""What a machine announces: what is declared, then what was found, never more than can be stored."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.engine_facts import EngineFacts
from northstar.domain.machines import (
    MAX_DESCRIPTION_BYTES,
    MAX_PROFILE_BYTES,
    MAX_PROFILE_WORDS,
    EngineDescription,
    Gpu,
    MachineDescription,
    MachineProfile,
)
from northstar.domain.models import ModelHeld
from northstar.domain.node_sets import digest_of, packed_set
from northstar.domain.requirements import VRAM_CLASSES_MB, Requirements, lane_of, read_class
from northstar.policy.fleet.announcement import MAX_MODELS, Announcement, Declared, announce, merged_models, with_packs
from northstar.policy.fleet.gpus import FoundGpus

L4 = tuple(Gpu(index=index, name="NVIDIA L4", vram_mb=24_152, uuid=f"GPU-{index}") for index in range(2))
FOUND = FoundGpus(gpus=L4, driver="550.90.07")
COMFY = EngineFacts(
    kind="comfyui",
    version="0.3.64",
    node_packs=("comfyui-impact-pack",),
    node_classes=900,
    node_classes_digest="0123456789abcdef",
    models=(ModelHeld("sdxl.safetensors", "disk"),),
)


def said(
    found: FoundGpus = FOUND, engines: dict[str, EngineFacts] | None = None, *, vram_mb: int = 0, **more: Any
) -> Announcement:
    profile = MachineProfile(pools=("standard",), services=("picture",), vram_mb=vram_mb)
    return announce(Declared(profile=profile, **more), found, {"picture": COMFY} if engines is None else engines)


def test_the_disk_for_models_is_announced_since_pools_ask_for_it() -> None:
    """Spec, pools: "Storage"."""
    assert said(disk_bytes=200_000_000_000).description.disk_bytes == 200_000_000_000
    assert said().description.disk_bytes == 0


def test_what_is_found_is_announced_where_nothing_is_declared() -> None:
    found = said(region="eu", price_usd_per_hour=0.25)
    assert (found.profile.vram_mb, found.slots) == (24_000, 2)
    assert found.profile.node_packs == ("comfyui-impact-pack",)
    assert found.models == (ModelHeld("sdxl.safetensors", "disk"),)
    assert found.description == MachineDescription(
        region="eu",
        price_usd_per_hour=0.25,
        gpu="2 x NVIDIA L4",
        gpus=L4,
        driver="550.90.07",
        engines=(
            EngineDescription(
                service="picture",
                kind="comfyui",
                version="0.3.64",
                node_classes=900,
                node_classes_digest="0123456789abcdef",
                models=1,
            ),
        ),
        keeps_models=False,
    )


def test_a_machine_says_whether_it_keeps_models_and_one_that_does_not_say_counts_as_one_that_does() -> None:
    """An older machine does not say it."""
    declared = Declared(profile=MachineProfile(pools=("standard",), services=("picture",)))
    assert announce(declared, FOUND, {}, files_are_kept=True).description.keeps_models
    assert not announce(declared, FOUND, {}).description.keeps_models
    assert msgspec.json.decode(b'{"disk_bytes":0}', type=MachineDescription).keeps_models


def test_what_is_declared_wins() -> None:
    declared = said(vram_mb=20_000, gpu="RTX 4090", gpus=1, slots=7, slots_per_gpu=3)
    assert (declared.profile.vram_mb, declared.slots, declared.description.gpu) == (20_000, 7, "RTX 4090")
    assert [(gpu.name, gpu.vram_mb, gpu.uuid) for gpu in declared.description.gpus] == [("RTX 4090", 20_000, "")]


@pytest.mark.parametrize(
    ("gpus", "per_gpu", "slots"), [(None, 1, 2), (None, 3, 6), (0, 3, 3), (1, 2, 2), (64, 500, 500)]
)
def test_slots_follow_from_the_gpus(gpus: int | None, per_gpu: int, slots: int) -> None:
    assert said(gpus=gpus, slots_per_gpu=per_gpu).slots == slots


def test_all_its_gpus_together_are_what_its_jobs_share() -> None:
    both = said()
    assert both.description.shared_vram_mb(both.profile) == 2 * 24_152
    none = said(FoundGpus())
    assert none.description.shared_vram_mb(none.profile) == 0
    bare = MachineProfile(pools=("standard",), services=("text",), vram_mb=8_000)
    assert MachineDescription().shared_vram_mb(bare) == 8_000  # an older agent names no GPUs


@pytest.mark.parametrize("vram_mb", [23_999, 24_000, 24_152, 25_757, 31_999, 400_000])
def test_cards_of_one_class_make_equal_profiles(vram_mb: int) -> None:
    found = said(FoundGpus(gpus=(Gpu(index=0, name="a card", vram_mb=vram_mb),))).profile.vram_mb
    assert found == {23_999: 20_000, 400_000: 288_000}.get(vram_mb, 24_000)
    needs = [Requirements(vram_mb=vram) for vram in VRAM_CLASSES_MB]
    classes = [read_class(lane_of(pool="p", service="s", requires=need).requirement_class).vram_mb for need in needs]
    assert [wanted <= found for wanted in classes] == [wanted <= vram_mb for wanted in classes], "nothing is lost by it"


def test_of_different_gpus_the_smallest_counts_and_it_is_said() -> None:
    mixed = said(FoundGpus(gpus=(L4[0], Gpu(index=1, name="NVIDIA A100", vram_mb=81_920))))
    assert (mixed.profile.vram_mb, mixed.description.gpu) == (24_000, "NVIDIA L4, NVIDIA A100")
    assert "declare vram_mb" in mixed.description.trouble


def test_a_gpu_of_unknown_memory_takes_no_job_that_needs_some_and_it_is_said() -> None:
    mig = said(FoundGpus(gpus=(Gpu(index=0, name="MIG slice"),)))
    assert mig.profile.vram_mb == 0
    assert "the memory of a GPU is not known" in mig.description.trouble
    assert said(FoundGpus(gpus=(Gpu(index=0, name="MIG slice"),)), vram_mb=20_000).description.trouble == ""


def test_a_model_in_memory_of_one_engine_is_in_memory_and_comes_first() -> None:
    one = [ModelHeld("a", "disk", 5), ModelHeld("b", "disk")]
    other = [ModelHeld("b", "resident", 7), ModelHeld("bad\nname", "disk"), ModelHeld("", "disk")]
    assert merged_models([one, other]) == ((ModelHeld("b", "resident", 7), ModelHeld("a", "disk", 5)), 0)


def test_more_models_than_a_report_may_name_are_left_out_and_it_is_said() -> None:
    many = EngineFacts(kind="comfyui", models=tuple(ModelHeld(f"m{number}", "disk") for number in range(600)))
    found = said(engines={"picture": many})
    assert len(found.models) == MAX_MODELS
    assert found.description.engines[0].models == 600
    assert "100 models are not announced" in found.description.trouble


def test_the_node_classes_that_all_engines_know_are_named_by_their_digest() -> None:
    one = EngineFacts(kind="comfyui", node_class_names=frozenset({"KSampler", "Upscale"}))
    other = EngineFacts(kind="comfyui", node_class_names=frozenset({"KSampler"}))
    found = said(engines={"picture": one, "video": other, "text": EngineFacts(kind="ollama")})
    assert found.node_set == packed_set(["KSampler"])
    assert found.profile.node_set == digest_of(["KSampler"])


def test_more_node_classes_than_can_be_kept_are_not_announced_and_it_is_said() -> None:
    names = frozenset(f"{number * 2654435761 % 2**32:x}" for number in range(50_000))
    found = said(engines={"picture": EngineFacts(kind="comfyui", node_class_names=names)})
    assert (found.node_set, found.profile.node_set) == (None, "")
    assert "node classes are not announced" in found.description.trouble


def test_a_pack_whose_version_is_declared_is_not_announced_again_without_it() -> None:
    profile = MachineProfile(pools=("standard",), services=("picture",), node_packs=("impact@8.1",))
    assert with_packs(profile, ["impact", "animate"])[0].node_packs == ("impact@8.1", "animate")


WORDS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)


@given(st.sets(WORDS, max_size=400), st.sets(WORDS, max_size=400))
def test_a_profile_can_always_be_stored_and_keeps_what_is_declared(declared: set[str], packs: set[str]) -> None:
    declared = set(sorted(declared)[:100])
    profile = MachineProfile(pools=("standard",), services=("picture",), node_packs=tuple(sorted(declared)))
    more, left_out = with_packs(profile, packs)
    assert declared <= set(more.node_packs)
    assert len(more.node_packs) + left_out == len(declared | packs)
    assert len(more.words()) <= MAX_PROFILE_WORDS
    assert len(more.canonical().encode()) <= MAX_PROFILE_BYTES


def test_two_hundred_packs_of_a_large_installation_have_room() -> None:
    packs = tuple(f"comfyui-some-pack-of-nodes-number-{number}" for number in range(200))
    assert set(said(engines={"picture": EngineFacts(kind="comfyui", node_packs=packs)}).profile.node_packs) == set(
        packs
    )


@given(
    st.integers(0, 64),
    st.text(max_size=200),
    st.dictionaries(
        WORDS, st.builds(EngineFacts, kind=st.text(max_size=80), version=st.text(max_size=300)), max_size=64
    ),
    st.text(max_size=64),
)
def test_a_description_can_always_be_stored_and_read(
    gpus: int, driver: str, engines: dict[str, EngineFacts], gpu: str
) -> None:
    found = FoundGpus(gpus=L4, driver=driver)
    description = said(found, engines, gpus=gpus, gpu=gpu, region="é" * 128).description
    packed = msgspec.json.encode(description)
    assert len(packed) <= MAX_DESCRIPTION_BYTES
    assert msgspec.json.decode(packed, type=MachineDescription) == description


def test_the_longest_description_gives_up_ids_and_then_engines() -> None:
    cards = tuple(Gpu(index=index, name="N" * 64, vram_mb=1, uuid="GPU-" + "u" * 60) for index in range(64))
    engines = {f"{'s' * 60}-{number}": EngineFacts(kind="k" * 32, version="v" * 64) for number in range(64)}
    description = said(FoundGpus(gpus=cards), engines).description
    assert len(msgspec.json.encode(description)) <= MAX_DESCRIPTION_BYTES
    assert len(description.gpus) == 64
    assert {gpu.uuid for gpu in description.gpus} == {""}
    assert 0 < len(description.engines) < 64


def test_descriptions_of_older_and_newer_machines_are_read() -> None:
    old = b'{"download_bytes_per_s": 5.0, "region": "eu", "price_usd_per_hour": 0.0, "gpu": "L4"}'
    assert msgspec.json.decode(old, type=MachineDescription).gpus == ()
    newer = b'{"region": "eu", "gpus": [{"index": 0, "bus": 7}], "cooling": "water"}'
    assert msgspec.json.decode(newer, type=MachineDescription).gpus == (Gpu(index=0),)
