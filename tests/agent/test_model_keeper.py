"""A machine with a models folder, over the real link: what the broker knows of it, what it is told to do, what jobs get."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import pytest_asyncio

from northstar.agent import model_keeper
from northstar.agent.kept_models import NoModels
from northstar.agent.model_keeper import ModelKeeper
from northstar.agent.model_link import ModelLink
from northstar.agent.model_runner import ModelRunner
from northstar.agent.models.changes import ModelChange
from northstar.agent.models.errors import ModelInUse
from northstar.agent.models.flights import FetchProgress
from northstar.agent.models.layout import key_of
from northstar.agent.models.sources.choice import SourceRules
from northstar.agent.models.store import ModelStore
from northstar.broker.catalogue import say
from northstar.broker.catalogue_view import CatalogueView
from northstar.broker.model_orders import order_eviction, order_fetch
from northstar.broker.submission import Submitter
from northstar.domain.catalogue import CatalogueFile, CatalogueModel, CatalogueVersion
from northstar.domain.errors import Unavailable
from northstar.domain.jobs import ClaimedJob, JobRequest, RetryRule
from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelHeld, ModelNeed, ModelOrder
from northstar.domain.progress import Progress
from northstar.domain.refusals import FetchInFlight, TooManyWords
from northstar.domain.requirements import Requirements
from northstar.store.snapshots import read_snapshot
from tests.agent.models.builders import order, safetensors, sha256, store
from tests.agent.models.origin import Origin, origin
from tests.agent.rig import Rig, Runs, nonce, soon
from tests.broker.gateway.rig import DialledRig
from tests.servers import RunningServer, eventually

DATA = safetensors(200_000)
ONCE = RetryRule(max_attempts=1)


class Recorded:
    """A runner around another that keeps what is reported."""

    def __init__(self, runner: ModelRunner) -> None:
        self._runner = runner
        self.reports: list[Progress] = []

    async def run(self, job: ClaimedJob, report: Callable[[Progress], None]) -> str:
        def both(progress: Progress) -> None:
            self.reports.append(progress)
            report(progress)

        return await self._runner.run(job, both)


class Site:
    """One machine that keeps models, at work."""

    def __init__(self, rig: Rig, models: ModelStore, server: Origin) -> None:
        self.rig = rig
        self.models = models
        self.server = server
        self.runs = Runs()
        self.recorded = Recorded(ModelRunner(self.runs, models, used=self.used))
        self.keeper: ModelKeeper | None = None
        self.link: Any = None

    def used(self, service: str, needs: tuple[ModelNeed, ...]) -> None:
        assert self.keeper is not None
        self.keeper.used(service, needs)

    async def held(self) -> dict[str, str]:
        """What the cell believes."""
        snapshot = await read_snapshot(self.rig.cell.client, self.rig.cell.keys)
        return snapshot.machines["m"].held if "m" in snapshot.machines else {}

    async def fetches(self) -> set[str]:
        names = await self.rig.cell.client.execute_command("HKEYS", self.rig.cell.keys["fetches"])
        return {name.decode() for name in names if b"\0" not in name}

    async def until_held(self, **wanted: str) -> None:
        async def is_so() -> bool:
            return await self.held() == {f"{name}.safetensors": state for name, state in wanted.items()}

        await eventually(is_so, what=f"the cell knows of {wanted}")

    async def told(self, wanted: ModelOrder) -> str:
        return (await order_fetch(self.rig.cell, "m", wanted, order_id=nonce(), by="test")).order

    async def until_answered(self) -> None:
        async def is_so() -> bool:
            return not await self.rig.cell.pending_orders("m")

        await eventually(is_so, what="the order is answered")

    async def answers(self) -> list[dict[str, Any]]:
        """What the events say of orders that ended."""
        return await self.events("order.ended")

    async def events(self, wanted: str) -> list[dict[str, Any]]:
        """What events of this kind say."""
        found = []
        for _, fields in await self.rig.cell.client.execute_command("XRANGE", self.rig.cell.keys["events"], "-", "+"):
            kind, _, _, _, data = msgspec.msgpack.decode(fields[b"e"])
            if kind == wanted:
                found.append(dict(zip(data[::2], data[1::2], strict=True)))
        return found


@pytest_asyncio.fixture
async def site(either_rig: Rig, tmp_path: Path) -> AsyncIterator[Site]:
    async with (
        origin(DATA) as server,
        store(tmp_path / "models") as models,
        either_rig.dispatching(),
        at_work(either_rig, models, server) as site,
    ):
        yield site


@contextlib.asynccontextmanager
async def at_work(rig: Rig, models: ModelStore, server: Origin) -> AsyncIterator[Site]:
    site = Site(rig, models, server)
    link = await rig.link()
    keeper = ModelKeeper(
        models, rig.model_link(link), said=MachineDescription(), vram_bytes=10**9, settle_s=0.01, retry_s=0.05
    )
    site.keeper, site.link = keeper, link
    keeping = asyncio.create_task(keeper.run())
    async with rig.working(rig.worker(link, site.recorded, presence=keeper)):
        await rig.registered("m")
        yield site
    keeping.cancel()
    await asyncio.wait([keeping])


def needing(site: Site, **more: Any) -> Requirements:
    facts: dict[str, Any] = {
        "sources": (f"{site.server.url}/a",),
        "sha256": site.server.sha256,
        "size_bytes": len(DATA),
    }
    facts |= more
    return Requirements(models=(ModelNeed(name="a.safetensors", **facts),))


async def submit(site: Site, job: str, requires: Requirements) -> None:
    await site.rig.submit(job, requires=requires, retry=ONCE)


async def test_what_a_job_lacks_is_fetched_before_it_runs_and_told_with_its_bytes(site: Site) -> None:
    await submit(site, "job", needing(site))
    await soon(lambda: site.runs.ids == ["job"], "the job runs")
    assert [path.name for path in (site.models.files()[0].path,)] == ["a.safetensors"]
    told = [report for report in site.recorded.reports if report.phase == "fetching"]
    assert told[-1].bytes_done == told[-1].bytes_total == len(DATA)
    assert {report.model for report in told} == {"a.safetensors"}
    site.runs.finish("job")
    await site.rig.becomes("job", "succeeded")
    # The engine does not tell what it keeps in memory; the job that it just ran does.
    await site.until_held(a="resident")


async def test_what_the_catalogue_says_is_the_operators_word_and_a_jobs_own_is_not(
    either_rig: Rig, tmp_path: Path
) -> None:
    """A machine copies from its own folders for the operator, who owns it, and not for whoever sends a job."""
    source = tmp_path / "shelf" / "a.safetensors"
    source.parent.mkdir()
    source.write_bytes(DATA)
    file = CatalogueFile(
        name="a.safetensors",
        kind="checkpoint",
        sources=(f"file://{source}",),
        sha256=sha256(DATA),
        size_bytes=len(DATA),
    )
    version = CatalogueVersion(version="1", files=(file,))
    await say(either_rig.cell, [CatalogueModel(name="a.safetensors", versions=(version,), current="1")], by="ann")
    view = CatalogueView(either_rig.cell, monotonic=time.monotonic)
    submitter = Submitter(either_rig.cell, new_id=nonce, monotonic=time.monotonic, view_s=0, catalogue=view)
    own = msgspec.structs.replace(file.need(), sha256="unknown")
    rules = SourceRules(source_folders=(source.parent,))
    async with (
        origin(DATA) as server,
        store(tmp_path / "models", sources=rules) as models,
        either_rig.dispatching(),
        at_work(either_rig, models, server) as site,
    ):
        for job, need in (("forged", own), ("named", ModelNeed(name="a.safetensors"))):
            requires = Requirements(models=(need,))
            await submitter.submit([JobRequest(id=job, service="waits", requires=requires, retry=ONCE)])
            if job == "forged":
                await either_rig.becomes("forged", "failed")
        await soon(lambda: site.runs.ids == ["named"], "the job runs whose model the catalogue knows")
        site.runs.finish("named")
        await either_rig.becomes("named", "succeeded")


async def test_an_engine_that_came_back_has_nothing_in_memory_and_what_it_says_itself_is_told(site: Site) -> None:
    await submit(site, "job", needing(site))
    site.runs.finish("job")
    await site.rig.becomes("job", "succeeded")
    await site.until_held(a="resident")
    assert site.keeper is not None
    site.keeper.restarted(["waits"])
    site.keeper.announce(MachineDescription(), [ModelHeld("own.safetensors", "resident", 5)])
    await site.until_held(a="disk", own="resident")


async def test_what_another_engine_of_the_machine_holds_is_not_touched_by_a_restart(site: Site) -> None:
    await submit(site, "job", needing(site))
    site.runs.finish("job")
    await site.rig.becomes("job", "succeeded")
    await site.until_held(a="resident")
    assert site.keeper is not None
    site.keeper.restarted(["text"])
    site.keeper.announce(MachineDescription(), [ModelHeld("own.safetensors", "resident", 5)])
    await site.until_held(a="resident", own="resident")


async def test_what_engines_say_in_between_is_told(site: Site) -> None:
    assert site.keeper is not None
    site.keeper.hear([ModelHeld("own.safetensors", "resident", 5)])
    await site.until_held(own="resident")
    site.keeper.hear([ModelHeld("own.safetensors", "disk", 5)])
    await site.until_held(own="disk")


async def test_what_is_there_already_is_not_fetched_again(site: Site) -> None:
    for job in ("one", "two"):
        await submit(site, job, needing(site))
        site.runs.finish(job)
        await site.rig.becomes(job, "succeeded")
    assert len(site.server.asked) == 1


async def test_a_job_whose_model_cannot_be_had_fails_with_the_reason_and_never_reaches_its_engine(site: Site) -> None:
    await submit(site, "job", needing(site, sha256="0" * 64))
    await site.rig.becomes("job", "failed")
    assert (await site.rig.record("job")).error_code == "NS_MODEL_DAMAGED"
    assert site.runs.ids == []


async def test_a_model_that_a_job_works_with_is_not_evicted_by_order(site: Site) -> None:
    await submit(site, "job", needing(site))
    await soon(lambda: site.runs.ids == ["job"], "the job runs")
    await order_eviction(site.rig.cell, "m", "a.safetensors", order_id=nonce(), by="test")
    await site.until_answered()
    assert [(answer["outcome"], answer["code"]) for answer in await site.answers()] == [("failed", "NS_MODEL_IN_USE")]
    site.runs.finish("job")
    await site.rig.becomes("job", "succeeded")


async def test_what_a_job_only_names_stays_while_its_other_models_are_still_being_fetched(site: Site) -> None:
    await site.models.fetch(order(f"{site.server.url}/own", DATA, name="own.safetensors"))
    await site.until_held(own="disk")
    site.server.gate = asyncio.Event()
    site.server.half_sent.clear()
    (missing,) = needing(site).models
    await submit(site, "job", Requirements(models=(missing, ModelNeed(name="own.safetensors"))))
    await site.server.half_sent.wait()
    with pytest.raises(ModelInUse):
        await site.models.evict("own.safetensors")
    site.server.gate.set()
    site.runs.finish("job")
    await site.rig.becomes("job", "succeeded")

    async def goes() -> bool:
        with contextlib.suppress(ModelInUse):
            return await site.models.evict("own.safetensors") > 0
        return False

    await eventually(goes, what="it may go now")


async def test_a_model_that_was_ordered_stays_until_its_order_is_answered(site: Site) -> None:
    wanted = order(f"{site.server.url}/a", DATA)
    site.server.gate = asyncio.Event()
    await site.told(wanted)
    await site.server.half_sent.wait()
    shelf = site.models._parts.shelf
    assert shelf.is_kept(key_of(wanted))
    site.server.gate.set()
    await site.until_answered()
    assert not shelf.is_kept(key_of(wanted))


async def test_a_fetch_by_order_is_known_while_it_goes_on_and_answered_when_the_model_is_there(site: Site) -> None:
    site.server.gate = asyncio.Event()
    given = await site.told(order(f"{site.server.url}/a", DATA))
    await site.server.half_sent.wait()

    async def flies() -> bool:
        return await site.fetches() == {"m"}

    await eventually(flies, what="the cell knows of the fetch")
    site.server.gate.set()
    await site.until_answered()
    (answer,) = await site.answers()
    assert (answer["order"], answer["model"], answer["outcome"]) == (given, "a.safetensors", "done")
    await site.until_held(a="disk")

    async def landed() -> bool:
        return await site.fetches() == set()

    await eventually(landed, what="the cell knows that the fetch is over")


async def test_a_fetch_under_way_is_told_again_to_a_broker_that_had_taken_the_machine_for_lost(site: Site) -> None:
    site.server.gate = asyncio.Event()
    await submit(site, "job", needing(site))
    await site.server.half_sent.wait()

    async def flies() -> bool:
        return await site.fetches() == {"m"}

    await eventually(flies, what="the cell knows of the fetch")
    request = {"machine": "m", "because": "test", "lost": True, "nonce": nonce()}
    wanted = order(f"{site.server.url}/a", DATA)
    fetching = asyncio.create_task(site.models.fetch(wanted))  # somebody here still waits for it when the job is gone
    await site.rig.cell.call("remove_machine", request, dict[str, Any])
    await eventually(flies, what="the cell knows of the fetch again")
    site.server.gate.set()
    await fetching
    site.runs.finish("job")
    await site.rig.becomes("job", "succeeded")

    async def landed() -> bool:
        return await site.fetches() == set()

    await eventually(landed, what="the cell knows that the fetch is over")


class Full:
    """A broker without room: it refuses whatever it is told of models."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def fetch_started(self, model: str, *, size_bytes: int, expected_ms: int) -> None:
        self.heard.append(f"fetch {model} {size_bytes} {expected_ms}")
        raise FetchInFlight({"model": model, "machine": "other"})

    async def models_present(self, models: Sequence[ModelHeld]) -> None:
        self.heard.append(f"models {len(models)}")
        if len(self.heard) == 2:
            raise TooManyWords({"limit": "1"})


