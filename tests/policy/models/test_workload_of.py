"""Payloads of all engines as workloads: faithful to what the connectors take, and never an exception."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.workloads import ModelUse, Workload
from northstar.policy.models.comfyui_graph_arithmetic import worked_out
from northstar.policy.models.core_nodes import CORE_NODE_CLASSES
from northstar.policy.models.workload_of import workload_of
from tests.policy.models import graphs
from tests.policy.models.saved_workflows import picture

KINDS = ("", "comfyui", "ollama", "llama.cpp", "vllm", "tensorrt-llm", "openai", "command", "simulated", "newer")
CHAT = {"model": "own-7b", "messages": [{"role": "user", "content": "Tell me of hares"}], "max_tokens": 300}


@pytest.mark.parametrize("kind", ["", "openai", "vllm", "llama.cpp", "tensorrt-llm"])
def test_a_chat_tells_its_model_its_limit_and_its_letters(kind: str) -> None:
    workload = workload_of("text", CHAT, kind=kind)
    assert workload.modalities == ("text",)
    assert workload.models == (ModelUse("own-7b", "llm"),)
    assert (workload.tokens, workload.input_chars) == (300, 16)


def test_the_newer_word_for_the_limit_goes_first() -> None:
    assert workload_of("text", CHAT | {"max_completion_tokens": 20}, kind="vllm").tokens == 20


def test_parts_of_a_message_that_are_texts_count() -> None:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "data:,x"}}]
    workload = workload_of("text", {"messages": [{"role": "user", "content": parts}]}, kind="vllm")
    assert (workload.input_chars, workload.tokens) == (11, 0)


def test_a_prompt_is_a_completion_where_the_engine_takes_only_texts() -> None:
    workload = workload_of("text", {"prompt": "Once"}, kind="llama.cpp")
    assert (workload.modalities, workload.input_chars) == (("text",), 4)


def test_a_prompt_alone_does_not_tell_a_text_from_a_picture() -> None:
    unclear = workload_of("any", {"prompt": "a hare", "model": "own"}, kind="openai")
    assert (unclear.modalities, unclear.models) == ((), (ModelUse("own", "other"),))
    assert unclear.unread == ("nothing in the payload tells whether it asks for a text or for a picture",)
    assert workload_of("any", {"prompt": "a hare", "max_tokens": 9}, kind="openai").modalities == ("text",)
    assert workload_of("any", {"prompt": "a hare", "size": "512x512"}, kind="openai").modalities == ("image",)


def test_ollama_says_its_limit_among_the_options() -> None:
    payload = {"model": "llama3.2", "prompt": "Once", "system": "Be brief", "options": {"num_predict": 64}}
    workload = workload_of("text", payload, kind="ollama")
    assert (workload.tokens, workload.input_chars, workload.models) == (64, 12, (ModelUse("llama3.2", "llm"),))
    assert workload_of("text", {"prompt": "Once", "options": {"num_predict": -1}}, kind="ollama").tokens == 0


def test_texts_to_be_made_vectors_are_embeddings() -> None:
    workload = workload_of("vectors", {"input": ["a hare", "a fox"], "model": "own-embed"})
    assert (workload.modalities, workload.input_chars, workload.tokens) == (("embedding",), 11, 0)


def test_pictures_tell_their_size_number_and_steps() -> None:
    payload = {"prompt": "a hare", "n": 3, "size": "1024x768", "num_inference_steps": 30, "model": "sdxl"}
    workload = workload_of("paint", payload, kind="openai")
    assert (workload.images, workload.pixels, workload.steps) == (3, 1024 * 768, 30)
    assert workload_of("paint", {"prompt": "a hare", "response_format": "b64_json"}).images == 1


def test_a_size_that_cannot_be_read_is_told() -> None:
    workload = workload_of("paint", {"prompt": "a hare", "size": "large"}, kind="openai")
    assert workload.unread == ("`size` is not of the form WIDTHxHEIGHT",)
    assert workload_of("paint", {"prompt": "a hare", "size": "auto"}, kind="openai").unread == ()


def test_of_a_programs_payload_plain_numbers_are_taken_and_nothing_is_guessed() -> None:
    payload = {"prompt": "a hare", "width": 480, "height": 320, "steps": 20, "count": 2, "frames": "many"}
    workload = workload_of("paint", payload, kind="command")
    assert (workload.pixels, workload.steps, workload.images, workload.frames) == (480 * 320, 20, 2, 0)
    assert (workload.modalities, workload.models, workload.input_chars) == ((), (), 0)


def test_a_programs_payload_without_numbers_tells_nothing() -> None:
    assert workload_of("paint", {"prompt": "a hare", "duration": True}, kind="command") == Workload()


def test_the_sender_may_say_what_a_program_makes() -> None:
    hints = {"modalities": ["video"], "speciality": "art", "training": True}
    workload = workload_of("paint", {"northstar": hints}, kind="command")
    assert (workload.modalities, workload.speciality, workload.is_training) == (("video",), "art", True)


@pytest.mark.parametrize(
    ("hints", "sentence"),
    [
        ("video", "the hints under `northstar` are no object"),
        ({"modalities": "video"}, "the modalities are no list of text, image, video, audio, 3d, embedding, each once"),
        (
            {"modalities": ["smell"]},
            "the modalities are no list of text, image, video, audio, 3d, embedding, each once",
        ),
        ({"training": 1}, "`training` is neither true nor false"),
    ],
)
def test_hints_that_cannot_be_read_are_told(hints: object, sentence: str) -> None:
    assert workload_of("paint", {"northstar": hints}, kind="command").unread == (sentence,)


def test_a_simulated_engine_stands_in_for_any_other() -> None:
    simulated = workload_of("paint", {"prompt": graphs.sdxl(), "simulate": {"run_s": 3}}, kind="simulated")
    real = workload_of("paint", {"prompt": graphs.sdxl()}, kind="comfyui")
    assert (simulated.modalities, simulated.steps, simulated.models) == (real.modalities, real.steps, real.models)
    assert workload_of("text", CHAT, kind="simulated").tokens == 300


def test_how_long_a_simulated_job_shall_run_is_of_its_shape() -> None:
    def shape(run_s: float) -> str:
        return workload_of("any", {"steps": 8, "simulate": {"run_s": run_s}}, kind="simulated").shape

    assert shape(3) == shape(3.0) != shape(4)


def test_a_simulated_model_and_its_steps_are_read() -> None:
    workload = workload_of("any", {"model": "own", "steps": 8}, kind="simulated")
    assert (workload.models, workload.steps) == ((ModelUse("own", "other"),), 8)


@pytest.mark.parametrize("name", ["", 7, "x" * 300, "a\nb"])
def test_a_model_that_is_no_name_is_told(name: object) -> None:
    workload = workload_of("text", CHAT | {"model": name}, kind="vllm")
    assert (workload.models, workload.unread) == ((), ("`model` is no name of a model",))


def test_texts_of_about_the_same_length_are_of_one_shape() -> None:
    def shape(letters: int, tokens: int) -> str:
        payload = CHAT | {"messages": [{"role": "user", "content": "x" * letters}], "max_tokens": tokens}
        return workload_of("text", payload, kind="vllm").shape

    assert shape(600, 300) == shape(1_000, 400)
    assert shape(600, 300) != shape(6_000, 300)
    assert shape(600, 300) != shape(600, 3_000)


def test_without_a_kind_the_form_decides() -> None:
    assert workload_of("any", {"prompt": graphs.sdxl()}).modalities == ("image",)
    assert workload_of("any", {"prompt": picture().workflow()}).modalities == ("image",)
    assert workload_of("any", graphs.sdxl()).steps == 25
    assert workload_of("any", picture().workflow()).steps == 25
    assert workload_of("any", {}) == Workload()


_KNOWN = """
    prompt nodes links inputs class_type type id mode widgets_values properties models name
    url definitions subgraphs proxyWidgets northstar extra_data messages content input steps value size KSampler
    SaveImage ComfySwitchNode ComfyMathExpression expression sigmas width length link options
    """
_WORDS = st.sampled_from(_KNOWN.split())
_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.just("\ud800"),
    st.just("a\ud800.safetensors"),
    st.just(10**400),
    _WORDS,
)
_JSON: st.SearchStrategy[Any] = st.recursive(
    _ODD,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.one_of(_WORDS, st.text(max_size=4)), inner, max_size=5)
    ),
    max_leaves=40,
)


@given(payload=st.dictionaries(_WORDS, _JSON, max_size=6), kind=st.sampled_from(KINDS))
def test_any_payload_is_read_without_an_exception_and_within_bounds(payload: dict[str, Any], kind: str) -> None:
    check(workload_of("any", payload, kind=kind))


@given(data=st.data())
def test_a_graph_with_anything_in_it_is_read(data: st.DataObject) -> None:
    graph = {**graphs.chained(), **graphs.enlarged(), **graphs.by_schedule()}
    for identity in data.draw(st.lists(st.sampled_from(sorted(graph)), max_size=6)):
        inputs = graph[identity]["inputs"]
        name = data.draw(st.sampled_from([*inputs, "steps", "value"]))
        inputs[name] = data.draw(st.one_of(_JSON, st.tuples(st.sampled_from(sorted(graph)), _ODD).map(list)))
        graph[identity]["class_type"] = data.draw(
            st.sampled_from([graph[identity]["class_type"], "ComfyMathExpression"])
        )
    check(workload_of("any", {"prompt": graph}, kind="comfyui"))


@given(data=st.data())
def test_a_workflow_with_anything_in_it_is_read(data: st.DataObject) -> None:
    workflow = picture().workflow({"id": "inner", "nodes": [{"id": 1, "type": "inner"}], "links": []})
    for node in data.draw(st.lists(st.sampled_from(workflow["nodes"]), max_size=5)):
        node[data.draw(st.sampled_from(sorted(node)))] = data.draw(_JSON)
    workflow[data.draw(st.sampled_from(["extra", "definitions", "links", "version"]))] = data.draw(_JSON)
    check(workload_of("any", {"prompt": workflow}, kind="comfyui"))


def check(workload: Workload) -> None:
    """Everything within the bounds that the type states, and few and short sentences."""
    assert msgspec.json.decode(msgspec.json.encode(workload), type=Workload) == workload
    assert len(workload.unread) <= 20
    assert all(len(sentence) <= 200 for sentence in workload.unread)


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "a +",
        "a ** 9",
        "__import__('os')",
        "a.b",
        "[1]",
        "max()",
        "1 / 0",
        "b",
        "9" * 300,
        "1e300 * 1e300",
        "lambda: 1",
        "a if a else a",
    ],
)
def test_a_formula_that_is_no_plain_arithmetic_has_no_value(formula: str) -> None:
    assert worked_out(formula, {"a": 2.0}) is None


def test_the_classes_that_every_server_has_are_those_of_ordinary_graphs() -> None:
    ordinary = {
        one["class_type"] for graph in (graphs.sdxl(), graphs.repainted(), graphs.enlarged()) for one in graph.values()
    }
    assert ordinary <= CORE_NODE_CLASSES
    assert "ConditioningAverage " in CORE_NODE_CLASSES
    assert not {"WanImageToVideo", "VHS_VideoCombine", "ComfySwitchNode"} & CORE_NODE_CLASSES
