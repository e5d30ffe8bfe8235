"""From `[models]` and the environment to a store's options."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.agent.models.options import ModelStoreOptions
from northstar.agent.models.settings import options_of
from northstar.config import InvalidSettings, load
from northstar.policy.models.addresses import Origin


def options(tmp_path: Path, text: str = "", **environment: str) -> ModelStoreOptions:
    file = tmp_path / "northstar.toml"
    file.write_text(f'[models]\nroot = "{tmp_path}"\n{text}')
    return options_of(load(environment={"HOME": str(tmp_path)}, file=file).models, environment=environment)


def test_sizes_and_rates_are_taken_over_in_bytes(tmp_path: Path) -> None:
    found = options(tmp_path, "limit_gib = 80\nkeep_free_gib = 0.5\nbusy_mib_per_s = 10\nleast_kib_per_s = 50")
    assert found.space.limit_bytes == 80 * 1024**3
    assert found.space.keep_free_bytes == 512 * 1024**2
    assert found.busy_bytes_per_s == 10 * 1024**2
    assert found.idle_bytes_per_s == 0
    assert found.patience.least_bytes_per_s == 51_200
    assert not found.allow_pickle


def test_secrets_are_read_from_the_named_variables_and_never_shown(tmp_path: Path) -> None:
    text = 'tokens = ["https://models.example=EXAMPLE"]\nhuggingface_token_variable = "HUB"'
    found = options(
        tmp_path,
        text,
        HUB="quiet-1",
        EXAMPLE="quiet-2",
        CIVITAI_TOKEN="quiet-3",
        AWS_ACCESS_KEY_ID="quiet-4",
        AWS_SECRET_ACCESS_KEY="quiet-5",
    )
    assert found.sources.huggingface_token is not None
    assert found.sources.huggingface_token.reveal() == "quiet-1"
    assert found.sources.tokens[0][0] == Origin("https", "models.example", 443)
    assert "quiet" not in repr(found)


def test_secrets_that_are_not_set_are_none(tmp_path: Path) -> None:
    found = options(tmp_path).sources
    assert (found.huggingface_token, found.civitai_token, found.bucket.key) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "environment", "says"),
    [
        ('tokens = ["https://models.example=EXAMPLE"]', {}, "EXAMPLE: it is not set"),
        ("", {"HF_TOKEN": "with space"}, "HF_TOKEN: a secret must be"),
        ("", {"AWS_ACCESS_KEY_ID": "only"}, "only one is set"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_without_its_value(
    tmp_path: Path, text: str, environment: dict[str, str], says: str
) -> None:
    with pytest.raises(InvalidSettings, match=says) as caught:
        options(tmp_path, text, **environment)
    assert "with space" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ['tokens = ["models.example=EXAMPLE"]', 'huggingface_url = "https://me:key@host"', "parallel = 0", "pickle = true"],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidSettings, match=text.partition(" =")[0]):
        options(tmp_path, text)


def test_a_list_can_be_set_by_a_variable(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "NORTHSTAR_MODELS_PRIVATE_HOSTS": "nas,cache:8080"}
    assert load(environment=environment).models.private_hosts == ("nas", "cache:8080")


def test_without_a_root_there_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"models\.root is empty"):
        options_of(load(environment={"HOME": str(tmp_path)}).models, environment={})
