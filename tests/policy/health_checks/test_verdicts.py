"""Verdicts from facts: where a warning begins, where a fault, and that each of them says what mends it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from northstar.policy.health_checks.certificate import CertificateFacts, judge_certificate
from northstar.policy.health_checks.finding import Finding, Trouble, has_fault
from northstar.policy.health_checks.host import (
    AddressFacts,
    FileLimitFacts,
    FolderFacts,
    judge_address,
    judge_file_limit,
    judge_folder,
    judge_restore,
)
from northstar.policy.health_checks.machine import EngineFacts, MembershipFacts, judge_engine, judge_membership
from northstar.policy.health_checks.server import (
    ServerVitals,
    judge_clock,
    judge_eviction,
    judge_library,
    judge_memory,
    judge_persistence,
    judge_reach,
    judge_server,
    judge_version,
)
from northstar.policy.health_checks.stores import HistoryFacts, judge_assets, judge_history

GIB = 1024**3
DAY_S = 86_400
VITALS = ServerVitals(
    address="10.0.0.7:6379",
    kind="valkey",
    version="9.1.2",
    eviction="noeviction",
    aof_enabled=True,
    fsync="everysec",
    last_write_ok=True,
    used_bytes=10,
    max_bytes=0,
    libraries=(1,),
    library_problem="",
    library_wanted=1,
    skew_ms=0,
    asked_ms=1,
    cell_ahead_ms=0,
)
FOLDER = FolderFacts(
    path="/data/north star",
    exists=True,
    is_folder=True,
    refusal="",
    owner=7,
    user=7,
    free_bytes=100 * GIB,
    total_bytes=200 * GIB,
)


def vitals(**changes: Any) -> ServerVitals:
    return msgspec.structs.replace(VITALS, **changes)


def folder(**changes: Any) -> Finding:
    return judge_folder(msgspec.structs.replace(FOLDER, **changes))


def test_a_good_server_is_good() -> None:
    assert {finding.verdict for finding in judge_server(VITALS)} == {"ok"}
    assert not has_fault(judge_server(VITALS))
    assert judge_reach(VITALS, None).verdict == "ok"
    assert judge_reach(None, None).verdict == "skipped"
    assert judge_reach(None, Trouble("NS_X", "it is gone")).what == "it is gone (NS_X)"


@pytest.mark.parametrize(
    ("finding", "verdict", "cure"),
    [
        (judge_version(vitals(version="6.2.1", kind="redis")), "fault", "northstar up"),
        (judge_version(vitals(version="7.0.0", kind="redis")), "ok", ""),
        (
            judge_eviction(vitals(eviction="volatile-ttl")),
            "fault",
            "valkey-cli -h 10.0.0.7 -p 6379 CONFIG SET maxmemory-policy noeviction",
        ),
        (
            judge_persistence(vitals(last_write_ok=False)),
            "fault",
            "valkey-cli -h 10.0.0.7 -p 6379 INFO persistence",
        ),
        (
            judge_persistence(vitals(aof_enabled=False, address="/run/s")),
            "warning",
            "valkey-cli -s /run/s CONFIG SET appendonly yes",
        ),
        (judge_persistence(vitals(fsync="")), "ok", ""),
        (judge_memory(vitals(used_bytes=79, max_bytes=100)), "ok", ""),
        (
            judge_memory(vitals(used_bytes=80, max_bytes=100)),
            "warning",
            "valkey-cli -h 10.0.0.7 -p 6379 CONFIG SET maxmemory 200",
        ),
        (
            judge_memory(vitals(used_bytes=95, max_bytes=100, address="[::1]:1")),
            "fault",
            "valkey-cli -h ::1 -p 1 CONFIG SET maxmemory 200",
        ),
        (judge_library(vitals(libraries=())), "skipped", ""),
        (judge_library(vitals(libraries=(1, 2))), "ok", ""),
        (judge_library(vitals(library_problem="another build")), "fault", "northstar version"),
    ],
)
def test_a_server_is_judged(finding: Finding, verdict: str, cure: str) -> None:
    assert (finding.verdict, finding.cure) == (verdict, cure)


@pytest.mark.parametrize(
    ("skew_ms", "asked_ms", "ahead_ms", "verdict"),
    [
        (1_999, 0, 0, "ok"),
        (2_001, 0, 0, "warning"),
        (-2_001, 0, 0, "warning"),
        (2_500, 2_000, 0, "ok"),  # the answer may have been so old
        (60_001, 0, 0, "fault"),
        (0, 0, 1_000, "ok"),
        (0, 0, 2_001, "warning"),
        (0, 0, 60_001, "fault"),
        (0, 0, -5_000, "ok"),  # a cell that nobody has called for some time
        (0, 0, None, "ok"),
    ],
)
def test_clocks_are_judged_by_what_is_sure(skew_ms: int, asked_ms: int, ahead_ms: int | None, verdict: str) -> None:
    finding = judge_clock(vitals(skew_ms=skew_ms, asked_ms=asked_ms, cell_ahead_ms=ahead_ms))
    assert finding.verdict == verdict
    assert finding.facts["skew_s"] == skew_ms / 1000
    if ahead_ms is not None and ahead_ms > 2_000:
        assert "was set back" in finding.what


def test_a_data_directory_is_judged() -> None:
    assert folder().verdict == "ok"
    assert folder(exists=False).what.startswith("/data/north star is not there yet")
    assert folder(is_folder=False).cure == "mv '/data/north star' '/data/north star'.old"
    mine = folder(refusal="Permission denied")
    assert (mine.verdict, mine.cure) == ("fault", "chmod u+rwx '/data/north star'")
    theirs = folder(refusal="Permission denied", owner=0)
    assert (theirs.verdict, theirs.cure) == ("fault", "sudo chown -R 7 '/data/north star'")
    assert folder(free_bytes=2 * GIB).verdict == "ok"
    assert folder(free_bytes=2 * GIB - 1).verdict == "warning"
    assert folder(free_bytes=256 * 1024**2 - 1).verdict == "fault"
    assert folder(owner=8).verdict == "warning"


def files(soft: int, hard: int) -> FileLimitFacts:
    return FileLimitFacts(soft=soft, hard=hard, needed=5_512, max_machines=3_000, max_clients=2_000)


def test_addresses_and_limits_are_judged() -> None:
    assert judge_address(AddressFacts(host="127.0.0.1", port=0)).verdict == "ok"
    taken = AddressFacts(host="127.0.0.1", port=8443, reason="it is in use", held_by="others")
    assert judge_address(taken).cure == "ss -ltnp 'sport = :8443'"
    assert judge_address(msgspec.structs.replace(taken, held_by="northstar")).verdict == "ok"
    other = judge_address(msgspec.structs.replace(taken, held_by="another_northstar", holder="process 7 of user bob"))
    assert (other.verdict, other.facts["holder"]) == ("fault", "process 7 of user bob")
    assert other.what.startswith(
        "another North Star, of another installation, listens on 127.0.0.1:8443: process 7 of user bob;"
    )
    assert judge_address(msgspec.structs.replace(taken, held_by="some_northstar")).verdict == "warning"
    assert judge_address(AddressFacts(host="192.0.2.1", port=80, reason="Permission denied")).verdict == "fault"
    enough = files(5_512, 5_512)
    assert judge_file_limit(enough).verdict == "ok"
    few = judge_file_limit(files(1_024, 1_048_576))
    assert (few.verdict, few.cure) == ("warning", "ulimit -n 5512")
    fixed = judge_file_limit(files(1_024, 1_024))
    assert fixed.cure == "sudo prlimit --nofile=5512:5512 --pid $$"
    assert judge_file_limit(files(256, 256)).verdict == "fault"
    assert judge_restore("").verdict == "skipped"
    assert judge_restore("a.zip").cure == "northstar restore a.zip --yes"


def test_certificates_are_judged_by_the_day() -> None:
    good = CertificateFacts(certificate="c.pem", key="k.pem", begins_s=0, ends_s=100 * DAY_S)

    def verdict(now_s: int, **changes: Any) -> str:
        return judge_certificate(msgspec.structs.replace(good, **changes), now_s=now_s).verdict

    assert verdict(79 * DAY_S) == "ok"
    assert verdict(79 * DAY_S + 1) == "warning"
    assert verdict(100 * DAY_S) == "fault"
    assert verdict(5, begins_s=6) == "fault"
    assert verdict(5, key_is_open=True) == "warning"
    assert verdict(5, reason="no key") == "fault"
    assert judge_certificate(CertificateFacts(), now_s=0).verdict == "skipped"
    assert judge_certificate(CertificateFacts(is_public=True), now_s=0).verdict == "warning"


def test_histories_and_outputs_are_judged() -> None:
    good = HistoryFacts(place="sqlite:////h.db", revision="0004", newest="0004", id="a", id_of_cell="a")

    def found(**changes: Any) -> Finding:
        return judge_history(msgspec.structs.replace(good, **changes))

    assert found().verdict == "ok"
    assert found(id_of_cell="").verdict == "ok"
    assert found(id="b", place_of_cell="elsewhere").verdict == "fault"
    assert found(is_missing=True).verdict == "fault"
    assert found(is_missing=True, id_of_cell="").verdict == "skipped"
    assert found(revision="", id="", id_of_cell="").verdict == "skipped"
    assert found(revision="0003").verdict == "warning"
    assert found(revision="0009", is_known=False).verdict == "fault"
    assert found(is_stuck=True, waiting_ms=60_000).cure == "northstar serve"
    assert "the disk is full (NS_Y)" in found(is_stuck=True, code="NS_Y", sentence="the disk is full").what
    assert found(trouble=Trouble("NS_X", "gone")).facts == {"code": "NS_X"}
    assert judge_assets("/a", trouble=None, is_missing=False).verdict == "ok"
    assert judge_assets("/a", trouble=None, is_missing=True).verdict == "skipped"
    assert judge_assets("file:///a", trouble=Trouble("NS_X", "full"), is_missing=False).cure == "df -h /a"
    assert judge_assets("s3://b/c", trouble=Trouble("NS_X", "no"), is_missing=False).cure == "aws s3 ls s3://b/c"


def test_engines_and_memberships_are_judged() -> None:
    def engine(**facts: Any) -> Finding:
        return judge_engine(EngineFacts(**{"service": "s", "kind": "http", "where": "http://h:1"} | facts))

    assert engine(said="vllm 1").what == "vllm 1 answers at http://h:1"
    assert engine(trouble=Trouble("NS_ENGINE_GONE", "away")).cure == "curl -sS http://h:1"
    assert engine(kind="command", where="x y", is_missing=True).cure == "command -v 'x y'"
    assert engine(kind="command", where="/bin/x").verdict == "ok"
    assert {engine(kind=kind).verdict for kind in ("simulated", "started")} == {"skipped"}

    def member(**facts: Any) -> Finding:
        plain = MembershipFacts(machine="m", broker="https://b", token_file="/t", has_token=True)
        return judge_membership(msgspec.structs.replace(plain, **facts))

    assert member(is_known=True).verdict == "ok"
    assert member(is_known=False).cure == "northstar agent m --join https://b --token INVITE"
    assert member(has_token=False, broker="").cure == "northstar agent m --join URL --token INVITE"
    assert member(broker="").verdict == "skipped"
    assert member(trouble=Trouble("NS_J", "no answer")).cure == "curl -sS https://b/health/live"
    assert member(trouble=Trouble("NS_R", "put out"), is_refused=True).cure.startswith("northstar agent m --join")
