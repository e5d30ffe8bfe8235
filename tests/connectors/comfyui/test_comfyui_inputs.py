"""Files that a graph reads."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from northstar.connectors.comfyui import ComfyBounds, ComfyUIConnector
from northstar.connectors.errors import EngineError, EngineRejected, InputUnavailable
from tests.connectors.comfyui.rig import Connect, posted, run_id
from tests.connectors.conformance import hear_nothing
from tests.connectors.conftest import MakeJob
from tests.connectors.fake_comfyui.pictures import png
from tests.connectors.fake_comfyui.server import FakeComfyUI

PNG = png(8, 8, 1)


def reads(name: str, description: dict[str, str]) -> dict[str, Any]:
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    return {"prompt": prompt, "inputs": {name: description}}


async def test_inputs_are_uploaded_under_a_name_of_the_jobs_own_and_put_into_the_graph(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    text = base64.b64encode(PNG).decode()
    for description in ({"data": text}, {"url": f"data:image/png;base64,{text}"}):
        job = make_job(reads("my cat.png", description))
        await connect().run(job, hear_nothing)
        stored = f"{run_id(job.id)}-my_cat.png"
        assert fake.disk.files[("input", "", stored)] == PNG
        assert posted(fake)[-1]["prompt"]["1"]["inputs"]["image"] == stored


async def test_an_input_is_fetched_from_a_host_that_the_operator_allows(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob
) -> None:
    fake.disk.files[("output", "", "a.png")] = PNG
    host = fake.url.removeprefix("http://")
    job = make_job(reads("cat.png", {"url": f"{fake.url}/view?filename=a.png"}))
    await connect(input_hosts=frozenset({host})).run(job, hear_nothing)
    assert fake.disk.files[("input", "", f"{run_id(job.id)}-cat.png")] == PNG


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/view?filename=none.png", (EngineRejected, "answers 404")),
        ("/broken", (InputUnavailable, "answers 500")),
        ("/large", (EngineRejected, "larger than 100 bytes")),
        ("/elsewhere", (EngineRejected, "not public")),
    ],
)
async def test_an_input_that_cannot_be_had_is_an_error(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob, path: str, fault: tuple[type[EngineError], str]
) -> None:
    fake.answers |= {"/broken": (500, b""), "/large": (200, b"x" * 101)}
    fake.redirects["/elsewhere"] = "http://10.0.0.1/a.png"
    connector = connect(input_hosts=frozenset({"127.0.0.1"}), bounds=ComfyBounds(input_bytes=100))
    error, sentence = fault
    with pytest.raises(error, match=sentence):
        await connector.run(make_job(reads("cat.png", {"url": fake.url + path})), hear_nothing)
    assert not posted(fake)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "0x7f000001",
        "[::ffff:127.0.0.1]",
        "１２７.0.0.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
    ],
)
async def test_a_private_address_is_asked_in_no_spelling(
    fake: FakeComfyUI, connect: Connect, make_job: MakeJob, host: str
) -> None:
    """Whoever submits a job writes the address; what answers inside the machine's network is not theirs to read."""
    fake.disk.files[("output", "", "a.png")] = PNG
    url = fake.url.replace("127.0.0.1", host) + "/view?filename=a.png"
    with pytest.raises(
        EngineRejected, match=r"lies at \S+, which is not public; its operator can allow it with input_hosts"
    ):
        await connect().run(make_job(reads("cat.png", {"url": url})), hear_nothing)
    assert "/view" not in {path for _method, path, _body in fake.calls}
    assert not posted(fake)


@pytest.mark.parametrize("url", ["ftp://host", "http://user:pass@host", "http://host/?a=b", "host:8188"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="the engine's address must"):
        ComfyUIConnector(url)
