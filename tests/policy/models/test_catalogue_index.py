"""Finding a model by whatever somebody calls it."""

from __future__ import annotations

import pytest

from northstar.domain.catalogue import CatalogueModel, CatalogueVersion
from northstar.policy.models.catalogue_index import CatalogueIndex
from tests.policy.models.catalogue import HASH_A, HASH_B, a_file, a_model

OLD, NEW = a_file("sdxl-0.9.safetensors"), a_file("sdxl-1.0.safetensors", sha256=HASH_B)
SDXL = CatalogueModel(
    name="sdxl",
    versions=(CatalogueVersion(version="0.9", files=(OLD,)), CatalogueVersion(version="1.0", files=(NEW,))),
    current="1.0",
    aliases=("stable-diffusion-xl",),
)
FLUX = a_model(
    "flux",
    a_file("flux1-dev.safetensors", "diffusion_model"),
    a_file("t5xxl.safetensors", "text_encoder"),
    a_file("ae.safetensors", "vae"),
    tenants=("studio",),
)


def named(index: CatalogueIndex, name: str, **how: str) -> tuple[str, str, str, int] | None:
    found = index.find(name, **how)  # type: ignore[arg-type]
    return None if found is None else (found.model.name, found.version.version, found.by, len(found.files))


@pytest.fixture
def index() -> CatalogueIndex:
    return CatalogueIndex([SDXL, FLUX])


def test_a_name_and_an_alias_mean_the_current_version_with_all_its_files(index: CatalogueIndex) -> None:
    assert named(index, "sdxl") == ("sdxl", "1.0", "name", 1)
    assert named(index, "stable-diffusion-xl") == ("sdxl", "1.0", "alias", 1)
    assert named(index, "flux") == ("flux", "1", "name", 3)


def test_a_version_is_named_behind_an_at(index: CatalogueIndex) -> None:
    assert named(index, "sdxl@0.9") == ("sdxl", "0.9", "name", 1)
    assert named(index, "stable-diffusion-xl@0.9") == ("sdxl", "0.9", "alias", 1)
    assert named(index, "sdxl@2") is None


def test_the_name_of_a_file_means_that_file_alone_whatever_version_it_is_of(index: CatalogueIndex) -> None:
    assert named(index, "sdxl-0.9.safetensors") == ("sdxl", "0.9", "file", 1)
    assert named(index, "t5xxl.safetensors") == ("flux", "1", "file", 1)


def test_a_hash_means_the_version_that_has_it(index: CatalogueIndex) -> None:
    assert named(index, "sdxl", sha256=HASH_A) == ("sdxl", "0.9", "name", 1)
    assert named(index, "sdxl", sha256="c" * 64) is None
    assert named(index, "sdxl-1.0.safetensors", sha256=HASH_A) is None


def test_what_is_kept_for_a_tenant_is_found_for_nobody_else(index: CatalogueIndex) -> None:
    for name in ("flux", "flux@1", "ae.safetensors"):
        assert named(index, name, tenant="studio") is not None
        assert named(index, name, tenant="ada") is None


def test_of_files_of_one_name_that_of_the_kind_asked_for_goes_first() -> None:
    both = [a_model("first", a_file("x.safetensors", "lora")), a_model("second", a_file("x.safetensors", "vae"))]
    index = CatalogueIndex(both)
    assert named(index, "x.safetensors", kind="vae") == ("second", "1", "file", 1)
    assert named(index, "x.safetensors", kind="checkpoint") == ("first", "1", "file", 1)


def test_an_at_in_a_name_is_no_version_where_the_whole_is_a_name() -> None:
    assert named(CatalogueIndex([a_model("a@b.safetensors")]), "a@b.safetensors") == ("a@b.safetensors", "1", "name", 1)


def test_an_empty_catalogue_finds_nothing() -> None:
    assert CatalogueIndex().find("sdxl") is None
    assert len(CatalogueIndex()) == 0
