"""The catalogue from the command line: declared, imported, shown, fetched and removed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from northstar.store.cell import Cell
from northstar.store.valkey import connect
from tests.northstar_command import Northstar

DATA = b"not really a model" * 1_000
HASH = hashlib.sha256(DATA).hexdigest()
PROFILE = '{"pools":["standard"],"services":["picture"]}'
SETTINGS = """
[limits]
alive_ms = 600_000

[models]
private_hosts = ["PLACE"]
"""


class Host:
    """A web server with one file, which counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(DATA)))
                self.end_headers()
                self.wfile.write(DATA)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    opened = Host()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, host: Host) -> Iterator[Northstar]:
    settings = SETTINGS.replace("PLACE", host.place)
    northstar = Northstar(tmp_path_factory.mktemp("models"), settings=settings)
    with northstar.up("--no-machines"):
        asyncio.run(a_machine(northstar, "far"))
        yield northstar


async def a_machine(northstar: Northstar, name: str) -> None:
    place = json.loads((northstar.data_dir / "run.json").read_text())
    client = connect(place["url"])
    try:
        await Cell(client, place["cell"]).register_machine(
            machine=name, session="s", profile=PROFILE, fits=[], slots=1, vram_mb=0, holder="test",
            description="{}", words=[], nonce="n",
        )  # fmt: skip
    finally:
        await client.aclose()


def refused(northstar: Northstar, *arguments: str) -> tuple[int, str, str]:
    answer = northstar.run(*arguments)
    code, _, sentence = answer.err.partition(": ")
    return answer.code, code, sentence


# Add ----------------------------------------------------------------------------------------------------------------


def test_an_address_is_declared_and_nothing_is_asked_of_it(running: Northstar, host: Host) -> None:
    url = f"http://{host.place}/loras/ink.safetensors"
    answer = running.run("models", "add", url, "--alias", "ink")
    assert answer.code == 0, answer
    assert answer.out.startswith("ink.safetensors  version 1 added")
    assert "its hash is unknown: machines take whatever its address sends" in answer.out
    assert "its size is unknown, so neither its memory nor the time to fetch it can be estimated" in answer.out
    assert host.asked == 0
    (version,) = running.good("models", "show", "ink")["versions"]
    assert version["files"] == [
        {
            "name": "ink.safetensors",
            "kind": "lora",
            "folder": "",
            "size_bytes": 0,
            "sha256": "unknown",
            "sources": [url],
        }
    ]


def test_an_address_is_read_once_where_that_is_asked_for(running: Northstar, host: Host) -> None:
    before = host.asked
    url = f"http://{host.place}/checkpoints/read.safetensors"
    said = running.good("models", "add", url, "--download", "--makes", "image", "--experimental", "--tenant", "studio")
    assert (said["sha256"], said["size_bytes"], said["kind"]) == (HASH, len(DATA), "checkpoint")
    assert host.asked == before + 1
    shown = running.good("models", "show", "read.safetensors")
    assert (shown["modalities"], shown["experimental"], shown["tenants"]) == (["image"], True, ["studio"])
    assert shown["versions"][0]["vram_mb"] == 2_001


def test_what_turns_out_to_be_another_file_than_was_said_is_not_declared(running: Northstar, host: Host) -> None:
    url = f"http://{host.place}/vae/other.safetensors"
    code, name, sentence = refused(running, "models", "add", url, "--download", "--hash", "0" * 64)
    assert (code, name) == (2, "NS_CATALOGUE_ENTRY_INVALID")
    assert f"its hash is {HASH}, not the one that was said" in sentence
    assert refused(running, "models", "show", "other.safetensors")[1] == "NS_NO_SUCH_MODEL"


def test_a_private_network_is_not_asked_unless_the_settings_allow_it(running: Northstar, host: Host) -> None:
    before = host.asked
    url = f"http://localhost:{host.place.rpartition(':')[2]}/vae/x.safetensors"
    assert refused(running, "models", "add", url, "--download")[:2] == (3, "NS_MODEL_ADDRESS_PRIVATE")
    assert host.asked == before


