"""The examples beside the container files: they name what the images are, and nothing that does not exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import northstar
from northstar.config import variables
from northstar.config.sources import RESERVED
from tests.containers.dockerfile import ROOT, Dockerfile

COMPOSE = ROOT / "containers" / "compose.yaml"
KUBERNETES = ROOT / "containers" / "kubernetes.yaml"
PAGE = ROOT / "docs" / "how-to" / "run-in-containers.md"
SCRIPT = ROOT / "scripts" / "build-containers.sh"
PORT = int(Dockerfile("serve").in_the_end("EXPOSE").text)
VOLUME = Dockerfile("serve").in_the_end("VOLUME").text
STATUS_PATHS = {"/health/live", "/health/ready"}


def services() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text())["services"])


def kubernetes(kind: str) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(KUBERNETES.read_text()) if found["kind"] == kind]


def pods() -> dict[str, dict[str, Any]]:
    """Of each deployment, what its pods are."""
    return {found["metadata"]["name"]: found["spec"]["template"]["spec"] for found in kubernetes("Deployment")}


@pytest.mark.parametrize("file", [COMPOSE, KUBERNETES, PAGE], ids=lambda file: file.name)
def test_every_variable_that_is_named_is_one(file: Path) -> None:
    # Kubernetes' own variable, which the page warns of, is one as well: that is the trouble with it.
    named = set(re.findall(r"\bNORTHSTAR_[A-Z0-9_]+\b", file.read_text()))
    assert named
    assert named <= variables().keys() | RESERVED


@pytest.mark.parametrize("file", [COMPOSE, KUBERNETES, PAGE], ids=lambda file: file.name)
def test_every_image_of_ours_is_named_with_this_version(file: Path) -> None:
    tags = re.findall(r"(?<!//)\bnorthstar-(?:serve|agent):([\w.$]+)", file.read_text())
    assert tags
    assert set(tags) == {northstar.__version__}


def test_compose_runs_both_images_without_rights_and_with_state_in_volumes() -> None:
    for name in ("serve", "agent"):
        service = services()[name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        (volume,) = service["volumes"]
        assert volume.endswith(f":{VOLUME}")
    assert services()["serve"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert services()["agent"]["environment"]["NORTHSTAR_JOIN"] == f"ws://serve:{PORT}"


def test_the_valkey_of_compose_keeps_what_it_accepted() -> None:
    command = services()["valkey"]["command"]
    assert command == ["valkey-server", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]


def test_the_history_of_compose_is_in_its_postgres() -> None:
    """With the name, the password and the database that it is made with."""
    made = services()["postgres"]["environment"]
    url = services()["serve"]["environment"]["NORTHSTAR_HISTORY_URL"]
    assert url == f"postgresql://{made['POSTGRES_USER']}:{made['POSTGRES_PASSWORD']}@postgres/{made['POSTGRES_DB']}"
    assert services()["serve"]["depends_on"]["postgres"] == {"condition": "service_healthy"}


@pytest.mark.parametrize("name", ["northstar-serve", "northstar-agent"])
def test_kubernetes_runs_both_images_without_rights(name: str) -> None:
    pod = pods()[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert str(pod["securityContext"]["runAsUser"]) == Dockerfile("serve").in_the_end("USER").text.partition(":")[0]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == [VOLUME]
    assert pod["terminationGracePeriodSeconds"] >= 20, "draining takes 10 seconds, and handing back a few"


@pytest.mark.parametrize("name", ["northstar-serve", "northstar-agent"])
def test_kubernetes_does_not_set_our_variables_by_itself(name: str) -> None:
    assert pods()[name]["enableServiceLinks"] is False


def test_kubernetes_asks_where_the_broker_answers() -> None:
    (container,) = pods()["northstar-serve"]["containers"]
    assert container["ports"] == [{"name": "broker", "containerPort": PORT}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "broker"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "broker"}
    (service,) = kubernetes("Service")
    assert service["spec"]["ports"] == [{"name": "broker", "port": PORT, "targetPort": "broker"}]
    assert service["spec"]["selector"] == {"app.kubernetes.io/name": "northstar-serve"}


def test_brokers_that_are_several_share_history_and_outputs() -> None:
    (container,) = pods()["northstar-serve"]["containers"]
    assert {e["name"] for e in container["env"]} >= {"NORTHSTAR_HISTORY_URL", "NORTHSTAR_ASSETS_URL"}


def test_the_page_names_targets_and_variables_of_the_build_that_exist() -> None:
    page = PAGE.read_text()
    assert re.search(r"^containers:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for variable in re.findall(
        r"`(ENGINE|TAG|SERVE_BASE|AGENT_BUILD_BASE|AGENT_BASE|PIP_CONF|CA_FILE|BUILD_OPTIONS)`", page
    ):
        assert variable in SCRIPT.read_text()
    for path in re.findall(r"`(/health/\w+)`", page):
        assert path in STATUS_PATHS
    assert "COPY --from=northstar-agent:" in page
