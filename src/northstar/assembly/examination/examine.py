"""All checks of an installation, side by side, each within its time."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Final, Literal, TypeVar

import aiohttp
import msgspec

from northstar.assembly.examination.host_probe import (
    address_facts,
    certificate_facts,
    file_limit_facts,
    folder_facts,
    interrupted_restore,
)
from northstar.assembly.examination.machine_probe import engine_facts, members, membership_facts, offered
from northstar.assembly.examination.port_holder import holder_of
from northstar.assembly.examination.server_probe import server_vitals
from northstar.assembly.examination.store_probe import assets_trouble, history_facts
from northstar.assembly.examination.troubles import trouble_of
from northstar.assembly.front import BROKER_HEADER
from northstar.assembly.listening import reachable
from northstar.assembly.run_file import NotRunning
from northstar.assembly.session import find_place, new_id
from northstar.config import Settings
from northstar.domain.errors import NorthstarError
from northstar.policy.health_checks.certificate import judge_certificate
from northstar.policy.health_checks.finding import Finding, Trouble, faulty, skipped
from northstar.policy.health_checks.host import (
    judge_address,
    judge_file_limit,
    judge_folder,
    judge_restore,
)
from northstar.policy.health_checks.machine import judge_engine, judge_membership
from northstar.policy.health_checks.server import CHECKS, ServerVitals, judge_reach, judge_server
from northstar.policy.health_checks.stores import judge_assets, judge_history
from northstar.store.brokers import read_brokers
from northstar.store.cell import Cell
from northstar.store.valkey import ClientOptions, check_server, connect

Answer = TypeVar("Answer")

#: A question that takes longer is not answered.
WITHIN_S: Final = 10.0
_HEALTH_WITHIN_S: Final = 3.0
_MOST_ID_LETTERS: Final = 128
_QUICK: Final = ClientOptions(
    connect_timeout_s=5.0, answer_timeout_s=5.0, max_connections=4, client_name="northstar-doctor"
)
#: Engines that are asked.
_SERVICE_CHECKS: Final = 32


async def examine(settings: Settings, *, environment: Mapping[str, str]) -> list[Finding]:
    """Every check, in the order in which one would look. Nothing is changed, but for files that are written and removed again to try it."""
    async with AsyncExitStack() as stack:
        cell, about_server = await _server(settings, stack)
        on_host = asyncio.gather(
            _bounded("data_dir", _in_thread(lambda: judge_folder(folder_facts(settings.data_path)))),
            _bounded("restore", _in_thread(lambda: judge_restore(interrupted_restore(settings)))),
            _bounded("listen", _listening(settings, cell)),
            _bounded(
                "tls",
                _in_thread(lambda: judge_certificate(certificate_facts(settings.serve), now_s=int(time.time()))),
            ),
            _bounded("open_files", _in_thread(lambda: judge_file_limit(file_limit_facts(settings)))),
        )
        kept = asyncio.gather(_bounded("history", _history(settings, cell)), _bounded("assets", _assets(settings)))
        engines = asyncio.gather(
            *(
                _bounded(f"engine:{name}", _judged(engine_facts(name, service, environment=environment), judge_engine))
                for name, service in list(offered(settings).items())[:_SERVICE_CHECKS]
            )
        )
        machines = asyncio.gather(
            *(
                _bounded(f"token:{name}", _judged(membership_facts(settings, name), judge_membership))
                for name in members(settings)
            )
        )
        return [*await on_host, *about_server, *await kept, *await engines, *await machines]


async def _bounded(check: str, work: Awaitable[Finding]) -> Finding:
    """The finding, or that there was none in time."""
    try:
        async with asyncio.timeout(WITHIN_S):
            return await work
    except TimeoutError:
        return faulty(check, f"there was no answer within {WITHIN_S:.0f} s", cure="northstar doctor")
    except (OSError, NorthstarError) as exc:
        trouble = trouble_of(exc) if isinstance(exc, NorthstarError) else Trouble("NS_ERROR", str(exc))
        return faulty(check, f"it could not be found out: {trouble.sentence} ({trouble.code})", cure="northstar doctor")


async def _in_thread(work: Callable[[], Finding]) -> Finding:
    return await asyncio.to_thread(work)


async def _judged(asked: Awaitable[Answer], judge: Callable[[Answer], Finding]) -> Finding:
    return judge(await asked)


# The server -----------------------------------------------------------------------------------------------------------


async def _server(settings: Settings, stack: AsyncExitStack) -> tuple[Cell | None, list[Finding]]:
    """The cell, where its server answers, and what was found about that."""
    try:
        place = find_place(settings)
    except NotRunning:
        return None, [judge_reach(None, None), *_unasked("no server is known")]
    try:
        client = connect(place.url, options=_QUICK)
    except NorthstarError as exc:
        return None, [judge_reach(None, trouble_of(exc)), *_unasked("the server cannot be asked")]
    stack.push_async_callback(client.aclose)
    cell = Cell(client, place.cell)
    trouble: Trouble | None = None
    vitals: ServerVitals | None = None
    try:
        async with asyncio.timeout(WITHIN_S):
            vitals = await server_vitals(client, cell)
            await check_server(client)
    except TimeoutError:
        trouble = Trouble("NS_VALKEY_TIMEOUT", f"Valkey gave no answer within {WITHIN_S:.0f} s")
    except NorthstarError as exc:
        trouble = trouble_of(exc)
    if vitals is None:
        return None, [judge_reach(None, trouble), *_unasked("the server does not answer")]
    judged = judge_server(vitals)
    if trouble is not None and any(finding.verdict == "fault" for finding in judged):
        trouble = None  # a check of its own says it, and its cure
    return cell, [judge_reach(vitals, trouble), *judged]


def _unasked(why: str) -> list[Finding]:
    return [skipped(check, why) for check in CHECKS]


# The others -----------------------------------------------------------------------------------------------------------


async def _listening(settings: Settings, cell: Cell | None) -> Finding:
    facts = await asyncio.to_thread(address_facts, settings.serve)
    if facts.held_by == "others":
        holder = await asyncio.to_thread(holder_of, facts.port)
        facts = msgspec.structs.replace(facts, held_by=await _held_by(settings, cell), holder=holder)
    return judge_address(facts)


async def _held_by(
    settings: Settings, cell: Cell | None
) -> Literal["northstar", "some_northstar", "another_northstar", "others"]:
    """What has the address. Each broker says by which id its cell knows it; one of another cell says an id that ours does not know."""
    said = await _broker_there(settings)
    if said is None:
        return "others"
    if cell is not None:
        try:
            known = {broker.id for broker in await read_brokers(cell)}
        except NorthstarError:
            return "some_northstar"
        return "northstar" if said in known else "another_northstar" if said else "some_northstar"
    # Without a server nothing of this installation runs, unless that is somewhere else and does not answer.
    return "some_northstar" if settings.valkey.url or not said else "another_northstar"


async def _broker_there(settings: Settings) -> str | None:
    """The id of the broker that has the address, empty where its version tells none; None: what has it does not answer as a broker does."""
    wanted = settings.serve
    scheme = "https" if wanted.tls_certificate else "http"
    url = f"{scheme}://{reachable(wanted.host)}:{wanted.port}/health/live"
    try:
        timeout = aiohttp.ClientTimeout(total=_HEALTH_WITHIN_S)
        # Nothing secret is sent, and whose certificate it is does not matter here.
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url, ssl=False) as answer:
            is_broker = (
                answer.status == 200 and (await answer.content.read(100)).replace(b" ", b"") == b'{"status":"ok"}'
            )
            return answer.headers.get(BROKER_HEADER, "")[:_MOST_ID_LETTERS] if is_broker else None
    except (aiohttp.ClientError, ssl.SSLError, OSError, TimeoutError, ValueError):
        return None


async def _history(settings: Settings, cell: Cell | None) -> Finding:
    return judge_history(await history_facts(settings, cell))


async def _assets(settings: Settings) -> Finding:
    place, trouble, is_missing = await assets_trouble(settings, probe=f"doctor-{new_id()}")
    return judge_assets(place, trouble=trouble, is_missing=is_missing)
