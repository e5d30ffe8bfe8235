"""A file of tenants: what it says, what is said of a bad one, and what differs between two."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.config.key_changes import KeyChange
from northstar.config.tenants import (
    MAX_STORED_BYTES,
    InvalidTenants,
    load_tenants,
    read_tenants_text,
    tenant_changes,
    tenants_text,
)
from northstar.domain.budgets import Budget
from northstar.domain.tenancy import NO_TENANTS, NO_TERMS, Tenants, TenantTerms

TEXT = """
# The vault's owner.
[tenants.acme]
enterprise = true
regions = ["eu-north", "eu-west"]
priority_at_least = 60

[tenants."lab@north.example"]
isolation = "lab"
weight = 2
"""
ACME = TenantTerms(enterprise=True, regions=("eu-north", "eu-west"), priority_at_least=60)
LAB = TenantTerms(isolation="lab", weight=2.0)


def read(text: str) -> Tenants:
    return read_tenants_text(text, source="tenants.toml")


def test_a_file_says_what_was_agreed_and_nothing_of_others(tmp_path: Path) -> None:
    (tmp_path / "tenants.toml").write_text(TEXT)
    tenants = load_tenants(tmp_path / "tenants.toml")
    assert tenants == read(TEXT)
    assert [tenants.terms(name) for name in ("acme", "lab@north.example", "ada")] == [ACME, LAB, NO_TERMS]


def test_the_words_that_jobs_may_ask_for_are_those_of_all_terms() -> None:
    assert read(TEXT).words() == ["isolation:lab", "region:eu-north", "region:eu-west"]


@pytest.mark.parametrize(
    ("text", "table", "key", "sentence"),
    [
        ("[tenants.acme]\nenterprize = true\n", "tenants.acme", "enterprize", "did you mean `enterprise`?"),
        ("[tenants.acme]\nzone = 1\n", "tenants.acme", "zone", "take it out; known are enterprise, regions,"),
        ("[tenants.acme]\nweight = 0\n", "tenants.acme", "weight", "a number of at least 0.001"),
        ('[tenants.acme]\nregions = "eu"\n', "tenants.acme", "regions", "is not possible: a list is wanted"),
        ("[tenants]\nacme = true\n", "tenants.acme", "", "an object is wanted, and this is true or false"),
        ('[tenants."a b"]\n', "tenants.a b", "", "is no name for a tenant"),
        ("[acme]\nenterprise = true\n", "acme", "", "if acme is a tenant, write [tenants.acme]"),
        ('["acme.eu"]\nenterprise = true\n', "acme.eu", "", 'write [tenants."acme.eu"]'),
        ("[tenant.acme]\n", "", "tenant", "is no setting; did you mean `tenants`?"),
        # An empty file would take everything from everybody.
        ("# nothing\n", "", "tenants", "is missing; add it"),
        ("[tenants\n", "", "", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_told_with_table_and_key(text: str, table: str, key: str, sentence: str) -> None:
    with pytest.raises(InvalidTenants) as caught:
        read(text)
    assert (caught.value.table, caught.value.key) == (table, key)
    assert str(caught.value).startswith("tenants.toml: ")
    assert sentence in str(caught.value)


def test_that_nothing_is_agreed_is_said_by_an_empty_table() -> None:
    assert read("[tenants]\n") == NO_TENANTS


def test_a_file_that_no_cell_would_keep_is_refused_when_it_is_checked() -> None:
    with pytest.raises(InvalidTenants, match=f"more than the {MAX_STORED_BYTES} that a cell keeps"):
        read("[tenants]\n" + "#" * MAX_STORED_BYTES)


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidTenants, match=r"absent\.toml: cannot be read: No such file"):
        load_tenants(tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_bytes(b"\xff")
    with pytest.raises(InvalidTenants, match="is not valid TOML"):
        load_tenants(tmp_path / "broken.toml")


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", fullmatch=True)
WORDS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,15}", fullmatch=True)
#: Of regions only control characters are left out.
REGIONS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=16)
TERMS = st.builds(
    TenantTerms,
    enterprise=st.booleans(),
    regions=st.lists(REGIONS, max_size=3).map(tuple),
    isolation=st.none() | WORDS,
    weight=st.floats(0.001, 1_000_000),
    priority_at_least=st.integers(0, 100),
)


@given(st.dictionaries(NAMES, TERMS, max_size=5))
def test_terms_that_are_written_as_a_file_are_read_as_the_same_terms(tenants: dict[str, TenantTerms]) -> None:
    said = Tenants(tenants=tenants)
    assert read(tenants_text(said)) == said


def test_what_differs_is_told_key_by_key_and_a_whole_tenant_at_once() -> None:
    before = read(TEXT)
    after = read('[tenants.acme]\nenterprise = true\nregions = ["eu-north"]\npriority_at_least = 60\n[tenants.new]\n')
    assert tenant_changes(before, after) == [
        KeyChange("tenants.acme.regions", ("eu-north", "eu-west"), ("eu-north",)),
        KeyChange("tenants.lab@north.example", {"isolation": "lab", "weight": 2.0}, None),
        KeyChange("tenants.new", None, {}),
    ]
    assert tenant_changes(before, before) == []


def test_a_budget_is_told_and_kept_as_it_was_written() -> None:
    tenants = read("[tenants.acme]\nbudget_usd_per_day = 25\nbudget_usd_per_month = 400.5\n")
    assert tenants.terms("acme").budget == Budget(usd_per_day=25.0, usd_per_month=400.5)
    assert read(tenants_text(tenants)) == tenants
    assert not tenants.terms("ada").budget.limits_anything


@pytest.mark.parametrize("amount", ["-1", "nan", "inf", '"25"', "2e9"])
def test_an_amount_that_is_none_is_refused_by_its_key(amount: str) -> None:
    with pytest.raises(InvalidTenants, match=r"tenants\.acme.*budget_usd_per_day"):
        read(f"[tenants.acme]\nbudget_usd_per_day = {amount}\n")
