"""Who goes first in a pool, which models its machines should have, and which of two equal machines is preferred."""

from __future__ import annotations

from northstar.domain.tenancy import NO_TERMS, TenantTerms
from northstar.policy.fleet.pool_stance import is_kept, models_to_keep, pool_priority, priority_raised_by
from tests.specification.pool_jobs import PACKAGED, with_pool


def test_enterprise_work_goes_first() -> None:
    """Spec, Enterprise: "priority allocation"."""
    assert pool_priority(50, PACKAGED.pools["enterprise"], NO_TERMS) == 80
    assert pool_priority(50, PACKAGED.pools["standard"], NO_TERMS) == 50


def test_no_boost_goes_beyond_the_highest_priority() -> None:
    assert pool_priority(90, PACKAGED.pools["enterprise"], NO_TERMS) == 100


def test_what_a_tenant_was_promised_is_the_least_it_gets() -> None:
    assert pool_priority(10, PACKAGED.pools["standard"], TenantTerms(priority_at_least=60)) == 60
    assert pool_priority(10, None, NO_TERMS) == 10


def test_who_made_more_of_a_priority_is_told() -> None:
    spec = with_pool("standard", scaling={"priority_boost": 20}).pools["standard"]
    assert priority_raised_by(10, "standard", spec, NO_TERMS) == "standard"
    assert priority_raised_by(10, "standard", spec, TenantTerms(priority_at_least=25)) == "standard"
    assert priority_raised_by(10, "standard", spec, TenantTerms(priority_at_least=60)) == "its tenant's terms"
    assert priority_raised_by(10, "standard", None, NO_TERMS) == ""


def test_machines_should_have_the_models_of_all_their_pools_once_and_lack_what_they_hold_not() -> None:
    """Spec: "Model Strategy": "Small LLMs, cached embeddings"; "Popular single models"."""
    pools = with_pool("lightning", models={"keep": ("chat-small", "embed")})
    pools = type(pools)(
        routing=pools.routing,
        pools=pools.pools
        | {"fast-lane": with_pool("fast-lane", models={"keep": ("sdxl", "embed")}).pools["fast-lane"]},
    )
    assert models_to_keep(pools, ("lightning", "fast-lane", "night-shift"), {"embed"}) == ("chat-small", "sdxl")
    assert models_to_keep(pools, ("standard",), ()) == ()


def test_work_without_pools_comes_to_no_machine_that_is_kept_for_others() -> None:
    """Spec, Enterprise: "Dedicated instances"."""
    assert not is_kept(PACKAGED, ("heavy", "standard"))
    assert not is_kept(PACKAGED, ("night-shift",))
    assert is_kept(PACKAGED, ("enterprise",))
    assert is_kept(with_pool("heavy", scaling={"exclusive": True}), ("heavy",))
