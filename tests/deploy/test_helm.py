"""The chart: every value is told and used, nothing in it has rights, and what cannot work is refused before anything is made."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import northstar
from northstar.config import load, variables
from northstar.config.sources import RESERVED

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "northstar"
TEMPLATES = sorted((CHART / "templates").iterdir())
PAGE = ROOT / "docs" / "how-to" / "run-with-helm.md"
VALUES = CHART / "values.yaml"
#: A fleet of brokers, as the page begins.
BROKERS = ("valkey.existingSecret=s", "history.existingSecret=s", "assets.existingSecret=s")
MACHINES = ("agent.enabled=true", "agent.invite.existingSecret=i")
HELM = shutil.which("helm")


def written() -> str:
    return "\n".join(file.read_text() for file in TEMPLATES)


def leaves(values: Any, before: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{before}{key}.")
        else:
            yield before + key


def test_every_value_that_is_used_is_declared_and_every_declared_one_is_used() -> None:
    declared = set(leaves(yaml.safe_load(VALUES.read_text())))
    used = set(re.findall(r"(?:\$v|\.Values)\.([\w.]+)", written().replace("root.Values", "Values")))
    used |= {f"networkPolicy.{name}" for name in re.findall(r"\$policy\.(\w+)", written())}
    used |= {f"image.{name}" for name in re.findall(r"Values\.image\.(\w+)", written())}
    for name in used:
        assert any(f"{one}.".startswith(f"{name}.") for one in declared), f"{name} is used and not declared"
    for one in declared:
        assert any(f"{one}.".startswith(f"{name}.") for name in used), f"{one} is declared and not used"


def test_every_value_is_told() -> None:
    """By a comment of its own, or by that of the table that it is one word of."""
    told_of: dict[int, bool] = {}
    comment = False
    for line in VALUES.read_text().splitlines():
        text = line.strip()
        if not text:
            comment = False
        elif text.startswith("#"):
            comment = True
        else:
            depth = (len(line) - len(line.lstrip())) // 2
            told_of[depth] = comment
            assert comment or any(told_of.get(above) for above in range(depth)) or text.split(":")[0] in OBVIOUS, line
            comment = False


#: What Kubernetes calls so too, and what holds tables that are told themselves.
OBVIOUS = frozenset({
    "affinity", "agent", "assets", "config", "env", "existingSecret", "extraEnvFrom", "extraVolumes", "image", "invite", "key",
    "limits", "models", "networkPolicy", "nodeSelector", "persistence", "podAnnotations", "pullPolicy", "replicas", "requests",
    "resources", "runtimeClassName", "serve", "service", "annotations", "type", "size", "tls", "tolerations", "webhooks",
})  # fmt: skip


def test_versions_are_those_of_the_program() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == chart["version"] == northstar.__version__


@pytest.mark.parametrize("file", [*TEMPLATES, VALUES, PAGE], ids=lambda file: file.name)
def test_every_variable_that_is_named_is_one(file: Path) -> None:
    named = set(re.findall(r"\bNORTHSTAR_[A-Z0-9_]+\b", file.read_text()))
    assert named <= variables().keys() | RESERVED


# With Helm itself ------------------------------------------------------------------------------------------------------


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    if HELM is None:
        pytest.skip("helm is not here")
    return subprocess.run([HELM, *arguments], capture_output=True, text=True, check=False, timeout=60)


def rendered(*values: str, files: tuple[Path, ...] = ()) -> dict[tuple[str, str], Any]:
    """What would be made, by kind and name."""
    named = [word for file in files for word in ("--values", str(file))]
    done = helm("template", "north", str(CHART), *named, *[word for value in values for word in ("--set", value)])
    assert done.returncode == 0, done.stderr
    found = [one for one in yaml.safe_load_all(done.stdout) if one]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def pod(made: dict[tuple[str, str], Any], kind: str, name: str) -> dict[str, Any]:
    return dict(made[kind, name]["spec"]["template"]["spec"])


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def test_it_is_linted() -> None:
    done = helm("lint", "--strict", str(CHART), *[word for value in BROKERS for word in ("--set", value)])
    assert done.returncode == 0, done.stdout


def test_brokers_know_their_server_by_a_secret_and_are_asked_where_they_answer() -> None:
    made = rendered(*BROKERS, "serve.replicas=3")
    assert {kind for kind, _ in made} == {"Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"}
    (serve,) = pod(made, "Deployment", "north-serve")["containers"]
    assert serve["image"] == f"northstar-serve:{northstar.__version__}"
    for name, key in (("VALKEY", "valkey-url"), ("HISTORY", "history-url"), ("ASSETS", "assets-url")):
        assert environment(serve)[f"NORTHSTAR_{name}_URL"] == {"secretKeyRef": {"name": "s", "key": key}}
    asked = {probe: serve[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe: one["path"] for probe, one in asked.items()} == {
        "startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready",
    }  # fmt: skip
    service = made["Service", "north-serve"]["spec"]
    assert service["selector"] == made["Deployment", "north-serve"]["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
def test_nothing_has_rights_and_everybody_has_time_to_hand_work_back(kind: str) -> None:
    made = rendered(*BROKERS, *MACHINES, f"agent.kind={kind}", "agent.gpus=2", "agent.models.hostPath=/m")
    pods = [pod(made, "Deployment", "north-serve"), pod(made, kind, "north-agent")]
    drain_s = load(environment={}, file=None, options={"data_dir": "/x"}).agent.drain_s
    for one in pods:
        assert one["automountServiceAccountToken"] is False
        assert one["enableServiceLinks"] is False
        assert (one["securityContext"]["runAsNonRoot"], one["securityContext"]["runAsUser"]) == (True, 10001)
        assert one["terminationGracePeriodSeconds"] >= drain_s + 20
        (container,) = one["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in one["volumes"]}
    (agent,) = pods[1]["containers"]
    assert environment(agent)["NORTHSTAR_JOIN"] == "ws://north-serve:8443"
    assert environment(agent)["NORTHSTAR_MODELS_ROOT"] == "/models"
    assert agent["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert made["NetworkPolicy", "north-agent"]["spec"]["ingress"] == []


def test_tls_settings_and_further_variables_reach_the_pods() -> None:
    made = rendered(
        *BROKERS, *MACHINES, "serve.tls.existingSecret=t", "serve.env.NORTHSTAR_LOG_LEVEL=debug", "serve.config=a = 1"
    )
    (serve,) = pod(made, "Deployment", "north-serve")["containers"]
    assert environment(serve)["NORTHSTAR_SERVE_TLS_CERTIFICATE"] == "/tls/tls.crt"
    assert environment(serve)["NORTHSTAR_LOG_LEVEL"] == "debug"
    assert serve["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    assert made["ConfigMap", "north-serve"]["data"]["northstar.toml"].strip() == "a = 1"
    (agent,) = pod(made, "Deployment", "north-agent")["containers"]
    assert environment(agent)["NORTHSTAR_JOIN"] == "wss://north-serve:8443"


def test_one_broker_may_keep_history_and_outputs_in_a_volume_that_outlives_it() -> None:
    made = rendered("valkey.existingSecret=s", "serve.persistence.enabled=true")
    claim = made["PersistentVolumeClaim", "north-serve-data"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert made["Deployment", "north-serve"]["spec"]["strategy"] == {"type": "Recreate"}
    (serve,) = pod(made, "Deployment", "north-serve")["containers"]
    assert "NORTHSTAR_HISTORY_URL" not in environment(serve)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((), "valkey.existingSecret must name"),
        (("valkey.existingSecret=s",), "where history and outputs are kept"),
        (
            ("valkey.existingSecret=s", "serve.persistence.enabled=true", "serve.replicas=2"),
            "several brokers need one history",
        ),
        ((*BROKERS, "serve.persistence.enabled=true", "serve.replicas=2"), "cannot share the volume"),
        ((*BROKERS, "agent.enabled=true"), "agent.invite.existingSecret must name"),
        ((*BROKERS, "agent.kind=Job"), "DaemonSet or Deployment"),
        ((*BROKERS, *MACHINES, "agent.models.hostPath=/m", "agent.models.existingClaim=c"), "not both"),
    ],
)
def test_what_cannot_work_is_refused_with_the_value_to_change(values: tuple[str, ...], said: str) -> None:
    done = helm("template", "north", str(CHART), *[word for value in values for word in ("--set", value)])
    assert done.returncode != 0
    assert said in done.stderr


def test_the_values_of_the_page_are_such(tmp_path: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    files = []
    for number, text in enumerate(blocks):
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_text(text)
    made = rendered(files=tuple(files))
    machine = pod(made, "DaemonSet", "north-agent")
    assert [one["name"] for one in machine["containers"]] == ["agent", "engine"]
    settings = tmp_path / "northstar.toml"
    settings.write_text(made["ConfigMap", "north-agent"]["data"]["northstar.toml"])
    assert load(environment={}, file=settings).machines[0].services == ("picture",)
