"""The comparison with other queues: one real server, real processes, and a failure that stays with its peer."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from benchmarks.measure import Sample
from benchmarks.peers import report, suite
from benchmarks.peers.environments import PROJECT
from benchmarks.peers.failures import PeerFailed
from benchmarks.peers.processes import Process
from benchmarks.peers.roster import FLOOR, NORTHSTAR, Peer, peers
from benchmarks.peers.rounds import Drain, Latency, Plan, Round, take_round
from benchmarks.peers.server import Server, started
from benchmarks.peers.tally import TallyReader, TallyWriter

TINY = Plan(submits=20, jobs_share=0.01, paced=5, paced_interval_ms=5, cold=1, cold_interval_ms=50)
(THE_FLOOR,) = peers([FLOOR])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with started(tmp_path) as running:
        yield running


def a_peer(name: str, *, delivery: str = "at-least-once") -> Peer:
    return Peer(
        name=name, delivery=delivery, adapter=name, environment=PROJECT, concurrency=1, jobs=100, setup="as it comes"
    )


def a_round(*, drain_per_s: float, p50_ms: float = 1.0, p99_ms: float = 2.0, others_cores: float = 0.0) -> Round:
    drain = Drain(
        jobs_per_s=drain_per_s,
        from_ready_per_s=drain_per_s,
        repeated=0,
        worker_us_per_job=10.0,
        server_us_per_job=1.0,
    )
    return Round(
        submit_per_s=Sample(value=1000.0, others_cores=others_cores),
        bulk_per_s=Sample(value=5000.0, others_cores=others_cores),
        drain=Sample(value=drain, others_cores=others_cores),
        idle=Sample(value=Latency(p50_ms=p50_ms, p99_ms=p99_ms), others_cores=others_cores),
        cold_ms=(1.0, 3.0),
        versions={"thing": "1.0"},
    )


def test_a_round_measures_every_figure_with_real_processes(server: Server, tmp_path: Path) -> None:
    taken = take_round(THE_FLOOR, server, TINY, folder=tmp_path)
    assert taken.submit_per_s.value > 0
    assert taken.bulk_per_s.value > 0
    assert taken.drain.value.jobs_per_s > 0
    assert taken.drain.value.repeated == 0
    assert 0 < taken.idle.value.p50_ms <= taken.idle.value.p99_ms
    assert len(taken.cold_ms) == TINY.cold
    assert "valkey" in taken.versions


def test_a_peer_that_fails_is_named_with_its_reason_and_the_others_go_on(server: Server, tmp_path: Path) -> None:
    rounds: list[Round] = []
    failed: dict[str, str] = {}
    broken = msgspec.structs.replace(THE_FLOOR, name="broken", adapter="nobody_wrote_this")
    suite._take(broken, server, TINY, rounds=rounds, failed=failed, folder=tmp_path)
    suite._take(THE_FLOOR, server, TINY, rounds=rounds, failed=failed, folder=tmp_path)
    assert failed.keys() == {"broken"}
    assert "nobody_wrote_this" in failed["broken"]
    assert len(rounds) == 1


def test_a_process_that_ends_early_is_told_with_what_it_said_last(tmp_path: Path) -> None:
    complaint = ["sh", "-c", "echo out of luck >&2; exit 3"]
    with Process("sulker", complaint, folder=tmp_path) as process, pytest.raises(PeerFailed) as caught:
        process.wait_until(lambda: False, timeout_s=10, what="smile")
    assert str(caught.value) == "sulker ended early with status 3; it said last: out of luck"


def test_a_process_that_keeps_one_waiting_is_given_up(tmp_path: Path) -> None:
    with Process("sleeper", ["sleep", "60"], folder=tmp_path, answers=True) as process:
        with pytest.raises(PeerFailed, match=r"sleeper did not wake up within 0\.05 s"):
            process.wait_until(lambda: False, timeout_s=0.05, what="wake up")
        with pytest.raises(PeerFailed, match=r"sleeper did not answer 'open' within 0\.05 s"):
            process.ask("open", within_s=0.05)


def test_a_stopped_process_leaves_no_child_of_its_own(tmp_path: Path) -> None:
    child = tmp_path / "child"
    brood = ["sh", "-c", 'sleep 60 & echo $! > "$0"; wait', str(child)]
    with Process("parent", brood, folder=tmp_path) as process:
        process.wait_until(
            lambda: child.exists() and child.read_text().strip() != "", timeout_s=10, what="have a child"
        )
    state = Path(f"/proc/{int(child.read_text())}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"
    assert process._popen.returncode in (-signal.SIGTERM, -signal.SIGKILL)


def test_the_harness_reads_what_a_worker_counted_in_the_order_of_its_slots(tmp_path: Path) -> None:
    reader = TallyReader(tmp_path / "tally", 10)
    writer = TallyWriter(reader.path)
    assert reader.ready_ns == 0
    assert not reader.has(0, 1)
    writer.ready()
    for number in (7, 2**62, 0):
        writer.count(number)
    assert reader.has(0, 3)
    assert not reader.has(0, 4)
    records = reader.records(0, 5)
    assert [number for number, _ in records] == [7, 2**62, 0]
    assert reader.ready_ns <= records[0][1] <= records[2][1]
    reader.close()


def test_the_report_marks_at_most_once_peers_and_gives_multiples_of_the_best_queue_but_not_of_the_floor() -> None:
    floor, slow, fast = a_peer(FLOOR, delivery="at-most-once"), a_peer("slow"), a_peer("fast")
    rounds = {
        FLOOR: [a_round(drain_per_s=30_000)],
        "slow": [a_round(drain_per_s=1000)],
        "fast": [a_round(drain_per_s=4000)],
    }
    text = report.text([floor, slow, fast], rounds, plan=TINY, server="Valkey 9", skipped={"bullmq-node": "no Node"})
    assert re.search(r"raw-list +\| \*\* at-most-once \*\*", text)
    assert "| slow     | 1.00     | 1.00   | 0.25" in text
    assert "| raw-list | 1.00     | 1.00   | 7.50" in text
    assert "bullmq-node: not measured, no Node" in text
    assert "goal" not in text


def test_noisy_samples_are_counted_in_the_report() -> None:
    rounds = {"slow": [a_round(drain_per_s=1000), a_round(drain_per_s=900, others_cores=1.0)]}
    text = report.text([a_peer("slow")], rounds, plan=TINY, server="Valkey 9", skipped={})
    assert "950 (900-1000)" in text
    assert "| 1/1/1/1 |" in text


@pytest.mark.parametrize(("drain_per_s", "verdict"), [(8000, "goal held"), (7000, "GOAL MISSED")])
def test_north_star_s_goals_are_judged_against_the_rivals_of_the_same_run(drain_per_s: float, verdict: str) -> None:
    rounds = {
        NORTHSTAR: [a_round(drain_per_s=drain_per_s, p50_ms=0.5, p99_ms=3.0)],
        "taskiq": [a_round(drain_per_s=4000, p50_ms=0.9, p99_ms=1.4)],
    }
    text = report.text([a_peer(NORTHSTAR), a_peer("taskiq")], rounds, plan=TINY, server="Valkey 9", skipped={})
    assert f"{verdict}: drain {drain_per_s / 4000:.2f} times taskiq's" in text
    assert "goal held: p50 ms 0.50 against 0.90 of taskiq" in text
    assert "GOAL MISSED: p99 ms 3.00 against 1.40 of taskiq" in text


def test_a_name_that_nobody_has_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match=r"no peer is called kafka; there are .*taskiq-streams"):
        peers(["kafka"])
