"""The hand-written language model and the engine that runs it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from northstar.demo.parts import DemoPartMissing, require
from northstar.demo.storybook import KEYWORDS, Setting
from northstar.demo.text_engine import EngineSettings, TextEngine, TextEngineFailed, text_engine
from northstar.demo.tiny_model import vocabulary, write_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "model.gguf")


async def complete(url: str, prompt: str, *, seed: int) -> str:
    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 400, "seed": seed}
    async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/chat/completions", json=body) as response:
        answer = await response.json()
    text: str = answer["choices"][0]["message"]["content"]
    return text


def test_equal_seeds_give_equal_files_and_small_ones(model: Path, tmp_path: Path) -> None:
    same = write_tiny_model(tmp_path / "same.gguf")
    other = write_tiny_model(tmp_path / "other.gguf", seed=8)
    assert model.read_bytes() == same.read_bytes() != other.read_bytes()
    assert model.stat().st_size < 500_000


def test_every_token_is_written_differently() -> None:
    texts = [phrase.text for phrase in vocabulary()]
    assert len(texts) == len(set(texts)) > 400


@pytest.mark.parametrize("setting", list(Setting))
async def test_a_story_is_made_of_sentences_and_stays_where_the_prompt_puts_it(model: Path, setting: Setting) -> None:
    async with text_engine(model) as engine:
        stories = [await complete(engine.url, f"A {KEYWORDS[setting][0]}, please", seed=seed) for seed in range(3)]
    own, others = 0, 0
    for story in stories:
        assert story[0].isupper()
        assert story.endswith(".")
        for phrase in vocabulary():
            if phrase.setting is not None and not phrase.keyword:
                count = story.count(phrase.text)
                own, others = (own + count, others) if phrase.setting is setting else (own, others + count)
    assert own > 5 * others


async def test_an_engine_ends_when_told_to(model: Path) -> None:
    async with text_engine(model) as engine:
        assert engine.url.startswith("http://127.0.0.1:")
    async with asyncio.timeout(5.0):
        assert await engine.wait() == 0
    await engine.stop()


async def test_an_engine_finds_what_its_machine_s_pools_set(model: Path) -> None:
    async with text_engine(model, environment={"COMFYUI_GPU_MEMORY_FRACTION": "0.9"}) as engine:
        environment = Path(f"/proc/{engine.pid}/environ").read_bytes().split(b"\0")
    assert b"COMFYUI_GPU_MEMORY_FRACTION=0.9" in environment
    assert any(line.startswith(b"PATH=") for line in environment), "beside what it would find anyway"


async def test_two_engines_never_meet_on_one_port(model: Path) -> None:
    async with text_engine(model) as one, text_engine(model) as other:
        assert one.url != other.url


async def test_an_engine_without_a_model_says_why_it_did_not_start(tmp_path: Path) -> None:
    with pytest.raises(TextEngineFailed, match="the text engine did not start: its process ended with code") as caught:
        await TextEngine.start(EngineSettings(model=str(tmp_path / "none.gguf")))
    assert "none.gguf" in caught.value.log_tail


async def test_an_engine_that_takes_too_long_is_ended(model: Path) -> None:
    with pytest.raises(TextEngineFailed, match=r"no answer within 0\.001 s"):
        await TextEngine.start(EngineSettings(model=str(model)), within_s=0.001)


PARENT = """
import asyncio, sys
from northstar.demo.text_engine import EngineSettings, TextEngine
async def main():
    engine = await TextEngine.start(EngineSettings(model=sys.argv[1]))
    print(engine.pid, flush=True)
    await engine.wait()
asyncio.run(main())
"""


async def test_an_engine_dies_with_its_parent(model: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(model)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert parent.stdout is not None
        pid = int(await asyncio.wait_for(asyncio.to_thread(parent.stdout.readline), 20.0))
        engine = os.pidfd_open(pid)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(engine, gone.set)  # a pidfd is readable once its process has ended
    try:
        await asyncio.wait_for(gone.wait(), 5.0)
    finally:
        asyncio.get_running_loop().remove_reader(engine)
        os.close(engine)


def test_a_missing_package_names_the_extra_that_brings_it() -> None:
    with pytest.raises(DemoPartMissing, match=r"pip install 'northstar-broker\[demo\]'") as caught:
        require("no_such_package_of_the_demo")
    assert caught.value.code == "NS_DEMO_PART_MISSING"