class Busy(NoModels):
    """A store that fetches one model for ever."""

    def held(self) -> tuple[ModelHeld, ...]:
        return (ModelHeld("b", "disk", 1),)

    def fetching(self) -> tuple[FetchProgress, ...]:
        return (FetchProgress(name="a", received_bytes=0, total_bytes=5, bytes_per_s=0.0),)

    async def changes(self) -> AsyncIterator[ModelChange]:
        yield ModelChange(what="fetch_started", name="a", expected_ms=7)
        await asyncio.Event().wait()


async def test_a_broker_that_refuses_to_hear_of_models_ends_no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_keeper, "_REFUSED_S", 0.01)
    broker = Full()
    keeper = ModelKeeper(Busy(), broker, said=MachineDescription(), settle_s=0.0)  # type: ignore[arg-type]  # as far as it is asked
    keeping = asyncio.create_task(keeper.run())
    await soon(lambda: len(broker.heard) == 3, "what was refused is said again")
    assert broker.heard == ["fetch a 5 7", "models 1", "models 1"]
    assert not keeping.done()
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_an_evicted_model_is_gone_from_the_disk_and_from_the_brokers_picture(site: Site) -> None:
    await site.told(order(f"{site.server.url}/a", DATA))
    await site.until_held(a="disk")
    await order_eviction(site.rig.cell, "m", "a.safetensors", order_id=nonce(), by="test")
    await site.until_answered()
    await site.until_held()
    assert site.models.files() == ()


