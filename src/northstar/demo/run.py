"""The demonstration from beginning to end: everything embedded, real work, simulated work beside it, one failure, one killed machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import ClassVar, Final

import msgspec
from rich.console import Console

from northstar import telemetry
from northstar.assembly.front import OpenDoor
from northstar.assembly.machines import LocalMachines
from northstar.assembly.session import new_id
from northstar.assembly.stack import Stack, running_stack
from northstar.broker.job_views import look_at
from northstar.broker.submission import Submitter
from northstar.config import CommandService, Settings, load
from northstar.config.pools import packaged_pools
from northstar.demo.closing import print_closing, print_end
from northstar.demo.clumsy_painter import has_met
from northstar.demo.commission import COMMISSIONS, LOST
from northstar.demo.display import Display
from northstar.demo.finding_it import activation
from northstar.demo.gallery import write_gallery
from northstar.demo.outcome import Outcome, collect
from northstar.demo.parts import require
from northstar.demo.progress_board import ProgressBoard
from northstar.demo.reason import read_reasons
from northstar.demo.simulated_work import SIMULATED, SIMULATED_WORK, TIME_LAPSE
from northstar.domain.errors import InvalidRequest, NorthstarError
from northstar.store.assets import AssetStore
from northstar.store.history import CostReader, Costs, HistoryReader
from northstar.store.snapshots import read_snapshot

#: Ten times what it takes; only a fault can make it longer.
_LIMIT_S: Final = 150.0
_KILL_AT: Final = 0.3
_WIDTH_OF_A_PIPE: Final = 190
#: Real work first, then that of the simulated machines.
ALL_WORK: Final = (*COMMISSIONS, *SIMULATED_WORK)


class DemoTooLong(NorthstarError):
    """The demonstration did not end by itself."""

    code: ClassVar[str] = "NS_DEMO_TIMEOUT"

    def __init__(self) -> None:
        super().__init__(f"the demonstration was not over after {_LIMIT_S:g} s; is the machine very busy?")


class ResultsUnwritable(InvalidRequest):
    """The folder for the results cannot be made or written."""

    code: ClassVar[str] = "NS_DEMO_OUT_UNWRITABLE"

    def __init__(self, out: Path, reason: str) -> None:
        super().__init__(f"results cannot be written to {out}: {reason}")


class Haste:
    """What a second signal asks for: that the machines end now. They have nothing that anybody would miss."""

    def __init__(self) -> None:
        self._wanted = False
        self._machines: LocalMachines | None = None

    def over(self, machines: LocalMachines) -> None:
        """These run now."""
        self._machines = machines
        if self._wanted:
            machines.hurry()

    def hurry(self) -> None:
        """End them at once, and those that are still being started as soon as they are there."""
        self._wanted = True
        if self._machines is not None:
            self._machines.hurry()


async def run_demo(out: Path, *, open_door: OpenDoor, haste: Haste) -> int:
    """Run it, write the results to `out`, and give the exit code: 0 only if every result passed its inspection.

    Raises:
        DemoPartMissing: the packages of the extra `demo` are not installed. ResultsUnwritable, DemoTooLong.
    """
    for package in ("gguf", "xllamacpp"):
        require(package)
    try:
        await asyncio.to_thread(out.mkdir, parents=True, exist_ok=True)
        log = (out / "demo.log").open("w")
    except OSError as exc:
        raise ResultsUnwritable(out, exc.strerror or str(exc)) from exc
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE)
    display = Display(console)
    with log, tempfile.TemporaryDirectory(prefix="northstar-demo-") as folder:
        telemetry.configure(level="warning", stream=log)
        try:
            async with asyncio.timeout(_LIMIT_S):
                outcomes, costs = await _perform(
                    _settings(Path(folder)), display, out=out, open_door=open_door, haste=haste
                )
        except TimeoutError as exc:
            raise DemoTooLong from exc
    print_closing(console, outcomes, costs, packaged_pools())
    index = await asyncio.to_thread(write_gallery, out, outcomes, costs, seconds=display.seconds)
    first = activation(shutil.which("northstar"), prefix=Path(sys.prefix), here=Path.cwd())
    return print_end(console, outcomes, seconds=display.seconds, index=index, activation=first)


def _settings(folder: Path) -> Settings:
    """The demonstration's own settings; those of the user do not matter to it."""
    with resources.as_file(resources.files("northstar.demo").joinpath("demo.toml")) as file:
        settings = load(environment={}, file=file, options={"data_dir": str(folder / "data")})
    memory = folder / "memory"
    memory.mkdir()
    has_met(memory, "a star")  # the warm-up is no work to fail at
    clumsy = settings.services["fresco"]
    if not isinstance(clumsy, CommandService):
        raise TypeError("the service fresco is a command")
    clumsy = msgspec.structs.replace(clumsy, environment={"NORTHSTAR_DEMO_MEMORY": str(memory)})
    return msgspec.structs.replace(settings, services=settings.services | {"fresco": clumsy})


