"""Any server by its URL: what is understood, what is reached, what is refused, and in which words."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from valkey import exceptions as valkey_errors

from northstar.domain.errors import NorthstarError
from northstar.store import errors
from northstar.store.embedded import EmbeddedValkey, ServerOptions
from northstar.store.valkey import FAULTS, ClientOptions, check_server, connect, parse_url, redact, translate
from tests import servers
from tests.servers import RunningServer

QUICK = ClientOptions(connect_timeout_s=2.0, answer_timeout_s=2.0, acquire_timeout_s=0.2)

#: A primary that does not wait for more replicas before it copies.
COPIED = ServerOptions(listen="tcp", directives=(("repl-diskless-sync-delay", "0"),))


async def check(url: str) -> Any:
    client = connect(url, options=QUICK)
    try:
        return await check_server(client)
    finally:
        await client.aclose()


# --- what is understood --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("valkey://localhost", "valkey://localhost:6379"),
        ("redis://u:p@h:7000/3", "valkey://h:7000"),
        ("rediss://[::1]:7000", "valkeys://[::1]:7000"),
        ("unix:///run/valkey.sock?db=2", "unix:///run/valkey.sock"),
        ("unix://:p%40ss@/run/a%20b.sock", "unix:///run/a b.sock"),
        ("valkey+sentinel://a,b:27000/main", "valkey+sentinel://a:26379,b:27000/main"),
        ("valkeys+cluster://:p@a:1,b:2", "valkeys+cluster://a:1,b:2"),
    ],
)
def test_every_shape_of_server_has_an_address_that_shows_no_secret(url: str, shown: str) -> None:
    assert str(parse_url(url)) == shown
    assert repr(parse_url(url)) == f"ServerUrl({shown!r})"


def test_user_password_database_and_options_are_read() -> None:
    server = parse_url("valkey+sentinel://us%3Aer:p%2Fw@h/main/5?sentinel_password=s%26s")
    assert (server.username, server.password, server.db) == ("us:er", "p/w", 5)
    assert (server.service, server.sentinel_password) == ("main", "s&s")
    tls = parse_url("valkeys://h?ssl_ca_certs=/ca.pem&ssl_check_hostname=no").tls
    assert tls is not None
    assert (tls.ca_certs, tls.verify, tls.check_hostname) == ("/ca.pem", True, False)


def test_certificate_and_host_name_are_checked_unless_switched_off() -> None:
    tls = parse_url("valkeys://h").tls
    assert tls is not None
    assert (tls.verify, tls.check_hostname) == (True, True)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "it must begin with valkey://, valkeys://, unix://, valkey+sentinel:// or valkey+cluster://"),
        ("http://h", "it must begin with valkey://"),
        ("valkey://", "each host is written host or host:port, an IPv6 address in brackets"),
        ("valkey://h:port", "each host is written host or host:port"),
        ("valkey://h:0", "port 0 is not between 1 and 65535"),
        ("valkey://h:65536", "port 65536 is not between 1 and 65535"),
        ("valkey://[::1", "brackets around an IPv6 address do not match"),
        ("valkey://a,b", "several hosts need valkey+sentinel:// or valkey+cluster://"),
        ("valkey://h/one", "the database must be a number"),
        ("valkey://h/-1", "the database must be a number"),
        ("valkey://h?timeout=3", "unknown option 'timeout'; known here: db"),
        ("valkey://h?db=1&db=2", "option 'db' is given twice"),
        ("valkey://h#1", "write # in a password as %23"),
        ("valkey://:a/b@h", "write / in a password as %2F"),
        ("valkey://:a?b@h", "write ? in a password as %3F"),
        ("unix://host/path", "a unix socket has no host; write unix:/// and the path"),
        ("unix://", "a unix socket needs an absolute path"),
        ("valkey+sentinel://h", "name the Sentinel service after the hosts"),
        ("valkey+cluster://h/1", "a cluster has database 0 only"),
        ("valkeys://h?ssl_cert_reqs=maybe", "ssl_cert_reqs is required or none"),
        ("valkey+cluster://" + ",".join("h" * 65), "more than 64 hosts"),
        ("valkey://" + "h" * 5000, "longer than 4096 characters"),
    ],
)
def test_an_address_that_cannot_work_is_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(errors.UrlInvalid) as caught:
        connect(url)
    assert caught.value.code == "NS_URL_INVALID"
    assert f"is not the address of a Valkey server: {reason}" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "valkey://user:s3cret@h:port",
        "valkey://:s3cr/s3cret@h:1",
        "http://s3cret@h",
        "valkey://user:s3c@s3cret@h?x=1",
        "valkey+sentinel://h?sentinel_password=s3cret",
        "valkey://:a#s3cret@h",
        "valkey://:a?s3cret@h",
        "unix://:a/s3cret@/run/s",
    ],
)
def test_a_refused_address_is_quoted_without_its_secrets(url: str) -> None:
    with pytest.raises(errors.UrlInvalid) as caught:
        parse_url(url)
    assert "s3cret" not in str(caught.value) + redact(url)
    assert "***" in redact(url)


def test_a_client_shows_no_password() -> None:
    for scheme in (
        "valkey://u:s3cret@h",
        "unix://:s3cret@/s",
        "valkey+sentinel://:s3cret@h/m?sentinel_password=s3cret",
    ):
        assert "s3cret" not in repr(connect(scheme))


async def test_a_cluster_client_shows_no_password() -> None:
    client = connect("valkey+cluster://:s3cret@h:1")
    assert "s3cret" not in repr(client)
    await client.aclose()


# --- what is reached -----------------------------------------------------------------------------------------------


async def test_the_embedded_server_will_do(valkey_server: RunningServer) -> None:
    facts = await check(valkey_server.url)
    assert (facts.kind, facts.is_cluster, facts.aof_enabled, facts.fsync_policy) == ("valkey", False, True, "everysec")
    assert len(facts.run_id) == 40


@pytest.mark.redis7
async def test_redis_seven_will_do(redis7_server: RunningServer) -> None:
    facts = await check(redis7_server.url)
    assert facts.kind == "redis"
    assert facts.version.startswith("7.")
    assert facts.sentence() == f"redis {facts.version}, append-only file everysec, 0 replicas, memory unlimited"


async def test_a_cluster_is_checked_on_every_primary(cluster_server: RunningServer) -> None:
    facts = await check(cluster_server.url)
    assert facts.is_cluster
    assert len({primary.run_id for primary in facts.primaries}) == 3
    assert facts.sentence().startswith("cluster of 3 primaries, valkey 9.")


async def test_one_primary_of_a_cluster_that_would_evict_is_enough_to_refuse_it(cluster_server: RunningServer) -> None:
    node = connect(cluster_server.nodes[2].url)
    await node.execute_command("CONFIG SET", "maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(errors.ValkeyEvicts, match="maxmemory-policy allkeys-lru") as caught:
            await check(cluster_server.url)
        assert caught.value.address in cluster_server.url
    finally:
        await node.execute_command("CONFIG SET", "maxmemory-policy", "noeviction")
        await node.aclose()


async def test_a_cluster_serves_every_slot(cluster_server: RunningServer) -> None:
    async with cluster_server.client() as client:
        for number in range(50):
            await client.execute_command("SET", f"{{slot-{number}}}:a", number)
            assert await client.execute_command("GET", f"{{slot-{number}}}:a") == str(number).encode()


async def test_more_tasks_than_connections_wait_for_their_turn(
    valkey_server: RunningServer, cluster_server: RunningServer
) -> None:
    for server in (valkey_server, cluster_server):
        async with server.client(ClientOptions(max_connections=2)) as client:
            answers = await asyncio.gather(*(client.execute_command("INCR", "turns") for _ in range(50)))
            assert len(set(answers)) == 50
            await client.execute_command("DEL", "turns")


async def test_a_task_that_finds_no_connection_in_time_is_told_so(valkey_server: RunningServer) -> None:
    options = ClientOptions(max_connections=1, acquire_timeout_s=0.1)
    async with valkey_server.client(options) as client:
        blocked = asyncio.create_task(client.execute_command("BLPOP", "nothing-comes", 2))
        await servers.eventually(lambda: is_blocked(valkey_server), what="the other task waits at the server")
        with pytest.raises(Exception, match="No connection available") as caught:
            await client.execute_command("PING")
        assert isinstance(translate(caught.value), errors.ConnectionsExhausted)
        blocked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await blocked


async def is_blocked(server: RunningServer) -> bool:
    async with server.client() as client:
        return bool((await client.execute_command("INFO", "clients"))["blocked_clients"] > 0)


@pytest.mark.redis7
async def test_a_server_over_tls_is_reached_and_its_certificate_is_checked(tmp_path: Path) -> None:
    async with servers.tls_redis(tmp_path) as server:
        assert (await check(server.url)).kind == "redis"
        untrusted = server.url.partition("?")[0]
        with pytest.raises(errors.ValkeyGone, match=r"(?i)certificate verify failed"):
            await check(untrusted)
        assert (await check(untrusted + "?ssl_cert_reqs=none")).kind == "redis"
        plain = untrusted.replace("valkeys://", "valkey://")
        with pytest.raises(errors.ValkeyGone):
            await check(plain)


async def test_the_primary_behind_sentinel_is_found_and_an_unknown_service_is_not() -> None:
    async with (
        EmbeddedValkey(options=ServerOptions(listen="tcp")) as primary,
        servers.sentinel(primary, service="main") as server,
    ):
        assert (await check(server.url)).run_id == (await check(primary.url)).run_id
        with pytest.raises(errors.ValkeyGone, match="No master found for 'other'"):
            await check(server.url.replace("/main", "/other"))


async def test_when_the_primary_dies_the_client_follows_to_the_one_that_sentinel_makes_primary() -> None:
    async with (
        EmbeddedValkey(options=COPIED) as first,
        EmbeddedValkey(options=COPIED) as second,
        copying(first, second),
        servers.sentinel(first, service="main") as server,
        server.client(QUICK) as client,
    ):
        await client.execute_command("SET", "a", "before")
        assert await client.execute_command("WAIT", 1, 1500) == 1  # what was not copied yet would be lost
        await servers.eventually(lambda: knows_a_replica(server), what="the Sentinel knows the replica")
        os.kill(first.pid, signal.SIGKILL)

        async def takes_writes_again() -> bool:
            try:
                return bool(await client.execute_command("SET", "b", "after"))
            except FAULTS:
                return False

        await servers.eventually(takes_writes_again, what="the client writes to the new primary")
        assert (await check_server(client)).run_id == (await check(second.url)).run_id
        assert await client.execute_command("MGET", "a", "b") == [b"before", b"after"]


async def knows_a_replica(server: RunningServer) -> bool:
    watcher = connect("valkey://" + server.url.removeprefix("valkey+sentinel://").partition("/")[0])
    try:
        return len(await watcher.execute_command("SENTINEL", "REPLICAS", "main")) == 1
    finally:
        await watcher.aclose()


@contextlib.asynccontextmanager
async def copying(first: EmbeddedValkey, second: EmbeddedValkey) -> AsyncIterator[None]:
    """The second server is a replica of the first, and has caught up."""
    replica, primary = connect(second.url), connect(first.url)
    try:
        await replica.execute_command("REPLICAOF", "127.0.0.1", first.url.rpartition(":")[2])

        async def has_caught_up() -> bool:
            link = await replica.execute_command("INFO", "replication")
            info = await primary.execute_command("INFO", "replication")
            return bool(link["master_link_status"] == "up" and info["slave0"]["state"] == "online")

        await servers.eventually(has_caught_up, what="the replica is online")
        yield
    finally:
        await replica.aclose()
        await primary.aclose()


# --- what is refused -----------------------------------------------------------------------------------------------


async def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(errors.ValkeyGone, match=r"Valkey does not answer: .*/nowhere/s.*Check that it runs"):
        await check("unix:///nowhere/s")


async def test_a_wrong_password_is_told_apart_and_not_repeated(tmp_path: Path) -> None:
    for listen in ("unix", "tcp"):
        options = ServerOptions(listen=listen, password="r1ght")
        async with EmbeddedValkey(tmp_path / listen, options=options) as server:
            for url in (server.url.replace("r1ght", "wr0ng"), server.url.replace(":r1ght@", "")):
                with pytest.raises(errors.ValkeyAuthFailed, match="Check user name, password and the rights") as caught:
                    await check(url)
                assert caught.value.code == "NS_VALKEY_AUTH"
                assert "wr0ng" not in str(caught.value)
            assert (await check(server.url)).kind == "valkey"


async def test_a_user_without_the_right_to_functions_is_refused(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as server:
        admin = connect(server.url)
        await admin.execute_command("ACL SETUSER", "guest", "on", ">pw", "~*", "+@all", "-function")
        await admin.aclose()
        with pytest.raises(errors.FunctionsMissing, match="runs no Lua functions: the user has no right to FUNCTION"):
            await check(server.url.replace("unix://", "unix://guest:pw@"))


async def test_a_server_that_hides_its_settings_will_do(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as server:
        admin = connect(server.url)
        await admin.execute_command("ACL SETUSER", "guest", "on", ">pw", "~*", "+@all", "-config")
        await admin.aclose()
        facts = await check(server.url.replace("unix://", "unix://guest:pw@"))
        assert facts.fsync_policy is None
        assert "append-only file on" in facts.sentence()


async def test_a_server_that_would_throw_jobs_away_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as server:
        client = connect(server.url)
        await client.execute_command("CONFIG SET", "maxmemory-policy", "volatile-ttl")
        with pytest.raises(errors.ValkeyEvicts) as caught:
            await check_server(client)
        assert caught.value.code == "NS_VALKEY_EVICTS"
        assert "run: CONFIG SET maxmemory-policy noeviction (and set it" in str(caught.value)
        await client.execute_command("CONFIG SET", "maxmemory-policy", "noeviction")
        await check_server(client)
        await client.aclose()


async def test_a_replica_is_refused_and_its_primary_named() -> None:
    async with (
        EmbeddedValkey(options=COPIED) as first,
        EmbeddedValkey(options=COPIED) as second,
        copying(first, second),
    ):
        assert (await check(first.url)).replicas == 1
        with pytest.raises(errors.ValkeyReadOnly) as caught:
            await check(second.url)
        assert caught.value.code == "NS_VALKEY_READ_ONLY"
        port = first.url.rpartition(":")[2]
        assert f"is a replica of 127.0.0.1:{port}. Connect to the primary" in str(caught.value)
        client = connect(second.url)
        with pytest.raises(valkey_errors.ReadOnlyError) as raw:
            await client.execute_command("SET", "a", 1)
        await client.aclose()
        assert isinstance(translate(raw.value), errors.ValkeyReadOnly)


@contextlib.asynccontextmanager
async def impostor(info: str) -> AsyncIterator[str]:
    """Something that speaks the protocol well enough to tell who it says it is."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                words = [await one_word(reader) for _ in range(int((await reader.readuntil(b"\r\n"))[1:]))]
                reply = f"${len(info)}\r\n{info}\r\n" if words[0].upper() == b"INFO" else "+OK\r\n"
                writer.write(reply.encode())
        writer.close()

    async def one_word(reader: asyncio.StreamReader) -> bytes:
        length = int((await reader.readuntil(b"\r\n"))[1:])
        return (await reader.readexactly(length + 2))[:-2]

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"valkey://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("info", "found"),
    [
        ("redis_version:6.2.14\r\nrole:master\r\n", "Redis 6.2.14"),
        ("redis_version:7.2.4\r\nvalkey_version:6.9.0\r\nrole:master\r\n", "Valkey 6.9.0"),
        ("nonsense\r\n", "Redis 0"),
    ],
)
async def test_a_server_that_is_too_old_is_refused_with_what_was_found_and_what_is_needed(
    info: str, found: str
) -> None:
    async with impostor(info) as url:
        with pytest.raises(errors.ValkeyTooOld) as caught:
            await check(url)
    address = url.removeprefix("valkey://")
    assert caught.value.code == "NS_VALKEY_TOO_OLD"
    assert str(caught.value) == f"the server at {address} is {found}; North Star needs 7.0 or later"


