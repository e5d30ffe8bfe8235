"""A tenant's terms are limits that nothing its jobs say can widen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.requirements import RequirementClass, Requirements
from northstar.domain.tenancy import NO_TENANTS, Tenants, TenantTerms
from northstar.policy.routing.terms import IsolationNotAllowed, RegionNotAllowed, forbids, within_terms
from tests.policy.routing.builders import wanted


def agreed(**terms: TenantTerms) -> Tenants:
    return Tenants(tenants=terms)


def test_without_terms_a_job_asks_for_what_it_likes() -> None:
    asked = Requirements(regions=("eu", "us"), isolation="acme")
    assert within_terms(asked, NO_TENANTS, tenant="t") == asked


def test_a_job_that_names_no_region_gets_those_of_its_tenant() -> None:
    assert within_terms(Requirements(), agreed(t=TenantTerms(regions=("eu", "uk"))), tenant="t").regions == ("eu", "uk")


def test_of_the_regions_that_a_job_names_only_those_of_its_tenant_are_left() -> None:
    terms = agreed(t=TenantTerms(regions=("eu", "uk")))
    assert within_terms(Requirements(regions=("us", "eu")), terms, tenant="t").regions == ("eu",)


def test_a_job_that_names_only_other_regions_is_refused() -> None:
    with pytest.raises(
        RegionNotAllowed, match="tenant t may run its jobs in eu only, and this one asks for us, cn: leave"
    ) as found:
        within_terms(Requirements(regions=("us", "cn")), agreed(t=TenantTerms(regions=("eu",))), tenant="t")
    assert found.value.code == "NS_REGION_NOT_ALLOWED"


def test_isolation_is_that_of_the_tenant() -> None:
    terms = agreed(t=TenantTerms(isolation="acme"))
    assert within_terms(Requirements(), terms, tenant="t").isolation == "acme"
    assert within_terms(Requirements(isolation="acme"), terms, tenant="t").isolation == "acme"


def test_machines_of_somebody_else_are_refused() -> None:
    with pytest.raises(
        IsolationNotAllowed, match="may have those dedicated to acme only, and this one asks for those of rival"
    ):
        within_terms(Requirements(isolation="rival"), agreed(t=TenantTerms(isolation="acme")), tenant="t")


@pytest.mark.parametrize("others", [{}, {"eve": TenantTerms(regions=("eu",))}], ids=["no terms", "other terms"])
def test_what_somebodys_terms_isolate_is_refused_to_whoever_has_no_such_terms(others: dict[str, TenantTerms]) -> None:
    terms = agreed(acme=TenantTerms(isolation="acme"), **others)
    with pytest.raises(
        IsolationNotAllowed,
        match="tenant eve may have no machines that others' terms keep for them, and this one asks for those of acme: leave",
    ) as found:
        within_terms(Requirements(isolation="acme"), terms, tenant="eve")
    assert (found.value.code, found.value.agreed) == ("NS_ISOLATION_NOT_ALLOWED", None)


def test_tenants_whose_terms_name_the_same_isolation_share_it() -> None:
    terms = agreed(acme=TenantTerms(isolation="group"), daughter=TenantTerms(isolation="group"))
    assert within_terms(Requirements(isolation="group"), terms, tenant="daughter").isolation == "group"


def test_an_isolation_that_no_terms_name_is_anybodys() -> None:
    terms = agreed(acme=TenantTerms(isolation="acme"))
    assert within_terms(Requirements(isolation="lab"), terms, tenant="eve").isolation == "lab"


@pytest.mark.parametrize(
    ("terms", "waits_in", "is_forbidden"),
    [
        (TenantTerms(), wanted(), False),
        (TenantTerms(regions=("eu", "uk")), wanted(), True),
        (TenantTerms(regions=("eu", "uk")), wanted(regions=("eu",)), False),
        (TenantTerms(regions=("eu",)), wanted(regions=("eu", "us")), True),
        (TenantTerms(isolation="own"), wanted(), True),
        (TenantTerms(isolation="own"), wanted(isolation="own"), False),
        (TenantTerms(), wanted(isolation="own"), False),
        (TenantTerms(), wanted(isolation="theirs"), True),
        (TenantTerms(enterprise=True), wanted(pool="standard"), True),
        (TenantTerms(enterprise=True), wanted(pool="enterprise"), False),
    ],
)
def test_where_a_job_may_not_wait(terms: TenantTerms, waits_in: RequirementClass, is_forbidden: bool) -> None:
    """Where a machine might take it that its tenant's terms forbid, or others' keep for themselves."""
    tenants = agreed(t=terms, other=TenantTerms(isolation="theirs"))
    assert forbids(waits_in, tenants, tenant="t") is is_forbidden


@given(
    st.lists(st.sampled_from(["eu", "us", "cn"]), max_size=3, unique=True),
    st.lists(st.sampled_from(["eu", "us", "cn"]), max_size=3, unique=True),
    st.sampled_from([None, "own", "theirs"]),
    st.sampled_from([None, "own"]),
)
def test_what_terms_make_of_a_class_they_do_not_forbid(
    asked: list[str], allowed: list[str], isolation: str | None, agreed_isolation: str | None
) -> None:
    """So a job that was moved within its terms is not moved again."""
    terms = TenantTerms(regions=tuple(allowed), isolation=agreed_isolation)
    tenants = agreed(t=terms, other=TenantTerms(isolation="theirs"))
    before = wanted(regions=tuple(asked), isolation=isolation)
    try:
        after = within_terms(before, tenants, tenant="t")
    except (RegionNotAllowed, IsolationNotAllowed):
        assert forbids(before, tenants, tenant="t")
        return
    assert not forbids(after, tenants, tenant="t")
    is_narrowed = (after.isolation, set(after.regions)) != (isolation, set(asked))
    assert forbids(before, tenants, tenant="t") is is_narrowed
