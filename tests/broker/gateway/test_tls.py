"""Machines and brokers speak TLS under an authority of one's own; what is wrong with a certificate is said in words that help."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import msgspec
import pytest

from northstar.agent.dialing import CaFileUnusable, Dialling
from northstar.agent.joining import JoinUnanswered, ask_to_join
from northstar.agent.link_errors import BrokerUnreachable
from northstar.agent.outputs import UploadedOutputs
from northstar.agent.websocket_link import WebSocketLink
from northstar.connectors.contract import Output
from northstar.connectors.secret import Secret
from northstar.domain.machines import MachineDescription
from northstar.store.wire import JoinRequest
from tests.agent.rig import PROFILE, SOON_S
from tests.broker.gateway.certificates import Authority, Certificate
from tests.broker.gateway.rig import LINK, Fleet

#: A machine that is told after so long what the trouble is.
IMPATIENT = msgspec.structs.replace(LINK, patience_s=0.15)
REQUEST = JoinRequest(invite="nsi_none", token="nsm_none", machine="m")
BAD = {
    "unknown authority": (
        lambda ours, theirs: theirs.certificate("theirs-good", host="IP:127.0.0.1"),
        "signed by an authority that this machine does not trust; set agent.ca_file",
    ),
    "another host": (
        lambda ours, theirs: ours.certificate("name", host="DNS:broker.example"),
        "certificate is for another address; dial it by a name or address that the certificate has",
    ),
    "expired": (
        lambda ours, theirs: ours.certificate("expired", host="IP:127.0.0.1", days=-1),
        "certificate has expired, or the clock of this machine is wrong",
    ),
}


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    folder = tmp_path_factory.mktemp("authorities")
    return Authority(folder, "ours"), Authority(folder, "theirs")


@contextlib.asynccontextmanager
async def broker(fleet: Fleet, shown: Certificate | None) -> AsyncIterator[str]:
    """One `serve` with this certificate, or without TLS; gives its address."""
    files = {} if shown is None else {"tls_certificate": str(shown.certificate), "tls_key": str(shown.key)}
    async with fleet.front(**files) as front:
        yield front.url


async def registered(link: WebSocketLink) -> None:
    await link.register(PROFILE, MachineDescription(), slots=1, models=())


async def registered_after_a_dial(link: WebSocketLink) -> None:
    """What is wrong is known once a dial has ended, however long a busy host takes for that."""
    async with asyncio.timeout(SOON_S):
        while True:
            try:
                return await registered(link)
            except BrokerUnreachable as exc:
                if "not dialled yet" not in str(exc):
                    raise


async def expect_unreachable(fleet: Fleet, url: str, trusted: Path | None, words: str) -> None:
    """Both the machine that dials and the one that wants to join are told so."""
    async with fleet.dialling(url, ca_file=trusted, options=IMPATIENT) as link:
        with pytest.raises(BrokerUnreachable, match=words):
            await registered_after_a_dial(link)
    with pytest.raises(JoinUnanswered, match=words):
        await ask_to_join(
            url, REQUEST, agent="test", tls=Dialling(http_url=url, token=Secret("none"), ca_file=trusted).tls()
        )


def output_of(file: Path) -> Output:
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return Output(name=file.name, media_type="text/plain", sha256=digest, size_bytes=len(content), path=file)


async def test_a_machine_that_trusts_the_authority_works_over_tls_and_hands_in_its_files(
    fleet: Fleet, authorities: tuple[Authority, Authority]
) -> None:
    ours, _ = authorities
    shown = ours.certificate("good", host="IP:127.0.0.1,DNS:localhost")
    file = fleet.folder / "poem.txt"
    file.write_bytes(b"a poem")
    async with broker(fleet, shown) as url, fleet.dialling(url, ca_file=ours.file) as link:
        assert url.startswith("https://")
        await registered(link)
        await fleet.plan()
        await fleet.submit("a")
        (job,) = (await link.claim(credits_=1)).jobs
        dialling = Dialling(http_url=url, token=Secret(await fleet.token()), ca_file=ours.file)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=dialling.tls())) as http:
            outputs = UploadedOutputs(http, dialling, backoff=LINK.backoff, jitter=random.random)
            poem = output_of(file)
            kept = await outputs.store(job, poem, file, sent=lambda _: None)
        assert (kept.sha256, kept.size_bytes) == (poem.sha256, 6)


@pytest.mark.parametrize("case", BAD)
async def test_a_broker_that_cannot_be_trusted_is_not_dialled_and_the_reason_helps(
    fleet: Fleet, authorities: tuple[Authority, Authority], case: str
) -> None:
    make: Callable[[Authority, Authority], Certificate] = BAD[case][0]
    async with broker(fleet, make(*authorities)) as url:
        await expect_unreachable(fleet, url, authorities[0].file, BAD[case][1])


async def test_no_certificate_of_our_own_is_trusted_without_being_told(
    fleet: Fleet, authorities: tuple[Authority, Authority]
) -> None:
    async with broker(fleet, authorities[0].certificate("untold", host="IP:127.0.0.1")) as url:
        await expect_unreachable(fleet, url, None, "set agent.ca_file")


async def test_who_dials_a_tls_port_without_tls_is_told_to_dial_wss(
    fleet: Fleet, authorities: tuple[Authority, Authority]
) -> None:
    async with broker(fleet, authorities[0].certificate("plain", host="IP:127.0.0.1")) as url:
        await expect_unreachable(
            fleet, url.replace("https:", "http:"), None, "if there is TLS at that port, dial wss://"
        )


async def test_who_dials_a_plain_port_with_tls_is_told_to_dial_ws(fleet: Fleet) -> None:
    async with broker(fleet, None) as url:
        await expect_unreachable(
            fleet, url.replace("http:", "https:"), None, "if there is no TLS at that port, dial ws://"
        )


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_a_file_of_authorities_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "authority.crt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CaFileUnusable, match=r"authority\.crt cannot be used"):
        Dialling(http_url="https://broker.example", token=Secret("none"), ca_file=file).tls()