async def test_something_that_is_no_server_at_all_is_refused() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        with pytest.raises(NorthstarError) as caught:
            await check(f"valkey://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert caught.value.code in {"NS_VALKEY_GONE", "NS_VALKEY_REFUSED"}


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    async with server:
        client = connect(
            f"valkey://127.0.0.1:{server.sockets[0].getsockname()[1]}", options=ClientOptions(answer_timeout_s=0.2)
        )
        with pytest.raises(errors.ValkeyTimeout, match="Valkey did not answer in time"):
            await check_server(client)
        await client.aclose()


# --- translation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (valkey_errors.ClusterError("TTL exhausted."), "NS_CLUSTER_DOWN", "TTL exhausted"),
        (valkey_errors.ConnectionError("Error 111 connecting"), "NS_VALKEY_GONE", "Error 111 connecting"),
        (ConnectionResetError(104, "Connection reset by peer"), "NS_VALKEY_GONE", "Connection reset by peer"),
        (valkey_errors.TimeoutError("Timeout reading"), "NS_VALKEY_TIMEOUT", "Timeout reading"),
        (TimeoutError(), "NS_VALKEY_TIMEOUT", "TimeoutError"),
        (valkey_errors.AuthenticationError("invalid username-password pair"), "NS_VALKEY_AUTH", "invalid username"),
        (valkey_errors.NoPermissionError("no right"), "NS_VALKEY_AUTH", "no right"),
        (valkey_errors.ReadOnlyError("You can't write"), "NS_VALKEY_READ_ONLY", "You can't write"),
        (valkey_errors.ResponseError("MASTERDOWN Link with MASTER"), "NS_VALKEY_READ_ONLY", "Link with MASTER"),
        (valkey_errors.OutOfMemoryError("command not allowed"), "NS_OUT_OF_MEMORY", "command not allowed"),
        (valkey_errors.ResponseError("OOM allow-oom flag is not set"), "NS_OUT_OF_MEMORY", "allow-oom flag"),
        (valkey_errors.BusyLoadingError("loading the dataset"), "NS_VALKEY_LOADING", "loading the dataset"),
        (valkey_errors.ResponseError("MISCONF Errors writing: No space left"), "NS_DISK_FULL", "Errors writing"),
        (valkey_errors.ResponseError("BUSY running a script"), "NS_VALKEY_BUSY", "running a script"),
        (valkey_errors.ResponseError("NOREPLICAS Not enough good replicas"), "NS_TOO_FEW_REPLICAS", "Not enough good"),
        (valkey_errors.ResponseError("CLUSTERDOWN Hash slot not served"), "NS_CLUSTER_DOWN", "Hash slot not served"),
        (valkey_errors.SlotNotCoveredError("slot 7"), "NS_CLUSTER_DOWN", "slot 7"),
        (valkey_errors.MaxConnectionsError(), "NS_CONNECTIONS_EXHAUSTED", "MaxConnectionsError"),
        (valkey_errors.ConnectionError("max number of clients reached"), "NS_CONNECTIONS_EXHAUSTED", "max number"),
        (valkey_errors.ResponseError("WRONGTYPE Operation"), "NS_VALKEY_REFUSED", "WRONGTYPE Operation"),
        (valkey_errors.InvalidResponse("Protocol error"), "NS_VALKEY_REFUSED", "Protocol error"),
    ],
)
def test_each_low_level_error_becomes_one_that_says_what_to_do(raised: Exception, code: str, words: str) -> None:
    error = translate(raised)
    assert error.code == code
    assert words in str(error)


def test_an_error_of_our_own_is_left_as_it_is() -> None:
    error = errors.ValkeyGone("x")
    assert translate(error) is error


def test_every_error_of_the_store_has_a_code_of_its_own() -> None:
    classes = [
        thing for thing in vars(errors).values() if isinstance(thing, type) and thing.__module__ == errors.__name__
    ]
    codes = [thing.code for thing in classes if issubclass(thing, NorthstarError)]
    assert len(codes) == len(set(codes)) == len(classes)
    assert all(code.startswith("NS_") for code in codes)
