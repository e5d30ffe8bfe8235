"""All peers, one server, rounds interleaved; noisy rounds taken again, failed peers named, the others still measured."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.contract import Options, Outcome
from benchmarks.measure import interleaved
from benchmarks.peers import report
from benchmarks.peers.environments import absent, prepare
from benchmarks.peers.failures import EnvironmentMissing
from benchmarks.peers.roster import Peer, peers
from benchmarks.peers.rounds import FULL, QUICK, Plan, Round, take_round
from benchmarks.peers.server import SETTINGS, Server, started
from northstar.domain.errors import NorthstarError

#: How often a noisy round is taken again before its quietest figures are kept and marked.
REPEATS = 2


def measure_peers(options: Options) -> Outcome:
    """Measure every wanted peer that this machine can run, and set them side by side."""
    try:
        wanted = peers(options.peers)
    except ValueError as error:
        return Outcome(text="", figures={}, failures=(str(error),))
    skipped = {peer.name: reason for peer in wanted if (reason := absent(peer.environment))}
    failed: dict[str, str] = {}
    ready = [peer for peer in wanted if peer.name not in skipped and _prepared(peer, failed)]
    plan = QUICK if options.quick else FULL
    rounds: dict[str, list[Round]] = {peer.name: [] for peer in ready}
    with tempfile.TemporaryDirectory(prefix="northstar-bench-") as name, started(Path(name)) as server:
        for number, peer in interleaved(ready, options.rounds):
            if peer.name not in failed:
                _say(f"round {number + 1} of {options.rounds}: {peer.name}")
                _take(peer, server, plan, rounds=rounds[peer.name], failed=failed, folder=Path(name))
        version = server.version
    measured = [peer for peer in ready if peer.name not in failed]
    return Outcome(
        text=report.text(measured, rounds, plan=plan, server=f"Valkey {version}, {_settings()}", skipped=skipped),
        figures={
            "rounds": msgspec.to_builtins(rounds),
            "skipped": skipped,
            "failed": failed,
            "valkey": version,
            "targets": report.targets(measured, rounds),
        },
        failures=tuple(f"{name}: {complaint}" for name, complaint in failed.items()),
    )


def _prepared(peer: Peer, failed: dict[str, str]) -> bool:
    try:
        prepare(peer.environment)
    except EnvironmentMissing as error:
        failed[peer.name] = str(error)
    return peer.name not in failed


def _take(peer: Peer, server: Server, plan: Plan, *, rounds: list[Round], failed: dict[str, str], folder: Path) -> None:
    try:
        best = take_round(peer, server, plan, folder=folder)
        for _ in range(REPEATS):
            if best.quiet:
                break
            best = best.quietest_of(take_round(peer, server, plan, folder=folder))
        rounds.append(best)
    except NorthstarError as error:
        failed[peer.name] = str(error)
        _say(f"{peer.name} failed: {error}")


def _settings() -> str:
    return ", ".join(f"{key} {SETTINGS[key]}" for key in ("appendonly", "appendfsync"))


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