def test_a_file_of_this_machine_is_hashed_and_it_is_said_who_can_fetch_it(running: Northstar) -> None:
    path = running.folder / "own.safetensors"
    path.write_bytes(DATA)
    answer = running.run("models", "add", str(path), "--kind", "vae")
    assert answer.code == 0, answer
    assert f"machines fetch it from file://{path}: those on which this path lies in models.source_folders" in answer.out
    assert running.good("models", "show", "own.safetensors")["versions"][0]["files"][0]["sha256"] == HASH
    source = "s3://bucket/own.safetensors"
    again = running.good("models", "add", str(path), "--kind", "vae", "--source", source, "--version", "2")
    assert (again["sources"], again["change"]) == ([source], "version")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("https://me:pw@h.test/vae/x.safetensors",), "NS_CATALOGUE_ENTRY_INVALID", "holds a login"),
        (("https://h.test/vae/x.safetensors?token=quiet",), "NS_CATALOGUE_ENTRY_INVALID", "the parameter 'token'"),
        (("civitai://12", "--kind", "lora"), "NS_CATALOGUE_ENTRY_INVALID", "its address tells no name; say --name"),
        (("nowhere.safetensors", "--kind", "vae"), "NS_MODEL_FILE_UNREADABLE", "there is no such file"),
    ],
)
def test_what_cannot_stand_in_the_catalogue_is_refused_with_the_reason(
    running: Northstar, arguments: tuple[str, ...], code: str, said: str
) -> None:
    answer = running.run("models", "add", *arguments)
    assert (answer.code, answer.err.partition(":")[0]) == (2, code)
    assert said in answer.err
    assert "pw" not in answer.err
    assert "quiet" not in answer.err


# Import -------------------------------------------------------------------------------------------------------------

MANIFEST = """
[[models]]
name = "flux"
aliases = ["flux-dev"]
modalities = ["image"]
vram_mb = 16_000

[[models.files]]
name = "flux1-dev.safetensors"
sources = ["hf://org/flux/diffusion_models/flux1-dev.safetensors"]
size_bytes = 11_900_000_000

[[models.files]]
name = "ae.safetensors"
kind = "vae"
sources = ["hf://org/flux/ae.safetensors"]

[[models]]
name = "styles/pen.safetensors"
kind = "lora"
sources = ["https://h.test/pen.safetensors"]
"""
GRAPH = {
    "nodes": [
        {
            "type": "CheckpointLoaderSimple",
            "properties": {
                "models": [
                    {
                        "name": "graph.safetensors",
                        "url": "https://h.test/graph.safetensors",
                        "directory": "checkpoints",
                    },
                    {"name": "../evil.safetensors", "url": "https://h.test/evil.safetensors", "directory": "loras"},
                ]
            },
        }
    ],
    "definitions": {
        "subgraphs": [
            {
                "nodes": [
                    {
                        "properties": {
                            "models": [
                                {
                                    "name": "vision.safetensors",
                                    "url": "https://huggingface.co/o/r/blob/main/vision.safetensors",
                                    "directory": "clip_vision",
                                    "hash": HASH.upper(),
                                    "hash_type": "SHA256",
                                }
                            ]
                        }
                    }
                ]
            }
        ]
    },
}


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return name


def test_a_manifest_is_declared_whole_and_again_without_a_change(running: Northstar) -> None:
    name = write(running.folder, "models.toml", MANIFEST)
    assert [one["change"] for one in running.good("models", "import", name, "--dry-run")["models"]] == ["", ""]
    assert [one["change"] for one in running.good("models", "import", name)["models"]] == ["new", "new"]
    assert [one["change"] for one in running.good("models", "import", name)["models"]] == ["same", "same"]
    shown = running.good("models", "show", "flux-dev")
    assert [(file["name"], file["kind"]) for file in shown["versions"][0]["files"]] == [
        ("flux1-dev.safetensors", "diffusion_model"),
        ("ae.safetensors", "vae"),
    ]
    assert (shown["versions"][0]["vram_mb"], shown["versions"][0]["vram_is_estimated"]) == (16_000, False)


