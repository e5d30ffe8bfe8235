"""`northstar explain`: one command for jobs, machines and models."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.northstar_command import Northstar, eventually


def submit(running: Northstar, **job: object) -> None:
    running.good("submit", "-", stdin=json.dumps({"service": "copy", **job}))


def test_a_job_that_nobody_can_serve_says_why_and_what_to_type(running: Northstar) -> None:
    submit(running, id="huge", pool="standard", requires={"vram_mb": 20_000})
    shown = running.run("explain", "huge")
    assert shown.code == 0, shown
    assert "stuck     nobody can run it as things are: no machine fits now: local has 0 MB of VRAM" in shown.out
    assert "northstar machines invite --url URL --pool standard" in shown.out
    assert running.run("jobs", "cancel", "huge").code == 0


def test_for_programs_the_same_is_json(running: Northstar) -> None:
    """The typed explanation, and the lines that are made of it."""
    submit(running, id="large", pool="standard", requires={"vram_mb": 20_000})
    told = running.good("explain", "large", "--job")
    assert told["kind"] == "job"
    (group,) = told["explanation"]["machines"]["shown"]
    assert group["reason"] == {
        "code": "does_not_fit",
        "lacks": [{"need": "vram", "says": "has 0 MB of VRAM, the job needs 20000"}],
    }
    assert told["lines"][0]["about"] == "job"
    assert running.run("jobs", "cancel", "large").code == 0


def test_a_finished_job_tells_its_story(running: Northstar) -> None:
    submit(running, id="done")
    assert running.run("submit", "-", "--wait", stdin=json.dumps({"service": "copy"})).code == 0

    def is_done() -> bool:
        return bool(running.good("explain", "done")["explanation"]["status"] == "succeeded")

    eventually(is_done, what="the job has succeeded")
    assert "succeeded on local" in running.run("explain", "done").out


def test_an_idle_machine_says_why(running: Northstar) -> None:
    eventually(
        lambda: running.good("explain", "local")["explanation"]["code"] == "nothing_waits", what="the machine is idle"
    )
    assert "machine   local: nothing waits in the cell" in running.run("explain", "local").out
    running.good("machines", "drain", "local")
    shown = running.run("explain", "local").out
    running.good("machines", "drain", "local", "--undo")
    assert "it drains" in shown
    assert "northstar machines drain local --undo" in shown


def test_a_model_that_is_nowhere_says_so_when_it_is_asked_for_as_a_model(running: Northstar) -> None:
    shown = running.run("explain", "flux.safetensors", "--model").out
    assert "model     flux.safetensors: no machine holds it" in shown
    assert "northstar models add URL --name flux.safetensors\n" in shown
    assert "northstar machines fetch" not in shown, "the machine of this North Star keeps no models folder"
    assert "not on    local: keeps no models folder, so its engine must have it itself" in shown


def test_commands_to_type_mean_the_same_north_star_as_the_one_that_told_of_them(running: Northstar) -> None:
    """With the options as they were given, and typed as they are told."""
    running.good(
        "models",
        "add",
        "https://models.example/xl.safetensors",
        "--name",
        "xl.safetensors",
        "--alias",
        "xl",
        "--kind",
        "checkpoint",
    )
    place = ("--data-dir", str(running.data_dir), "--config", str(running.folder / "northstar.toml"))
    shown = running.run("explain", "xl", "--model", *place).out
    command = f"northstar machines show --config {place[3]} --data-dir {place[1]} local"
    by_hand = "put xl.safetensors where the engine of local finds it, or give local a models folder (models.root)"
    assert f"to do     {by_hand}: {command}\n" in shown
    assert "xl is another name of xl.safetensors" in shown
    looked = running.run(*shlex.split(command)[1:], NORTHSTAR_CONFIG="", NORTHSTAR_DATA_DIR="/nowhere")
    assert looked.code == 0, looked
    ordered = running.run("machines", "fetch", "local", "xl.safetensors")
    assert ordered.err.startswith("NS_MACHINE_KEEPS_NO_MODELS: machine local keeps no models folder")
    running.good("models", "remove", "xl.safetensors", "--yes")


def test_a_job_that_nobody_can_serve_says_so_at_submit_before_anybody_waits(running: Northstar) -> None:
    """On the standard error: the results belong to whoever reads the other one."""
    asks = {"service": "copy", "pool": "standard", "requires": {"vram_mb": 20_000}}
    told = running.run("submit", "-", "--wait", "--timeout", "0.1", stdin=json.dumps([asks | {"id": "v1"}, asks]))
    first, remedy, waiting, *_ = told.err.splitlines()
    assert first == (
        "v1 and 1 more wait: nobody can run it as things are: "
        "no machine fits now: local has 0 MB of VRAM, the job needs 20000"
    )
    assert remedy == (
        "  to do: let a machine join pool standard that offers service copy, has 20000 MB of VRAM and has 120 GB of disk for models (if it keeps any); the closest, "
        "local, has 0 MB of VRAM, the job needs 20000: northstar machines invite --url URL --pool standard"
    )
    assert waiting.startswith("waiting for v1, job_")
    (job,) = running.good("submit", "-", stdin=json.dumps(asks | {"id": "v2"}))["jobs"]
    assert job["actions"][0]["command"] == "northstar machines invite --url URL --pool standard"
    running.run("jobs", "cancel", "v1", "v2")


def test_a_pause_that_keeps_a_job_is_told_at_submit(running: Northstar) -> None:
    """Whoever waits knows what for, and who may end it."""
    running.good("pause", "pool:standard", "--because", "upkeep")
    told = running.run("submit", "-", stdin=json.dumps({"service": "copy", "id": "p1", "pool": "standard"}))
    running.good("resume", "pool:standard")
    assert told.err == (
        "p1 waits: pool standard is paused: upkeep\n"
        "  to do: end the pause of pool:standard: northstar resume pool:standard\n"
    )


def test_what_was_decided_is_told_of_a_finished_job_too(running: Northstar) -> None:
    """With the machine that was meant and its time, as it was at submit."""
    assert running.run("submit", "-", "--wait", stdin=json.dumps({"service": "copy", "id": "f1"})).code == 0
    told = running.good("explain", "f1")["explanation"]
    assert [one["machine"] for one in told["decision"]["machines"]["best"]] == ["local"]
    shown = running.run("explain", "f1").out
    assert "local would have had it done first, in about" in shown
    assert "\nnow " not in shown


def test_a_command_that_does_not_stay_shows_no_news_from_its_inside(running: Northstar) -> None:
    """What is logged at level info is for those who run a service."""
    told = running.run("submit", "-", stdin=json.dumps({"service": "copy", "id": "quiet"}))
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines()[0].startswith("quiet  queued in ")
    assert len(told.out.splitlines()) == 2


def test_a_name_of_several_things_has_to_be_made_clear(running: Northstar) -> None:
    submit(running, id="local")
    refused = running.run("explain", "local")
    assert refused.code == 2
    assert refused.err == (
        "NS_NAME_AMBIGUOUS: 'local' may be a job and a machine: say which is meant by one of --job, --machine\n"
    )
    assert running.good("explain", "local", "--machine")["kind"] == "machine"
    assert running.good("explain", "local", "--job")["kind"] == "job"


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("nobody",), 3, "NS_NOTHING_KNOWN: nothing is known of 'nobody'"),
        (("nobody", "--job"), 3, "NS_NO_SUCH_JOB"),
        (("nobody", "--machine"), 3, "NS_NO_SUCH_MACHINE"),
        (("nobody", "--job", "--machine"), 2, "NS_NAME_AMBIGUOUS"),
        (("x" * 5_000, "--job"), 2, "NS_"),
        (("",), 3, "NS_NOTHING_KNOWN"),
    ],
)
def test_what_is_not_there_is_refused_with_a_code_and_a_sentence(
    running: Northstar, arguments: tuple[str, ...], code: int, word: str
) -> None:
    refused = running.run("explain", *arguments)
    assert (refused.code, refused.out) == (code, "")
    assert word in refused.err


SLOW = """
[[machines]]
name = "local"
pools = ["standard"]
gpus = 0
services = ["copy"]

