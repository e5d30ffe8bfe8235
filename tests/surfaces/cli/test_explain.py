"""`northstar explain`: one command for jobs, machines and models."""

from __future__ import annotations

import json

import pytest

from tests.northstar_command import Northstar, eventually


def submit(running: Northstar, **job: object) -> None:
    running.good("submit", "-", stdin=json.dumps({"service": "copy", **job}))


def test_a_job_that_nobody_can_serve_says_why_and_what_to_type(running: Northstar) -> None:
    submit(running, id="huge", pool="standard", requires={"vram_mb": 20_000})
    shown = running.run("explain", "huge")
    assert shown.code == 0, shown
    assert "stuck     nobody can run it as things are: no machine fits now: local has 0 MB of VRAM" in shown.out
    assert "northstar machines invite --pool standard" in shown.out
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
    assert "northstar machines fetch local flux.safetensors --from URL --sha256 HEX" in shown


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
