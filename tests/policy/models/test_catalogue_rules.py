"""What may stand in the catalogue, and what it becomes when more is said."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.domain.catalogue import CatalogueModel, CatalogueVersion
from northstar.policy.models.catalogue_changes import Clash, merged, without_version
from northstar.policy.models.catalogue_rules import kind_by_address, name_of, problem_of
from tests.policy.models.catalogue import a_file, a_model


def test_a_model_that_could_be_fetched_may_stand_there() -> None:
    assert problem_of(a_model("styles/ink.safetensors", aliases=("ink",))) is None


def test_what_is_only_found_on_machines_may_have_any_name() -> None:
    assert problem_of(a_model("llama3:8b", a_file("llama3:8b", "llm", sources=()))) is None


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (a_file("../x.safetensors"), "no machine may keep a file called '../x.safetensors'"),
        (a_file("x"), "its ending is none of"),
        (a_file("x.safetensors", sources=("ftp://host/x",)), "from ftp://host/x nothing can be fetched: its scheme"),
        (a_file("x.safetensors", sources=("https://me:pw@host/x",)), "https://host/x holds a login, and the catalogue"),
        (
            a_file("x.safetensors", sources=("https://host/x?a=b&Token=t",)),
            "https://host/x holds the parameter 'Token'",
        ),
        (
            a_file("x.safetensors", sources=("https://host/" + "x" * 4_000,) * 3),
            "are too long: an order to fetch it has",
        ),
    ],
)
def test_what_nobody_could_fetch_or_gives_a_secret_away_may_not(file: Any, said: str) -> None:
    problem = problem_of(a_model("m", file))
    assert problem is not None
    assert said in problem
    assert "pw" not in problem


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (a_model("m" * 401), "is longer than 400 bytes"),
        (a_model("m.safetensors", aliases=("m.safetensors",)), "stands there twice, or is its name"),
        (a_model("m", a_file("x.safetensors"), a_file("x.safetensors")), "the same name and kind"),
    ],
)
def test_names_are_short_and_each_stands_once(model: CatalogueModel, said: str) -> None:
    assert said in (problem_of(model) or "")


def test_one_of_the_versions_is_current_and_none_stands_twice() -> None:
    version = CatalogueVersion(version="1", files=(a_file("x.safetensors"),))
    with pytest.raises(ValueError, match="the current version '2' is none of 1"):
        CatalogueModel(name="m", versions=(version,), current="2")
    with pytest.raises(ValueError, match="two versions"):
        CatalogueModel(name="m", versions=(version, version), current="1")


def test_a_new_version_stands_beside_the_others_and_is_current() -> None:
    model, change = merged(
        a_model("m", version="1", aliases=("a",)), a_model("m", version="2", aliases=("b",)), replace=False
    )
    assert ([version.version for version in model.versions], model.current, model.aliases, change) == (
        ["1", "2"],
        "2",
        ("a", "b"),
        "version",
    )


def test_the_same_said_again_changes_nothing() -> None:
    model, change = merged(a_model("m", experimental=True), a_model("m"), replace=False)
    assert (model, change) == (a_model("m", experimental=True), "same")


def test_a_known_version_that_says_something_else_is_replaced_only_on_purpose() -> None:
    other = a_model("m", a_file("m", size_bytes=1))
    with pytest.raises(Clash, match="m has a version 1 already, which says something else"):
        merged(a_model("m"), other, replace=False)
    assert merged(a_model("m"), other, replace=True) == (other, "changed")


def test_versions_are_bounded() -> None:
    model = a_model("m", version="v0")
    for number in range(1, 32):
        model, _ = merged(model, a_model("m", version=f"v{number}"), replace=False)
    with pytest.raises(ValueError, match="length <= 32"):
        merged(model, a_model("m", version="v32"), replace=False)


def test_where_the_current_version_goes_the_latest_of_the_others_is_current() -> None:
    both, _ = merged(a_model("m", version="1"), a_model("m", version="2"), replace=False)
    assert without_version(both, "2") == a_model("m", version="1")
    assert without_version(a_model("m"), "1") is None


def test_an_address_tells_name_and_kind_where_it_can() -> None:
    assert name_of("hf://org/repo@main/loras/ink.safetensors") == "ink.safetensors"
    assert kind_by_address("hf://org/repo@main/loras/ink.safetensors") == "lora"
    assert kind_by_address("file:///srv/ComfyUI/models/unet/x.safetensors") == "diffusion_model"
    assert (name_of("civitai://12"), kind_by_address("civitai://12")) == ("", None)
