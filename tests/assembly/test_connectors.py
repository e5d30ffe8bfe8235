"""Services in a settings file become connectors with what the file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.assembly.connectors import check_services, connector_of
from northstar.config import InvalidSettings, Settings, load
from northstar.connectors.contract import Connector
from northstar.connectors.ollama import OllamaConnector
from northstar.connectors.openai_compatible import OpenAIConnector
from northstar.connectors.simulated import SimulatedConnector
from northstar.connectors.simulated_time import LognormalTime


def settings(tmp_path: Path, service: str) -> Settings:
    file = tmp_path / "northstar.toml"
    file.write_text(f'[[machines]]\nname = "m"\nservices = ["s"]\n\n[services.s]\n{service}')
    return load(environment={"HOME": "/nobody"}, file=file)


def connector(tmp_path: Path, service: str, **environment: str) -> Connector:
    made = settings(tmp_path, service).services["s"]
    return connector_of("s", made, address=None, environment=environment, machine="m")


def test_a_simulated_service_keeps_its_times_and_chances(tmp_path: Path) -> None:
    made = connector(
        tmp_path,
        'connector = "simulated"\nseed = 4\nmodel = "base"\nrun = { kind = "lognormal", median_s = 8.0 }\n'
        'load = { kind = "fixed", seconds = 20 }\nfailures = { gone = 0.01, failed = 0.02 }\n',
    )
    assert isinstance(made, SimulatedConnector)
    assert made._settings.run == LognormalTime(median_s=8.0)
    assert made._settings.failures == {"gone": 0.01, "failed": 0.02}
    assert made._instance == "m"


def test_chances_above_one_together_are_refused_with_the_place(tmp_path: Path) -> None:
    wrong = settings(tmp_path, 'connector = "simulated"\nfailures = { gone = 0.6, failed = 0.6 }\n')
    with pytest.raises(InvalidSettings, match=r"\[services\.s\]: .* must not exceed 1"):
        check_services(wrong, environment={})


def test_a_misspelt_kind_of_failure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="'sleepy' is no choice"):
        settings(tmp_path, 'connector = "simulated"\nfailures = { sleepy = 0.6 }\n')


def test_ollama_needs_a_model_and_may_have_a_key(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="`model` is missing"):
        settings(tmp_path, 'connector = "ollama"\n')
    made = connector(tmp_path, 'connector = "ollama"\nmodel = "llama3.2"\napi_key_variable = "KEY"\n', KEY="k3y")
    assert isinstance(made, OllamaConnector)
    assert repr(made) == "OllamaConnector('http://127.0.0.1:11434', service='s', model='llama3.2')"
    with pytest.raises(InvalidSettings, match="variable KEY holds no key"):
        connector(tmp_path, 'connector = "ollama"\nmodel = "llama3.2"\napi_key_variable = "KEY"\n')


def test_an_openai_service_says_its_task(tmp_path: Path) -> None:
    made = connector(
        tmp_path,
        'connector = "openai"\nbase_url = "http://127.0.0.1:8000"\ntask = "images"\n'
        'warm_up = { prompt = "a dot", size = "64x64" }\npicture_hosts = ["files.example"]\n',
    )
    assert isinstance(made, OpenAIConnector)
    assert (made._task, made._warm_up) == ("images", {"prompt": "a dot", "size": "64x64"})
    assert made._picture_hosts == {"files.example"}


def test_a_task_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="'audio' is no choice"):
        settings(tmp_path, 'connector = "openai"\nbase_url = "http://127.0.0.1:8000"\ntask = "audio"\n')
