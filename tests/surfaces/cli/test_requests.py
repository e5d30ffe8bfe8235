"""What may be submitted, and what is said when it may not: a code, a sentence, an exit code, and nothing lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.northstar_command import Northstar
from tests.servers import embedded_valkey

JOB = {"service": "copy", "payload": {"text": "x"}}


def refused(northstar: Northstar, body: str | bytes) -> tuple[int, str, str]:
    """Exit code, error code and sentence of a submission."""
    answer = northstar.run("submit", "-", stdin=body)
    assert answer.out == ""
    assert "Traceback" not in answer.err
    code, _, sentence = answer.err.strip().partition(": ")
    return answer.code, code, sentence


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ("{", "NS_MALFORMED_BODY", "the standard input is not valid JSON: Input data was truncated"),
        ("", "NS_MALFORMED_BODY", "the standard input is empty; a job is a JSON object, a batch an array of them"),
        (b"\xff\xfe", "NS_MALFORMED_BODY", "the standard input is not valid JSON"),
        ("[" * 100_000, "NS_INVALID_JOB", "an object is wanted, and this is a list"),
        ('{"payload": {"x": ' + "[" * 100_000, "NS_MALFORMED_BODY", "the standard input is not valid JSON"),
        ("[]", "NS_BATCH_TOO_LARGE", "a batch holds 1 to 500 jobs, this one is empty"),
        (json.dumps([JOB] * 501), "NS_BATCH_TOO_LARGE", "a batch holds 1 to 500 jobs, this one has 501"),
        ('{"payload": {}}', "NS_INVALID_JOB", "`service` is missing; add it"),
        (json.dumps(JOB | {"prio": 1}), "NS_INVALID_JOB", "`prio` is no field; did you mean `priority`?"),
        (
            json.dumps(JOB | {"priority": "high"}),
            "NS_INVALID_JOB",
            "`priority` is not possible: a whole number is wanted, and this is text",
        ),
        (json.dumps(JOB | {"priority": 1e300}), "NS_INVALID_JOB", "`priority` is not possible"),
        (
            json.dumps(JOB | {"expected_s": -1}),
            "NS_INVALID_JOB",
            "`expected_s` is not possible: a number above 0.0",
        ),
        (
            json.dumps(JOB | {"retry": {"max_attempts": 10**9}}),
            "NS_INVALID_JOB",
            "`retry.max_attempts` is not possible: a whole number of at most 100",
        ),
        (json.dumps(JOB | {"id": "../../etc/passwd"}), "NS_INVALID_JOB", "`id` is not possible"),
        (json.dumps(JOB | {"service": "No Such"}), "NS_INVALID_JOB", "`service` is not possible"),
        (json.dumps([JOB | {"id": "a"}, JOB | {"id": "a"}]), "NS_DUPLICATE_ID", "two jobs of the batch have the id a"),
        (
            json.dumps(JOB | {"service": "unheard-of"}),
            "NS_UNKNOWN_WORD",
            "no machine here has offered service:unheard-of yet",
        ),
        (
            json.dumps(JOB | {"payload": {"x": "y" * 70_000}}),
            "NS_BODY_TOO_LARGE",
            "more than the 65,536 bytes (65.5 kB) allowed",
        ),
        (b" " * 8_000_001, "NS_SUBMISSION_TOO_LARGE", "more than 8,000,000 bytes (8.0 MB); split the batch"),
    ],
)
def test_a_bad_request_is_refused_with_a_code_and_a_sentence(
    running: Northstar, body: str | bytes, code: str, sentence: str
) -> None:
    exit_code, said_code, said = refused(running, body)
    assert (exit_code, said_code) == (2, code)
    assert sentence in said


def test_one_bad_job_refuses_the_whole_batch(running: Northstar) -> None:
    before = running.good("status")["totals"]["submitted"]
    assert refused(running, json.dumps([JOB, JOB | {"service": "unheard-of"}]))[1] == "NS_UNKNOWN_WORD"
    assert running.good("status")["totals"]["submitted"] == before


def test_the_same_id_and_body_is_the_same_job(running: Northstar) -> None:
    body = json.dumps(JOB | {"id": "twice"})
    first = running.good("submit", "-", stdin=body)["jobs"]
    second = running.good("submit", "-", stdin=body)["jobs"]
    assert [(job["id"], job["replayed"]) for job in (*first, *second)] == [("twice", False), ("twice", True)]
    assert first[0]["decision"]["pool"] == second[0]["decision"]["pool"] == "standard"
    assert first[0]["decision"]["because"] == second[0]["decision"]["because"]


def test_the_same_id_with_another_body_is_refused(running: Northstar) -> None:
    running.good("submit", "-", stdin=json.dumps(JOB | {"id": "other"}))
    assert refused(running, json.dumps(JOB | {"id": "other", "priority": 9})) == (
        3,
        "NS_JOB_EXISTS",
        "job other exists already with another body; leave the id out to get a new one",
    )


def test_an_idempotency_key_belongs_to_one_body(running: Northstar) -> None:
    keyed = JOB | {"idempotency_key": "order-7"}
    (first,) = running.good("submit", "-", stdin=json.dumps(keyed))["jobs"]
    (again,) = running.good("submit", "-", stdin=json.dumps(keyed))["jobs"]
    assert (again["id"], again["replayed"]) == (first["id"], True)
    assert refused(running, json.dumps(keyed | {"payload": {}}))[:2] == (3, "NS_IDEMPOTENCY_REUSED")


def test_a_file_that_holds_no_job_is_named(running: Northstar) -> None:
    for text, sentence in (("", "is empty"), ("{", "is not valid JSON"), ("{}", "does not describe a job")):
        (running.folder / "bad.json").write_text(text)
        assert f": bad.json {sentence}" in running.run("submit", "bad.json").err


def test_a_file_that_is_not_there_is_named(running: Northstar) -> None:
    answer = running.run("submit", "nowhere.json")
    assert (answer.code, answer.err) == (
        2,
        "NS_FILE_UNREADABLE: nowhere.json cannot be read: No such file or directory\n",
    )


def test_without_a_running_north_star_the_sentence_says_how_to_start_one(tmp_path: Path) -> None:
    northstar = Northstar(tmp_path)
    code, error, sentence = refused(northstar, json.dumps(JOB))
    assert (code, error) == (4, "NS_NOT_RUNNING")
    assert sentence == (
        f"no North Star runs on data directory {northstar.data_dir}; start one with `northstar up`, "
        "or name a server with --valkey"
    )


@pytest.mark.parametrize(
    "command", [["submit", "-"], ["status"], ["jobs", "list"], ["machines", "list"], ["pause", "cell"]]
)
def test_a_server_that_is_gone_is_told_as_such(tmp_path: Path, command: list[str]) -> None:
    northstar = Northstar(tmp_path)
    answer = northstar.run(*command, "--valkey", f"unix://{tmp_path}/none", stdin=json.dumps(JOB))
    assert answer.code == 4
    assert answer.err.startswith("NS_VALKEY_GONE: Valkey does not answer: ")
    assert "Traceback" not in answer.err


def test_an_address_that_is_none_is_refused_without_its_password(tmp_path: Path) -> None:
    answer = Northstar(tmp_path).run("status", "--valkey", "http://me:hunter2@host")
    assert answer.code == 2
    assert answer.err.startswith("NS_URL_INVALID: 'http://***@host' is not the address of a Valkey server")
    assert "hunter2" not in answer.err


async def test_on_a_server_where_nothing_was_opened_it_is_said_what_to_start(tmp_path: Path) -> None:
    async with embedded_valkey() as server:
        answer = Northstar(tmp_path).run("status", "--valkey", server.url)
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.startswith(
        "NS_CELL_MISSING: nothing was ever opened here: there is no cell (ns:{default}:meta is empty)"
    )
    assert f"start `northstar serve --valkey {server.url}` or `northstar up --valkey {server.url}`" in answer.err


def test_a_cell_that_does_not_exist_is_not_made_by_asking(running: Northstar) -> None:
    answer = running.run("status", "--cell", "misspelt")
    assert (answer.code, answer.err.split(":")[0]) == (4, "NS_CELL_MISSING")
    assert running.run("status", "--cell", "misspelt").code == 4


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"NORTHSTAR_CELL": "No Cell"}, "environment variable NORTHSTAR_CELL: `cell`: text is wanted that matches"),
        ({"NORTHSTAR_COLOUR": "red"}, "environment variable NORTHSTAR_COLOUR: no setting has this name"),
        ({"NORTHSTAR_CONFIG": "/nowhere.toml"}, "/nowhere.toml: cannot be read: No such file or directory"),
    ],
)
def test_a_bad_setting_is_named_with_its_place(tmp_path: Path, environment: dict[str, str], sentence: str) -> None:
    answer = Northstar(tmp_path).run("status", **environment)
    assert answer.code == 2
    assert answer.err.startswith(f"NS_INVALID_SETTINGS: {sentence}")


def test_a_service_that_cannot_be_made_stops_up_before_it_starts(tmp_path: Path) -> None:
    settings = (
        '[[machines]]\nname = "a"\nservices = ["x"]\n[services.x]\nconnector = "openai"\nbase_url = "ftp://there"\n'
    )
    answer = Northstar(tmp_path, settings=settings).run("up")
    assert answer.code == 2
    assert answer.err.startswith("NS_INVALID_SETTINGS: [services.x]: the engine's address must be http(s)://")
    assert not (tmp_path / "data").exists()


def test_an_unknown_command_is_a_usage_error(tmp_path: Path) -> None:
    answer = Northstar(tmp_path).run("fly")
    assert answer.code == 2
    assert "No such command 'fly'" in answer.err


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    import northstar

    for asked in ("version", "--version"):
        assert Northstar(tmp_path).run(asked).out == f"{northstar.__version__}\n"


def test_of_a_batch_the_job_is_named_whose_field_is_wrong(running: Northstar) -> None:
    batch = [JOB, JOB | {"id": "poster", "requires": {"vram": 8_000}}, JOB]
    code, error, sentence = refused(running, json.dumps(batch))
    assert (code, error) == (2, "NS_INVALID_JOB")
    assert sentence == (
        "the standard input does not describe a job: job 2 ('poster'): `requires.vram` is no field; did you mean `vram_mb`?"
    )


def test_a_need_beside_the_job_is_told_where_it_belongs(running: Northstar) -> None:
    _, _, sentence = refused(running, json.dumps(JOB | {"vram_mb": 8_000}))
    assert sentence.endswith("`vram_mb` is no field; did you mean `requires.vram_mb`?")