async def test_an_order_that_cannot_be_carried_out_is_answered_with_its_code(site: Site) -> None:
    await site.told(order(f"{site.server.url}/a", DATA, sha256="1" * 64))
    await site.until_answered()
    (answer,) = await site.answers()
    assert (answer["outcome"], answer["code"]) == ("failed", "NS_MODEL_DAMAGED")


async def test_an_order_given_twice_stands_once(site: Site) -> None:
    site.server.gate = asyncio.Event()
    first = await site.told(order(f"{site.server.url}/a", DATA))
    assert await site.told(order(f"{site.server.url}/a", DATA)) == first
    assert len(await site.rig.cell.pending_orders("m")) == 1


async def test_an_order_whose_bell_was_lost_is_found_at_the_next_sign_of_life(site: Site) -> None:
    body = msgspec.json.encode(order(f"{site.server.url}/a", DATA)).decode()
    machine = await site.rig.cell.client.execute_command("HGET", site.rig.cell.keys["machines"], "m")
    session = msgspec.msgpack.decode(machine)[2]
    request = {"machine": "m", "session": session, "holder": "nobody"}
    await site.rig.cell.call("update_machine", request, dict[str, int])
    wanted = {"id": nonce(), "what": "fetch", "model": "a.safetensors", "body": body}
    await site.rig.cell.call("order_models", {"machine": "m", "by": "test", "orders": [wanted]}, dict[str, Any])
    await site.until_held(a="disk")


