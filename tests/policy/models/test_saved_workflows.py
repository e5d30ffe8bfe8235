"""Workflows as ComfyUI's editor saves them: subgraphs, switched-off nodes and what only the editor knows."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.domain.workloads import Workload
from northstar.policy.models.workload_of import workload_of
from tests.policy.models.saved_workflows import BYPASSED, ENTRY, EXIT, MUTED, Draft, Saved, painting, picture


def read(workflow: Saved) -> Workload:
    return workload_of("paint", {"prompt": workflow}, kind="comfyui")


def names(workload: Workload) -> list[str]:
    return [model.name for model in workload.models]


def test_values_are_read_by_their_places() -> None:
    workload = read(picture().workflow())
    assert (workload.modalities, workload.steps, workload.pixels, workload.images) == (("image",), 25, 1024 * 768, 2)
    assert names(workload) == ["sdxl.safetensors"]
    assert workload.unread == ()


def test_values_may_be_kept_by_name() -> None:
    draft = painting().add(5, "AnotherLatentImage", {"width": 512, "height": 640, "batch_size": 1}, outputs=["LATENT"])
    assert read(draft.link((5, 0), (6, "latent_image")).workflow()).pixels == 512 * 640


def test_newer_editors_list_every_input_so_that_any_class_can_be_read() -> None:
    draft = painting().add(
        5, "AnotherLatentImage", [512, 640, 1], outputs=["LATENT"], widgets=["width", "height", "batch_size"]
    )
    assert read(draft.link((5, 0), (6, "latent_image")).workflow()).pixels == 512 * 640


def test_notes_and_reroutes_stay_in_the_editor() -> None:
    draft = (
        painting()
        .add(5, "EmptyLatentImage", [1024, 768, 1], outputs=["LATENT"])
        .add(9, "Reroute", inputs=["*"], outputs=["LATENT"])
        .add(10, "Note", ["use ink.safetensors"])
        .add(11, "PrimitiveNode", [12, "fixed"], outputs=["INT"])
        .link((5, 0), (9, "*"))
        .link((9, 0), (6, "latent_image"))
        .link((11, 0), (6, "steps"))
    )
    workload = read(draft.workflow())
    assert (workload.pixels, workload.steps) == (1024 * 768, 12)
    assert not {"Reroute", "Note", "PrimitiveNode"} & set(workload.node_classes)
    assert names(workload) == ["sdxl.safetensors"]


def test_a_value_may_be_set_and_got_by_name_without_a_link() -> None:
    draft = (
        painting()
        .add(5, "EmptyLatentImage", [1024, 768, 1], outputs=["LATENT"])
        .add(9, "SetNode", ["empty"], inputs=["LATENT"], outputs=["LATENT"])
        .add(10, "GetNode", ["empty"], outputs=["LATENT"])
        .add(11, "GetNode", ["nothing"], outputs=["INT"])
        .link((5, 0), (9, "LATENT"))
        .link((10, 0), (6, "latent_image"))
        .link((11, 0), (6, "steps"))
    )
    workload = read(draft.workflow())
    assert (workload.pixels, workload.steps) == (1024 * 768, 25)
    assert not {"SetNode", "GetNode"} & set(workload.node_classes)


@pytest.mark.parametrize(("mode", "loaded"), [(0, True), (BYPASSED, False), (MUTED, False)])
def test_a_node_that_is_switched_off_loads_nothing(mode: int, loaded: bool) -> None:
    draft = picture().add(
        20, "LoraLoaderModelOnly", ["ink.safetensors", 1], inputs=["model:MODEL"], outputs=["MODEL"], mode=mode
    )
    draft.link((1, 0), (20, "model")).link((20, 0), (6, "model"))
    workload = read(draft.workflow())
    assert ("ink.safetensors" in names(workload)) == loaded
    assert ("LoraLoaderModelOnly" in workload.node_classes) == loaded


def test_what_goes_into_a_bypassed_node_comes_out_of_it() -> None:
    """The model still reaches the sampler; through a muted node nothing does."""
    for mode, expected in ((BYPASSED, ["sdxl.safetensors"]), (MUTED, [])):
        draft = (
            Draft()
            .add(1, "UNETLoader", ["sdxl.safetensors", "default"], outputs=["MODEL"])
            .add(2, "LoraLoaderModelOnly", ["ink.safetensors", 1], inputs=["model:MODEL"], outputs=["MODEL"], mode=mode)
            .add(3, "KSampler", [1, "fixed", 9, 1, "euler", "simple", 1], inputs=["model:MODEL"], outputs=["LATENT"])
            .add(4, "SaveLatent", ["x"], inputs=["samples:LATENT"])
            .link((1, 0), (2, "model"))
            .link((2, 0), (3, "model"))
            .link((3, 0), (4, "samples"))
        )
        assert names(read(draft.workflow())) == expected


def loading() -> Saved:
    """A subgraph that loads a model, whose name its user may set; the model comes out of it."""
    return (
        Draft()
        .add(1, "UNETLoader", ["usual.safetensors", "default"], outputs=["MODEL"], widgets=["unet_name"])
        .link((ENTRY, 0), (1, "unet_name"))
        .link((1, 0), (EXIT, "0"))
        .subgraph("loading", inputs=["unet_name"])
    )


def sampling() -> Saved:
    """A subgraph that samples with the model of another; steps and latent come from outside."""
    return (
        Draft()
        .add(1, "loading", [], inputs=["unet_name"], outputs=["MODEL"])
        .add(
            2,
            "KSampler",
            [7, "randomize", 30, 5.5, "euler", "normal", 1],
            inputs=["model:MODEL", "latent_image:LATENT"],
            outputs=["LATENT"],
            widgets=["steps"],
        )
        .link((ENTRY, 0), (2, "latent_image"))
        .link((ENTRY, 1), (2, "steps"))
        .link((ENTRY, 2), (1, "unet_name"))
        .link((1, 0), (2, "model"))
        .link((2, 0), (EXIT, "0"))
        .subgraph("sampling", inputs=["latent", "steps", "model"], inner=[loading()])
    )


def nested(values: Any = (), *, widgets: tuple[str, ...] = (), mode: int = 0, properties: Any = None) -> Saved:
    draft = (
        Draft()
        .add(1, "EmptySD3LatentImage", [640, 480, 1], outputs=["LATENT"])
        .add(
            2,
            "sampling",
            values,
            inputs=["latent:LATENT"],
            outputs=["LATENT"],
            widgets=widgets,
            mode=mode,
            properties=properties,
        )
        .add(3, "VAEDecode", inputs=["samples:LATENT"], outputs=["IMAGE"])
        .add(4, "SaveImage", ["x"], inputs=["images:IMAGE"])
        .link((1, 0), (2, "latent"))
        .link((2, 0), (3, "samples"))
        .link((3, 0), (4, "images"))
    )
    return draft.workflow(sampling())


def test_subgraphs_in_subgraphs_are_unfolded() -> None:
    workload = read(nested())
    assert (workload.modalities, workload.steps, workload.pixels) == (("image",), 30, 640 * 480)
    assert names(workload) == ["usual.safetensors"]
    assert set(workload.node_classes) == {"EmptySD3LatentImage", "KSampler", "SaveImage", "UNETLoader", "VAEDecode"}


def test_what_the_user_of_a_subgraph_sets_goes_before_what_stands_in_it() -> None:
    workload = read(nested([8, "own.safetensors"], widgets=("steps", "model")))
    assert (workload.steps, names(workload)) == (8, ["own.safetensors"])


def test_inner_values_may_be_set_by_the_inner_node_and_its_input() -> None:
    workload = read(nested([6], properties={"proxyWidgets": [["2", "steps"]]}))
    assert workload.steps == 6


def test_a_subgraph_that_is_used_twice_counts_twice() -> None:
    draft = (
        Draft()
        .add(1, "EmptySD3LatentImage", [640, 480, 1], outputs=["LATENT"])
        .add(2, "sampling", [10], inputs=["latent:LATENT"], outputs=["LATENT"], widgets=["steps"])
        .add(3, "sampling", [5], inputs=["latent:LATENT"], outputs=["LATENT"], widgets=["steps"])
        .add(4, "VAEDecode", inputs=["samples:LATENT"], outputs=["IMAGE"])
        .add(5, "SaveImage", ["x"], inputs=["images:IMAGE"])
        .link((1, 0), (2, "latent"))
        .link((2, 0), (3, "latent"))
        .link((3, 0), (4, "samples"))
        .link((4, 0), (5, "images"))
    )
    assert read(draft.workflow(sampling())).steps == 15


def test_a_bypassed_subgraph_does_nothing() -> None:
    workload = read(nested(mode=BYPASSED))
    assert (workload.steps, names(workload), workload.pixels) == (0, [], 640 * 480)


def test_a_subgraph_that_contains_itself_is_told_and_not_followed_for_ever() -> None:
    inner = Draft().add(1, "endless").add(2, "endless").subgraph("endless")
    workload = read(Draft().add(1, "endless").add(2, "SaveImage", ["x"]).workflow(inner))
    assert workload.node_classes == ("SaveImage",)
    assert "lies too deep or is too large" in workload.unread[0]
    assert len(workload.unread) <= 20


def test_every_list_of_models_is_found_whether_its_node_runs_or_not() -> None:
    def listing(name: str, **more: str) -> dict[str, Any]:
        return {"models": [{"name": name, "url": f"https://models.example/{name}", "directory": "loras", **more}]}

    digest = "A" * 64
    inner = (
        Draft()
        .add(1, "LoraLoaderModelOnly", ["b.safetensors", 1], properties=listing("b.safetensors"))
        .subgraph("inner")
    )
    outer = Draft().add(1, "inner").subgraph("outer", inner=[inner])
    draft = picture().add(
        20,
        "LoraLoader",
        ["a.safetensors", 1, 1],
        mode=BYPASSED,
        properties=listing("a.safetensors", hash=digest, hash_type="SHA256"),
    )
    workload = read(draft.workflow(outer))
    assert {(one.name, one.url, one.folder, one.sha256) for one in workload.downloads} == {
        ("a.safetensors", "https://models.example/a.safetensors", "loras", digest.lower()),
        ("b.safetensors", "https://models.example/b.safetensors", "loras", ""),
    }
    assert names(workload) == ["sdxl.safetensors"]


def test_the_folder_of_a_list_says_what_kind_a_model_is() -> None:
    entry = {"name": "odd.safetensors", "url": "https://models.example/odd", "directory": "text_encoders"}
    draft = picture().add(20, "SomebodysLoader", ["odd.safetensors"], outputs=["X"], properties={"models": [entry]})
    draft.add(21, "SaveImage", ["x"], inputs=["x:X"]).link((20, 0), (21, "x"))
    kinds = {model.name: model.kind for model in read(draft.workflow()).models}
    assert kinds == {"sdxl.safetensors": "checkpoint", "odd.safetensors": "text_encoder"}


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {"name": "a.safetensors"},
        {"name": "", "url": "https://models.example/a"},
        {"name": "a\n.safetensors", "url": "https://models.example/a"},
        {"name": "a.safetensors", "url": "https://models.example/" + "a" * 5_000},
    ],
)
def test_an_entry_that_cannot_be_used_is_told(entry: object) -> None:
    workload = read(picture().add(20, "Note", properties={"models": [entry]}).workflow())
    assert workload.downloads == ()
    assert workload.unread == ("1 entries of lists of models have no usable name and address, or are too many",)


def test_a_hash_that_is_no_sha256_is_no_hash_and_a_folder_that_climbs_is_no_folder() -> None:
    entry = {"name": "a.safetensors", "url": "https://models.example/a", "hash": "beef", "directory": "../loras"}
    workload = read(picture().add(20, "Note", properties={"models": [entry]}).workflow())
    assert [(one.sha256, one.folder) for one in workload.downloads] == [("", "")]


def test_nodes_that_are_none_are_told() -> None:
    workflow = picture().workflow()
    workflow["nodes"] += [None, {"id": 77}, {"type": "KSampler"}, {"id": [], "type": "KSampler"}]
    workflow["links"] += [None, [1], [9, [], 0, {}, 0, "*"]]
    workload = read(workflow)
    assert workload.steps == 25
    assert workload.unread == ("4 nodes of the workflow have no type or no id",)


def test_hints_may_be_saved_with_the_workflow() -> None:
    extra = {"northstar": {"speciality": "photography", "experimental": True}}
    workload = read(picture().workflow(extra=extra))
    assert (workload.speciality, workload.is_experimental) == ("photography", True)


def test_a_workflow_of_too_many_nodes_is_read_as_far_as_the_bound() -> None:
    draft = Draft()
    for number in range(5_005):
        draft.add(number, "PreviewImage")
    assert read(draft.workflow()).unread == ("the workflow has more than 5000 nodes; the rest was not read",)
