"""The OpenAI connector before llama.cpp's real server."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest

from northstar.connectors.errors import ContextExceeded
from northstar.connectors.openai_compatible import OpenAIConnector
from northstar.demo.text_engine import TextEngine
from tests.connectors.conformance import ConnectorConformance, Subject, hear_nothing, started
from tests.connectors.conftest import MakeJob
from tests.connectors.processes import is_alive, until

CHAT = {"messages": [{"role": "user", "content": "Tell me about the sea"}], "max_tokens": 60, "seed": 3}
ENDLESS = {"prompt": "Once", "max_tokens": 30_000, "ignore_eos": True}


class TestOpenAIConnector(ConnectorConformance):
    @pytest.fixture
    async def subject(self, engine: TextEngine) -> AsyncIterator[Subject]:
        connector = OpenAIConnector(engine.url, max_output_bytes=900_000)

        async def is_working() -> bool:
            return engine_is_alive() and any(slot["is_processing"] for slot in await slots(engine))

        def engine_is_alive() -> bool:
            return is_alive(engine.pid)

        async def kill() -> None:
            os.kill(engine.pid, signal.SIGKILL)
            await until(lambda: not engine_is_alive())

        yield Subject(
            connector=connector,
            kind="llama.cpp",
            good=CHAT,
            endless=ENDLESS,
            bad={"prompt": "sea " * 40_000},  # more tokens than a slot holds: the engine says 400
            too_much=ENDLESS | {"prompt": "the galaxy"},
            is_working=is_working,
            kill=kill,
            streams=True,
            places=2,
            is_queueing=lambda: deferred(engine),
        )
        await connector.close()

    async def test_too_large_a_result_is_refused(self, subject: Subject, make_job: MakeJob) -> None:
        connector = subject.connector
        assert isinstance(connector, OpenAIConnector)
        connector._line = msgspec.structs.replace(connector._line, max_output_bytes=5_000)
        await super().test_too_large_a_result_is_refused(subject, make_job)

    async def test_its_one_model_answers_to_any_name(self, subject: Subject, engine: TextEngine) -> None:
        connector = OpenAIConnector(engine.url, model="what-the-operator-calls-it")
        await connector.ready()
        await connector.close()

    async def test_it_tells_its_build_and_its_one_model_by_the_name_that_jobs_use(self, engine: TextEngine) -> None:
        named, unnamed = OpenAIConnector(engine.url, model="north-star"), OpenAIConnector(engine.url)
        facts = await named.describe()
        assert facts.version
        assert facts.tells_residency
        (model,) = facts.models
        assert (model.name, model.state) == ("north-star", "resident")
        assert model.size_bytes > 0
        assert "/" not in (await unnamed.describe()).models[0].name
        await named.close()
        await unnamed.close()

    async def test_too_long_a_prompt_is_told_with_its_numbers(self, subject: Subject, make_job: MakeJob) -> None:
        with pytest.raises(ContextExceeded) as caught:
            await subject.connector.run(make_job(subject.bad), hear_nothing)
        assert caught.value.needed is not None
        assert caught.value.available is not None
        assert caught.value.needed > caught.value.available > 0

    async def test_a_cancelled_generation_leaves_most_tokens_unwritten(
        self, subject: Subject, make_job: MakeJob, engine: TextEngine
    ) -> None:
        task, _news = await started(subject, make_job(ENDLESS))
        task.cancel()
        await until(task.done)
        await until(lambda: no_slot_works(engine), within_s=5.0)
        assert await tokens_written(engine) < 30_000

    async def test_a_chat_is_a_story_about_what_was_asked(self, subject: Subject, make_job: MakeJob) -> None:
        streamed: list[str] = []
        result = await subject.connector.run(make_job(CHAT), lambda news: streamed.append(news.tokens or ""))
        (output,) = result.outputs
        assert output.text == "".join(streamed)
        assert output.media_type == "text/plain; charset=utf-8"
        assert any(word in output.text for word in ("boat", "whale", "captain", "lighthouse", "tide", "harbour"))
        assert result.summary["finish_reason"] in {"stop", "length"}
        assert result.summary["usage"]["completion_tokens"] > 10
        assert 0 < result.summary["first_token_s"] <= result.summary["run_s"]

    async def test_a_long_text_is_a_file_instead_of_a_value(self, subject: Subject, make_job: MakeJob) -> None:
        job = make_job(ENDLESS | {"max_tokens": 2_000})
        (output,) = (await subject.connector.run(job, hear_nothing)).outputs
        assert output.text is None
        assert output.path == job.workspace / "text.txt"
        assert output.size_bytes > 16_384


async def slots(engine: TextEngine) -> list[dict[str, bool]]:
    async with aiohttp.ClientSession() as session, session.get(f"{engine.url}/slots") as response:
        found: list[dict[str, bool]] = await response.json()
        return found


async def no_slot_works(engine: TextEngine) -> bool:
    return not any(slot["is_processing"] for slot in await slots(engine))


async def deferred(engine: TextEngine) -> bool:
    return await metric(engine, "requests_deferred") > 0


async def tokens_written(engine: TextEngine) -> float:
    return await metric(engine, "tokens_predicted_total")


async def metric(engine: TextEngine, name: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(f"{engine.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    (line,) = (line for line in lines if line.startswith(f"llamacpp:{name} "))
    return float(line.split()[1])