def test_the_list_of_a_saved_graph_is_declared_and_what_is_unusable_in_it_is_named(running: Northstar) -> None:
    done = running.good("models", "import", write(running.folder, "graph.json", json.dumps(GRAPH)))
    assert [one["model"] for one in done["models"]] == ["graph.safetensors", "vision.safetensors"]
    (left,) = done["left_out"]
    assert left["name"] == "../evil.safetensors"
    (version,) = running.good("models", "show", "vision.safetensors")["versions"]
    assert version["files"] == [
        {
            "name": "vision.safetensors",
            "kind": "other",
            "folder": "clip_vision",
            "size_bytes": 0,
            "sha256": HASH,
            "sources": ["https://huggingface.co/o/r/resolve/main/vision.safetensors"],
        }
    ]


# Use ----------------------------------------------------------------------------------------------------------------


def test_a_machine_is_told_to_fetch_every_file_of_a_model_by_its_name(running: Northstar) -> None:
    running.good("models", "import", write(running.folder, "models.toml", MANIFEST))
    given = running.good("machines", "fetch", "far", "flux-dev")["orders"]
    assert [(one["machine"], one["new"]) for one in given] == [("far", True), ("far", True)]
    open_ = running.good("machines", "orders", "far")["orders"]
    assert [one["model"] for one in open_] == ["flux1-dev.safetensors", "ae.safetensors"]
    assert running.good("machines", "fetch", "far", "ae.safetensors") == given[1] | {"new": False}
    assert refused(running, "machines", "fetch", "far", "fluxx")[1:] == (
        "NS_NO_SUCH_MODEL",
        "the catalogue has no model, alias or file called 'fluxx'; did you mean flux or flux-dev?\n",
    )
    assert refused(running, "machines", "fetch", "far", "x.safetensors", "--from", "https://h.test/x")[1] == (
        "NS_MODEL_ORDER_INVALID"
    )


def test_a_version_and_then_a_model_is_removed_on_purpose_only(running: Northstar) -> None:
    for version in ("1", "2"):
        url = f"https://h.test/upscale_models/big-{version}.safetensors"
        running.good("models", "add", url, "--name", "big.safetensors", "--version", version, "--alias", "big")
    code, name, plan = refused(running, "models", "remove", "big@2")
    assert (code, name) == (2, "NS_CONFIRMATION_NEEDED")
    assert plan.startswith(
        "version 2 of big.safetensors goes out of the catalogue; machines that hold it keep their files (0 m"
    )
    assert running.good("models", "remove", "big@2", "--yes")["left"] == ["1"]
    assert running.good("models", "remove", "big", "--yes")["left"] == []
    assert refused(running, "models", "remove", "big", "--yes")[1] == "NS_NO_SUCH_MODEL"


def test_a_file_of_a_model_is_not_taken_for_the_model(running: Northstar) -> None:
    running.good("models", "import", write(running.folder, "models.toml", MANIFEST))
    assert refused(running, "models", "remove", "ae.safetensors", "--yes") == (
        3,
        "NS_NO_SUCH_MODEL",
        "'ae.safetensors' is no model, but a file of flux@1; name that\n",
    )


def test_the_catalogue_is_shown_to_people(running: Northstar) -> None:
    running.good("models", "import", write(running.folder, "models.toml", MANIFEST))
    lines = running.run("models", "list").out.splitlines()
    assert " ".join(lines[0].split()) == "MODEL CURRENT VERSIONS KIND FILES SIZE VRAM HASH ALIASES FOR"
    (flux,) = (line.split() for line in lines if line.startswith("flux "))
    assert flux == [
        "flux",
        "1",
        "1",
        "diffusion_model",
        "vae",
        "2",
        "11.9",
        "GB",
        "16",
        "GB",
        "unknown",
        "flux-dev",
        "all",
    ]
    shown = running.run("models", "show", "ae.safetensors").out
    assert "found by    file of version 1" in shown
    assert "memory      1: 16 GB, as declared" in shown
    assert "held by     ae.safetensors: nobody" in shown