async def _perform(
    settings: Settings, display: Display, *, out: Path, open_door: OpenDoor, haste: Haste
) -> tuple[list[Outcome], Costs]:
    count = len(settings.machines)
    simulated = sum(SIMULATED in machine.services for machine in settings.machines)
    display.say(f"North Star starts: an embedded Valkey, the broker, the history, {count} machines")
    async with running_stack(settings, open_door=open_door, restart_machines=None) as stack:
        haste.over(stack.machines)
        display.say(f"server: {stack.facts.sentence()}; broker: {stack.front.url}, which the machines dial")
        await _machines_ready(stack)
        display.say("machines: two painters (a program), one storyteller (llama.cpp with a tiny model), all warmed up")
        display.say(
            f"and {simulated} simulated machines: their GPUs are only declared, their work takes time and makes nothing, "
            f"{TIME_LAPSE} seconds of it in one"
        )
        board = ProgressBoard(stack.cell, ALL_WORK, tell=display.say)
        with display.showing(board):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(board.follow())
                tasks.create_task(_kill_a_machine(stack, board, display))
                tasks.create_task(_watch_for_failure(stack, board))
                await board.listening()
                await _submit(stack, display)
        return await _outcomes(stack, out=out)


async def _submit(stack: Stack, display: Display) -> None:
    routing = stack.routing
    submitter = Submitter(
        stack.cell, new_id=new_id, monotonic=time.monotonic, catalogue=routing.catalogue, router=routing.router()
    )
    await submitter.submit([commission.request for commission in ALL_WORK])
    reasons = (await read_reasons(stack.cell, _ids())).values()
    tenants = {commission.request.tenant for commission in ALL_WORK}
    display.say(f"{len(ALL_WORK)} jobs of {len(tenants)} tenants submitted in one call, and none names a pool")
    chosen = Counter(reason.pool for reason in reasons)
    display.say(f"the router chose: {', '.join(f'{pool} {count}' for pool, count in chosen.items())}")
    display.say(f"ask it why while this runs: northstar explain {LOST} --data-dir {stack.settings.data_path}")


async def _machines_ready(stack: Stack) -> None:
    """All have answered their warm-up and registered. A machine that died instead ends the demonstration at once."""
    wanted = {machine.name for machine in stack.settings.machines}
    while True:
        present = set((await read_snapshot(stack.cell.client, stack.cell.keys)).machines)
        if wanted <= present:
            return
        await asyncio.sleep(0.05)


async def _kill_a_machine(stack: Stack, board: ProgressBoard, display: Display) -> None:
    machine = await board.until_at_work(LOST, fraction=_KILL_AT)
    if not machine:  # it failed, and the table will say so
        return
    os.kill(stack.machines.pids[machine], signal.SIGKILL)
    display.say(f"{machine} is killed (kill -9) with {LOST!r} a third done; nobody tells the broker")


async def _watch_for_failure(stack: Stack, board: ProgressBoard) -> None:
    while not all(row.is_final for row in board.rows.values()):
        if stack.failure.done():
            stack.failure.result()
        await asyncio.sleep(0.2)


async def _outcomes(stack: Stack, *, out: Path) -> tuple[list[Outcome], Costs]:
    history = HistoryReader(stack.history, cell=stack.cell.name)
    assets = AssetStore(stack.settings.assets_url)
    ids = _ids()
    views = {view.id: view for view in await look_at(stack.cell, ids, results=True)}
    reasons = await read_reasons(stack.cell, ids)
    outcomes = [
        await collect(commission, views[job_id], reason=reasons[job_id], history=history, assets=assets, out=out)
        for commission, job_id in zip(ALL_WORK, ids, strict=True)
    ]
    since_ms = min(outcome.submitted_ms for outcome in outcomes)
    now_ms = (await stack.cell.inspect(())).now_ms
    costs = CostReader(stack.history, cell=stack.cell.name)
    return outcomes, await costs.costs(since_ms=since_ms, until_ms=now_ms, by="pool")


def _ids() -> list[str]:
    return [commission.request.id or "" for commission in ALL_WORK]
