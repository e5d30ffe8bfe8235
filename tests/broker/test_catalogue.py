"""The catalogue of a cell: said, found, forgotten, and heard of by everybody."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from northstar.broker.catalogue import forget, look_up, read_catalogue, say
from northstar.broker.catalogue_errors import (
    CatalogueEntryInvalid,
    ModelNameInUse,
    ModelNotForTenant,
    ModelVersionExists,
    NoSuchModel,
)
from northstar.broker.catalogue_view import CatalogueView
from northstar.broker.requests import InvalidJob
from northstar.broker.submission import Submitter
from northstar.domain.jobs import JobBody, JobRequest
from northstar.domain.models import ModelNeed
from northstar.domain.refusals import DocumentChanged, IdempotencyKeyReused
from northstar.domain.requirements import Requirements
from northstar.store.bells import DocumentsChanged
from tests.agent.rig import Rig, nonce
from tests.policy.models.catalogue import HASH_B, a_file, a_model

SDXL = a_model("sdxl.safetensors", aliases=("sdxl",))


def view_of(rig: Rig, *, fresh_s: float = 0.0) -> CatalogueView:
    return CatalogueView(rig.cell, monotonic=time.monotonic, fresh_s=fresh_s)


# Saying and finding ---------------------------------------------------------------------------------------------------


async def test_what_was_said_is_found_by_every_name(rig: Rig) -> None:
    (said,) = await say(rig.cell, [SDXL], by="ann")
    assert (said.name, said.versions, said.change) == ("sdxl.safetensors", ("1",), "new")
    for name in ("sdxl.safetensors", "sdxl", "sdxl@1"):
        found, entry = await look_up(rig.cell, name)
        assert (found.model, entry.by) == (SDXL, "ann")


async def test_a_name_that_is_nearly_one_is_answered_with_what_was_perhaps_meant(rig: Rig) -> None:
    await say(rig.cell, [SDXL], by="ann")
    with pytest.raises(
        NoSuchModel, match=r"no model, alias or file called 'sdxl.safetensor'; did you mean sdxl.safetens"
    ):
        await look_up(rig.cell, "sdxl.safetensor")
    with pytest.raises(NoSuchModel, match=r"called 'flux1-dev.safetensors': northstar models list"):
        await look_up(rig.cell, "flux1-dev.safetensors")  # that files end alike does not make them alike
    with pytest.raises(NoSuchModel, match=r"called 'q': northstar models list"):
        await look_up(rig.cell, "q")


async def test_saying_the_same_again_writes_nothing(rig: Rig) -> None:
    await say(rig.cell, [SDXL], by="ann")
    before = await read_catalogue(rig.cell)
    (said,) = await say(rig.cell, [SDXL], by="bob")
    assert said.change == "same"
    assert await read_catalogue(rig.cell) == before


async def test_a_version_that_says_something_else_is_refused_unless_it_shall_be_replaced(rig: Rig) -> None:
    other = a_model("sdxl.safetensors", a_file("sdxl.safetensors", sha256=HASH_B))
    await say(rig.cell, [SDXL], by="ann")
    with pytest.raises(ModelVersionExists, match=r"has a version 1 already, which says something else; give this one"):
        await say(rig.cell, [a_model("new.safetensors"), other], by="ann")
    assert list(await read_catalogue(rig.cell)) == ["sdxl.safetensors"]
    await say(rig.cell, [other], by="ann", replace=True)
    assert (await read_catalogue(rig.cell))["sdxl.safetensors"].model.aliases == ("sdxl",)


async def test_one_name_means_one_model(rig: Rig) -> None:
    await say(rig.cell, [SDXL, a_model("other.safetensors")], by="ann")
    for model in (
        a_model("third.safetensors", aliases=("sdxl",)),
        a_model("third.safetensors", aliases=("other.safetensors",)),
        a_model("sdxl", a_file("x.safetensors")),
    ):
        with pytest.raises(ModelNameInUse, match="one name means one model"):
            await say(rig.cell, [model], by="ann")


async def test_what_can_never_stand_there_is_refused_with_the_reason(rig: Rig) -> None:
    secret = a_model("m", a_file("x.safetensors", sources=("https://host/x?token=abc",)))
    with pytest.raises(
        CatalogueEntryInvalid, match=r"^m cannot stand in the catalogue: https://host/x holds the param"
    ) as caught:
        await say(rig.cell, [secret], by="ann")
    assert "abc" not in str(caught.value)


async def test_hundreds_of_models_are_said_at_once(rig: Rig) -> None:
    models = [a_model(f"m{number}.safetensors") for number in range(250)]
    assert {said.change for said in await say(rig.cell, models, by="ann")} == {"new"}
    assert len(await read_catalogue(rig.cell)) == 250


# Forgetting -----------------------------------------------------------------------------------------------------------


async def test_a_version_goes_and_then_the_model(rig: Rig) -> None:
    await say(rig.cell, [SDXL, a_model("sdxl.safetensors", a_file("new.safetensors"), version="2")], by="ann")
    _, entry = await look_up(rig.cell, "sdxl")
    with pytest.raises(NoSuchModel, match=r"'sdxl.safetensors@7'; did you mean"):
        await forget(rig.cell, entry, version="7", by="ann")
    left = await forget(rig.cell, entry, version="2", by="ann")
    assert left is not None
    assert left.current == "1"
    with pytest.raises(DocumentChanged):
        await forget(rig.cell, entry, by="bob")
    _, entry = await look_up(rig.cell, "sdxl")
    assert await forget(rig.cell, entry, by="bob") is None
    assert await read_catalogue(rig.cell) == {}


# As routers keep it ---------------------------------------------------------------------------------------------------


async def test_a_change_is_seen_at_once_by_whoever_heard_the_bell(rig: Rig) -> None:
    view = view_of(rig, fresh_s=3_600)
    assert len(await view.current()) == 0
    await say(rig.cell, [SDXL], by="ann")
    assert len(await view.current()) == 0
    view.hear(DocumentsChanged())
    assert len(await view.current()) == 1
    assert view.latest is await view.current()


async def test_a_look_up_among_thousands_takes_microseconds(rig: Rig) -> None:
    models = [a_model(f"m{number}.safetensors", aliases=(f"a{number}",)) for number in range(3_000)]
    await say(rig.cell, models, by="ann")
    index = await view_of(rig).current()
    began = time.perf_counter()
    for number in range(3_000):
        assert index.find(f"a{number}") is not None
    assert (time.perf_counter() - began) / 3_000 < 0.000_1


async def test_a_document_that_no_version_could_read_hides_no_other_model(rig: Rig) -> None:
    await say(rig.cell, [SDXL, a_model("bad.safetensors")], by="ann")
    packed = msgspec.msgpack.encode([9, '{"name": "bad.safetensors", "versions": []}', "ann", 0])
    await rig.cell.client.execute_command("HSET", rig.cell.keys["documents"], "model\0bad.safetensors", packed)
    assert list(await read_catalogue(rig.cell)) == ["sdxl.safetensors"]
    assert list((await view_of(rig).current()).models) == ["sdxl.safetensors"]


# At submit ------------------------------------------------------------------------------------------------------------


def submitter_of(rig: Rig) -> Submitter:
    return Submitter(
        rig.cell, new_id=lambda: nonce() + nonce(), monotonic=time.monotonic, view_s=0, catalogue=view_of(rig)
    )


def asks_for(*names: str, **more: str) -> JobRequest:
    return JobRequest(service="waits", requires=Requirements(models=tuple(ModelNeed(name=n) for n in names)), **more)  # type: ignore[arg-type]


async def body_of(rig: Rig, job_id: str) -> JobBody:
    (job,) = (await rig.cell.inspect([job_id], bodies=True)).jobs
    return msgspec.json.decode(job.body, type=JobBody)


async def test_a_job_that_names_a_model_brings_what_a_machine_needs_to_fetch_it(rig: Rig) -> None:
    await say(rig.cell, [SDXL], by="ann")
    (job,) = await submitter_of(rig).submit([asks_for("sdxl")])
    body = await body_of(rig, job.id)
    assert body.requires.models == (SDXL.versions[0].files[0].need(),)
    assert body.declared == ("sdxl.safetensors",)
    assert [need.order(from_job=need.name not in body.declared) for need in body.requires.models] == [
        SDXL.versions[0].files[0].order()
    ]


async def test_a_job_that_is_sent_again_is_the_same_job_whatever_the_catalogue_says_by_then(rig: Rig) -> None:
    await say(rig.cell, [SDXL], by="ann")
    request = asks_for("sdxl", idempotency_key="k")
    (first,) = await submitter_of(rig).submit([request])
    await say(rig.cell, [a_model("sdxl.safetensors", a_file("other.safetensors"), version="2")], by="ann")
    (again,) = await submitter_of(rig).submit([request])
    assert (again.id, again.replayed) == (first.id, True)
    with pytest.raises(IdempotencyKeyReused):
        await submitter_of(rig).submit([asks_for("other.safetensors", idempotency_key="k")])


async def test_no_client_can_say_that_its_sources_are_the_operators(rig: Rig) -> None:
    """What the catalogue says is the operator's word, not the job's; a request has no field for it."""
    raw = b'{"service": "waits", "declared": ["sdxl.safetensors"]}'
    with pytest.raises(msgspec.ValidationError, match="declared"):
        msgspec.json.decode(raw, type=JobRequest)
    await say(rig.cell, [SDXL], by="ann")
    mine = ModelNeed(name="sdxl.safetensors", sources=("s3://bucket/key",), sha256="unknown")
    request = JobRequest(service="waits", requires=Requirements(models=(mine,)))
    (job,) = await submitter_of(rig).submit([request])
    body = await body_of(rig, job.id)
    assert (body.requires.models, body.declared) == ((mine,), ())


async def test_a_model_that_is_kept_for_other_tenants_is_refused_by_name(rig: Rig) -> None:
    await say(rig.cell, [a_model("ours.safetensors", tenants=("studio",))], by="ann")
    with pytest.raises(ModelNotForTenant, match=r"model ours.safetensors is kept for other tenants than default"):
        await submitter_of(rig).submit([asks_for("ours.safetensors")])
    await submitter_of(rig).submit([asks_for("ours.safetensors", tenant="studio")])


async def test_more_files_than_a_job_may_need_are_refused(rig: Rig) -> None:
    models = [
        a_model(f"m{number}", *(a_file(f"{number}-{part}.safetensors") for part in range(16))) for number in range(3)
    ]
    await say(rig.cell, models, by="ann")
    with pytest.raises(InvalidJob, match="its models are 48 files by the catalogue, more than 32"):
        await submitter_of(rig).submit([asks_for("m0", "m1", "m2")])


async def test_two_operators_at_once_lose_nothing(rig: Rig) -> None:
    other = await rig.opened()
    outcomes = await asyncio.gather(
        say(rig.cell, [a_model("m.safetensors", version="1")], by="ann"),
        say(other, [a_model("m.safetensors", version="2")], by="bob"),
        return_exceptions=True,
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, DocumentChanged)]
    versions = (await read_catalogue(rig.cell))["m.safetensors"].model.versions
    assert len(versions) + len(refused) == 2
