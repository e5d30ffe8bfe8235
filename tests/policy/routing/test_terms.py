"""A tenant's terms are limits that nothing its jobs say can widen."""

from __future__ import annotations

import pytest

from northstar.domain.requirements import Requirements
from northstar.domain.tenancy import NO_TERMS, TenantTerms
from northstar.policy.routing.terms import IsolationNotAllowed, RegionNotAllowed, within_terms


def test_without_terms_a_job_asks_for_what_it_likes() -> None:
    asked = Requirements(regions=("eu", "us"), isolation="acme")
    assert within_terms(asked, NO_TERMS, tenant="t") == asked


def test_a_job_that_names_no_region_gets_those_of_its_tenant() -> None:
    assert within_terms(Requirements(), TenantTerms(regions=("eu", "uk")), tenant="t").regions == ("eu", "uk")


def test_of_the_regions_that_a_job_names_only_those_of_its_tenant_are_left() -> None:
    terms = TenantTerms(regions=("eu", "uk"))
    assert within_terms(Requirements(regions=("us", "eu")), terms, tenant="t").regions == ("eu",)


def test_a_job_that_names_only_other_regions_is_refused() -> None:
    with pytest.raises(
        RegionNotAllowed, match="tenant t may run its jobs in eu only, and this one asks for us, cn: leave"
    ) as found:
        within_terms(Requirements(regions=("us", "cn")), TenantTerms(regions=("eu",)), tenant="t")
    assert found.value.code == "NS_REGION_NOT_ALLOWED"


def test_isolation_is_that_of_the_tenant() -> None:
    terms = TenantTerms(isolation="acme")
    assert within_terms(Requirements(), terms, tenant="t").isolation == "acme"
    assert within_terms(Requirements(isolation="acme"), terms, tenant="t").isolation == "acme"


def test_machines_of_somebody_else_are_refused() -> None:
    with pytest.raises(
        IsolationNotAllowed, match="run on machines dedicated to acme, and this one asks for those of rival"
    ):
        within_terms(Requirements(isolation="rival"), TenantTerms(isolation="acme"), tenant="t")