[services.copy]
connector = "command"
arguments = ["@python", "-I", "-S", "COPY"]
warm_up = { until = "READY" }
expects = ["text/plain"]
"""


def test_before_its_machine_is_ready_nobody_says_that_nobody_can_serve(tmp_path: Path) -> None:
    """`northstar up` takes jobs at once, and its machine when its engine has answered."""
    northstar = Northstar(tmp_path / "up", settings=SLOW.replace("READY", str(tmp_path / "ready")))
    with northstar.up():
        told = northstar.run("submit", "-", stdin=json.dumps({"service": "copy", "id": "a"}))
        assert told.err == "a waits: no machine that fits is ready yet; local is getting ready\n"
        shown = northstar.run("explain", "a").out
        assert "soon      no machine that fits is ready yet; local is getting ready\n" in shown
        assert "stuck" not in shown
        assert "local: it was started with North Star on this host, and its engines have not" in (
            northstar.run("explain", "local").out
        )
        never = northstar.run(
            "submit", "-", stdin=json.dumps({"service": "copy", "id": "b", "requires": {"vram_mb": 8_000}})
        )
        assert "b waits: nobody can run it as things are: no machine is here" in never.err
        (tmp_path / "ready").touch()
        northstar.until_machines("local")
        eventually(
            lambda: bool(northstar.good("explain", "a")["explanation"]["status"] == "succeeded"), what="a has run"
        )
        shown = northstar.run("explain", "a").out
        assert "then      when it was routed anew, at" in shown
        assert "local would have had it done first" in shown
