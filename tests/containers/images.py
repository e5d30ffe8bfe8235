"""Images built and run for real, without a registry and without a daemon: bases by mmdebstrap, buildah, podman with runc."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.containers.dockerfile import ROOT
from tests.northstar_command import eventually

TOOLS = ("buildah", "podman", "runc", "mmdebstrap")
#: What a slim image leaves out too.
_SLIM = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "man", "locale", "info", "lintian")]
_CLEAN = "--customize-hook=rm -rf $1/var/lib/apt/lists/* $1/var/cache/apt/*.bin"


def skip_unless_possible() -> None:
    """Skip, and say what is missing."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not on the path: {', '.join(missing)}; on Debian: apt-get install {' '.join(TOOLS)}")
    if os.geteuid() != 0:
        pytest.skip("building on bases of our own needs root")


class Engine:
    """Storage of its own below a folder; nothing of the host's images is seen or changed.

    With CONTAINERS_STORAGE_CONF that storage is used and left as it is then, so that bases are made only once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._keeps = "CONTAINERS_STORAGE_CONF" in os.environ
        storage = folder / "storage.conf"
        storage.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/root"\nrunroot = "{folder}/run"\n')
        authorities = Path("/etc/ssl/certs/ca-certificates.crt")
        (folder / "pip.conf").write_text("[global]\ncert = /run/secrets/ca.pem\n")
        # What the host trusts, the build trusts, and the image does not.
        trusting = {"PIP_CONF": str(folder / "pip.conf"), "CA_FILE": str(authorities)} if authorities.exists() else {}
        usual = trusting | {"CONTAINERS_STORAGE_CONF": str(storage), "BUILDAH_ISOLATION": "chroot"}
        self.environment = usual | dict(os.environ)

    def run(self, *command: str, within_s: float = 600.0, **environment: str) -> str:
        """Run a command to its end; gives what it printed."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        assert done.returncode == 0, (
            f"{' '.join(command)}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
        return done.stdout

    def base(self, suite: str, *packages: str) -> str:
        """An image of Debian, made here."""
        name = f"localhost/{suite}-{'python' if packages else 'slim'}"
        if self.run("buildah", "images", "--quiet", "--filter", f"reference={name}"):
            return name
        archive = self.folder / "base.tar"
        include = [f"--include={','.join(packages)}"] if packages else []
        self.run("mmdebstrap", "--variant=minbase", *_SLIM, *include, _CLEAN, suite, str(archive))
        container = self.run("buildah", "from", "scratch").strip()
        self.run("buildah", "add", container, str(archive), "/")
        self.run("buildah", "commit", "--timestamp", "0", "--rm", container, name)
        archive.unlink()
        return name

    def build(self, *images: str, **options: str) -> None:
        """By the script that everybody uses."""
        self.run("scripts/build-containers.sh", *images, within_s=1_200, ENGINE="buildah", **options)

    def about(self, image: str) -> dict[str, Any]:
        (found,) = json.loads(self.podman("image", "inspect", image))
        return dict(found)

    def podman(self, *arguments: str, **options: Any) -> str:
        """Podman where there is neither systemd nor a second version of control groups."""
        return self.run(
            "podman",
            "--cgroup-manager",
            "cgroupfs",
            "--runtime",
            "runc",
            "--events-backend",
            "file",
            *arguments,
            **options,
        )

    @contextlib.contextmanager
    def container(self, image: str, *arguments: str, options: tuple[str, ...] = ()) -> Iterator[Container]:
        """A container on the host's network, its root file system read-only, without a single right."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        limits = ("--ulimit", f"nofile=1024:{min(files, 1 << 20)}", "--ulimit", "nproc=1024:1024")
        strict = ("--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges")
        name = self.podman("create", "--network", "host", *limits, *strict, *options, image, *arguments).strip()
        container = Container(self, name)
        try:
            self.podman("start", name)
            yield container
        finally:
            self.podman("rm", "--force", "--volumes", "--time", "0", name)

    def clean(self) -> None:
        """Leave nothing mounted, and nothing large."""
        if self._keeps:
            return
        self.podman("rm", "--all", "--force", "--time", "0")
        self.run("buildah", "rm", "--all")
        self.run("buildah", "rmi", "--all", "--force")
        subprocess.run(["umount", str(self.folder / "root" / "overlay")], check=False, capture_output=True, timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)


class Container:
    """One that runs, or did."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name

    def words(self) -> str:
        """What it has said, on both ways out."""
        done = subprocess.run(
            ["podman", "logs", self.name], env=self.engine.environment, capture_output=True, timeout=60, check=False
        )
        return (done.stdout + done.stderr).decode()

    def state(self) -> dict[str, Any]:
        (found,) = json.loads(self.engine.podman("container", "inspect", self.name))
        return dict(found["State"])

    def execute(self, *command: str) -> str:
        return self.engine.podman("exec", self.name, *command)

    def says(self, words: str) -> None:
        """Wait for words of it, while it runs."""

        def said() -> bool:
            if words in self.words():
                return True
            assert self.state()["Running"], f"ended before it said {words!r}:\n{self.words()}"
            return words in self.words()

        eventually(said, what=f"{self.name} says {words!r}", pause_s=0.2)

    def signal(self, name: str) -> None:
        self.engine.podman("kill", "--signal", name, self.name)

    def ends(self, *, within_s: float = 30.0) -> int:
        """Wait for its end by itself; gives the exit code."""
        eventually(lambda: not self.state()["Running"], what=f"{self.name} has ended", within_s=within_s, pause_s=0.2)
        return int(self.state()["ExitCode"])
