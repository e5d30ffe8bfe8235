"""Manifests of all forms: what they declare, what is left out, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from northstar.broker.manifests import ManifestInvalid, read_manifest


def read(document: Any) -> tuple[list[str], list[tuple[str, str]]]:
    """Names of the models, and what is left out and why."""
    found = read_manifest(json.dumps(document).encode(), source="it")
    return [model.name for model in found.models], [(one.name, one.reason) for one in found.left_out]


def a_node(*models: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Loader", "properties": {"models": list(models)}}


def listed(name: str, directory: str = "checkpoints", **more: Any) -> dict[str, Any]:
    return {"name": name, "url": f"https://h.test/{name}", "directory": directory} | more


def test_models_of_nodes_and_of_subgraphs_inside_of_subgraphs_are_found_each_once() -> None:
    inner = {"nodes": [a_node(listed("c.safetensors", "vae"))]}
    middle = {"nodes": [a_node(listed("b.safetensors"))], "definitions": {"subgraphs": [inner]}}
    graph = {"nodes": [a_node(listed("a.safetensors")), a_node(listed("a.safetensors"))]}
    assert read(graph | {"definitions": {"subgraphs": [middle]}}) == (
        ["a.safetensors", "b.safetensors", "c.safetensors"],
        [],
    )


def test_the_folder_of_an_entry_tells_its_kind_and_what_lies_below_it_is_its_name() -> None:
    graph = {"nodes": [a_node(listed("x.safetensors", "loras/styles"), listed("y.safetensors", "unet"))]}
    styled, y = read_manifest(json.dumps(graph).encode(), source="it").models
    assert (styled.name, styled.versions[0].files[0].kind, styled.versions[0].files[0].folder) == (
        "styles/x.safetensors",
        "lora",
        "",
    )
    assert (y.versions[0].files[0].kind, y.versions[0].files[0].folder) == ("diffusion_model", "unet")


def test_a_hash_of_another_kind_is_none() -> None:
    graph = {"nodes": [a_node(listed("x.safetensors", hash="abc", hash_type="BLAKE3"))]}
    (model,) = read_manifest(json.dumps(graph).encode(), source="it").models
    assert model.versions[0].files[0].sha256 == "unknown"


def test_what_is_unusable_in_somebody_elses_list_is_left_out_and_named() -> None:
    entries = [
        listed("good.safetensors"),
        listed("good.safetensors", url="https://other.test/x"),
        listed("secret.safetensors", url="https://h.test/x?api_key=quiet"),
        listed("wrong.safetensors", hash="12", hash_type="SHA256"),
        {"name": "lost.safetensors", "directory": "vae"},
        {"url": "https://h.test/x"},
        "nonsense",
    ]
    names, left_out = read({"nodes": [a_node(*entries), "nonsense", {"properties": 7}], "definitions": []})  # type: ignore[arg-type]
    assert names == ["good.safetensors"]
    reasons = dict(left_out)
    assert reasons["good.safetensors"] == "it is named twice, with different words; the first counts"
    assert "https://h.test/x holds the parameter 'api_key'" in reasons["secret.safetensors"]
    assert "sha256" in reasons["wrong.safetensors"]
    assert reasons["lost.safetensors"] == "it has no address"
    assert "quiet" not in str(left_out)


def test_a_graph_inside_of_itself_for_ever_ends() -> None:
    graph: dict[str, Any] = {"nodes": [a_node(listed("a.safetensors"))]}
    for _ in range(60):
        graph = {"nodes": [], "definitions": {"subgraphs": [graph]}}
    assert read(graph) == ([], [])


def test_a_manifest_of_comfyui_api_is_read() -> None:
    entry = {"url": "https://h.test/x", "local_path": "models/loras/api/a.safetensors"}
    document = {"models": {"before_start": [entry], "after_start": [{"url": "https://h.test/b.safetensors"}]}}
    assert read(document) == (["api/a.safetensors"], [("b.safetensors", "it does not say in which folder it lies")])


def test_json_says_what_toml_says() -> None:
    entry = {"name": "x.safetensors", "kind": "vae", "sources": ["https://h.test/x.safetensors"]}
    toml = b'[[models]]\nname = "x.safetensors"\nkind = "vae"\nsources = ["https://h.test/x.safetensors"]\n'
    assert read_manifest(toml, source="it") == read_manifest(json.dumps({"models": [entry]}).encode(), source="it")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is no manifest of models"),
        ("{", "it is neither valid JSON nor valid TOML"),
        ("[[models]", "it is neither valid JSON nor valid TOML"),
        ("\xff", "it is neither valid JSON nor valid TOML"),
        ('{"1": {"class_type": "KSampler"}}', "it is a graph in API format, which names models and not where"),
        ('[[models]]\nname = "x"\nsize = 1', "model 1 (x): Object contains unknown field `size`"),
        (
            '[[models]]\nname = "x.safetensors"\nsources = ["https://h.test/x"]',
            r"say its kind, `kind` in a manifest or --kind: checkpoint, ",
        ),
        (
            '[[models]]\nname = "x"\nkind = "vae"\nfiles = [{name = "y", kind = "vae"}]',
            "it has `files`, so each of them",
        ),
        (
            '[[models]]\nname = "x"\nkind = "vae"\nsources = ["https://h.test/x"]',
            "no machine may keep a file called 'x'",
        ),
        ("models = []", "length >= 1"),
    ],
)
def test_a_file_without_models_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        read_manifest(text.encode("latin-1"), source="list.toml")
    assert str(caught.value).startswith("list.toml: ")
    assert said in str(caught.value)


def test_a_file_that_is_too_large_is_not_read() -> None:
    with pytest.raises(ManifestInvalid, match="more than 32,000,000 bytes"):
        read_manifest(b" " * 32_000_001, source="it")
