"""Settings: where they come from, which wins, and what is said of a bad one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from northstar.config import InvalidSettings, Settings, load, variables
from northstar.domain.limits import CellLimits
from northstar.policy.fleet.breaker import HealthRule


def written(folder: Path, text: str) -> Path:
    file = folder / "northstar.toml"
    file.write_text(text)
    return file


def problem(**given: object) -> InvalidSettings:
    with pytest.raises(InvalidSettings) as caught:
        load(**({"environment": {}} | given))  # type: ignore[arg-type]
    return caught.value


def test_without_anything_given_the_defaults_hold() -> None:
    settings = load(environment={"HOME": "/nobody", "XDG_DATA_HOME": "/data", "XDG_CONFIG_HOME": "/nowhere"})
    assert settings.data_dir == "/data/northstar"
    assert settings.cell_name == "default"
    assert settings.limits == CellLimits()
    assert [machine.services for machine in settings.machines] == [("picture", "text")]


def test_every_limit_of_a_cell_stands_in_the_defaults() -> None:
    named = {key.removeprefix("limits.") for key in variables().values() if key.startswith("limits.")}
    assert named == set(CellLimits.__struct_fields__)


def test_the_rule_by_which_engines_count_as_ill_stands_in_the_defaults() -> None:
    assert load(environment={}).health.rule == HealthRule()
    changed = load(environment={"NORTHSTAR_HEALTH_IN_A_ROW": "7"}).health.rule
    assert changed == HealthRule(in_a_row=7)


def test_a_file_overrides_defaults_the_environment_the_file_and_an_option_all(tmp_path: Path) -> None:
    file = written(tmp_path, 'cell = "of-file"\n[limits]\nlease_ms = 40_000\noffer_ms = 500\n')
    environment = {"NORTHSTAR_LIMITS_LEASE_MS": "50000", "NORTHSTAR_CELL": "of-environment"}
    settings = load(environment=environment, file=file, options={"cell": "of-option", "valkey.url": None})
    assert (settings.cell, settings.limits.lease_ms, settings.limits.offer_ms) == ("of-option", 50_000, 500)
    assert settings.limits.alive_ms == CellLimits().alive_ms


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'cell = "of-file"')
    assert load(environment={"NORTHSTAR_CONFIG": str(file)}).cell == "of-file"


def test_the_usual_file_is_read_if_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "northstar").mkdir()
    written(tmp_path / "northstar", 'cell = "usual"')
    assert load(environment={"XDG_CONFIG_HOME": str(tmp_path)}).cell == "usual"


def test_variables_are_read_as_what_they_set(tmp_path: Path) -> None:
    environment = {"NORTHSTAR_LOG_JSON": "true", "NORTHSTAR_AGENT_DRAIN_S": "2.5", "NORTHSTAR_VALKEY_PORT": "7000"}
    settings = load(environment=environment)
    assert (settings.log.json, settings.agent.drain_s, settings.valkey.port) == (True, 2.5, 7000)


def test_no_two_settings_share_a_variable() -> None:
    assert len(variables()) == len(set(variables().values()))


def test_machines_of_a_file_replace_the_ones_of_the_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, '[[machines]]\nname = "a"\nservices = ["picture"]\npools = ["fast"]\n')
    settings = load(environment={}, file=file)
    assert [(machine.name, machine.pools) for machine in settings.machines] == [("a", ("fast",))]


def test_a_service_of_a_file_replaces_the_whole_one_of_the_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, '[services.text]\nconnector = "openai"\nbase_url = "http://127.0.0.1:8000"\n')
    service = load(environment={}, file=file).services["text"]
    assert msgspec.to_builtins(service)["engine"] == ""


def test_a_service_whose_package_is_absent_is_not_offered(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        '[[machines]]\nname = "a"\nservices = ["text"]\n[services.text]\nconnector = "openai"\n'
        'base_url = "http://127.0.0.1"\nwhen_installed = "no_such_package"\n',
    )
    assert load(environment={}, file=file).machines == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("colour = 1", "there is no setting `colour`; take it out; known are data_dir, cell, "),
        ("[limits]\nlease = 1", "there is no setting `limits.lease`; did you mean `lease_ms`?"),
        ('[limits]\nlease_ms = "long"', "`limits.lease_ms`: a whole number is wanted, and this is text"),
        ("[limits]\nlease_ms = -1", "`limits.lease_ms`: a whole number of at least 1000 (1 s)"),
        ("lease_ms = 9", "there is no setting `lease_ms`; did you mean `limits.lease_ms`?"),
        ('[[machines]]\nname = "a"\nservices = ["picture"]\npool = ["x"]', "`machines[0].pool`; did you mean `pools`?"),
        ("[valkey]\nport = 70000", "`valkey.port`: a whole number of at most 65535"),
        ('[log]\nlevel = "loud"', "`log.level`: 'loud' is no choice"),
        ('[[machines]]\nname = "a"\nservices = []', "`machines[0].services`: a list of at least 1 entries"),
        ('[[machines]]\nname = "a"\nservices = ["x"]', "machine 'a' offers service 'x', but there is no [services.x]"),
        ('[[machines]]\nname = "a"\nservices = ["picture"]\n' * 2, "two machines have the name 'a'"),
        ('[services.x]\nconnector = "magic"', "[services.x] connector: 'magic' is not one of comfyui, command, "),
        ("[services.x]\nmodel = 'm'", "[services.x]: `connector` is missing; it is one of comfyui, command, "),
        ('[services.x]\nconnector = "command"\narguments = ["a"]', "[services.x]: `warm_up` is missing"),
        (
            '[services.x]\nconnector = "ollama"\nmodel = "m"\nmodle = "m"',
            "[services.x]: there is no setting `modle`; did you mean `model`?",
        ),
        (
            '[services.x]\nconnector = "ollama"\nmodel = 3',
            "[services.x] model: text is wanted, and this is a whole number",
        ),
        ('[services.x]\nconnector = "openai"', "[services.x] needs either base_url or engine"),
        (
            "[agent]\nrenew_every_s = 20.0",
            "agent.renew_every_s is 20 s, more than half of limits.lease_ms, which is 30 s",
        ),
        (
            "[assets]\nkeep_days = 0.01",
            "assets.at_least_s is 3,600 s (60 min), longer than assets.keep_days, 864 s (14.4 min)",
        ),
        ("[health]\nin_a_row = 0", "`health.in_a_row`: a whole number of at least 1"),
        ("[health]\nrate_from = 65", "`health.rate_from`: a whole number of at most 64"),
        ("[health]\nrate = 1.5", "`health.rate`: a number of at most 1.0"),
        (
            "[health]\nfirst_pause_s = 301.0",
            "health.first_pause_s is 301 s (5.02 min), longer than health.longest_pause_s, 300 s (5 min)",
        ),
        (
            "[health]\nquarantine_s = 90_000.0",
            "health.quarantine_s is 90,000 s (25 h), longer than health.longest_quarantine_s",
        ),
        ('[webhooks]\nallow_private = ["office"]', "`webhooks.allow_private`: 'office' does not appear to be an IPv4"),
        ('[serve]\ntrusted_proxies = ["gateway"]', "`serve.trusted_proxies`: 'gateway' does not appear to be an IPv4"),
        ("cell =", "is not valid TOML"),
        ("x" * 1_000_001, "has more than 1,000,000 bytes"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_key(tmp_path: Path, text: str, sentence: str) -> None:
    file = written(tmp_path, text)
    refusal = problem(file=file)
    assert refusal.code == "NS_INVALID_SETTINGS"
    assert str(refusal).startswith(f"{file}: ")
    assert sentence in str(refusal)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("NORTHSTAR_LEASE", "1", "no setting has this name"),
        ("NORTHSTAR_LIMITS_LEASE_MS", "soon", "a whole number is wanted, and this is text"),
        ("NORTHSTAR_LIMITS_LEASE_MS", "1", "`limits.lease_ms`: a whole number of at least 1000"),
    ],
)
def test_a_bad_variable_is_refused_by_name(variable: str, value: str, sentence: str) -> None:
    refusal = problem(environment={variable: value})
    assert str(refusal).startswith(f"environment variable {variable}: ")
    assert sentence in str(refusal)


def test_settings_never_show_a_password() -> None:
    environment = {
        "NORTHSTAR_VALKEY_URL": "valkey://:hunter2@host",
        "NORTHSTAR_HISTORY_URL": "postgresql://u:hunter2@host/db",
    }
    assert "hunter2" not in repr(load(environment=environment))


def test_settings_travel_to_a_machine_and_back() -> None:
    settings = load(environment={})
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings) == settings
