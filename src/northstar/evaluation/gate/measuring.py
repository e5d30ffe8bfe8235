"""Running the gate's scenarios: one seed here, or many of them side by side in processes of their own."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from northstar import telemetry
from northstar.evaluation.agreed.running import run_scenario
from northstar.evaluation.gate.errors import GateUnknownScenario
from northstar.evaluation.gate.figures import figures_of
from northstar.simulation.scenario.policies import POLICIES
from northstar.simulation.scenario.reading import ReadScenario, read_scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: The scenarios that come with North Star.
FOLDER: Final = Path(__file__).parent / "scenarios"
#: Their limits.
LIMITS: Final = Path(__file__).parent / "limits.json"


def gate_scenarios(names: Sequence[str] = ()) -> dict[str, ReadScenario]:
    """The scenarios by name; of these names, or all of them. Raises GateUnknownScenario, and what `read_scenario` does."""
    files = {file.stem: file for file in sorted(FOLDER.glob("*.yaml"))}
    for name in names:
        if name not in files:
            raise GateUnknownScenario(name, tuple(files))
    return {name: read_scenario(files[name], policies=POLICIES) for name in dict.fromkeys(names or files)}


async def gate_figures(read: ReadScenario, seed: int) -> dict[str, float]:
    """The figures of one run. Raises what `run_scenario` does."""
    (run,) = await run_scenario(read, seeds=(seed,))
    return figures_of(run)


def measured_side_by_side(
    names: Sequence[str], seeds: Iterable[int], *, processes: int, tells: Callable[[str, int], None] = lambda *_: None
) -> dict[str, dict[int, dict[str, float]]]:
    """Figures of every scenario with every seed: scenario -> seed -> figures. `tells` hears of each run as it is over.

    Each run is made in one of so many processes, with a server of its own; what they come to does not depend on how many there are.

    Raises:
        What `gate_figures` does; the rest is then not begun.
    """
    wanted = [(name, seed) for name in names for seed in seeds]
    found: dict[str, dict[int, dict[str, float]]] = {name: {} for name in names}
    # Begun anew and not forked: whoever calls may have threads and a loop.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_quietly) as pool:
        runs = [(name, seed, pool.submit(_measured, name, seed)) for name, seed in wanted]
        try:
            for name, seed, run in runs:
                found[name][seed] = run.result()
                tells(name, seed)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return found


def _quietly() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who began it all ends it all
    telemetry.configure_late(level="error")  # what faults make machines say is meant


def _measured(name: str, seed: int) -> dict[str, float]:
    return asyncio.run(gate_figures(gate_scenarios([name])[name], seed))
