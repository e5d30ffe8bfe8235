"""`northstar simulate`: what a fleet would do with a workload, before anybody pays for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from northstar import __version__
from northstar.surfaces.cli.interrupting import Interrupted, interruptible
from northstar.surfaces.cli.options import AsJson, run
from northstar.surfaces.cli.printing import counted, print_aside, print_json

if TYPE_CHECKING:
    from northstar.simulation.scenario.run_file import RunFile, RunKey, RunLine
    from northstar.simulation.scenario.running import ScenarioRuns


def simulate(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO.yaml", help="What is simulated.", dir_okay=False)],
    seed: Annotated[
        list[int] | None,
        typer.Option("--seed", metavar="N", min=0, max=2**63 - 1, help="In place of the scenario's seeds."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", dir_okay=False, help="Write each run down as it ends: a line of JSON."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the file of --out: runs that are in it are not made again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Simulate a fleet: the deployed broker on a virtual clock, with the jobs, machines and faults of a scenario.

    Each seed of the scenario is a run with each of its policies. The same seed gives the same results, byte for byte on the same platform and
    C library. Ctrl-C ends it; what is in the file of --out stays, and --resume goes on from there.
    """
    from northstar.domain.errors import InvalidRequest
    from northstar.simulation.scenario.policies import POLICIES
    from northstar.simulation.scenario.reading import read_scenario
    from northstar.simulation.scenario.run_file import Heading, RunKey
    from northstar.simulation.scenario.running import ScenarioRuns
    from northstar.surfaces.cli.simulate_text import show_results

    if resume and out is None:
        raise InvalidRequest("--resume goes on with a file: name it with --out FILE")
    read = read_scenario(scenario, policies=POLICIES)
    about = read.scenario.about
    runs = ScenarioRuns(read)
    keys = [
        RunKey(one, policy) for one in dict.fromkeys(seed or read.scenario.seeds) for policy in read.scenario.policies
    ]
    heading = Heading(scenario=read.digest(), about=about, northstar=__version__)
    file = _opened(out, heading, resume=resume)
    try:
        made = run(interruptible(_make(runs, keys, file)))
    except Interrupted as exc:
        _say_interrupted(file, keys)
        raise typer.Exit(exc.exit_code) from exc
    finally:
        if file is not None:
            file.close()
    lines = [made[key] for key in keys]
    if as_json:
        print_json({"scenario": heading.scenario, "about": about, "northstar": __version__, "runs": lines})
    else:
        show_results(about, lines)


def _opened(out: Path | None, heading: object, *, resume: bool) -> RunFile | None:
    from northstar.simulation.scenario.run_file import Heading, RunFile

    if out is None:
        return None
    assert isinstance(heading, Heading)  # noqa: S101 -- said to the type checker
    return RunFile.resumed(out, heading) if resume else RunFile.begun(out, heading)


async def _make(runs: ScenarioRuns, keys: list[RunKey], file: RunFile | None) -> dict[RunKey, RunLine]:
    """Every run that the file does not have."""
    from northstar.simulation.scenario.progress import Tally
    from northstar.simulation.scenario.run_file import RunLine
    from northstar.surfaces.cli.simulate_progress import shown_while_running

    made = {} if file is None else {key: file.done[key] for key in keys if key in file.done}
    if made:
        print_aside(f"in the file already: {len(made)} of {counted(len(keys), 'run')}")
    with shown_while_running(len(keys)) as show:
        for number, key in enumerate(keys, start=1):
            if key in made:
                continue
            show.prepares(number, key)
            prepared = await runs.prepare(key.seed)
            tally = Tally(from_ms=prepared.from_ms, until_ms=prepared.until_ms)
            show.begins(prepared.survey.jobs, tally)
            result = await runs.run(key, tally=tally, progress=show.goes)
            made[key] = RunLine(seed=key.seed, policy=key.policy, result=result)
            if file is not None:
                file.add(made[key])
            show.ends(result)
    return made


def _say_interrupted(file: RunFile | None, keys: list[RunKey]) -> None:
    if file is None:
        sys.stderr.write("interrupted; nothing was written down, since no file was named with --out\n")
        return
    done = sum(key in file.done for key in keys)
    if not done:
        sys.stderr.write("interrupted before the first run was over; nothing was written down\n")
        return
    sys.stderr.write(f"interrupted; in {file.path}: {done} of {counted(len(keys), 'run')}; go on with --resume\n")
