"""What a program can do wrong, and what it must not be able to do."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from northstar.connectors.command import CommandConnector, CommandSettings
from northstar.connectors.command_process import CommandLimits
from northstar.connectors.contract import ConnectorResult
from northstar.connectors.errors import (
    EmptyOutput,
    EngineError,
    EngineGone,
    EngineMisconfigured,
    EngineRejected,
    EngineTimeout,
    LimitExceeded,
    MalformedAnswer,
    OutputMissing,
    ProgramFailed,
    ProgramFailedForNow,
)
from northstar.domain.progress import Progress
from tests.connectors.conformance import hear_nothing
from tests.connectors.conftest import MakeJob
from tests.connectors.processes import is_alive, launchers, until

MIB = 1024 * 1024
Program = Callable[..., CommandConnector]


def program(script: str, *arguments: str, **settings: object) -> CommandConnector:
    """A connector for a Python script; most of them leave a text."""
    return CommandConnector(
        CommandSettings(
            service="script",
            arguments=(sys.executable, "-c", dedent(script).replace("{", "{{").replace("}", "}}"), *arguments),
            warm_up={},
            **({"expects": ("text/*",), "grace_s": 0.3} | settings),  # type: ignore[arg-type]
        )
    )


async def run(
    connector: CommandConnector, make_job: MakeJob, payload: dict[str, object] | None = None
) -> ConnectorResult:
    async with asyncio.timeout(20.0):
        return await connector.run(make_job(payload or {}), hear_nothing)


def text_of(result: ConnectorResult) -> str:
    (output,) = result.outputs
    assert output.path is not None
    return output.path.read_text()


async def test_values_reach_the_program_as_they_are_and_no_shell_sees_them(make_job: MakeJob) -> None:
    connector = program(
        "import sys; open('out/a.txt','w').write('|'.join(sys.argv[1:]))", "--prompt={prompt}", "{steps}", "{fast}"
    )
    payload = {"prompt": "-rf $(id) `id`; 'x' \"y\" \\ | * ☆", "steps": 4, "fast": True}
    result = await run(connector, make_job, payload)
    assert text_of(result) == f"--prompt={payload['prompt']}|4|true"


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ({}, "`prompt` is missing"),
        ({"prompt": None}, "`prompt` must be a string, a number or a boolean"),
        ({"prompt": ["a"]}, "`prompt` must be a string"),
        ({"prompt": "-o/etc/passwd"}, "`prompt` must not begin with a dash"),
        ({"prompt": "a\0b"}, "no NUL"),
        ({"prompt": "x" * 9_000}, "at most 8192 characters"),
    ],
)
async def test_a_value_that_is_no_plain_argument_is_rejected(
    make_job: MakeJob, payload: dict[str, object], sentence: str
) -> None:
    with pytest.raises(EngineRejected, match=sentence):
        await run(program("", "{prompt}"), make_job, payload)


async def test_a_dash_in_front_is_for_operators_to_allow(make_job: MakeJob) -> None:
    connector = program(
        "import sys; open('out/a.txt','w').write(sys.argv[1])", "{offset}", may_lead_with_dash=frozenset({"offset"})
    )
    assert text_of(await run(connector, make_job, {"offset": -3})) == "-3"


@pytest.mark.parametrize("arguments", [(), ("",), ("{program}",), ("a", "{Bad}"), ("a", "{"), ("a", "b}")])
def test_a_template_that_is_none_is_refused_at_the_start(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"program|brace"):
        CommandConnector(CommandSettings(service="s", arguments=arguments, warm_up={}, expects=("*",)))


async def test_the_environment_is_minimal_and_the_payload_may_be_a_file(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NORTHSTAR_SECRET", "do not pass on")
    script = """
        import json, os
        job = json.load(open('job.json'))
        json.dump([sorted(os.environ), os.getcwd(), job], open('out/a.json', 'w'))
    """
    connector = program(script, payload_by="file", environment={"EXTRA": "1"}, expects=("application/json",))
    job = make_job({"n": 1})
    (output,) = (await connector.run(job, hear_nothing)).outputs
    assert output.path is not None
    names, folder, payload = __import__("json").loads(output.path.read_text())
    assert set(names) - {"LC_CTYPE", "PWD", "OLDPWD", "SHLVL", "_"} == {"EXTRA", "HOME", "LANG", "PATH", "TMPDIR"}
    assert (folder, payload) == (str(job.workspace), {"n": 1})


async def test_news_and_log_come_on_one_channel_and_are_told_apart(make_job: MakeJob) -> None:
    script = r"""
        print('{"progress": 0.5, "message": "half"}')
        print('{"progress": 7}')
        print('{"progress": "soon"}'); print('{"other": 1}'); print('plain'); print('x' * 200_000)
        raise SystemExit(3)
    """
    news: list[Progress] = []
    with pytest.raises(ProgramFailed, match="exit code 3; its last words were: ") as caught:
        await program(script).run(make_job({}), news.append)
    assert [(report.fraction, report.message) for report in news] == [(0.5, "half"), (1.0, "")]
    assert {report.phase for report in news} == {"running"}
    lines = caught.value.log_tail.splitlines()
    assert lines[:3] == ['{"progress": "soon"}', '{"other": 1}', "plain"]
    assert all(len(line) <= 500 for line in lines)


async def test_an_operator_says_which_exit_codes_are_worth_another_try(make_job: MakeJob) -> None:
    connector = program("raise SystemExit(75)", retryable_exit_codes=frozenset({75}))
    with pytest.raises(ProgramFailedForNow, match="exit code 75") as caught:
        await run(connector, make_job)
    assert (caught.value.retryable, caught.value.exit_code) == (True, 75)
    with pytest.raises(ProgramFailed, match="exit code 75") as plain:
        await run(program("raise SystemExit(75)"), make_job)
    assert plain.value.retryable is False


async def test_a_program_that_is_killed_by_a_signal_says_which(make_job: MakeJob) -> None:
    with pytest.raises(ProgramFailed, match="ended with signal 11"):
        await run(program("import os; os.kill(os.getpid(), 11)"), make_job)


async def test_where_no_folder_can_be_made_for_the_warm_up_the_reason_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    connector = CommandConnector(CommandSettings(service="s", arguments=("true",), warm_up={}, expects=("*",)))
    with pytest.raises(EngineMisconfigured, match="let TMPDIR name one that may be written to"):
        await connector.ready()


async def test_a_program_that_is_not_there_is_an_engine_that_is_gone(make_job: MakeJob) -> None:
    settings = CommandSettings(service="s", arguments=("no-such-program",), warm_up={}, expects=("*",))
    with pytest.raises(EngineGone, match="cannot be started: no-such-program: No such file"):
        await run(CommandConnector(settings), make_job)
    with pytest.raises(EngineGone):
        await CommandConnector(settings).ready()


@pytest.mark.parametrize(
    ("script", "error", "sentence"),
    [
        ("pass", OutputMissing, r"expected text/\* but found nothing"),
        ("open('out/a.txt','w')", EmptyOutput, "the output 'a.txt' is empty"),
        ("open('out/a.txt','wb').write(b'\\x89PNG\\r\\n\\x1a\\n')", OutputMissing, "found 'a.txt' of type image/png"),
        ("open('out/a.txt','wb').write(b'\\0\\1\\2')", OutputMissing, "application/octet-stream"),
        ("import os; os.symlink('/etc/passwd', 'out/a.txt')", MalformedAnswer, "'a.txt' cannot be opened"),
        ("import os; os.mkfifo('out/a.txt')", MalformedAnswer, "not a regular file"),
        ("open('out/a\\nb.txt','w').write('x')", MalformedAnswer, "unusable name"),
        ("import os; os.makedirs('out/' + 'd/' * 12)", MalformedAnswer, "nested deeper than 8"),
        ("import os; os.rmdir('out')", OutputMissing, "expected the folder out/ but found none"),
        ("import os; os.rmdir('out'); os.symlink('/etc', 'out')", OutputMissing, "expected the folder out/"),
        ("for n in range(4): open(f'out/{n}.txt','w').write('x')", LimitExceeded, "more files than the 3 allowed"),
    ],
)
async def test_outputs_are_looked_at_and_not_believed(
    make_job: MakeJob, script: str, error: type[EngineError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        await run(program(script, max_outputs=3), make_job)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0....", "image/jpeg"),
        (b"GIF89a....", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
        (b"\0\0\0\x18ftypisom....", "video/mp4"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", "video/webm"),
        (b"ID3\x04....", "audio/mpeg"),
        (b'{"a": 1}', "application/json"),
        (b"plain words", "text/plain; charset=utf-8"),
    ],
)
async def test_a_file_is_what_its_bytes_say(make_job: MakeJob, head: bytes, media_type: str) -> None:
    connector = program(f"open('out/result','wb').write({head!r})", expects=("*/*",))
    assert [output.media_type for output in (await run(connector, make_job)).outputs] == [media_type]


@pytest.mark.parametrize(
    ("script", "limits", "limit"),
    [
        ("import time; time.sleep(60)", CommandLimits(wall_s=0.3), "wall time"),
        ("while True: pass", CommandLimits(cpu_s=1), "CPU time"),
        (
            "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
            CommandLimits(cpu_s=1),
            "CPU time",
        ),
        ("x = b'x' * 200_000_000\nimport time; time.sleep(60)", CommandLimits(memory_bytes=100 * MIB), "memory"),
        ("x = b'x' * 200_000_000", CommandLimits(memory_bytes=100 * MIB), "memory"),
        (
            "import os, time\nfor _ in range(9):\n    if os.fork() == 0: time.sleep(60)\ntime.sleep(60)",
            CommandLimits(processes=5),
            "processes",
        ),
        ("open('out/a','wb').write(b'x' * 5_000_000)", CommandLimits(output_bytes=1_000_000), "output"),
        (
            "import time\nfor n in range(99): open(f'out/{n}','w').write('x')\ntime.sleep(60)",
            CommandLimits(files=20),
            "files",
        ),
    ],
)
async def test_a_limit_ends_the_program_and_is_named(
    make_job: MakeJob, script: str, limits: CommandLimits, limit: str
) -> None:
    with pytest.raises(LimitExceeded, match=f"used more {limit} than the .* allowed and was ended") as caught:
        await run(program(script, limits=limits), make_job)
    assert (caught.value.limit, caught.value.retryable) == (limit, False)
    assert launchers() == []


async def test_the_address_space_is_the_kernels_limit(make_job: MakeJob) -> None:
    limits = CommandLimits(address_space_bytes=300 * MIB)
    with pytest.raises(ProgramFailed, match="MemoryError"):
        await run(program("x = bytearray(900_000_000)", limits=limits), make_job)


FAMILY = """
    import os, signal, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            open('grandchild.part', 'w').write(str(os.getpid())); os.rename('grandchild.part', 'grandchild')
            time.sleep(600)
        os._exit(0)
    while not os.path.exists('grandchild'): time.sleep(0.001)
    print('{"progress": 0}', flush=True)
