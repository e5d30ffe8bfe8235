"""Graphs in ComfyUI's API format: what is made, loaded and done, told before any server is asked."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.domain.models import ModelKind
from northstar.domain.workloads import Modality, Workload
from northstar.policy.models.workload_of import workload_of
from tests.policy.models import graphs
from tests.policy.models.graphs import Graph, node


def read(graph: Graph, **payload: Any) -> Workload:
    return workload_of("paint", {"prompt": graph, **payload}, kind="comfyui")


def kinds(workload: Workload) -> dict[str, ModelKind]:
    return {model.name: model.kind for model in workload.models}


def test_a_picture_tells_its_steps_pixels_and_batch() -> None:
    workload = read(graphs.sdxl())
    assert (workload.modalities, workload.steps, workload.pixels, workload.images) == (("image",), 25, 1024 * 768, 2)
    assert workload.frames == 0
    assert workload.unread == ()


def test_models_are_told_with_what_they_are_loaded_as() -> None:
    assert kinds(read(graphs.sdxl())) == {"sdxl.safetensors": "checkpoint", "ink/brush.safetensors": "lora"}
    assert kinds(read(graphs.enlarged()))["4x-sharp.pth"] == "upscaler"
    assert kinds(read(graphs.video())) == {
        "wan_high.safetensors": "diffusion_model",
        "wan_low.safetensors": "diffusion_model",
        "umt5.safetensors": "text_encoder",
        "wan_vae.safetensors": "vae",
    }


@pytest.mark.parametrize(
    ("class_type", "name", "kind"),
    [
        ("ControlNetLoader", "control_net_name", "controlnet"),
        ("CLIPVisionLoader", "clip_name", "other"),
        ("StyleModelLoader", "style_model_name", "other"),
        ("UnetLoaderGGUF", "unet_name", "diffusion_model"),
        ("Power Lora Loader (rgthree)", "lora_1", "lora"),
        ("AILab_QwenVL", "model_name", "llm"),
        ("SomebodysLoader", "file", "other"),
    ],
)
def test_a_models_kind_comes_from_its_loader(class_type: str, name: str, kind: ModelKind) -> None:
    graph = {"1": node(class_type, **{name: "own.safetensors"}), "2": node("SaveImage", images=["1", 0])}
    assert kinds(read(graph)) == {"own.safetensors": kind}


def test_a_row_of_a_loader_that_is_switched_off_loads_nothing() -> None:
    rows = {
        "lora_1": {"on": True, "lora": "ink.safetensors", "strength": 1},
        "lora_2": {"on": False, "lora": "oil.safetensors"},
    }
    graph = {"1": node("Power Lora Loader (rgthree)", **rows), "2": node("SaveImage", images=["1", 0])}
    assert kinds(read(graph)) == {"ink.safetensors": "lora"}


def test_what_people_write_names_no_model() -> None:
    assert "old.ckpt" not in kinds(read(graphs.sdxl(prompt="old.ckpt")))


def test_what_leads_to_no_output_is_not_loaded_but_its_class_is_needed() -> None:
    """ComfyUI runs only what an output needs, yet it refuses a graph with any class that it does not know."""
    graph = graphs.sdxl() | {
        "30": node("UNETLoader", unet_name="unused.safetensors"),
        "31": node("CFGNorm", model=["30", 0]),
    }
    graph["32"] = node("KSampler", steps=99, model=["31", 0], latent_image=["5", 0])
    workload = read(graph)
    assert "unused.safetensors" not in kinds(workload)
    assert workload.steps == 25
    assert {"UNETLoader", "CFGNorm"} <= set(workload.node_classes)


def test_only_the_steps_that_are_taken_count() -> None:
    assert read(graphs.repainted()).steps == 10
    assert read(graphs.by_schedule()).steps == 12
    assert read(graphs.video()).steps == 20


def test_the_second_half_of_a_split_schedule_has_the_other_steps() -> None:
    graph = graphs.by_schedule()
    graph["6"]["inputs"]["sigmas"] = ["21", 1]
    assert read(graph).steps == 18


def test_levels_of_noise_that_are_written_out_are_one_more_than_the_steps() -> None:
    graph = graphs.by_schedule()
    graph["6"]["inputs"]["sigmas"] = ["22", 0]
    graph["22"] = node("ManualSigmas", sigmas="1.0, 0.75, 0.5, 0.0")
    assert read(graph).steps == 3


def test_steps_of_all_samplers_add_up_and_the_largest_picture_counts() -> None:
    workload = read(graphs.enlarged())
    assert (workload.steps, workload.pixels) == (35, 2048 * 1536)


def test_a_video_tells_its_frames() -> None:
    workload = read(graphs.video())
    assert (workload.modalities, workload.frames, workload.images, workload.pixels) == (("video",), 81, 1, 832 * 480)


def test_a_batch_that_is_animated_is_one_video() -> None:
    workload = read(graphs.animated())
    assert (workload.modalities, workload.frames, workload.images) == (("video",), 16, 1)


def test_one_frame_of_a_model_for_videos_is_a_picture() -> None:
    graph = graphs.sdxl()
    graph["5"] = node("EmptyHunyuanLatentVideo", width=1280, height=720, length=1, batch_size=1)
    workload = read(graph)
    assert (workload.modalities, workload.frames) == (("image",), 0)


def test_a_chain_is_of_all_that_is_made_on_the_way() -> None:
    """Spec: "Multi-Modal: Text→Image→Video pipelines"."""
    workload = read(graphs.chained())
    assert workload.modalities == ("image", "text", "video")
    assert workload.is_multi_modal
    assert not read(graphs.video()).is_multi_modal


@pytest.mark.parametrize(
    ("graph", "modality"),
    [
        (graphs.song(), "audio"),
        (graphs.body(), "3d"),
        (graphs.described_picture(), "text"),
        (graphs.repainted(), "image"),
    ],
)
def test_sound_bodies_texts_and_repainted_pictures_are_known(graph: Graph, modality: Modality) -> None:
    assert read(graph).modalities == (modality,)


def test_what_is_only_shown_counts_where_nothing_is_kept() -> None:
    shown = graphs.sdxl() | {"8": node("PreviewImage", images=["7", 0])}
    assert read(shown).modalities == ("image",)
    beside = graphs.song() | {"9": node("PreviewImage", images=["8", 0]), "8": node("LoadImage", image="cover.png")}
    assert read(beside).modalities == ("audio",)


def test_a_training_is_known() -> None:
    workload = read(graphs.trained())
    assert workload.is_training
    assert (workload.steps, workload.modalities) == (1_500, ())
    assert not read(graphs.sdxl() | {"9": node("ConstrainImage", images=["7", 0])}).is_training


def test_a_value_may_stand_in_a_node_of_its_own() -> None:
    graph = graphs.sdxl() | {"40": node("PrimitiveInt", value=12)}
    graph["6"]["inputs"]["steps"] = ["40", 0]
    assert read(graph).steps == 12


def test_a_formula_is_worked_out() -> None:
    graph = graphs.video() | {
        "40": node("PrimitiveFloat", value=5.0),
        "41": node("ComfyMathExpression", expression="floor(a * b) + 1", **{"values.a": ["40", 0], "values.b": 24}),
    }
    graph["7"]["inputs"]["length"] = ["41", 1]
    assert read(graph).frames == 121


@pytest.mark.parametrize(("turbo", "steps", "model"), [(True, 4, "fast.safetensors"), (False, 25, None)])
def test_only_the_chosen_side_of_a_switch_runs(turbo: bool, steps: int, model: str | None) -> None:
    graph = graphs.sdxl() | {
        "40": node("PrimitiveBoolean", value=turbo),
        "41": node("ComfySwitchNode", switch=["40", 0], on_true=["42", 0], on_false=["2", 0]),
        "42": node("LoraLoaderModelOnly", lora_name="fast.safetensors", strength_model=1.0, model=["2", 0]),
        "43": node("ComfySwitchNode", switch=["40", 0], on_true=["44", 0], on_false=["45", 0]),
        "44": node("PrimitiveInt", value=4),
        "45": node("PrimitiveInt", value=25),
    }
    graph["6"]["inputs"] |= {"model": ["41", 0], "steps": ["43", 0]}
    workload = read(graph)
    assert workload.steps == steps
    assert ("fast.safetensors" in kinds(workload)) == (model is not None)


def test_what_other_nodes_find_out_while_they_run_is_told_as_unknown() -> None:
    graph = graphs.sdxl() | {"40": node("GetImageSize", image=["41", 0]), "41": node("LoadImage", image="hare.png")}
    graph["5"]["inputs"] |= {"width": ["40", 0], "height": ["40", 1]}
    graph["6"]["inputs"]["steps"] = ["40", 2]
    workload = read(graph)
    assert (workload.pixels, workload.steps) == (0, 0)
    assert workload.unread == (
        "the steps of 1 samplers are worked out by other nodes",
        "the pixels are worked out by other nodes",
    )


def test_a_speciality_is_only_what_the_sender_says() -> None:
    assert read(graphs.sdxl(prompt="product photography of a shoe")).speciality is None
    assert read(graphs.sdxl(), extra_data={"northstar": {"speciality": "product"}}).speciality == "product"
    told = read(graphs.sdxl(), extra_data={"northstar": {"speciality": "shoes", "experimental": "yes"}})
    assert told.speciality is None
    assert told.unread == (
        "the speciality is none of photography, art, product, multi-modal",
        "`experimental` is neither true nor false",
    )


def test_the_workflow_that_editors_send_along_says_where_models_can_be_had() -> None:
    entry = {"name": "sdxl.safetensors", "url": "https://models.example/sdxl.safetensors", "directory": "checkpoints"}
    workflow = {"nodes": [{"id": 1, "type": "CheckpointLoaderSimple", "properties": {"models": [entry]}}], "links": []}
    workload = read(graphs.sdxl(), extra_data={"extra_pnginfo": {"workflow": workflow}})
    assert [(one.name, one.url, one.folder, one.sha256) for one in workload.downloads] == [(*entry.values(), "")]


@pytest.mark.parametrize("prompt", [None, [], {}, "a hare", 7])
def test_a_payload_without_a_graph_is_told(prompt: object) -> None:
    workload = workload_of("paint", {"prompt": prompt}, kind="comfyui")
    assert workload == Workload(unread=("the payload has no ComfyUI graph under `prompt`",))


def test_what_is_no_node_is_told_and_the_rest_is_read() -> None:
    workload = read(graphs.sdxl() | {"x": {"class_type": 7}, "y": "nothing", "z" * 99: node("")})
    assert workload.steps == 25
    assert workload.unread[0] == "node 'x' has no usable `class_type` and `inputs`"
    assert len(workload.unread) == 3
    assert all(len(sentence) < 120 for sentence in workload.unread)


def test_a_graph_of_too_many_nodes_is_read_as_far_as_the_bound() -> None:
    workload = read({str(number): node("PreviewImage") for number in range(5_010)})
    assert workload.unread == ("the graph has more than 5000 nodes; the rest was not read",)


def test_a_circle_in_a_graph_is_no_trouble() -> None:
    graph = graphs.sdxl()
    graph["2"]["inputs"]["model"] = ["7", 0]
    graph["40"] = node("ComfyMathExpression", expression="a + 1", **{"values.a": ["40", 0]})
    graph["6"]["inputs"]["steps"] = ["40", 0]
    assert read(graph).modalities == ("image",)
