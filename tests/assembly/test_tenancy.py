"""Terms in the settings of a process: the first ones of a cell, and never a second opinion beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
import structlog

from northstar.assembly.routing import declare_places, routing_parts
from northstar.assembly.tenancy import TermsNotApplied, check_terms, seed_terms, tell_difference
from northstar.broker.terms_in_force import TermsInForce, applied_tenants
from northstar.config import Settings, load
from northstar.domain.tenancy import TenantTerms
from northstar.policy.routing.duration import DurationEstimator
from northstar.store.bells import DocumentsChanged
from northstar.store.documents import WantedDocument, put_documents
from tests import servers
from tests.agent.rig import Rig

ENTERPRISE = TenantTerms(enterprise=True)


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with servers.embedded_valkey() as server, Rig(server.url) as opened:
        yield opened


def settings(**tenants: TenantTerms) -> Settings:
    return msgspec.structs.replace(load(environment={"HOME": "/nobody"}), tenants=tenants)


async def held(rig: Rig) -> TermsInForce:
    terms = TermsInForce(rig.cell)
    await terms.look()
    return terms


async def told(rig: Rig, wanted: Settings) -> list[str]:
    """Codes of the warnings that follow from settings."""
    terms = await held(rig)
    with structlog.testing.capture_logs() as logs:
        tell_difference(terms, wanted)
    return [line["code"] for line in logs]


async def test_a_cell_that_never_had_terms_gets_those_of_its_first_broker(rig: Rig) -> None:
    await seed_terms(rig.cell, settings(acme=ENTERPRISE))
    await seed_terms(rig.cell, settings(acme=TenantTerms(regions=("us",))))
    assert (await held(rig)).of("acme") == ENTERPRISE


async def test_settings_without_tenants_say_nothing(rig: Rig) -> None:
    await seed_terms(rig.cell, settings())
    await check_terms(rig.cell, settings())
    assert await applied_tenants(rig.cell).current() is None


async def test_terms_that_were_taken_back_are_not_put_in_force_by_the_next_broker(rig: Rig) -> None:
    await seed_terms(rig.cell, settings(acme=ENTERPRISE))
    files = applied_tenants(rig.cell)
    known = await files.current()
    assert known is not None
    await files.take_back(known, by="ann")
    await seed_terms(rig.cell, settings(acme=ENTERPRISE))
    assert (await held(rig)).version == 0
    assert await told(rig, settings(acme=ENTERPRISE)) == ["NS_TERMS_DIFFER"]


async def test_terms_that_a_newer_version_wrote_are_not_replaced_by_those_of_settings(rig: Rig) -> None:
    await put_documents(rig.cell, [WantedDocument(kind="tenants", name="current", body="[]")], by="newer")
    await seed_terms(rig.cell, settings(acme=ENTERPRISE))
    await check_terms(rig.cell, settings(acme=ENTERPRISE))
    assert await told(rig, settings(acme=ENTERPRISE)) == []
    # The broker starts all the same, so that machines can dial it.
    parts = await routing_parts(settings(acme=ENTERPRISE), rig.cell, estimates=DurationEstimator())
    await declare_places(rig.cell, parts, by="test")


async def test_a_client_with_terms_of_its_own_does_not_route_where_there_never_were_any(rig: Rig) -> None:
    with pytest.raises(TermsNotApplied):
        await check_terms(rig.cell, settings(acme=ENTERPRISE))
    await seed_terms(rig.cell, settings(acme=ENTERPRISE))
    await check_terms(rig.cell, settings(acme=TenantTerms(weight=2.0)))


@pytest.mark.parametrize(
    ("said", "is_named"),
    [
        ({}, False),
        ({"acme": ENTERPRISE}, False),
        ({"acme": ENTERPRISE, "ada": TenantTerms()}, False),
        ({"acme": TenantTerms()}, True),
        ({"acme": ENTERPRISE, "ada": TenantTerms(weight=2.0)}, True),
        ({"ada": TenantTerms(weight=2.0)}, True),
    ],
)
async def test_settings_that_say_something_else_than_the_cell_are_named(
    rig: Rig, said: dict[str, TenantTerms], is_named: bool
) -> None:
    await seed_terms(rig.cell, settings(acme=ENTERPRISE))
    assert await told(rig, settings(**said)) == (["NS_TERMS_DIFFER"] if is_named else [])


async def test_jobs_may_wait_for_every_region_and_isolation_of_the_terms(rig: Rig) -> None:
    many = {f"t{number}": TenantTerms(regions=(f"r{number}",), isolation=f"i{number}") for number in range(300)}
    await seed_terms(rig.cell, settings(**many))
    parts = await routing_parts(settings(), rig.cell, estimates=DurationEstimator())
    await declare_places(rig.cell, parts, by="test")
    declared = set(await rig.cell.client.execute_command("HKEYS", rig.cell.keys["vocabulary"]))
    assert {b"region:r0", b"region:r299", b"isolation:i0", b"isolation:i299"} <= declared


async def test_a_process_that_lives_declares_what_changed_terms_name_and_compares_them_with_its_settings(
    rig: Rig,
) -> None:
    wanted = settings(acme=ENTERPRISE)
    await seed_terms(rig.cell, wanted)
    parts = await routing_parts(wanted, rig.cell, estimates=DurationEstimator())
    with structlog.testing.capture_logs() as logs:
        living = asyncio.create_task(parts.terms.run())
        try:
            files = applied_tenants(rig.cell)
            text = '[tenants.acme]\nregions = ["eu"]\n'
            await files.apply(text, source="tenants.toml", known=await files.current(), by="ann")
            parts.hear(DocumentsChanged())

            async def is_declared() -> bool:
                known = await rig.cell.client.execute_command("HEXISTS", rig.cell.keys["vocabulary"], "region:eu")
                return bool(known)

            async def is_named() -> bool:
                return any(line.get("code") == "NS_TERMS_DIFFER" for line in logs)

            await servers.eventually(is_declared, what="jobs may wait for the region")
            await servers.eventually(is_named, what="the difference is named")
        finally:
            living.cancel()
            await asyncio.wait({living})
    assert parts.terms.of("acme").regions == ("eu",)