"""


async def test_cancelling_ends_even_those_that_left_the_group_and_ignore_term(make_job: MakeJob) -> None:
    job = make_job({})
    running = asyncio.Event()
    connector = program(FAMILY + "    time.sleep(600)")
    task = asyncio.create_task(connector.run(job, lambda _news: running.set()))
    async with asyncio.timeout(10.0):
        await running.wait()
        grandchild = int((job.workspace / "grandchild").read_text())
        assert is_alive(grandchild)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not is_alive(grandchild)
    assert launchers() == []


async def test_cancelling_leaves_nothing_for_the_loop_to_complain_about(make_job: MakeJob) -> None:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(str(context["message"])))
    running = asyncio.Event()
    connector = program(FAMILY + "    time.sleep(600)")
    task = asyncio.create_task(connector.run(make_job({}), lambda _news: running.set()))
    async with asyncio.timeout(20.0):
        await running.wait()
        task.cancel()
        await asyncio.wait({task})
    del task
    gc.collect()
    assert complaints == []


async def test_impatient_cancelling_changes_nothing(make_job: MakeJob) -> None:
    job = make_job({})
    running = asyncio.Event()
    task = asyncio.create_task(program(FAMILY + "    time.sleep(600)").run(job, lambda _news: running.set()))
    async with asyncio.timeout(10.0):
        await running.wait()
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
    assert task.cancelled()
    await until(lambda: launchers() == [])
    assert not is_alive(int((job.workspace / "grandchild").read_text()))


async def test_what_a_program_leaves_running_ends_with_it(make_job: MakeJob) -> None:
    job = make_job({})
    result = await program(FAMILY + "    open('out/a.txt','w').write('done')").run(job, hear_nothing)
    assert text_of(result) == "done"
    assert not is_alive(int((job.workspace / "grandchild").read_text()))


async def test_a_deadline_of_the_job_comes_before_the_limit_of_the_program(make_job: MakeJob) -> None:
    connector = program("import time; time.sleep(60)", limits=CommandLimits(wall_s=30))
    with pytest.raises(EngineTimeout, match=r"no end of the program within 0\.2 s"):
        await connector.run(make_job({}, deadline_s=0.2), hear_nothing)


async def test_a_workspace_that_is_not_empty_is_not_used(make_job: MakeJob) -> None:
    job = make_job({})
    (job.workspace / "out").mkdir()
    with pytest.raises(EngineError, match="workspace cannot be prepared") as caught:
        await program("pass").run(job, hear_nothing)
    assert caught.value.code == "NS_ENGINE_FAILED"


AGENT = """
import asyncio, sys
from pathlib import Path
from northstar.connectors.command import CommandConnector, CommandSettings
from northstar.connectors.contract import ConnectorJob
settings = CommandSettings(service="s", arguments=(sys.executable, "-c", sys.argv[2]), warm_up={}, expects=("*",))
job = ConnectorJob(id="j", service="s", payload={}, workspace=Path(sys.argv[1]))
asyncio.run(CommandConnector(settings).run(job, lambda news: print("running", flush=True)))
"""


async def test_the_death_of_the_agent_is_the_end_of_its_programs(tmp_path: Path) -> None:
    script = dedent(FAMILY + "    time.sleep(600)").replace("{", "{{").replace("}", "}}")
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(tmp_path), script],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert agent.stdout is not None
        assert await asyncio.wait_for(asyncio.to_thread(agent.stdout.readline), 10.0) == b"running\n"
        grandchild = int((tmp_path / "grandchild").read_text())
        assert is_alive(grandchild)
    finally:
        agent.send_signal(signal.SIGKILL)
        agent.communicate()
    await until(lambda: not is_alive(grandchild))
