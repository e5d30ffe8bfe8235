"""Which terms of tenants hold in a cell: applied once, heard of by every process, and never passed over when they cannot be read."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
import structlog

from northstar.broker.applied_files import KEPT, UnreadableFile
from northstar.broker.routing import Router
from northstar.broker.submission import Submitter
from northstar.broker.terms_in_force import TermsInForce, TermsUnreadable, applied_tenants
from northstar.config.pools import packaged_pools
from northstar.config.tenants import InvalidTenants
from northstar.domain.errors import NorthstarError
from northstar.domain.jobs import JobRequest
from northstar.domain.refusals import DocumentChanged
from northstar.domain.tenancy import NO_TERMS, TenantTerms
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.store.bells import listen
from northstar.store.documents import DocumentUnreadable, WantedDocument, put_documents, read_documents
from tests.agent.rig import Rig, nonce
from tests.broker.test_routing import Guess
from tests.servers import eventually

ENTERPRISE = "[tenants.acme]\nenterprise = true\n"
EUROPE = '[tenants.acme]\nregions = ["eu"]\n'
OF_TOMORROW = ENTERPRISE + "carbon_budget_kg = 3\n"


async def applied(rig: Rig, text: str) -> int:
    files = applied_tenants(rig.cell)
    return await files.apply(text, source="tenants.toml", known=await files.current(), by="ann")


async def written(rig: Rig, body: str) -> None:
    """As another version of North Star might write it."""
    await put_documents(rig.cell, [WantedDocument(kind="tenants", name="current", body=body)], by="newer")


async def by_a_newer_one(rig: Rig) -> None:
    await written(rig, msgspec.json.encode({"text": OF_TOMORROW, "source": "tenants.toml"}).decode())


@contextlib.asynccontextmanager
async def at_work(terms: TermsInForce, rig: Rig) -> AsyncIterator[None]:
    """A process that listens to bells, as every one does that routes."""

    async def pass_on() -> None:
        async for ring in listen(rig.cell.client, rig.cell.keys, ("tick",)):
            terms.hear(ring)

    tasks = {asyncio.create_task(pass_on()), asyncio.create_task(terms.run())}
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_where_none_are_applied_nothing_is_agreed_with_anybody(rig: Rig) -> None:
    terms = TermsInForce(rig.cell)
    await terms.look()
    assert (terms.of("acme"), terms.version, terms.source) == (NO_TERMS, 0, "")


async def test_terms_that_nobody_has_looked_at_are_not_taken_for_none(rig: Rig) -> None:
    with pytest.raises(TermsUnreadable, match="they have not been read yet"):
        TermsInForce(rig.cell).of("acme")


async def test_applied_terms_hold_in_every_process_at_once(rig: Rig) -> None:
    told: list[TenantTerms] = []

    async def hear(_tenants: object) -> None:
        told.append(terms.of("acme"))

    terms = TermsInForce(rig.cell, look_every_s=3_600, changed=hear)
    await terms.look()
    async with at_work(terms, rig):
        for text, wanted in ((ENTERPRISE, TenantTerms(enterprise=True)), (EUROPE, TenantTerms(regions=("eu",)))):
            version = await applied(rig, text)

            async def holds(version: int = version) -> bool:
                return terms.version == version

            await eventually(holds, what="the applied terms hold")
            assert terms.of("acme") == wanted
            assert terms.of("ada") == NO_TERMS
            assert terms.source == "tenants.toml, applied by ann"
    assert told == [TenantTerms(enterprise=True), TenantTerms(regions=("eu",))]


async def test_terms_that_cannot_be_used_are_refused_and_change_nothing(rig: Rig) -> None:
    version = await applied(rig, ENTERPRISE)
    with pytest.raises(InvalidTenants):
        await applied(rig, OF_TOMORROW)
    found = await applied_tenants(rig.cell).current()
    assert found is not None
    assert (found.version, found.text) == (version, ENTERPRISE)


async def test_whoever_has_not_seen_what_is_in_force_does_not_replace_it(rig: Rig) -> None:
    await applied(rig, ENTERPRISE)
    with pytest.raises(DocumentChanged, match=r"tenants current has changed since it was read"):
        await applied_tenants(rig.cell).apply(EUROPE, source="other.toml", known=None, by="bob")


async def test_terms_of_a_newer_version_stand_in_for_no_terms_and_for_no_older_ones(rig: Rig) -> None:
    """Those before may be wider than those that hold, so nothing is routed until they can be read."""
    terms = TermsInForce(rig.cell)
    await applied(rig, ENTERPRISE)
    await terms.look()
    await by_a_newer_one(rig)
    with structlog.testing.capture_logs() as logs:
        assert not await terms.look()
        assert not await terms.look()
    assert [(line["event"], line["code"], line["now"]) for line in logs] == [
        ("tenants_not_used", "NS_INVALID_TENANTS", "nothing is routed")
    ]
    for tenant in ("acme", "ada"):
        with pytest.raises(TermsUnreadable, match=r"`carbon_budget_kg` is no setting"):
            terms.of(tenant)
    await applied(rig, EUROPE)
    assert await terms.look()
    assert terms.of("acme") == TenantTerms(regions=("eu",))


async def test_a_document_that_is_none_is_not_taken_for_none(rig: Rig) -> None:
    terms = TermsInForce(rig.cell)
    await written(rig, '["a list"]')
    await terms.look()
    with pytest.raises(TermsUnreadable, match="document tenants current of the cell cannot be read") as found:
        terms.of("acme")
    assert str(found.value).endswith("or put others in force: northstar tenants apply FILE")


async def test_what_cannot_be_read_can_be_replaced_and_is_kept_as_it_is_written(rig: Rig) -> None:
    """The remedy that the error names must work, and a newer version may want its own words back."""
    terms, files = TermsInForce(rig.cell), applied_tenants(rig.cell)
    await applied(rig, ENTERPRISE)
    await written(rig, '["a list"]')
    await terms.look()
    standing = await files.standing()
    assert isinstance(standing, UnreadableFile)
    await files.apply(EUROPE, source="tenants.toml", known=standing, by="ann")
    assert await terms.look()
    assert terms.of("acme") == TenantTerms(regions=("eu",))
    kept = await read_documents(rig.cell.client, rig.cell.keys, "tenants-past")
    assert kept[str(standing.version)].body == '["a list"]'


async def test_former_files_can_be_had_again_while_the_one_in_force_cannot_be_read(rig: Rig) -> None:
    files = applied_tenants(rig.cell)
    first = await applied(rig, ENTERPRISE)
    second = await applied(rig, EUROPE)
    await written(rig, '["a list"]')
    former = await files.of_version(first)
    assert former is not None
    assert former.text == ENTERPRISE
    standing = await files.standing()
    assert standing is not None
    assert standing.version > second
    with pytest.raises(DocumentUnreadable):
        await files.of_version(standing.version)


async def test_who_has_not_seen_that_it_cannot_be_read_does_not_replace_it(rig: Rig) -> None:
    files = applied_tenants(rig.cell)
    await written(rig, '["a list"]')
    standing = await files.standing()
    await written(rig, '["another"]')
    with pytest.raises(DocumentChanged):
        await files.apply(EUROPE, source="tenants.toml", known=standing, by="ann")


async def test_former_files_that_cannot_be_read_are_forgotten_in_their_turn_too(rig: Rig) -> None:
    files = applied_tenants(rig.cell)
    for at in range(KEPT + 2):
        await written(rig, f'["list {at}"]')
        await files.apply(EUROPE, source="tenants.toml", known=await files.standing(), by="ann")
    assert len(await read_documents(rig.cell.client, rig.cell.keys, "tenants-past")) == KEPT


async def test_a_record_that_cannot_be_unpacked_is_not_taken_for_none(rig: Rig) -> None:
    await applied(rig, ENTERPRISE)
    field = b"tenants\0current"
    await rig.cell.client.execute_command("HSET", rig.cell.keys["documents"], field, b"\xc1")
    terms = TermsInForce(rig.cell)
    await terms.look()
    with pytest.raises(TermsUnreadable, match="perhaps a newer North Star wrote it") as found:
        terms.of("acme")
    assert str(found.value).endswith(
        "use the version of North Star that wrote them; this version cannot put others in their place"
    )
    with pytest.raises(NorthstarError):
        await applied_tenants(rig.cell).standing()
    with pytest.raises(NorthstarError):
        await applied_tenants(rig.cell).apply(EUROPE, source="tenants.toml", known=None, by="ann")


async def test_a_submitter_that_cannot_read_the_terms_takes_no_job(rig: Rig) -> None:
    terms = TermsInForce(rig.cell)
    await by_a_newer_one(rig)
    await terms.look()
    router = Router(pools=packaged_pools, tenants=lambda: terms.latest, estimates=Guess(), catalogue=CatalogueIndex)
    submitter = Submitter(rig.cell, new_id=lambda: nonce() + nonce(), monotonic=time.monotonic, router=router)
    with pytest.raises(TermsUnreadable):
        await submitter.submit([JobRequest(service="waits", id="a", tenant="ada")])
    assert not (await rig.cell.inspect(["a"])).jobs


async def test_terms_that_were_taken_back_hold_no_more_and_can_be_had_again(rig: Rig) -> None:
    terms, files = TermsInForce(rig.cell), applied_tenants(rig.cell)
    version = await applied(rig, ENTERPRISE)
    await terms.look()
    known = await files.current()
    assert known is not None
    await files.take_back(known, by="bob")
    assert await terms.look()
    assert (terms.of("acme"), terms.version) == (NO_TERMS, 0)
    former = await files.of_version(version)
    assert former is not None
    assert (former.text, former.by) == (ENTERPRISE, "ann")


async def test_a_former_file_that_cannot_be_read_holds_up_nobody(rig: Rig) -> None:
    await put_documents(rig.cell, [WantedDocument(kind="tenants-past", name="1", body="[]")], by="newer")
    first = await applied(rig, ENTERPRISE)
    await applied(rig, EUROPE)
    assert [one.version for one in await applied_tenants(rig.cell).past()] == [first]
