"""What a job needs by the catalogue, and whose word that is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.models import ModelNeed
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.policy.models.resolve import ResolvedNeeds, resolve
from tests.policy.models.catalogue import HASH_A, HASH_B, a_file, a_model

SDXL = a_model("sdxl.safetensors", aliases=("sdxl",))
FLUX = a_model(
    "flux",
    a_file("flux1-dev.safetensors", "diffusion_model"),
    a_file("ae.safetensors", "vae", sources=("file:///srv/models/ae.safetensors",)),
)
SECRET = a_model("secret.safetensors", tenants=("studio",), aliases=("ours",))
FOUND_ONLY = a_model("llama3:8b", a_file("llama3:8b", "llm", sources=(), sha256="unknown"))
CATALOGUE = CatalogueIndex([SDXL, FLUX, SECRET, FOUND_ONLY])


def resolved(*needs: ModelNeed, tenant: str = "ada") -> ResolvedNeeds:
    return resolve(needs, CATALOGUE, tenant=tenant)


def outcomes(found: ResolvedNeeds) -> list[str]:
    return [note.outcome for note in found.notes]


def test_a_model_that_is_only_named_gets_what_the_catalogue_says_of_it() -> None:
    found = resolved(ModelNeed(name="sdxl.safetensors"))
    (need,) = found.needs
    assert (need.sources, need.sha256, need.size_bytes, need.kind) == (
        ("https://models.test/sdxl.safetensors",),
        HASH_A,
        5_000_000_000,
        "checkpoint",
    )
    assert found.declared == ("sdxl.safetensors",)
    assert found.notes[0].sentence == "the catalogue has sdxl.safetensors version 1, 1 file"


def test_an_alias_becomes_the_file_that_engines_know() -> None:
    assert [need.name for need in resolved(ModelNeed(name="sdxl")).needs] == ["sdxl.safetensors"]


def test_a_model_of_several_files_becomes_as_many_needs_each_of_its_kind() -> None:
    found = resolved(ModelNeed(name="flux"), ModelNeed(name="ae.safetensors", kind="vae"))
    assert [(need.name, need.kind) for need in found.needs] == [
        ("flux1-dev.safetensors", "diffusion_model"),
        ("ae.safetensors", "vae"),
    ]
    assert found.declared == ("flux1-dev.safetensors", "ae.safetensors")


def test_sources_of_the_jobs_own_stay_its_own_word() -> None:
    mine = ModelNeed(name="sdxl.safetensors", sources=("https://elsewhere.test/x",), sha256="unknown")
    found = resolved(mine)
    assert (found.needs, found.declared, outcomes(found)) == ((mine,), (), ["own"])


def test_a_job_that_says_just_what_the_catalogue_says_has_the_operators_word() -> None:
    same = SDXL.versions[0].files[0].need()
    assert (resolved(same).declared, outcomes(resolved(same))) == (("sdxl.safetensors",), ["declared"])


def test_a_name_with_words_of_the_jobs_own_is_never_the_operators_word_whatever_else_names_it() -> None:
    mine = ModelNeed(name="sdxl.safetensors", sources=("file:///etc/passwd",), sha256="unknown", kind="lora")
    for needs in ((mine, ModelNeed(name="sdxl")), (ModelNeed(name="sdxl"), mine)):
        assert resolved(*needs).declared == ()


def test_a_hash_without_sources_means_the_version_that_has_it_and_no_other() -> None:
    assert outcomes(resolved(ModelNeed(name="sdxl", sha256=HASH_A))) == ["resolved"]
    found = resolved(ModelNeed(name="sdxl", sha256=HASH_B))
    assert outcomes(found) == ["unknown"]
    assert found.notes[0].sentence == "the catalogue has no sdxl with the hash bbbbbbbbbbbb…"


def test_what_the_catalogue_does_not_have_stays_as_it_was_named() -> None:
    need = ModelNeed(name="other.safetensors", size_bytes=7)
    assert (resolved(need).needs, outcomes(resolved(need))) == ((need,), ["unknown"])


def test_what_can_only_be_found_on_machines_gets_its_kind_and_size_and_no_sources() -> None:
    found = resolved(ModelNeed(name="llama3:8b"))
    assert [(need.kind, need.size_bytes, need.sources, need.sha256) for need in found.needs] == [
        ("llm", 5_000_000_000, (), "")
    ]
    assert (found.declared, outcomes(found)) == ((), ["not-fetchable"])


def test_a_model_that_is_kept_for_others_is_refused_by_whatever_name() -> None:
    sneaky = ModelNeed(name="secret.safetensors", sources=("https://elsewhere.test/x",), sha256="unknown")
    pinned = ModelNeed(name="ours", sha256=HASH_B)
    for need in (
        ModelNeed(name="secret.safetensors"),
        ModelNeed(name="ours"),
        ModelNeed(name="ours@1"),
        sneaky,
        pinned,
    ):
        assert [note.need for note in resolved(need).restricted] == [need.name]
    assert outcomes(resolved(ModelNeed(name="ours"), tenant="studio")) == ["resolved"]


def test_the_size_that_a_job_knows_counts_where_the_catalogue_knows_none() -> None:
    catalogue = CatalogueIndex([a_model("x.safetensors", a_file("x.safetensors", size_bytes=0))])
    (need,) = resolve([ModelNeed(name="x.safetensors", size_bytes=9)], catalogue, tenant="ada").needs
    assert need.size_bytes == 9


_names = st.sampled_from(["sdxl", "sdxl.safetensors", "flux", "ae.safetensors", "ours", "other", "llama3:8b"])
_sources = st.sampled_from([(), ("https://models.test/sdxl.safetensors",), ("s3://bucket/key",)])
_needs = st.builds(
    lambda name, sources, kind: ModelNeed(name=name, sources=sources, kind=kind, sha256=HASH_A if sources else ""),
    _names,
    _sources,
    st.sampled_from(["checkpoint", "vae", "lora"]),
)


@given(needs=st.lists(_needs, max_size=6))
def test_only_sources_of_the_catalogue_are_ever_the_operators_word(needs: list[ModelNeed]) -> None:
    """A client cannot have a machine use its tokens, buckets or folders for an address of the client's own."""
    said = {file.need() for model in CATALOGUE.models.values() for version in model.versions for file in version.files}
    found = resolved(*needs)
    for need in found.needs:
        if need.name in found.declared:
            assert need in said