async def test_files_that_somebody_puts_there_are_told_after_the_next_look(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "checkpoints"
    folder.mkdir(exist_ok=True)
    (folder / "b.safetensors").write_bytes(safetensors(1_000))
    await site.models.look()
    await site.until_held(b="disk")


async def test_the_measured_rate_of_the_line_is_told(either_rig: Rig, tmp_path: Path) -> None:
    data = safetensors(9_000_000)
    async with (
        origin(data) as server,
        store(tmp_path / "models", idle_bytes_per_s=8e6) as models,
        at_work(either_rig, models, server) as site,
    ):
        await site.told(order(f"{server.url}/a", data))
        await site.until_answered()
        assert models.bytes_per_s > 0

        async def is_known() -> bool:
            snapshot = await read_snapshot(site.rig.cell.client, site.rig.cell.keys)
            return snapshot.machines["m"].download_bytes_per_s > 0

        await eventually(is_known, what="the rate is known")


class RateRefusedOnce:
    """A way to a broker that cannot be reached the first time that a rate is told."""

    def __init__(self) -> None:
        self.told: list[float] = []

    async def models_present(self, models: tuple[ModelHeld, ...]) -> None:
        """Hear of nothing."""

    async def pending_orders(self) -> list[Any]:
        """None."""
        return []

    async def describe(self, description: MachineDescription) -> None:
        """Raises Unavailable, once."""
        self.told.append(description.download_bytes_per_s)
        if len(self.told) == 1:
            raise Unavailable("the broker is away")


class Measured(NoModels):
    """A store that keeps nothing any more, and knows how fast it came."""

    bytes_per_s = 5e6


async def test_a_rate_that_did_not_reach_the_broker_is_told_again() -> None:
    link = RateRefusedOnce()
    keeper = ModelKeeper(Measured(), cast("ModelLink", link), said=MachineDescription(), settle_s=0.0, retry_s=0.01)
    keeping = asyncio.create_task(keeper.run())
    keeper.models()

    async def is_told_again() -> bool:
        return len(link.told) == 2

    await eventually(is_told_again, what="the rate is told again")
    keeping.cancel()
    await asyncio.wait({keeping})
    assert link.told == [5e6, 5e6]


async def test_news_of_the_line_do_not_make_a_machine_whose_engines_are_out_well(either_rig: Rig) -> None:
    """Whatever is told of it, and by whom, says how its engines stand."""
    link = await either_rig.link()
    keeper = ModelKeeper(NoModels(), either_rig.model_link(link), said=MachineDescription(region="eu"))
    async with either_rig.working(worker := either_rig.worker(link, Runs(), presence=keeper)):
        await either_rig.registered("m")
        worker.offer((), trouble="waits takes no work now: it died")

        async def is_out() -> bool:
            said = (await read_snapshot(either_rig.cell.client, either_rig.cell.keys)).machines["m"].description
            return (said.takes_work, said.trouble) == (False, "waits takes no work now: it died")

        await eventually(is_out, what="the broker knows that it takes no work")
        await either_rig.model_link(link).describe(keeper.description())
        assert await is_out()
        keeper.announce(MachineDescription(region="us"), ())
        await either_rig.model_link(link).describe(keeper.description())
        assert await is_out()


async def test_a_machine_without_a_models_folder_answers_that_it_has_none(either_rig: Rig) -> None:
    link = await either_rig.link()
    keeper = ModelKeeper(NoModels(), either_rig.model_link(link), said=MachineDescription())
    answering = asyncio.create_task(keeper.run())
    async with either_rig.working(either_rig.worker(link, Runs(), presence=keeper)):
        await either_rig.registered("m")
        await order_eviction(either_rig.cell, "m", "a", order_id=nonce(), by="test")

        async def answered() -> bool:
            return not await either_rig.cell.pending_orders("m")

        await eventually(answered, what="the order is answered")
    answering.cancel()
    await asyncio.wait([answering])


async def test_a_machine_that_dials_again_says_what_it_holds_now_and_not_what_it_held_when_it_registered(
    agent_server: RunningServer, tmp_path: Path
) -> None:
    rig = DialledRig(agent_server.url, tmp_path)
    async with (
        rig,
        origin(DATA) as server,
        store(tmp_path / "models") as models,
        at_work(rig, models, server) as site,
    ):
        await site.told(order(f"{server.url}/a", DATA))
        await site.until_held(a="disk")
        await soon(lambda: site.link.registration.models, "the broker has answered")
        before = len(await site.events("machine.registered"))
        rig.line.snap()

        async def is_back() -> bool:
            return len(await site.events("machine.registered")) > before

        await eventually(is_back, what="it registered again")
        assert await site.held() == {"a.safetensors": "disk"}
