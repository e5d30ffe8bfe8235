"""What a ComfyUI server says of itself, as a machine announces it: packs of nodes as words, classes as a digest."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.connectors.comfyui.facts import pack_of
from northstar.domain.models import ModelHeld
from northstar.domain.requirements import Word
from tests.connectors.comfyui.rig import Connect
from tests.connectors.fake_comfyui.server import FakeComfyUI

PACKS = {"ImageBlur": "custom_nodes.ComfyUI-Impact-Pack", "ImageScale": "custom_nodes.was_node_suite.py"}


async def test_packs_are_words_that_a_job_may_ask_for(fake: FakeComfyUI, connect: Connect) -> None:
    fake.modules = PACKS | {"KSampler": "comfy_extras.nodes_custom_sampler"}
    facts = await connect().describe()
    assert (facts.kind, facts.version) == ("comfyui", "0.3.64")
    assert facts.node_packs == ("comfyui-impact-pack", "was_node_suite.py")
    assert facts.models == (ModelHeld("tiny.safetensors", "disk"),)
    assert not facts.tells_residency


async def test_servers_with_the_same_classes_have_the_same_digest(fake: FakeComfyUI, connect: Connect) -> None:
    before = await connect().describe()
    fake.modules = PACKS
    assert (await connect().describe()).node_classes_digest == before.node_classes_digest
    fake.lacks = frozenset({"ImageBlur"})
    after = await connect().describe()
    assert after.node_classes == before.node_classes - 1
    assert after.node_classes_digest != before.node_classes_digest


@pytest.mark.parametrize("entry", [b"null", b"[]", b'{"python_module": null}', b'{"python_module": 5}', b"{}", b'"x"'])
def test_an_odd_entry_belongs_to_no_pack(entry: bytes) -> None:
    assert pack_of(msgspec.Raw(entry)) == ""


@given(st.text(max_size=200))
def test_every_folder_name_becomes_a_word_or_nothing(name: str) -> None:
    pack = pack_of(msgspec.Raw(json.dumps({"python_module": f"custom_nodes.{name}"}).encode()))
    assert pack == "" or msgspec.convert(pack, Word) == pack
